"""The next step of a node that joins: a pure function of its view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Union

from .cluster_record import FORMED, RESTORING, ClusterRecord
from .ports import (
    ACTIVE,
    ERROR,
    GONE,
    INACTIVE,
    LISTENS,
    LOCKED,
    MANAGER,
    PENDING,
    REFUSES,
    Membership,
    Stored,
)

# A claim only decides who tries first, and losing it costs little. These bound the waiting.
LEASE_SECONDS = 180
# The lease if this node has made a swarm already, beside which no other is made.
FOUNDER_LEASE_SECONDS = 30
# EC2 does not know an instance in the first seconds after its launch.
UNKNOWN_SECONDS = 60
# The engine waits 20 s for its own join, and then about as long for the other side's answers.
STUCK_SECONDS = 60
# How long a swarm that the bucket does not name may need to recover by itself; after that a person is asked.
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Me:
    """The node that joins."""

    cluster: str
    instance: str
    role: str
    deleted: Optional[str] = None
    """The ID of this host's node that the managers do not list any more. They do not tell the node itself."""
    new_swarm: bool = False
    """Whether an operator says that no running manager is in a swarm of the cluster."""

    @property
    def mark(self) -> str:
        """The mark of the swarms that this node initialises."""
        return f"{self.cluster}/{self.instance}"


@dataclass(frozen=True)
class NodeView:
    """The view of the node. Ages are in seconds since it first saw the present value."""

    cluster_record: Optional[Stored[ClusterRecord]]
    record_age: float
    membership: Membership
    membership_age: float
    holder: Optional[str] = None
    """EC2's state of the instance that holds the claim, if it matters; None if EC2 does not know it."""
    flaw: str = ""
    """Why the cluster's record cannot be read, if so. It is then not treated as missing."""
    deleted: bool = False
    """Whether several lists of the leader in a row do not have this node."""


@dataclass(frozen=True)
class Wait:
    """Nothing can be done yet."""

    reason: str


@dataclass(frozen=True)
class Claim:
    """Claim the right to initialise, or take over the claim ``before``."""

    before: Optional[Stored[ClusterRecord]] = None
    reason: str = "There is no swarm yet."


@dataclass(frozen=True)
class Initialise:
    """Initialise a swarm."""


@dataclass(frozen=True)
class Publish:
    """Publish this node's swarm as the cluster's."""

    claim: Stored[ClusterRecord]
    cluster_id: str


@dataclass(frozen=True)
class Leave:
    """Leave a swarm, or an unfinished join."""

    cluster_id: Optional[str]
    reason: str


@dataclass(frozen=True)
class Join:
    """Join the published swarm."""

    cluster_id: str
    initialiser: str
    epoch: int


@dataclass(frozen=True)
class Finish:
    """The node is a member."""

    cluster_id: str
    node_id: str
    repair: bool
    """Whether this node must publish the join tokens if they are missing."""
    epoch: int = 0
    """The epoch to remember."""


@dataclass(frozen=True)
class Unlock:
    """Unlock this manager's state."""


@dataclass(frozen=True)
class Refuse:
    """Only a person can resolve this."""

    reason: str


Action = Union[Wait, Claim, Initialise, Publish, Leave, Join, Finish, Unlock, Refuse]


def decide(me: Me, view: NodeView) -> Action:
    """The next step."""
    return (
        _restored(me, view)
        or _deleted(me, view)
        or _unsettled(me, view)
        or (
            _formed(me, view, view.cluster_record.value)
            if view.cluster_record and view.cluster_record.value.phase == FORMED
            else _forming(me, view, view.cluster_record)
        )
    )


def holder_matters(me: Me, cluster_record: ClusterRecord) -> bool:
    """Whether the decision depends on the state of the instance that holds the claim."""
    return cluster_record.phase != FORMED and cluster_record.claimed_by != me.instance and me.role == MANAGER


def _restored(me: Me, view: NodeView) -> Optional[Action]:
    """The next step if the swarm is being restored, or was restored without this node."""
    if view.cluster_record is None:
        return None
    cluster_record, engine = view.cluster_record.value, view.membership
    if cluster_record.phase == RESTORING:
        return Wait(
            f"{cluster_record.claimed_by} is restoring the swarm; if that was interrupted, run playbooks/restore.yml."
        )
    mine = engine.cluster_id in (cluster_record.cluster_id, *cluster_record.former) if engine.cluster_id else False
    if cluster_record.phase == FORMED and mine and engine.state != INACTIVE:
        return _outdated(me, view, cluster_record)
    return None


