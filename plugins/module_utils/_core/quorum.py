"""The quorum interlock: whether Raft can do without a voter. Counted from Raft, never from instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

from .cluster import MANAGER, Node


@dataclass(frozen=True)
class Quorum:
    """Raft's voters, and those of them that the leader hears."""

    voters: int
    reachable: int

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Quorum:
        """Count them."""
        voters = [node for node in nodes if node.voter]
        return cls(len(voters), sum(node.reachable for node in voters))

    @property
    def needed(self) -> int:
        """How many must be reachable for Raft to decide anything."""
        return self.voters // 2 + 1

    @property
    def margin(self) -> int:
        """How many of the reachable could fail. Negative when the quorum is lost."""
        return self.reachable - self.needed


class Interlock:
    """Grants the removal of voters, as many in one pass as leave a quorum of those that there were.

    Voters whose demotion is under way are gone as far as it is concerned.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        voters = [node for node in nodes if node.voter]
        self._start = Quorum.of(voters)
        self._going = {node.id for node in voters if node.role != MANAGER}
        self._reachable = sum(node.reachable for node in voters if node.id not in self._going)

    def refusal(self, node: Node, *, lost_anyway: bool = False) -> str:
        """Grant the removal of a node and return nothing, or return why it is refused, with the numbers.

        One that is ``lost_anyway`` only has to leave a quorum of the others: while it lives they can still agree to do
        without it, and once it has ended they may be too few for that.
        """
        if not node.voter or node.id in self._going:
            return ""
        start = self._start
        left = self._reachable - (1 if node.reachable else 0)
        others = Quorum(start.voters - 1, left)
        alone_in_going = lost_anyway and not self._going and start.margin >= 0
        if left < start.needed and not (alone_in_going and others.voters and others.margin >= 0):
            return (
                f"it would leave {left} of {start.voters} managers reachable, fewer than their quorum of {start.needed}"
            )
        most = max((start.voters - 1) // 2, 1 if alone_in_going else 0)
        if len(self._going) >= most:
            return f"{len(self._going)} of {start.voters} managers go already, and no more than {most} may at a time"
        self._reachable = left
        self._going.add(node.id)
        return ""
