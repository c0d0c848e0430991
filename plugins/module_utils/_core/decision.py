"""What a plan comes to."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional

from .actions import Action
from .errors import unexpected


@dataclass
class Decision:
    """What to do now, what is waited for, what is refused and what an operator should look at, as sentences."""

    actions: List[Action] = field(default_factory=list)
    awaited: List[str] = field(default_factory=list)
    refused: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    # Of instances that are to go, by their IDs: what each waits for, and why it stays until somebody does something.
    waits: Dict[str, List[str]] = field(default_factory=dict)
    held: Dict[str, str] = field(default_factory=dict)
    # Whether this engine's swarm is the cluster's, so that its agent acts.
    acts: bool = False
    # Whether the cluster's record in the bucket is missing or wrong; None if that is not known.
    record_flawed: Optional[bool] = None
    # When the first of the waits ends of which that is known, in epoch seconds.
    due: Optional[float] = None

    @property
    def in_flight(self) -> bool:
        """Whether something is about to change, so that it is worth while to look again soon."""
        return bool(self.actions or self.awaited)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Plan for one thing within this. If that fails, it alone is left out of the plan and named."""
        planned = len(self.actions)
        try:
            yield
        except Exception as error:
            # Whatever is wrong with this one, the rest of the cluster is kept.
            del self.actions[planned:]
            self.refused.append(f"{what} is left out of the plan: {unexpected(error)}.")

    def wait(self, instance: str, sentence: str, until: Optional[float] = None) -> None:
        """Note what an instance that is to go waits for, and until when if that is known."""
        if until is not None:
            self.due = until if self.due is None else min(self.due, until)
        self.awaited.append(sentence)
        self.waits.setdefault(instance, []).append(sentence)

    def hold(self, instance: str, sentence: str) -> None:
        """Note why an instance that is to go stays."""
        self.refused.append(sentence)
        self.held[instance] = sentence
