"""What fails by itself in a story, and how often."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Weather:
    """Probabilities are per call; times are in seconds."""

    managers: int = 3
    workers: int = 1
    refuse: float = 0.0
    """A call fails without effect: throttling, 5xx, a time-out."""
    stall: float = 0.0
    """A call takes 2 to 20 s."""
    lose_reply: float = 0.0
    """A write takes effect, but its caller gets no answer."""
    delay_write: float = 0.0
    """A write takes effect seconds later, and its caller gets no answer."""
    stale: float = 0.0
    """Answers of EC2 and Auto Scaling are some seconds old."""
    lose_message: float = 0.0
    double_message: float = 0.0
    slow_message: float = 0.0
    """Per message: it arrives up to a minute late, and so out of order."""
    crash: float = 0.0
    """Per effect: the agent is killed before or after it, and restarted."""
    freeze: float = 0.0
    """Per effect: the agent freezes before it, for so long that others act meanwhile."""
    skew: float = 0.0
    """How far agents' clocks are off, at most."""
    propagation: float = 0.0
    """How long a change of the record takes to reach all name servers, at most."""
    reuse_addresses: bool = False
    """A new instance may get the addresses of a terminated instance."""
    ipv6: bool = False
    """Instances have IPv6 addresses, and the cluster an AAAA record."""

    @classmethod
    def of(cls, rng: random.Random) -> Weather:
        """Random weather. Each fault is often absent, so that rare combinations occur as well as all faults at once."""

        def some(*rates: float) -> float:
            return rng.choice((0.0, 0.0, *rates))

        return cls(
            managers=rng.choice((1, 3, 3, 3, 5)),
            workers=rng.choice((0, 1, 1, 2)),
            refuse=some(0.02, 0.2),
            stall=some(0.02, 0.1),
            lose_reply=some(0.1, 0.3),
            delay_write=some(0.1),
            stale=some(0.1, 0.5),
            lose_message=some(0.3, 1.0),
            double_message=some(0.3),
            slow_message=some(0.5),
            crash=some(0.02, 0.1),
            freeze=some(0.02, 0.05),
            skew=some(0.5),
            propagation=some(5.0, 30.0),
            reuse_addresses=rng.random() < 0.3,
            ipv6=rng.random() < 0.3,
        )
