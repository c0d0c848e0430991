"""AWS's published request limits, and the rate at which a swarm takes members in."""

from __future__ import annotations

from collections import Counter

# Tokens at most, and tokens a second. EC2: those of filtered Describe* actions, for the whole account and region
# (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). S3: for each prefix of a bucket
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html).
BUCKETS = {"EC2": (100.0, 20.0), "S3 read": (5500.0, 5500.0), "S3 write": (3500.0, 3500.0)}
# Members a second that a leader takes in: `make bench SUBJECT=joining` measures it on two busy cores.
ADMISSIONS = 4.0


class Limits:
    """Token buckets, and what was asked of them."""

    def __init__(self) -> None:
        self._left = {name: most for name, (most, _rate) in BUCKETS.items()}
        self._at = dict.fromkeys(BUCKETS, 0.0)
        self._leader_free_at = 0.0
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def allow(self, name: str, now: float) -> bool:
        """Whether a call at a time in seconds is answered; it is counted."""
        most, rate = BUCKETS[name]
        self._left[name] = min(most, self._left[name] + (now - self._at[name]) * rate)
        self._at[name] = now
        self.calls[name] += 1
        if self._left[name] < 1:
            self.refused[name] += 1
            return False
        self._left[name] -= 1
        return True

    def admission(self, now: float) -> float:
        """For how many seconds a member that asks now waits for the leader, which takes in one after the other."""
        self._leader_free_at = max(self._leader_free_at, now) + 1 / ADMISSIONS
        return self._leader_free_at - now
