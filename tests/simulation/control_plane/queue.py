"""SQS: messages may be lost, doubled, late or out of order, and come again until they are deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import BATCH, HOLD, Message

from tests.simulation.scheduler import Bell

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

VISIBILITY = 30.0
MOST_RECEIVES = 4


@dataclass(eq=False)
class Waiting:
    """A message in the queue."""

    body: str
    id: str
    visible_at: float
    received: int = 0
    receipt: str = ""


class Queue:
    """The queue and its dead letters."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self.bell = Bell()
        self._messages: list[Waiting] = []
        self._receipts = self._arrived = 0
        self.dead_letters: list[str] = []

    def publish(self, body: str) -> None:
        """Send a message, which the weather may lose, double or delay."""
        world, weather = self._world, self._world.weather
        if world.happens(weather.lose_message):
            return
        for _ in range(2 if world.happens(weather.double_message) else 1):
            delay = world.rng.uniform(5, 60) if world.happens(weather.slow_message) else world.rng.uniform(0.1, 1)
            world.at(delay, lambda: self._arrive(body))

    def receive(self) -> list[Message]:
        """The visible messages, as many as SQS returns at a time."""
        now, found = self._world.now, []
        for message in [stored for stored in self._messages if stored.visible_at <= now][:BATCH]:
            if message.received >= MOST_RECEIVES:
                self._messages.remove(message)
                self.dead_letters.append(message.body)
                continue
            self._receipts += 1
            message.received += 1
            message.receipt, message.visible_at = f"r{self._receipts}", now + VISIBILITY
            self._world.at(VISIBILITY, self.bell.ring)
            found.append(Message(message.receipt, message.body, message.id))
        return found

    def hold(self, receipts: set[str]) -> None:
        """Deliver the messages with these receipts later."""
        for message in self._messages:
            if message.receipt in receipts:
                message.visible_at = self._world.now + HOLD
                self._world.at(HOLD, self.bell.ring)

    def delete(self, receipts: set[str]) -> None:
        """Delete the messages with these receipts."""
        self._messages = [message for message in self._messages if message.receipt not in receipts]

    @property
    def empty(self) -> bool:
        return not self._messages

    def _arrive(self, body: str) -> None:
        self._arrived += 1
        self._messages.append(Waiting(body, f"m{self._arrived}", self._world.now))
        self.bell.ring()
