"""Who acts when the leader's agent is silent: its engine may hang, or the agent may be dead, while Raft goes on.

Every agent could act at any time, for whatever it does is looked at once more and goes through Raft. That only the
leader's does keeps them out of each other's way.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from .cluster import Node
from .join.ports import Stored

# The agent that acts lists the nodes every half minute, and may take a while to take over, in seconds.
SILENT_AFTER = 90.0


def silent(leader: str) -> str:
    """What people are told of a leader, by its node's ID, whose agent is silent; empty if that is none."""
    return leader and f"The agent of the leader {leader} is silent, so this one acts for it."


def unknown(why: object) -> str:
    """What people are told if an agent cannot tell whether its manager leads."""
    return (
        f"Whether this manager leads cannot be told, so nothing is done: {why} If its engine hangs, restart it "
        "(`systemctl restart docker`) or remove the node. If too many managers are lost for good, bring the swarm "
        "back: ansible-playbook playbooks/restore.yml."
    )


class Deputy:
    """Notices on a manager that does not lead whether the leader's agent is heard of."""

    def __init__(self) -> None:
        self._leader = ""
        self._last_list: Optional[Tuple[str, float]] = None

    def acts(self, own: str, nodes: Sequence[Node], listed: Optional[Stored[str]], now: float) -> str:
        """The leader whose agent is silent and for which the node ``own`` has to act; empty if it has not.

        ``listed`` is who listed the nodes last; ``now`` only ever grows, in seconds.
        """
        leader = next((node.id for node in nodes if node.leader), "")
        said = listed.version if listed and listed.value == leader else ""
        if self._last_list is None or leader != self._leader or (said and said != self._last_list[0]):
            self._leader, self._last_list = leader, (said, now)
        if not leader or now - self._last_list[1] < SILENT_AFTER:
            return ""
        others = sorted(node.id for node in nodes if node.voter and node.reachable and node.id != leader)
        return leader if others[:1] == [own] else ""
