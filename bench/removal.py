"""How long removals take on the lab, beside what they wait for: the longest stop of a task, and the record's TTL.

    SWARM_LAB_NAME=lab .venv/bin/python -m bench.removal worker follower leader

Needs a lab with a cluster on it. The overhead is what a removal takes beyond both waits.
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
# The share of the waits that is aimed at.
TARGET = 0.15


def measure(site: Site, kind: str) -> dict[str, float]:
    """Remove one node of a kind under load, and return the seconds of each step."""
    site.settle()
    instance = site.one(kind)
    manager = next(other for other in site.managers() if other != instance)
    # One watch without a gap, rather than one for each stage as the playbook has it.
    words = ["ansible", manager, "--become", "-m", "swarm.aws.node_drain", "-a", f"instance={instance}"]
    with Load(site.lab, RECORD) as load:
        began = time.monotonic()
        run = site.command(*words, ANSIBLE_CALLBACK_RESULT_FORMAT="json")
        command = time.monotonic() - began
    assert run.code == 0, run.output[-3000:]
    steps: dict[str, float] = json.loads(run.output[run.output.index("{") :])["seconds"]
    # A node that no record leads to waits for its replacements alone.
    ttl = TTL if "withdrawn" in steps else 0.0
    waits = ttl + steps["drained"]
    overhead = steps["all"] - waits
    # Nothing to wait for has no share.
    share = f", {overhead / waits:.0%} (aim: {TARGET:.0%})" if waits >= 1 else ""
    print(
        f"{kind:9} {json.dumps(steps)}\n"
        f"{'':9} TTL {ttl:.0f} s + stop {steps['drained']:.1f} s = {waits:.1f} s; overhead {overhead:.1f} s{share}; "
        f"the command took {command:.0f} s\n"
        f"{'':9} {load.result}",
        flush=True,
    )
    return steps


def main() -> None:
    """Measure the kinds that are named, or all."""
    name = os.environ.get("SWARM_LAB_NAME", "lab")
    lab = next((candidate for candidate in labs() if candidate.name == name), None)
    if lab is None:
        sys.exit(f"There is no lab '{name}': start it and run site.yml.")
    site = Site(lab)
    for kind in sys.argv[1:] or ["worker", "follower", "leader"]:
        measure(site, kind)


if __name__ == "__main__":
    main()
