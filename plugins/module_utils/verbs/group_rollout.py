"""Wait on a manager until a group's instances serve."""

from __future__ import annotations

import time
from typing import AbstractSet, Callable, List, Tuple

from .._core import report, rolling_update
from .._core.cluster import Cluster, ScalingGroup
from .._core.errors import SwarmError
from .._core.policy import Policy
from ..aws.clock import aws_time
from ..aws.scaling_groups import PATIENCE

# Seconds between two looks.
LOOK = 2.0
NOW, JOINED, SERVING = STAGES = ("now", "joined", "serving")
Look = Callable[[], Tuple[Policy, Cluster]]


class Rollout:
    """Observes the groups again and again."""

    def __init__(
        self,
        look: Look,
        groups: Callable[[], Tuple[ScalingGroup, ...]],
        *,
        now: Callable[[], float] = aws_time.now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``look`` returns the present state, ``groups`` the Auto Scaling groups; both raise SwarmError."""
        self._look, self._groups = look, groups
        self._now, self._sleep = now, sleep
        self.fleet = self.see()
        self.awaited: List[str] = []

    def see(self) -> rolling_update.Fleet:
        """Observe once."""
        # Read the groups last: a group that is larger than the observed instances is waited for.
        policy, observed = self._look()
        return rolling_update.Fleet.of(observed, policy, self._groups(), self._now())

    def wait(self, name: str, until: str, ignored: AbstractSet[str], timeout: float) -> None:
        """Wait until the group reaches a stage.

        Raises SwarmError after ``timeout`` seconds, or if a new instance that was waited for is terminated. ``ignored``
        are services whose missing tasks are not waited for.
        """
        deadline = self._now() + timeout
        new = set()
        while True:
            self.awaited = self.fleet.awaited(name, set(ignored), joined=until == JOINED)
            living = {instance.id for instance in self.fleet.of_group(name)}
            group = self.fleet.group(name)
            reason = f" {report.failing(name, group.launch_failure)}" if group.launch_failure else ""
            for lost in sorted(new - living):
                raise SwarmError(
                    f"{lost} ended before it served: its launch failed, or somebody terminated it.{reason}"
                )
            if self.awaited and (group.failing_seconds or 0) >= PATIENCE:
                raise SwarmError(reason.strip())
            new |= {
                instance.id for instance in self.fleet.of_group(name) if not instance.outdated and not instance.removing
            }
            if until == NOW or not self.awaited:
                # Report all that the group still waits for, whatever the stage was.
                self.awaited = self.fleet.awaited(name, set(ignored))
                return
            if self._now() >= deadline:
                raise SwarmError(
                    f"After {timeout:.0f} s the group {name} still waits for {'; '.join(self.awaited)}.{reason}"
                )
            self._sleep(LOOK)
            try:
                self.fleet = self.see()
            except SwarmError:
                # A leader is being elected, or AWS does not answer: keep trying until the deadline.
                if self._now() >= deadline:
                    raise
