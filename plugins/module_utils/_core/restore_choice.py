"""Chooses how to restore a swarm without a quorum: from a manager that still has its state, or from a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import backup_schedule
from .counting import counted
from .errors import SwarmError
from .join.cluster_record import RESTORING, ClusterRecord
from .join.ports import INACTIVE
from .quorum import Quorum

SURVIVOR = "survivor"
BACKUP = "backup"
_CONTINUE = "and run playbooks/restore.yml again, which uses that state and needs no backup"


class CannotRestore(SwarmError):
    """The swarm must not or cannot be restored."""


@dataclass(frozen=True)
class Manager:
    """The remaining state on a manager's instance."""

    instance: str
    # As its engine names it: inactive, pending, active, error or locked.
    state: str
    # The swarm of its state.
    cluster_id: Optional[str] = None
    # Whether its engine knows a leader, and the numbers of voters and reachable managers.
    works: bool = False
    voters: int = 0
    reachable: int = 0
    # The end of its Raft log, from the names of its files; later logs sort last.
    log: str = ""
    # Whether its state needs an unlock key. Docker cannot make a new swarm from such a state.
    locked: bool = False
    # Whether a restore was begun here and has not ended.
    begun: bool = False


@dataclass(frozen=True)
class Choice:
    """The manager to restore on, and the source."""

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
    """Choose. ``wanted`` names a backup; ``force`` is the cluster's name, to restore although the swarm works.

    Raises CannotRestore or BackupError.
    """
    if not managers:
        raise CannotRestore(
            "No manager's instance can be reached, so the swarm cannot be restored: wait until Auto Scaling has "
            "started a manager, or check the inventory and the login."
        )
    if force and force != cluster:
        raise CannotRestore(f"force is '{force}', but the cluster is '{cluster}': set force to that name to confirm.")
    begun = next((manager for manager in managers if manager.begun), None)
    published = cluster_record.cluster_id if cluster_record else None
    interrupted = cluster_record is not None and cluster_record.phase == RESTORING
    if begun is None and not interrupted and not force:
        _refuse_a_working_swarm(managers, published, cluster, names)
    survivors = _survivors(managers, published)
    if not wanted and not force and survivors:
        best = survivors[-1]
        reason = f"{best.instance} still has the state of the swarm {best.cluster_id}, so nothing is lost."
        return Choice(best.instance, SURVIVOR, "", reason)
    if not backup_schedule.newest_first(names):
        raise CannotRestore(" ".join([backup_schedule.NONE, *_left(managers, published)]))
    name = backup_schedule.chosen(names, wanted)
    target = begun or _target(managers)
    asked = "as requested" if wanted else "the newest"
    return Choice(target.instance, BACKUP, name, f"The backup {name}, {asked}, is restored on {target.instance}.")


def _refuse_a_working_swarm(
    managers: Sequence[Manager], published: Optional[str], cluster: str, names: Sequence[str]
) -> None:
    """If the bucket names no swarm, any working swarm may be the cluster's."""
    working = next((manager for manager in managers if manager.works and published in (None, manager.cluster_id)), None)
    if working is None:
        return
    holders = _named(manager for manager in managers if manager.cluster_id == working.cluster_id)
    said = (
        f"The swarm works: {_reachable(working)}. Its state ({working.cluster_id}) is on {holders}. Nothing was done, "
        "since no restore is needed."
    )
    if published is None:
        said += (
            " The cluster's record in the bucket names no swarm: if this is the cluster's, its leader's agent writes "
            "the record again within half a minute, and playbooks/status.yml shows whether it has. If not, put an "
            "older version of cluster.json back."
        )
    if backup_schedule.newest_first(names):
        said += f" To restore a backup nevertheless, which loses everything after it, add -e force={cluster}."
    else:
        said += " There is no backup: playbooks/backup.yml makes a backup."
    raise CannotRestore(said)


def _survivors(managers: Sequence[Manager], published: Optional[str]) -> Tuple[Manager, ...]:
    """Managers with the published swarm's state; the manager with the latest log is last.

    If the bucket names no swarm, they must all be of the same swarm.
    """
    held = _holders(managers)
    swarm = published or (next(iter(held)) if len(held) == 1 else "")
    found = [manager for manager in held.get(swarm, ()) if not manager.locked]
    # Prefer a manager on which a restore was begun.
    return tuple(sorted(found, key=lambda manager: (manager.begun, manager.log, manager.instance)))


def _holders(managers: Sequence[Manager]) -> Dict[str, List[Manager]]:
    """Managers with a state, by its swarm."""
    swarms: Dict[str, List[Manager]] = {}
    for manager in managers:
        if manager.cluster_id and manager.state != INACTIVE:
            swarms.setdefault(manager.cluster_id, []).append(manager)
    return swarms


def _left(managers: Sequence[Manager], published: Optional[str]) -> Iterator[str]:
    """Sentences about the managers' states, without a backup, and what can be done with them."""
    swarms = _holders(managers)
    for swarm, holders in swarms.items():
        working = next((holder for holder in holders if holder.works), None)
        if working is not None:
            yield f"The swarm {swarm} works on {_named(holders)}: {_reachable(working)}. It needs no restore."
        else:
            yield f"The state of the swarm {swarm} is on {_named(holders)}, without a leader."
        if published not in (None, swarm):
            then = "and its leader's agent writes it again" if working else _CONTINUE
            yield (
                f"The cluster's record in the bucket names {published}: if {swarm} is the cluster's swarm, delete "
                f"cluster.json from the bucket, {then}."
            )
        elif working is None and all(holder.locked for holder in holders):
            yield (
                "It is locked (autolock), and Docker cannot create a new swarm from a locked state: start enough of "
                "its managers again for a quorum."
            )
        elif working is None and (published or len(swarms) == 1):
            yield f"Remove -e backup and -e force, {_CONTINUE}."
    if published is None and len(swarms) > 1:
        yield (
            "The bucket does not say which of them is the cluster's: put an older version of cluster.json back, or "
            f"terminate the instances of the others, {_CONTINUE}."
        )


def _named(managers: Iterable[Manager]) -> str:
    return ", ".join(sorted(manager.instance for manager in managers))


def _reachable(manager: Manager) -> str:
    quorum = Quorum(manager.voters, manager.reachable)
    return f"{quorum.reachable} of {counted(quorum.voters, 'manager')} reachable, quorum {quorum.needed}"


def _target(managers: Sequence[Manager]) -> Manager:
    """The manager on which to restore a backup, preferably in no swarm."""
    return min(managers, key=lambda manager: (manager.state != INACTIVE, manager.instance))


def differing(before: Mapping[str, int], found: Mapping[str, int]) -> str:
    """The restored counts that differ from those in the backup; empty if none does."""
    wrong = [(name, number) for name, number in before.items() if found.get(name, 0) != number]
    return ", ".join(f"{found.get(name, 0)} {name} rather than {number}" for name, number in wrong)
