"""What fails in a simulated boot, and how often."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Weather:
    """Probabilities are per call; times are in seconds."""

    managers: int = 3
    workers: int = 1
    boot_spread: float = 5.0
    stall: float = 0.0
    """An S3 call takes 6 to 20 s."""
    refuse: float = 0.0
    """An AWS call fails without effect: 403, 404 on the bucket, 503, SlowDown, a time-out, expired credentials."""
    lose_reply: float = 0.0
    """A write takes effect, but its caller gets no answer."""
    delay_write: float = 0.0
    """A write takes effect later, and its caller gets no answer."""
    repeat_write: float = 0.0
    """The SDK repeats a write that took effect, and reports the answer to the repetition."""
    conflict: float = 0.0
    stale: float = 0.0
    """EC2's answer is up to a minute old."""
    engine_hiccup: float = 0.0
    """The engine restarts at a call."""
    slow_join: float = 0.0
    """The engine continues to join in the background, and may fail."""
    crashes: int = 0
    """How many times an agent dies or freezes for minutes, a node reboots or an instance is replaced."""
    rotations: int = 0
    calm_after: float = 600.0
    """Nothing fails after this time."""

    @classmethod
    def of(cls, rng: random.Random) -> Weather:
        """Random weather. Each fault is often absent, so that rare combinations occur as well as all faults at once."""

        def some(*rates: float) -> float:
            return rng.choice((0.0, *rates))

        managers = rng.choice((1, 3, 3, 3, 5))
        return cls(
            managers=managers,
            workers=rng.randint(max(0, 3 - managers), 7 - managers),
            boot_spread=rng.choice((0.1, 1.0, 10.0, 60.0)),
            stall=some(0.01, 0.05, 0.3),
            refuse=some(0.02, 0.1, 0.4),
            lose_reply=some(0.05, 0.3),
            delay_write=some(0.05, 0.3),
            repeat_write=some(0.05, 0.3),
            conflict=some(0.05, 0.3),
            stale=some(0.1, 0.8),
            engine_hiccup=some(0.01, 0.05),
            slow_join=some(0.1, 0.5),
            crashes=rng.choice((0, 0, 1, 2, 4)),
            rotations=rng.choice((0, 0, 1, 2)),
        )