def _outdated(me: Me, view: NodeView, cluster_record: ClusterRecord) -> Optional[Action]:
    """The next step in the swarm as it was before the restore.

    A manager that was joining at that time may be in the restored swarm without knowing it, and may be one of two
    voters. So it does not leave because of its own record alone, while its engine may still find a leader. Meanwhile it
    does not count as a member either, or its agent would act and restart the time without a leader.
    """
    engine = view.membership
    because = f"The swarm was restored on {cluster_record.claimed_by} since this node joined it."
    if engine.swarm_epoch is not None:
        return Leave(engine.cluster_id, because) if engine.swarm_epoch < cluster_record.epoch(MANAGER) else None
    if engine.epoch >= cluster_record.epoch(me.role):
        return None
    if me.role != MANAGER or view.membership_age > STUCK_SECONDS:
        return Leave(engine.cluster_id, because)
    return Wait(f"{because} Its engine has {STUCK_SECONDS} s to find a leader.") if engine.state == ACTIVE else None


def _deleted(me: Me, view: NodeView) -> Optional[Action]:
    """The next step if this node was deleted from the swarm without noticing."""
    engine, cluster_record = view.membership, view.cluster_record
    told = me.deleted is not None and engine.node_id == me.deleted
    if engine.state == INACTIVE or not (told or view.deleted):
        return None
    if (
        cluster_record is None
        or cluster_record.value.phase != FORMED
        or engine.cluster_id != cluster_record.value.cluster_id
    ):
        return None
    return Leave(engine.cluster_id, f"The swarm does not have the node {engine.node_id} of this host any more.")


def _unsettled(me: Me, view: NodeView) -> Optional[Action]:
    """The next step while the engine is neither inside nor outside a swarm."""
    engine = view.membership
    if engine.state == INACTIVE or (engine.state == ACTIVE and engine.cluster_id and engine.node_id):
        return None
    if engine.state == LOCKED:
        # Only managers lock their state, and only they may read the key.
        return Unlock() if me.role == MANAGER else Wait("The engine's swarm is locked.")
    because = f": {engine.message}" if engine.message else "."
    # With a certificate the node may be a member. A manager that leaves by force loses its vote for the swarm.
    abandonable = engine.cluster_id is None or engine.unfinished
    if engine.state == PENDING:
        if abandonable and view.membership_age > STUCK_SECONDS:
            return Leave(None, f"The engine has not joined the swarm within {STUCK_SECONDS} s{because}")
        return Wait(f"The engine is connecting to its swarm{because}")
    if engine.state == ERROR and abandonable and (not engine.cluster_id or view.membership_age > STUCK_SECONDS):
        return Leave(None, f"The engine failed to join{because}")
    return Wait(f"The engine has trouble with its swarm{because}")


def _forming(me: Me, view: NodeView, claim: Optional[Stored[ClusterRecord]]) -> Action:
    """The next step while no swarm is published."""
    engine = view.membership
    if me.role == MANAGER and _remembers(engine):
        return _finish(me, view)
    if view.flaw:
        return Wait(view.flaw)
    if me.role != MANAGER and engine.state == ACTIVE:
        return Wait(
            f"The bucket names no swarm. This node stays in {engine.cluster_id}, whose leader publishes it again."
        )
    if me.role != MANAGER:
        return Wait("No swarm is published yet; a manager must initialise it.")
    if engine.state == ACTIVE and not (engine.made_by or "").startswith(f"{me.cluster}/"):
        return _foreign(
            engine,
            f"This node is in the swarm {engine.cluster_id}, which the cluster '{me.cluster}' never published. "
            "If it is not the cluster's, run `docker swarm leave --force` on this node, and its agent continues; if it "
            "is, put an older version of cluster.json back.",
        )
    if claim is None:
        return Claim()
    if claim.value.claimed_by != me.instance:
        return _claimed(me, view, claim)
    if engine.state == ACTIVE and engine.cluster_id:
        return Publish(claim, engine.cluster_id)
    return Initialise()


def _claimed(me: Me, view: NodeView, claim: Stored[ClusterRecord]) -> Action:
    """The next step while another instance holds the claim."""
    holder = claim.value.claimed_by
    if me.new_swarm:
        # The managers' agents pass the claim on among themselves while none of them may initialise a swarm.
        return Claim(claim, f"An operator wants the new swarm here and not on {holder}, which claimed it.")
    if view.holder in GONE:
        return Claim(claim, f"{holder}, which claimed the swarm, is {view.holder}.")
    if view.holder is None and view.record_age > UNKNOWN_SECONDS:
        return Claim(claim, f"{holder}, which claimed the swarm, is unknown to EC2.")
    lease = FOUNDER_LEASE_SECONDS if view.membership.state == ACTIVE else LEASE_SECONDS
    if view.record_age > lease:
        return Claim(claim, f"{holder} claimed the swarm and did not initialise it within {lease} s.")
    return Wait(f"{holder} is initialising the swarm.")


