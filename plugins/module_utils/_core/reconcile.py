"""One pass: observe, decide, act. What one service cannot do now does not keep the others from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Tuple

from .actions import Action
from .apply import Refused
from .change import Change
from .cluster import Cluster
from .errors import SwarmError
from .plan import Decision, decide
from .policy import Policy

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 120.0


class Backoff:
    """When a service that failed may be asked again: after a pause that doubles with every failure."""

    def __init__(self) -> None:
        self._failures: Dict[str, int] = {}
        self._until: Dict[str, float] = {}

    def rests(self, service: str, now: float) -> bool:
        """Whether it is too early to ask it again."""
        return now < self._until.get(service, now)

    def failed(self, service: str, now: float) -> float:
        """Note a failure and return the seconds of the pause."""
        pause = min(FIRST_PAUSE * 2.0 ** self._failures.get(service, 0), LONGEST_PAUSE)
        self._failures[service] = self._failures.get(service, 0) + 1
        self._until[service] = now + pause
        return pause

    def worked(self, service: str) -> None:
        """Forget the failures."""
        self._failures.pop(service, None)
        self._until.pop(service, None)


@dataclass(frozen=True)
class Failure:
    """What a service did not do, and why."""

    service: str
    message: str


@dataclass
class Pass:
    """What one pass did and found."""

    decision: Decision
    done: List[Tuple[Action, Change]] = field(default_factory=list)
    failures: List[Failure] = field(default_factory=list)
    # Planned, but not done: refused on second sight, or its service rests after a failure.
    postponed: List[str] = field(default_factory=list)

    @property
    def in_flight(self) -> bool:
        """Whether it is worth while to look again soon."""
        return self.decision.in_flight


def reconcile(
    observe: Callable[[], Cluster],
    apply: Callable[[Action], Optional[Change]],
    policy: Policy,
    now: Callable[[], float],
    backoff: Optional[Backoff] = None,
) -> Pass:
    """Do one pass. ``observe`` returns what it can; ``apply`` raises SwarmError; ``now`` gives epoch seconds."""
    backoff = backoff or Backoff()
    result = Pass(decide(observe(), policy, now()))
    for action in result.decision.actions:
        if backoff.rests(action.service, now()):
            result.postponed.append(f"{action.change.sentence}: {action.service} failed a moment ago")
            continue
        try:
            change = apply(action)
        except Refused as error:
            result.postponed.append(f"{action.change.sentence}: {error}")
        except SwarmError as error:
            backoff.failed(action.service, now())
            result.failures.append(Failure(action.service, str(error)))
        else:
            backoff.worked(action.service)
            if change is not None:
                result.done.append((action, change))
    return result
