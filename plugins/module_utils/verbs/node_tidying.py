"""Remove the nodes of terminated instances from the swarm, and nothing else, step by step."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple

from .._core import actions as act
from .._core import node_deletion, node_matching
from .._core.apply import Refused
from .._core.change import Change
from .._core.cluster import Cluster
from .._core.decision import Decision
from .._core.errors import SwarmError
from .._core.plan import decide
from .._core.policy import Policy
from .._core.quorum import Interlock

Apply = Callable[[Any, Policy], Optional[Change]]


class Tidying:
    """A run, which observes and acts until there is nothing left to remove."""

    def __init__(self, apply: Apply, look: Callable[[], Tuple[Policy, Cluster]], forced: Sequence[str]) -> None:
        """``forced`` are IDs of nodes without an instance that the operator wants removed."""
        self._apply, self._look, self._forced = apply, look, set(forced)
        self.removed: List[act.Delete] = []
        self.kept: List[str] = []
        self.awaited = ""

    def step(self, *, check: bool) -> bool:
        """Do what is right now, or only note it in check mode. Returns whether to call again. Raises SwarmError."""
        policy, observed = self._look()
        decision = decide(observed, policy, 0)
        wanted = [
            action
            for action in decision.actions
            if isinstance(action, (act.Demote, act.Delete)) and action.reason in (act.GONE, act.SUPERSEDED)
        ]
        self._add_forced(observed, wanted)
        waits = [wait for wait in decision.awaited if "to lose its vote" in wait]
        self.awaited = ", ".join([*waits, *(f"the node of {removal.instance}" for removal in wanted)])
        self.kept = [*_reasons(observed), *(refusal for refusal in decision.refused if "not removed" in refusal)]
        if check:
            self.removed = [act.Delete(removal.node, removal.instance, removal.reason) for removal in wanted]
            return False
        for removal in wanted:
            try:
                change = self._apply(removal, policy)
            except Refused as error:
                self.kept.append(str(error))
                continue
            if change is not None and isinstance(removal, act.Delete):
                self.removed.append(removal)
        return bool(wanted or waits)

    def _add_forced(self, observed: Cluster, wanted: List[Any]) -> None:
        strangers = {node.id: node for node in node_matching.join(observed).strangers}
        for identifier in sorted(self._forced):
            node = strangers.get(identifier)
            known = any(member.id == identifier for member in observed.nodes or ())
            if node is None and known:
                raise SwarmError(f"The node {identifier} has an instance: remove the instance with node_drain.")
            if node is not None and node.state != "down":
                raise SwarmError(f"The node {identifier} is not down, so it is not removed.")
            if node is not None:
                planned = Decision()
                node_deletion.delete(node, "", act.REMOVING, Interlock(observed.nodes or ()), planned)
                wanted.extend(planned.actions)


def _reasons(observed: Cluster) -> List[str]:
    """Why nodes that are not ready are left alone."""
    members = node_matching.join(observed)
    away = ((instance, node) for instance, node in sorted(members.node_of.items()) if node.state != "ready")
    found = [
        f"{instance} is {node.state}, but EC2 says that it is {members.instances[instance].state}: it is left alone."
        for instance, node in away
    ]
    found.extend(
        f"No instance of the cluster answers for the node {node.id}, which is {node.state}: it is left alone."
        for node in members.strangers
    )
    return found
