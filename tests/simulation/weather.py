"""What goes wrong in one simulated boot, and how often."""

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
    """A write takes effect, and its caller is told that there was no answer."""
    delay_write: float = 0.0
    """Likewise, but it takes effect only later."""
    repeat_write: float = 0.0
    """The SDK repeats a write that took effect, and reports what the repetition was told."""
    conflict: float = 0.0
    stale: float = 0.0
    """EC2 answers as of up to a minute ago."""
    engine_hiccup: float = 0.0
    """The engine restarts when it is asked something."""
    slow_join: float = 0.0
    """The engine goes on joining in the background, and may not get there."""
    crashes: int = 0
    """So many times an agent dies or freezes for minutes, a node reboots or an instance is replaced."""
    rotations: int = 0
    calm_after: float = 600.0
    """From then on nothing goes wrong any more."""

    @classmethod
    def of(cls, rng: random.Random) -> Weather:
        """Some weather: each fault is often absent, so that rare meetings of a few are seen as well as all at once."""

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
