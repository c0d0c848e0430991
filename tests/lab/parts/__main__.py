"""Run the long tests by part, each on its own lab: `python -m tests.lab.parts [PART …]`; without a part all of them.

Prints a table at the end, and fails if a part failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab import lifecycle
from lab.state import labs

HERE = Path(__file__).parent
PARTS = sorted(folder.name for folder in HERE.iterdir() if list(folder.glob("test_*.py")))

# Parts without engines, and with an account for each test.
PARALLEL = ("provisioning",)


def run(part: str) -> int:
    """Run a part's tests on a lab with its name, and return pytest's exit code. The lab is deleted afterwards."""
    name = part.replace("_", "-")
    try:
        words = [sys.executable, "-m", "pytest", "--durations=0", "--durations-min=5", str(HERE / part)]
        if part in PARALLEL:
            words += ["--numprocesses", "auto"]
        return subprocess.run(words, env=os.environ | {"SWARM_LAB_NAME": name}, check=False).returncode
    finally:
        # If the tests were killed, their labs are still up.
        for lab in labs():
            if lab.name == name or lab.name.startswith(f"{name}-"):
                lifecycle.down(lab, lambda line: print(f"lab: {line}", file=sys.stderr))


def main(wanted: list[str]) -> int:
    """Run the parts; 0 if all passed, 1 if not, 2 for a part that does not exist."""
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        print(f"There is no part {', '.join(unknown)}; the parts are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    # Like Ctrl-C: the lab is deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    table: list[tuple[str, float, bool]] = []
    for part in wanted or PARTS:
        print(f"\n=== {part}", flush=True)
        began = time.monotonic()
        passed = run(part) == 0
        table.append((part, time.monotonic() - began, passed))
    print()
    for part, seconds, passed in table:
        print(f"{part:12} {seconds / 60:5.1f} min  {'passed' if passed else 'FAILED'}")
    return 0 if all(passed for *_, passed in table) else 1


if __name__ == "__main__":
    sys.exit(main([part for word in sys.argv[1:] for part in word.split(",")]))
