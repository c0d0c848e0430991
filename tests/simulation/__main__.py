"""Replay a seed with a trace: ``python -m tests.simulation [joining|membership|control_plane] SEED``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from tests.simulation import membership, naive  # noqa: E402
from tests.simulation.control_plane import schedule  # noqa: E402
from tests.simulation.invariant import Broken  # noqa: E402
from tests.simulation.joining_cluster import JoiningCluster  # noqa: E402


def join(seed: int, elect: bool) -> str:
    """The forming of a cluster."""
    run = naive.world(seed, trace=True) if elect else JoiningCluster(seed, trace=True)
    print(run.weather)
    run.run()
    return f"all {len(run.living)} nodes are in the cluster {run.cluster_id}"


def live(seed: int) -> str:
    """The life of a cluster whose bucket and nodes suffer."""
    run = membership.Membership(seed, trace=True)
    run.run()
    return (
        "the quorum is lost for good"
        if run.lost
        else f"all nodes are in the cluster {run.cluster_id} after {run.now:.0f} s"
    )


def keep(seed: int) -> str:
    """The control plane of a cluster."""
    run = schedule.run(seed, trace=True)
    return "the quorum is lost" if run.swarm.lost else f"converged after {run.now:.0f} s"


parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
parser.add_argument("model", nargs="?", choices=["joining", "membership", "control_plane"], default="joining")
parser.add_argument("seed", type=int)
parser.add_argument("--naive", action="store_true", help="run the election by check, put and sleep instead")
options = parser.parse_args()
try:
    models = {"control_plane": keep, "membership": live, "joining": lambda seed: join(seed, options.naive)}
    outcome = models[options.model](options.seed)
except Broken as error:
    sys.exit(f"seed {options.seed}: {error}")
print(f"seed {options.seed}: {outcome}")
