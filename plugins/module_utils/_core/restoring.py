"""How a swarm that lost its quorum for good is brought back: from a manager that still has its state, or a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from . import backups
from .errors import SwarmError
from .join.ports import INACTIVE
from .join.truth import RESTORING, Truth

SURVIVOR = "survivor"
BACKUP = "backup"


class CannotRestore(SwarmError):
    """The swarm is not to be restored, or cannot be."""


@dataclass(frozen=True)
class Manager:
    """What a manager's instance has left."""

    instance: str
    # As its engine names it: inactive, pending, active, error or locked.
    state: str
    # The swarm that its state is of.
    cluster_id: Optional[str] = None
    # Whether its engine knows of a leader, and how many managers vote and are heard.
    works: bool = False
    voters: int = 0
    reachable: int = 0
    # Where its log of Raft ends, as far as names of files tell; later ones sort last.
    log: str = ""
    # Whether its state can only be read with an unlock key. Docker makes no new swarm out of such a state.
    locked: bool = False
    # Whether a restore was begun here that has not ended.
    begun: bool = False


@dataclass(frozen=True)
class Choice:
    """Where the swarm is brought back, and from what."""

    instance: str
    source: str
    # Name of the backup; empty for a survivor's own state.
    backup: str
    reason: str


def choose(
    managers: Sequence[Manager],
    truth: Optional[Truth],
    names: Sequence[str],
    *,
    cluster: str,
    wanted: str = "",
    force: str = "",
) -> Choice:
    """Choose. ``wanted`` names a backup; ``force`` is the cluster's name, to go back although the swarm works.

    Raises CannotRestore or BackupError.
    """
    if not managers:
        raise CannotRestore(
            "No manager's instance can be reached, so there is nothing to restore the swarm on: wait until Auto "
            "Scaling has started some, or check the inventory and the login."
        )
    if force and force != cluster:
        raise CannotRestore(f"force is '{force}', but this is the cluster '{cluster}': give its name to insist.")
    begun = next((one for one in managers if one.begun), None)
    published = truth.cluster_id if truth else None
    interrupted = truth is not None and truth.phase == RESTORING
    if begun is None and not interrupted:
        _refuse_a_working_swarm(managers, published, cluster, force)
    survivors = _survivors(managers, published)
    if not wanted and not force and survivors:
        best = survivors[-1]
        reason = f"{best.instance} still has the state of the swarm {published}, so nothing of it is lost."
        return Choice(best.instance, SURVIVOR, "", reason)
    name = backups.chosen(names, wanted)
    target = begun or _target(managers)
    asked = "as asked for" if wanted else "the newest one"
    return Choice(target.instance, BACKUP, name, f"The backup {name}, {asked}, is restored on {target.instance}.")


def _refuse_a_working_swarm(managers: Sequence[Manager], published: Optional[str], cluster: str, force: str) -> None:
    working = next((one for one in managers if one.works and one.cluster_id == published), None)
    if working is not None and not force:
        raise CannotRestore(
            f"The swarm works: {working.reachable} of {working.voters} managers are heard. Nothing was done. To put a "
            f"backup in its place all the same, which loses what came after it, add -e force={cluster}."
        )


def _survivors(managers: Sequence[Manager], published: Optional[str]) -> Tuple[Manager, ...]:
    """Managers with the published swarm's state, the one that knows most last."""
    mine = [one for one in managers if published and one.cluster_id == published and one.state != INACTIVE]
    found = [one for one in mine if not one.locked]
    # One on which this was begun already goes on.
    return tuple(sorted(found, key=lambda one: (one.begun, one.log, one.instance)))


def _target(managers: Sequence[Manager]) -> Manager:
    """The manager to restore a backup on: preferably one that is in no swarm."""
    return min(managers, key=lambda one: (one.state != INACTIVE, one.instance))


def counted(before: Mapping[str, int], found: Mapping[str, int]) -> str:
    """Which counts of what was restored are not those from before; empty if all are."""
    wrong = [(name, number) for name, number in before.items() if found.get(name, 0) != number]
    return ", ".join(f"{found.get(name, 0)} {name} rather than {number}" for name, number in wrong)
