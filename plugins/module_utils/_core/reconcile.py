"""A pass: observe, decide, act. A service that fails does not block the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, List, Optional, Tuple

from .actions import Action
from .apply import Refused
from .backoff import Backoff, Failure
from .change import Change
from .cluster import Cluster
from .decision import Decision
from .errors import SwarmError, unexpected
from .plan import decide
from .policy import Policy

# Seconds after which an observation is too old to act on.
STALE = 30.0


@dataclass
class Pass:
    """The result of a pass."""

    observed: Cluster
    decision: Decision
    done: List[Tuple[Action, Change]] = field(default_factory=list)
    failures: List[Failure] = field(default_factory=list)
    # Planned but not done, with the reason: not right any more, too old, or its service or resource failed recently.
    postponed: List[str] = field(default_factory=list)


def reconcile(
    observe: Callable[[], Cluster],
    apply: Callable[[Action], Optional[Change]],
    policy: Policy,
    now: Callable[[], float],
    backoff: Optional[Backoff] = None,
) -> Pass:
    """Do one pass. ``observe`` returns what it can; ``apply`` raises SwarmError; ``now`` gives epoch seconds."""
    backoff = backoff or Backoff()
    began = now()
    observed = observe()
    result = Pass(observed, decide(observed, policy, now()))
    # Resources that failed come last, so that they do not block others of the same service.
    for action in sorted(result.decision.actions, key=lambda action: backoff.failures(action.change.resource)):
        age = now() - began
        if age > STALE:
            result.postponed.append(f"{action.change.sentence}: its observation is {age:.0f} s old")
            continue
        if backoff.rests(action.service, now()):
            result.postponed.append(f"{action.change.sentence}: {action.service} failed a moment ago")
            continue
        if backoff.rests(action.change.resource, now()):
            result.postponed.append(f"{action.change.sentence}: it failed a moment ago")
            continue
        try:
            change = apply(action)
        except Refused as error:
            result.postponed.append(f"{action.change.sentence}: {error}")
        except SwarmError as error:
            # After repeated failures only the resource rests: its service may work for others.
            if not backoff.failures(action.change.resource):
                backoff.failed(action.service, now())
            backoff.failed(action.change.resource, now())
            result.failures.append(Failure(action.service, str(error)))
        except Exception as error:
            # The other actions are done nevertheless. The service need not rest.
            backoff.failed(action.change.resource, now())
            result.failures.append(Failure(action.service, f"{action.change.sentence}: {unexpected(error)}."))
        else:
            backoff.worked(action.service)
            backoff.worked(action.change.resource)
            if change is not None:
                result.done.append((action, change))
    return result
