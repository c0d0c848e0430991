"""Deleting a node from the swarm: demote it first, if the interlock allows it, then delete it."""

from __future__ import annotations

from . import actions as act
from .cluster import MANAGER, Node
from .decision import Decision
from .quorum import Interlock


def delete(node: Node, instance: str, reason: str, interlock: Interlock, decision: Decision) -> bool:
    """Plan the next step of a node's deletion, and return whether it is being demoted."""
    if node.holds_vote:
        return demote(node, instance, reason, interlock, decision)
    decision.actions.append(act.Delete(node.id, instance, reason))
    return False


def demote(node: Node, instance: str, reason: str, interlock: Interlock, decision: Decision) -> bool:
    """Plan the demotion of a manager, and return whether it is in progress."""
    if node.voter and node.role != MANAGER:
        decision.awaited.append(f"the node of {instance} to lose its vote")
        return True
    refusal = interlock.refusal(node, lost_anyway=reason == act.TERMINATING)
    if refusal:
        decision.refused.append(f"The manager of {instance} is not removed: {refusal}.")
        return False
    decision.actions.append(act.Demote(node.id, instance, reason))
    return True
