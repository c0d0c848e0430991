"""Replay one seed with a trace: ``python -m tests.simulation [joining|living|keeping] SEED``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from tests.simulation import living, naive, world  # noqa: E402
from tests.simulation.keeping import invariants, schedule  # noqa: E402


def join(seed: int, elect: bool) -> str:
    """How a cluster forms."""
    run = naive.world(seed, trace=True) if elect else world.World(seed, trace=True)
    print(run.weather)
    run.run()
    return f"one cluster, {run.cluster_id}, and all {len(run.living)} nodes are in it"


def live(seed: int) -> str:
    """How a cluster lives on whose bucket and nodes suffer."""
    run = living.Living(seed, trace=True)
    run.run()
    return "the quorum is lost for good" if run.lost else f"one cluster, {run.cluster_id}, after {run.now:.0f} s"


def keep(seed: int) -> str:
    """How a cluster is kept."""
    run = schedule.tell(seed, trace=True)
    return "the quorum is lost for good" if run.swarm.lost else f"all is as it should be after {run.now:.0f} s"


parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
parser.add_argument("model", nargs="?", choices=["joining", "living", "keeping"], default="joining")
parser.add_argument("seed", type=int)
parser.add_argument("--naive", action="store_true", help="run the check-then-put-then-sleep election instead")
options = parser.parse_args()
try:
    models = {"keeping": keep, "living": live, "joining": lambda seed: join(seed, options.naive)}
    outcome = models[options.model](options.seed)
except (world.Broken, invariants.Broken) as error:
    sys.exit(f"seed {options.seed}: {error}")
print(f"seed {options.seed}: {outcome}")
