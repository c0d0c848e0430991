"""Whether this engine's swarm is the cluster's, and whether the bucket or the swarm must be updated to say so.

The swarm is authoritative; cluster.json points to it and decides only if there is no swarm. The swarm remembers the
published record in Raft, and its leader publishes it again if the object is missing, unreadable, older, or a claim. It
never overwrites a newer object, which a restore leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from . import actions as act
from .actions import Action
from .cluster import Cluster
from .join.cluster_record import CLAIMED, FORMED, ClusterRecord
from .join.ports import MANAGER
from .quorum import Quorum


@dataclass(frozen=True)
class Authority:
    """The consequences for this engine's agent."""

    acts: bool
    # Why it does not act, or what a person must settle although it acts.
    reason: str = ""
    action: Optional[Action] = None
    # Whether the cluster's record in the bucket is missing or wrong; None if that is not known.
    flawed: Optional[bool] = None


def judge(observed: Cluster) -> Authority:
    """Judge the observed cluster. Nothing is concluded from a bucket that did not answer."""
    own = observed.swarm_id
    if own is None:
        return Authority(False, "The engine does not say which swarm it is in, so nothing is done.")
    quorum = Quorum.of(observed.nodes or ())
    if len(observed.elsewhere) >= max(1, quorum.reachable):
        return Authority(False, _outnumbered(observed, own))
    remembered = observed.remembered
    if remembered is None or remembered.cluster_id != own:
        return _unpublished(observed, own)
    if observed.published is None:
        return Authority(True)
    stored = observed.published.cluster_record
    if stored is not None and stored.cluster_id == own and stored.rank >= remembered.rank:
        return Authority(True, action=_remember(observed, stored), flawed=False)
    if stored is None or stored.phase == CLAIMED or stored.rank <= remembered.rank:
        if quorum.margin < 0:
            reason = "The cluster's record in the bucket is out of date, and is written once there is a quorum."
            return Authority(True, reason, flawed=True)
        record = remembered.again(stored)
        return Authority(True, action=act.PublishRecord(observed.published, record), flawed=True)
    return Authority(not observed.elsewhere, _disputed(own, stored), flawed=True)


def _unpublished(observed: Cluster, own: str) -> Authority:
    """Judge a swarm that remembers nothing: it was never published, or by an agent that did not make it remember."""
    if observed.published is None:
        return Authority(False, "The cluster's record in the bucket is not known yet, so nothing is done.")
    stored = observed.published.cluster_record
    if stored is not None and stored.cluster_id == own:
        return Authority(True, action=_remember(observed, stored), flawed=False)
    if stored is None or stored.cluster_id is None:
        what = observed.published.flaw or "The cluster's record in the bucket names no swarm."
        reason = f"This engine is in the swarm {own}, which was never published. {what} Nothing is done."
    else:
        reason = (
            f"This engine is in the swarm {own}, but the cluster's record in the bucket names {stored.cluster_id}: "
            "nothing is done. Run `docker swarm leave --force` on this node, and its agent joins the cluster's swarm."
        )
    return Authority(False, reason, flawed=True)


def _remember(observed: Cluster, stored: ClusterRecord) -> Optional[Action]:
    """None in a swarm that was restored without this manager, which will leave it."""
    current = stored.phase == FORMED and observed.epoch >= stored.epoch(MANAGER)
    return act.RememberRecord(observed.remembered, stored) if current and stored != observed.remembered else None


def _outnumbered(observed: Cluster, own: str) -> str:
    return (
        f"Port 2377 answers on {' and '.join(observed.elsewhere)}, which this engine's swarm {own} does not reach: "
        "they are in another swarm or cut off from this one, so nothing is done. If somebody made a new swarm "
        "here (`docker swarm init --force-new-cluster`), run `docker swarm leave --force` on this node, and its agent "
        "joins theirs. If this swarm is to stay, run playbooks/restore.yml."
    )


def _disputed(own: str, stored: ClusterRecord) -> str:
    named = f"names the swarm {stored.cluster_id}" if stored.cluster_id else "says that a swarm is being restored"
    return (
        f"The cluster's record in the bucket {named} ({stored.claimed_by}, generation {stored.generation}), but this "
        f"manager is in {own}, and no node joins until that is settled. If {own} is the cluster's swarm, delete "
        f"cluster.json from the bucket, and its leader writes it again. If another swarm is, remove the nodes of {own}."
    )