def _formed(me: Me, view: NodeView, cluster_record: ClusterRecord) -> Action:
    """The next step when a swarm is published."""
    engine, published = view.membership, cluster_record.cluster_id or ""
    if engine.state == INACTIVE:
        return Join(published, cluster_record.claimed_by, cluster_record.epoch(me.role))
    if engine.cluster_id == published or _remembers(engine):
        return _finish(me, view)
    if engine.made_by == me.mark and engine.alone:
        return Leave(
            engine.cluster_id, f"{cluster_record.claimed_by} was first: this node's own swarm was never published."
        )
    return _foreign(
        engine,
        f"This node is a member of the swarm {engine.cluster_id}, but the record of the cluster '{me.cluster}' in the "
        f"bucket names {published}. If {published} is the cluster's swarm, run `docker swarm leave --force` on this "
        f"node, and its agent joins it; if {engine.cluster_id} is, delete cluster.json from the bucket, and its leader "
        "writes it again.",
    )


def _remembers(engine: Membership) -> bool:
    """Whether the swarm remembers that it is the cluster's. Its leader then corrects the bucket."""
    return engine.state == ACTIVE and bool(engine.remembered and engine.remembered.cluster_id == engine.cluster_id)


def _finish(me: Me, view: NodeView) -> Finish:
    engine, cluster_record = view.membership, view.cluster_record.value if view.cluster_record else None
    if cluster_record is None or cluster_record.phase != FORMED or cluster_record.cluster_id != engine.cluster_id:
        return Finish(engine.cluster_id or "", engine.node_id or "", False, engine.epoch)
    known = engine.epoch if engine.swarm_epoch is None else cluster_record.epoch(me.role)
    repair = engine.manager and me.role == MANAGER
    return Finish(engine.cluster_id or "", engine.node_id or "", repair, max(engine.epoch, known))


def _foreign(engine: Membership, reason: str) -> Action:
    """The next step in a swarm that is not known to be this cluster's."""
    # A manager without a leader cannot tell who made its swarm.
    return Wait(f"The engine has trouble with its swarm: {engine.message}") if engine.message else Refuse(reason)


@dataclass(frozen=True)
class Sighting:
    """Another running manager of the cluster, as this node sees it."""

    instance: str
    answer: str
    """``LISTENS``, ``REFUSES`` or ``SILENT``."""
    launching: bool = False
    """Whether its launch is not completed yet."""


def hindrance(sightings: Optional[Sequence[Sighting]], waited: float) -> str:
    """Why no swarm may be initialised, since a running manager may be in a swarm; empty if none can be.

    A manager on which nothing listens is certainly in no swarm only if it was never in service: else its engine may be
    stopped or starting. ``waited`` is for how many seconds something has been in the way. ``sightings`` is None if EC2
    does not list this instance itself, so other managers may be missing too.
    """
    if sightings is None:
        return (
            "EC2 does not list this instance yet, so it may not list another manager either: no swarm is initialised."
        )
    listening = [seen.instance for seen in sightings if seen.answer == LISTENS]
    if listening:
        return (
            f"Port 2377 answers on {' and '.join(listening)}, so there may be a swarm that the bucket does not name: "
            "no other swarm is initialised. Its leader publishes it again."
        )
    unknown = [seen.instance for seen in sightings if seen.answer != REFUSES or not seen.launching]
    if not unknown:
        return ""
    reason = f"{' and '.join(unknown)} may be in a swarm that the bucket does not name: no other swarm is initialised."
    if waited < PATIENCE_SECONDS:
        return reason
    return (
        f"{reason} If they are lost for good, terminate them. If there is a backup, run playbooks/restore.yml. If "
        "there is no swarm, initialise it on a manager: playbooks/join.yml -e id=INSTANCE -e new_swarm=true."
    )


def describe(action: Action) -> str:
    """The action as a sentence."""
    if isinstance(action, (Wait, Refuse)):
        return action.reason
    if isinstance(action, Claim):
        return f"{action.reason} Claim the right to initialise it."
    if isinstance(action, Initialise):
        return "Initialise a swarm."
    if isinstance(action, Publish):
        return f"Publish the swarm {action.cluster_id}."
    if isinstance(action, Leave):
        return f"{action.reason} Leave it."
    if isinstance(action, Join):
        return f"Join the swarm {action.cluster_id}."
    if isinstance(action, Unlock):
        return "Unlock this manager's state."
    return f"Nothing: this node is a member of the swarm {action.cluster_id}."
