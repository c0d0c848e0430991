"""A group's original size, which a tag of its Auto Scaling group keeps during an upgrade.

Such as `3`, or `3 max=3 paused=AZRebalance` if the upgrade also raised the group's max and suspended a process of Auto
Scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from .parsing import whole

TAG = "swarm.aws/usual-size"


@dataclass(frozen=True)
class UpgradeMarker:
    """The original size and settings of a group."""

    desired: int
    # The original max if it was raised, and the suspended process; else None.
    maximum: Optional[int] = None
    paused: Optional[str] = None

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Optional[UpgradeMarker]:
        """Read it from the group's tags; None if there is no such tag, or it cannot be read."""
        first, *words = tags.get(TAG, "").split() or [""]
        more = dict(word.partition("=")[::2] for word in words)
        desired, largest = whole(first), whole(more.get("max"))
        if desired is None or ("max" in more and largest is None):
            return None
        return cls(desired, largest, more.get("paused"))

    def write(self) -> str:
        """The tag's value."""
        words = [str(self.desired)]
        words += [] if self.maximum is None else [f"max={self.maximum}"]
        words += [] if self.paused is None else [f"paused={self.paused}"]
        return " ".join(words)
