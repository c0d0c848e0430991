"""The result of planning."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional

from .actions import Action
from .errors import unexpected


@dataclass
class Decision:
    """The actions, and as sentences what is awaited, what is refused and what an operator should look at."""

    actions: List[Action] = field(default_factory=list)
    awaited: List[str] = field(default_factory=list)
    refused: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    # By instance ID, for removals: what each waits for, and why it is held until an operator acts.
    waits: Dict[str, List[str]] = field(default_factory=dict)
    held: Dict[str, str] = field(default_factory=dict)
    # Whether this engine's swarm is the cluster's, so that its agent acts.
    acts: bool = False
    # Whether the cluster's record in the bucket is missing or wrong; None if that is not known.
    record_flawed: Optional[bool] = None
    # When the first wait with a known end is over, in epoch seconds.
    due: Optional[float] = None

    @property
    def in_flight(self) -> bool:
        """Whether something is changing, so that the next pass should be soon."""
        return bool(self.actions or self.awaited)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Plan for a single thing. If that fails, only its actions are left out of the plan, and it is named."""
        planned = len(self.actions)
        try:
            yield
        except Exception as error:
            # The rest of the cluster is planned nevertheless.
            del self.actions[planned:]
            self.refused.append(f"{what} is left out of the plan: {unexpected(error)}.")

    def wait(self, instance: str, sentence: str, until: Optional[float] = None) -> None:
        """Note what the removal of an instance waits for, and until when if that is known."""
        if until is not None:
            self.due = until if self.due is None else min(self.due, until)
        self.awaited.append(sentence)
        self.waits.setdefault(instance, []).append(sentence)

    def hold(self, instance: str, sentence: str) -> None:
        """Note why the removal of an instance is held."""
        self.refused.append(sentence)
        self.held[instance] = sentence
