"""Two ways to the same end, measured in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HEADINGS = ("what", "swarm.aws", "compared with", "seconds", "ratio", "runs", "remarks")


@dataclass(frozen=True)
class Comparison:
    """Seconds of both ways, in the order of the runs; the ratio is that of their medians."""

    what: str
    ours: Sequence[float]
    other: str
    others: Sequence[float]
    remarks: str = ""

    def row(self) -> tuple[str, ...]:
        """The cells of its row."""
        ratio = statistics.median(self.ours) / statistics.median(self.others)
        runs = f"{len(self.ours)} and {len(self.others)}"
        return self.what, spread(self.ours), self.other, spread(self.others), f"{ratio:.2f}", runs, self.remarks


def spread(seconds: Sequence[float]) -> str:
    """The median with the least and the largest value, in seconds."""
    median = f"{statistics.median(seconds):.1f}"
    return median if len(seconds) == 1 else f"{median} ({min(seconds):.1f}-{max(seconds):.1f})"


def table(comparisons: Sequence[Comparison]) -> str:
    """A Markdown table."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(comparison.row() for comparison in comparisons)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
