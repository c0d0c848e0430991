"""What a group's size is again after an upgrade, as a tag of its Auto Scaling group keeps it meanwhile.

Such as `3`, or `3 max=3 paused=AZRebalance` where the upgrade also raised the group's max and paused a process of Auto
Scaling's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from .parsing import whole

TAG = "swarm.aws/usual-size"


@dataclass(frozen=True)
class UpgradeMarker:
    """The size, and what else is to be as it was."""

    desired: int
    # The group's max if that was raised, and the process that was paused; None if nothing was done.
    maximum: Optional[int] = None
    paused: Optional[str] = None

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Optional[UpgradeMarker]:
        """What the group's tags say; None if there is no such tag, or nobody can tell what it means."""
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
