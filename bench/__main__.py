"""`python -m bench [SUBJECT …]`: build a cluster on a lab of its own, measure it, and print a Markdown table.

Without a subject all are measured, within half an hour on two cores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from bench import joining, provisioning, removal, restoring, upgrade
from bench.comparison import Comparison, table
from bench.lab import done, fresh
from tests.lab.site import Site

# In this order: the last ones take the swarm apart.
SUBJECTS: dict[str, Callable[[Site], Iterator[Comparison]]] = {
    "provisioning": provisioning.measure,
    "removal": removal.measure,
    "upgrade": upgrade.measure,
    "restoring": restoring.measure,
    "joining": joining.measure,
}


def main(wanted: list[str]) -> int:
    """Measure the subjects; 2 for a subject that does not exist."""
    unknown = sorted(set(wanted) - set(SUBJECTS))
    if unknown:
        print(f"There is no subject {', '.join(unknown)}; the subjects are: {', '.join(SUBJECTS)}.", file=sys.stderr)
        return 2
    found: list[Comparison] = []
    began = time.monotonic()
    with fresh("bench") as site:
        if wanted and "provisioning" not in wanted:
            done(site.playbook("site.yml"))
        for subject, measure in SUBJECTS.items():
            for comparison in measure(site) if subject in wanted or not wanted else ():
                print(f"bench: after {time.monotonic() - began:.0f} s: {comparison.row()}", file=sys.stderr)
                found.append(comparison)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
