"""How a swarm that lost its quorum for good is brought back: from a manager that still has its state, or a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import backup_schedule
from .errors import SwarmError
from .join.cluster_record import RESTORING, ClusterRecord
from .join.ports import INACTIVE
from .quorum import Quorum

SURVIVOR = "survivor"
BACKUP = "backup"
_GO_ON = "and run playbooks/restore.yml again, which goes on with its state and needs no backup"


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
    # Whether its engine knows of a leader, and how many managers vote and are reachable.
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
    cluster_record: Optional[ClusterRecord],
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
    begun = next((manager for manager in managers if manager.begun), None)
    published = cluster_record.cluster_id if cluster_record else None
    interrupted = cluster_record is not None and cluster_record.phase == RESTORING
    if begun is None and not interrupted and not force:
        _refuse_a_working_swarm(managers, published, cluster, names)
    survivors = _survivors(managers, published)
    if not wanted and not force and survivors:
        best = survivors[-1]
        reason = f"{best.instance} still has the state of the swarm {best.cluster_id}, so nothing of it is lost."
        return Choice(best.instance, SURVIVOR, "", reason)
    if not backup_schedule.newest_first(names):
        raise CannotRestore(" ".join([backup_schedule.NONE, *_left(managers, published)]))
    name = backup_schedule.chosen(names, wanted)
    target = begun or _target(managers)
    asked = "as asked for" if wanted else "the newest one"
    return Choice(target.instance, BACKUP, name, f"The backup {name}, {asked}, is restored on {target.instance}.")


def _refuse_a_working_swarm(
    managers: Sequence[Manager], published: Optional[str], cluster: str, names: Sequence[str]
) -> None:
    """Where the bucket names no swarm, any that works may be the cluster's."""
    working = next((manager for manager in managers if manager.works and published in (None, manager.cluster_id)), None)
    if working is None:
        return
    holders = _named(manager for manager in managers if manager.cluster_id == working.cluster_id)
    said = (
        f"The swarm works: {_reachable(working)}. Its state ({working.cluster_id}) is on {holders}. Nothing was done, "
        "for no restore is needed."
    )
    if published is None:
        said += (
            " The cluster's record in the bucket names no swarm: if this is the cluster's, its leader's agent writes "
            "the record again by itself within half a minute, and playbooks/status.yml shows whether it has. If it has "
            "not, put an older version of cluster.json back."
        )
    if backup_schedule.newest_first(names):
        said += f" To put a backup in its place all the same, which loses what came after it, add -e force={cluster}."
    else:
        said += " There is no backup: playbooks/backup.yml makes one."
    raise CannotRestore(said)


def _survivors(managers: Sequence[Manager], published: Optional[str]) -> Tuple[Manager, ...]:
    """Managers with the published swarm's state, the one that knows most last.

    Where the bucket names no swarm, it is the one that all of them are of.
    """
    held = _holders(managers)
    swarm = published or (next(iter(held)) if len(held) == 1 else "")
    found = [manager for manager in held.get(swarm, ()) if not manager.locked]
    # One on which this was begun already goes on.
    return tuple(sorted(found, key=lambda manager: (manager.begun, manager.log, manager.instance)))


def _holders(managers: Sequence[Manager]) -> Dict[str, List[Manager]]:
    """Managers with a state, by the swarm that it is of."""
    swarms: Dict[str, List[Manager]] = {}
    for manager in managers:
        if manager.cluster_id and manager.state != INACTIVE:
            swarms.setdefault(manager.cluster_id, []).append(manager)
    return swarms


def _left(managers: Sequence[Manager], published: Optional[str]) -> Iterator[str]:
    """What the managers have in place of a backup, and what can be done with it, as sentences."""
    swarms = _holders(managers)
    for swarm, holders in swarms.items():
        working = next((holder for holder in holders if holder.works), None)
        if working is not None:
            yield f"The swarm {swarm} works on {_named(holders)}: {_reachable(working)}. It needs no restore."
        else:
            yield f"The state of the swarm {swarm} is on {_named(holders)}, without a leader."
        if published not in (None, swarm):
            then = "and its leader's agent writes it again" if working else _GO_ON
            yield (
                f"The cluster's record in the bucket names {published}: if {swarm} is the cluster's swarm, delete "
                f"cluster.json from the bucket, {then}."
            )
        elif working is None and all(holder.locked for holder in holders):
            yield (
                "It is locked (autolock), and Docker makes no new swarm out of a locked state: start as many of its "
                "managers again as a quorum needs."
            )
        elif working is None and (published or len(swarms) == 1):
            yield f"Leave out -e backup and -e force, {_GO_ON}."
    if published is None and len(swarms) > 1:
        yield (
            "The bucket does not say which of them is the cluster's: put an older version of cluster.json back, or "
            f"terminate the instances of the others, {_GO_ON}."
        )


def _named(managers: Iterable[Manager]) -> str:
    return ", ".join(sorted(manager.instance for manager in managers))


def _reachable(manager: Manager) -> str:
    quorum = Quorum(manager.voters, manager.reachable)
    return f"{quorum.reachable} of {quorum.voters} managers are reachable, quorum {quorum.needed}"


def _target(managers: Sequence[Manager]) -> Manager:
    """The manager to restore a backup on: preferably one that is in no swarm."""
    return min(managers, key=lambda manager: (manager.state != INACTIVE, manager.instance))


def counted(before: Mapping[str, int], found: Mapping[str, int]) -> str:
    """Which counts of what was restored are not those from before; empty if all are."""
    wrong = [(name, number) for name, number in before.items() if found.get(name, 0) != number]
    return ", ".join(f"{found.get(name, 0)} {name} rather than {number}" for name, number in wrong)
