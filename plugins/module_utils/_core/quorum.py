"""The quorum interlock: whether Raft keeps its quorum without a voter. Counts Raft's members, never instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

from .cluster import MANAGER, Node
from .counting import counted


@dataclass(frozen=True)
class Quorum:
    """The numbers of Raft's voters and of reachable voters."""

    voters: int
    reachable: int

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Quorum:
        """Count the voters among the nodes."""
        voters = [node for node in nodes if node.voter]
        return cls(len(voters), sum(node.reachable for node in voters))

    @property
    def needed(self) -> int:
        """The number of reachable voters that Raft needs."""
        return self.voters // 2 + 1

    @property
    def margin(self) -> int:
        """Number of reachable voters that may fail; negative if the quorum is lost."""
        return self.reachable - self.needed


class Interlock:
    """Grants the demotion of voters in a pass, as long as a quorum of the original voters stays reachable.

    Voters whose demotion is in progress count as demoted.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        voters = [node for node in nodes if node.voter]
        self._start = Quorum.of(voters)
        self._demoting = {node.id for node in voters if node.role != MANAGER}
        self._reachable = sum(node.reachable for node in voters if node.id not in self._demoting)

    def refusal(self, node: Node, *, lost_anyway: bool = False) -> str:
        """Grant the demotion and return an empty string, or return why it is refused, with the numbers.

        A node that is ``lost_anyway`` need only leave a quorum of the others: while it lives they can still agree to
        demote it, and after that they may be too few.
        """
        if not node.voter or node.id in self._demoting:
            return ""
        start = self._start
        left = self._reachable - (1 if node.reachable else 0)
        others = Quorum(start.voters - 1, left)
        only_demotion = lost_anyway and not self._demoting and start.margin >= 0
        if left < start.needed and not (only_demotion and others.voters and others.margin >= 0):
            return (
                f"it would leave {left} of {counted(start.voters, 'manager')} reachable, fewer than their quorum of "
                f"{start.needed}"
            )
        most = max((start.voters - 1) // 2, 1 if only_demotion else 0)
        if len(self._demoting) >= most:
            return (
                f"{counted(len(self._demoting), 'manager')} of {start.voters} being demoted, and at most {most} may be"
            )
        self._reachable = left
        self._demoting.add(node.id)
        return ""
