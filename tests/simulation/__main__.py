"""Replay one seed with a trace: ``python -m tests.simulation SEED``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from tests.simulation import naive, world  # noqa: E402

parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
parser.add_argument("seed", type=int)
parser.add_argument("--naive", action="store_true", help="run the check-then-put-then-sleep election instead")
options = parser.parse_args()
run = naive.world(options.seed, trace=True) if options.naive else world.World(options.seed, trace=True)
print(run.weather)
try:
    run.run()
except world.Broken as error:
    sys.exit(f"seed {options.seed}: {error}")
print(f"seed {options.seed}: one cluster, {run.cluster_id}, and all {len(run.living)} nodes are in it")
