"""What goes wrong by itself in one simulated while, and how often."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Weather:
    """Probabilities are per call; times are in seconds."""

    managers: int = 3
    workers: int = 1
    refuse: float = 0.0
    """A service answers with an error, without effect: throttling, 5xx, a time-out."""
    stall: float = 0.0
    """A call takes 2 to 20 s."""
    lose_reply: float = 0.0
    """A write takes effect, and its caller is told that there was no answer."""
    delay_write: float = 0.0
    """Likewise, but it takes effect only seconds later."""
    stale: float = 0.0
    """EC2 and Auto Scaling answer as of some seconds ago."""
    lose_message: float = 0.0
    double_message: float = 0.0
    slow_message: float = 0.0
    """Per message: it arrives up to a minute late, and therefore out of order."""
    crash: float = 0.0
    """Per effect: the agent dies before or after it, and is started again."""
    freeze: float = 0.0
    """Per effect: the agent stands still before it, for as long as it takes others to go on without it."""
    skew: float = 0.0
    """Agents' clocks are off by so much at most."""
    propagation: float = 0.0
    """Until all name servers know a change of the record, at most."""
    reuse_addresses: bool = False
    """A new instance may get the addresses of one that ended."""
    ipv6: bool = False
    """Instances have IPv6 addresses, and the cluster an AAAA record."""

    @classmethod
    def of(cls, rng: random.Random) -> Weather:
        """Some weather: each fault is often absent, so that rare meetings of a few are seen as well as all at once."""

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
