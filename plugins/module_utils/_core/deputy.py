"""The agent that acts while the leader's agent is silent: its engine hangs or the agent is dead, while Raft works.

Any agent may act at any time, since each action is checked again and goes through Raft. Only the leader's agent does,
so that they do not disturb each other.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from .cluster import Node
from .join.ports import Stored

# In seconds. The agent that acts lists the nodes every half minute, and taking over may take a while.
SILENT_AFTER = 90.0


def silent(leader: str) -> str:
    """A sentence about the leader, a node ID, whose agent is silent; empty without such a leader."""
    return leader and f"The agent of the leader {leader} is silent, so this agent acts for it."


def unknown(why: object) -> str:
    """A sentence for an agent that does not know whether its manager is the leader."""
    return (
        f"It is unknown whether this manager is the leader, so nothing is done: {why} If its engine hangs, restart it "
        "(`systemctl restart docker`) or remove the node. If too many managers are lost for good, restore the swarm: "
        "ansible-playbook playbooks/restore.yml."
    )


class Deputy:
    """Notices on a follower that the leader's agent is silent."""

    def __init__(self) -> None:
        self._leader = ""
        self._last_list: Optional[Tuple[str, float]] = None

    def acts(self, own: str, nodes: Sequence[Node], listed: Optional[Stored[str]], now: float) -> str:
        """The ID of the leader for which the node ``own`` must act, since its agent is silent; else empty.

        ``listed`` is the node that listed the nodes last; ``now`` is monotonic, in seconds.
        """
        leader = next((node.id for node in nodes if node.leader), "")
        said = listed.version if listed and listed.value == leader else ""
        if self._last_list is None or leader != self._leader or (said and said != self._last_list[0]):
            self._leader, self._last_list = leader, (said, now)
        if not leader or now - self._last_list[1] < SILENT_AFTER:
            return ""
        others = sorted(node.id for node in nodes if node.voter and node.reachable and node.id != leader)
        return leader if others[:1] == [own] else ""
