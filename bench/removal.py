"""Measures removals on the lab against their waits: the longest stop of a task, and the record's TTL.

    SWARM_LAB_NAME=lab .venv/bin/python -m bench.removal worker follower leader

Needs a lab with a cluster. The overhead is the time of a removal beyond both waits.
"""

from __future__ import annotations

import json
import os
import sys
import time

from lab.state import labs
from tests.lab.load import Load
from tests.lab.site import RECORD, Site

TTL = 10.0
# The target overhead, as a share of the waits.
TARGET = 0.15


def measure(site: Site, kind: str) -> dict[str, float]:
    """Remove one node of a kind under load, and return the seconds of each step."""
    site.settle()
    instance = site.one(kind)
    manager = next(other for other in site.managers() if other != instance)
    # A single watch without a gap, not a watch for each stage as in the playbook.
    words = ["ansible", manager, "--become", "-m", "swarm.aws.node_drain", "-a", f"instance={instance}"]
    with Load(site.lab, RECORD) as load:
        began = time.monotonic()
        run = site.command(*words, ANSIBLE_CALLBACK_RESULT_FORMAT="json")
        command = time.monotonic() - began
    assert run.code == 0, run.output[-3000:]
    steps: dict[str, float] = json.loads(run.output[run.output.index("{") :])["seconds"]
    # A node that is in no record waits only for its replacements.
    ttl = TTL if "withdrawn" in steps else 0.0
    waits = ttl + steps["drained"]
    overhead = steps["all"] - waits
    # Without a wait there is no share.
    share = f", {overhead / waits:.0%} (target: {TARGET:.0%})" if waits >= 1 else ""
    print(
        f"{kind:9} {json.dumps(steps)}\n"
        f"{'':9} TTL {ttl:.0f} s + stop {steps['drained']:.1f} s = {waits:.1f} s; overhead {overhead:.1f} s{share}; "
        f"the command took {command:.0f} s\n"
        f"{'':9} {load.result}",
        flush=True,
    )
    return steps


def main() -> None:
    """Measure the kinds in the arguments, or all kinds."""
    name = os.environ.get("SWARM_LAB_NAME", "lab")
    lab = next((candidate for candidate in labs() if candidate.name == name), None)
    if lab is None:
        sys.exit(f"There is no lab '{name}': start it and run site.yml.")
    site = Site(lab)
    for kind in sys.argv[1:] or ["worker", "follower", "leader"]:
        measure(site, kind)


if __name__ == "__main__":
    main()
