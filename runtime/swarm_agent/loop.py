"""The reconcile loop: it runs on each manager, but only the Raft leader's agent acts."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import Any, Callable, Deque, Dict, FrozenSet, List, Mapping, Optional, Tuple

from ansible_collections.swarm.aws.plugins.module_utils._core import (
    deputy,
    events,
    interruptions,
    node_matching,
    report,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Interruption
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, unexpected
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Pass
from ansible_collections.swarm.aws.plugins.module_utils.adapters.control_plane import ControlPlane
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Message, Queue
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metric_sources import Sources
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock

from . import VERSION
from .log import Log
from .monitor import Monitor
from .notify import Notifier
from .watch import MembershipWatch

# All in seconds. How often a follower checks whether it is the leader.
STANDBY = 3.0
# Between two passes while something is changing, and otherwise; and between two looks at the nodes' versions, so that a
# lost message does no harm.
QUICK, IDLE, LOOK = 1.0, 30.0, 5.0
# The most passes without a pause, as long as each does something.
MOST_BUSY = 8
STATUS_EVERY = 60.0
LIST_EVERY = 20.0
# The most messages for a single pass.
MOST_MESSAGES = 100
LAST_ACTIONS = 20
# Messages that cannot be handled: how many the status shows, and how many are remembered.
LAST_UNHANDLED, KNOWN_UNHANDLED = 20, 1000


def run(config: Config, notify: Notifier, log: Log, watch: MembershipWatch) -> None:
    """Reconcile the cluster until this node must join again. May be killed at any time."""
    control_plane = ControlPlane(config.cluster, config.region, config.bucket, alive=notify.alive)
    with Monitor(Sources(config.region, config.bucket), log) as monitor:
        loop = Loop(control_plane, SystemClock(), notify, log, monitor=monitor)
        while not watch.must_rejoin():
            loop.turn()


class Loop:
    """The loop, a turn at a time."""

    def __init__(
        self,
        control_plane: ControlPlane,
        clock: SystemClock,
        notify: Notifier,
        log: Log,
        wall: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        monitor: Optional[Monitor] = None,
    ) -> None:
        self._control_plane, self._clock, self._notify, self._log, self._wall = control_plane, clock, notify, log, wall
        self._monitor = monitor
        self._policy: Optional[Policy] = None
        self._policy_read_at: Optional[float] = None
        # Why the policy cannot be read; empty if it can.
        self._policy_flaw = ""
        self._queue: Optional[Queue] = None
        self._queue_rests_until = 0.0
        # The nodes' versions before the last pass.
        self._versions: Optional[Mapping[str, int]] = None
        # The messages with interruptions in progress, by ID, with their events.
        self._messages: Dict[str, Tuple[Message, events.Event]] = {}
        # The IDs of the cluster's instances in the last pass; None if they are unknown.
        self._instances: Optional[FrozenSet[str]] = None
        # Sentences about the last messages that cannot be handled, by ID.
        self._unhandled: Dict[str, str] = {}
        self._actions: Deque[Dict[str, Any]] = deque(maxlen=LAST_ACTIONS)
        self._status_at: Optional[float] = None
        self._listed_at: Optional[float] = None
        # Whether it acts, as the leader's agent or in its place.
        self._leading: Optional[bool] = None
        self._deputy, self._silent = deputy.Deputy(), ""
        self._looked_for_leader_at: Optional[float] = None
        # Passes in a row that did something.
        self._busy = 0
        # The last sentence about each subject, so that it is not repeated in each pass.
        self._said: Dict[str, str] = {}

    def turn(self) -> None:
        """A pass and the wait after it; on a follower, only the wait."""
        self._notify.alive()
        if not self._leads():
            if self._monitor is not None:
                self._monitor.stands_by(self._current_policy())
            self._clock.wait(STANDBY, "another manager to stop leading")
            return
        policy = self._current_policy()
        if policy is None:
            self._clock.wait(STANDBY, "policy.json")
            return
        self._control_plane.observer.interruptions = self._interruptions()
        self._hold_messages()
        self._versions = self._look()
        began = self._clock.now()
        result = self._control_plane.reconcile(policy)
        if self._monitor is not None:
            seconds = self._clock.now() - began
            self._monitor.passed(result, policy, seconds, self._policy_flaw, for_another=bool(self._silent))
        seen = result.observed.instances
        self._instances = None if seen is None else frozenset(instance.id for instance in seen)
        self._tell(result)
        self._dismiss_messages(result)
        self._write_status(result)
        self._list_nodes(result)
        # After a change, observe again at once to do the next step; but not without end.
        self._busy = self._busy + 1 if result.done else 0
        if not 0 < self._busy < MOST_BUSY:
            self._wait(policy, self._pause(result))

    def _pause(self, result: Pass) -> float:
        """How long to wait for an event after a pass, in seconds."""
        if not result.decision.in_flight:
            return IDLE
        due = result.decision.due
        return QUICK if due is None else max(0.0, min(QUICK, due - self._wall().timestamp()))

    def _leads(self) -> bool:
        """Whether this agent acts."""
        try:
            leads = self._control_plane.swarm.leads()
            self._silent = "" if leads else self._silent_leader()
        except SwarmError as error:
            # Also when too many managers are lost: then there is no leader, and nothing can be changed.
            self._log.once(self._said, "leader", deputy.unknown(error))
            self._notify.status(f"The leader is unknown: {error} If managers are lost for good: playbooks/restore.yml")
            self._leading = None
            return False
        self._log.once(self._said, "deputy", deputy.silent(self._silent))
        acts = leads or bool(self._silent)
        if acts != self._leading:
            self._log.info("This manager is the leader." if leads else "Another manager is the leader.")
            self._notify.status("Reconciling the cluster" if acts else "Standing by: another manager is the leader")
            self._said = {"deputy": self._said.get("deputy", "")}
            self._leading = acts
            # Another agent may have changed anything in between.
            self._control_plane.observer.forget()
            self._policy_read_at = None
        return acts

    def _agents_flaw(self) -> str:
        return " ".join(filter(None, [deputy.silent(self._silent), self._clock.flaw()]))

    def _silent_leader(self) -> str:
        """The leader for which this agent must act, since its own is silent. Raises SwarmError."""
        now = self._clock.now()
        if self._looked_for_leader_at is not None and now - self._looked_for_leader_at < LIST_EVERY:
            return self._silent
        self._looked_for_leader_at = now
        own = self._control_plane.swarm.here()
        try:
            listed = self._control_plane.listed_by() if own else None
        except SwarmError:
            own = None
        if own is None:
            # A worker, as after a demotion by hand, cannot list nodes; without S3 this agent sees no other agent.
            self._deputy = deputy.Deputy()
            return ""
        return self._deputy.acts(own, self._control_plane.swarm.nodes(), listed, now)

    def _current_policy(self) -> Optional[Policy]:
        """The policy, read again from time to time; the last valid policy if it cannot be read."""
        now = self._clock.now()
        if self._policy_read_at is None or now - self._policy_read_at >= IDLE:
            try:
                self._policy, self._policy_flaw = self._control_plane.policy_or_last()
            except SwarmError as error:
                self._policy_flaw = str(error)
            self._log.once(self._said, "policy", self._policy_flaw)
            if self._policy is not None:
                self._policy_read_at = now
        return self._policy

    def _tell(self, result: Pass) -> None:
        for action, change in result.done:
            name = type(action).__name__
            self._log.info(change.sentence, event="action", action=name, before=change.before, after=change.after)
            self._actions.append(
                {
                    "at": self._wall().isoformat(timespec="seconds"),
                    "action": name,
                    "sentence": change.sentence,
                    "resource": change.resource,
                    "before": change.before,
                    "after": change.after,
                }
            )
        failures: Dict[str, List[str]] = {}
        for failure in result.failures:
            failures.setdefault(failure.service, []).append(failure.message)
        for service, messages in failures.items():
            self._log.once(self._said, service, f"{service}: {'; '.join(messages)}")
        decision = result.decision
        self._log.once(self._said, "refused", " ".join(decision.refused))
        self._log.once(self._said, "notes", " ".join(decision.notes))
        self._log.once(self._said, "postponed", " ".join(result.postponed))
        waiting = f", waiting for {'; '.join(decision.awaited)}" if decision.awaited else ""
        doing = "Reconciling the cluster" if decision.acts else "Leader, but does nothing"
        why = " ".join(filter(None, [self._agents_flaw(), self._policy_flaw, *decision.refused[:1]]))
        self._notify.status(f"{doing}{waiting}{': ' if why else ''}{why}")

    def _write_status(self, result: Pass) -> None:
        now = self._clock.now()
        if not result.done and self._status_at is not None and now - self._status_at < STATUS_EVERY:
            return
        status = {
            "at": self._wall().isoformat(timespec="seconds"),
            "version": VERSION,
            "quorum": report.quorum(result.observed),
            "record": report.record(result.observed.record),
            "last_actions": list(self._actions),
            **report.outlook(result.decision),
            "failures": [f"{failure.service}: {failure.message}" for failure in result.failures],
            "postponed": result.postponed,
            "policy": self._policy_flaw,
            "agents": self._agents_flaw(),
            "unhandled_messages": list(self._unhandled.values())[-LAST_UNHANDLED:],
        }
        # The planned actions are done.
        del status["planned"]
        try:
            self._control_plane.write_status(status)
            self._said.pop("status", None)
        except SwarmError as error:
            self._log.once(self._said, "status", str(error))
        self._status_at = now

    def _list_nodes(self, result: Pass) -> None:
        """List the swarm's nodes in the bucket regularly, since the swarm does not tell a node that it was deleted."""
        now, observed = self._clock.now(), result.observed
        if not result.decision.acts or observed.nodes is None or observed.swarm_id is None:
            return
        if observed.instances is None:
            # Without EC2, as with a wrong clock, this agent does nothing, and its deputy should act.
            return
        if self._listed_at is None or now - self._listed_at >= LIST_EVERY:
            nodes = [node.id for node in observed.nodes]
            try:
                self._control_plane.list_nodes(observed.swarm_id, nodes, self._wall().isoformat())
                self._said.pop("nodes", None)
            except SwarmError as error:
                self._log.once(self._said, "nodes", str(error))
            self._listed_at = now

    # Events

    def _wait(self, policy: Policy, seconds: float) -> None:
        """Wait for so many seconds, or until there is a message, or a node has changed since the last pass began."""
        deadline = self._clock.now() + seconds
        while True:
            self._notify.alive()
            left = deadline - self._clock.now()
            if left <= 0 or self._receive(policy, min(left, LOOK)) or self._look() != self._versions:
                return

    def _look(self) -> Optional[Mapping[str, int]]:
        """The nodes' versions; None if the engine does not answer, which the next pass reports."""
        try:
            return self._control_plane.swarm.versions()
        except SwarmError:
            return None

    def _receive(self, policy: Policy, seconds: float) -> bool:
        """Wait for a message, and return whether a pass must follow. If the queue does not answer, only wait."""
        # SQS waits for whole seconds.
        if policy.queue is None or seconds < 1 or self._clock.now() < self._queue_rests_until:
            self._clock.wait(min(seconds, STANDBY), "something to happen")
            return False
        received, wakes = 0, False
        try:
            queue = self._queue = self._queue or self._control_plane.queue(policy.queue)
            messages = queue.receive(seconds)
            # Receive all messages, so that a burst causes a single pass.
            while messages:
                read, concern = self._take(messages)
                wakes = wakes or concern
                # Before the pass, which may outlast their visibility timeout: they only wake the agent.
                queue.delete(read)
                received += len(messages)
                messages = queue.receive(0) if received < MOST_MESSAGES else []
            self._said.pop("queue", None)
        except SwarmError as error:
            self._log.once(self._said, "queue", str(error))
            self._queue_rests_until = self._clock.now() + IDLE
        return bool(wakes or self._messages)

    def _take(self, messages: List[Message]) -> Tuple[List[Message], bool]:
        """Read messages, each separately: those that are not needed any more, and whether a pass must follow."""
        read, wakes = [], False
        for message in messages:
            try:
                event = events.parse(message.body, self._wall().timestamp())
            except Exception as error:
                # The other messages of the batch are handled nevertheless.
                self._leave(message, unexpected(error))
                wakes = True
                continue
            wakes = wakes or self._concerns(event)
            if event is None:
                self._leave(message, "its kind is unknown")
            elif event.interruptions:
                self._messages[message.id] = (message, event)
            else:
                read.append(message)
        return read, wakes

    def _concerns(self, event: Optional[events.Event]) -> bool:
        """Whether an event concerns the cluster. EventBridge cannot select state changes by an instance's tags."""
        if event is None or event.kind != events.STATE or self._instances is None:
            return True
        return event.instance in self._instances

    def _hold_messages(self) -> None:
        """Keep SQS from delivering the messages in progress during the pass."""
        if self._messages and self._queue is not None:
            try:
                self._queue.hold([message for message, _event in self._messages.values()])
            except SwarmError as error:
                self._log.once(self._said, "queue", str(error))

    def _leave(self, message: Message, why: str) -> None:
        """Leave a message for the dead-letter queue, and log it the first time."""
        if message.id not in self._unhandled:
            sentence = events.unhandled(message.id, why)
            self._log.warning(sentence)
            self._unhandled[message.id] = sentence
            if len(self._unhandled) > KNOWN_UNHANDLED:
                del self._unhandled[next(iter(self._unhandled))]

    def _interruptions(self) -> List[Interruption]:
        """The interruptions in the messages."""
        return [interruption for _message, event in self._messages.values() for interruption in event.interruptions]

    def _dismiss_messages(self, result: Pass) -> None:
        """Delete the messages whose instances' nodes have the label of the interruption, which the next pass sees.

        Until then they stay in the queue, and so outlive this process.
        """
        messages, self._messages = self._messages, {}
        good: List[Message] = []
        for message, event in messages.values():
            try:
                remembered = self._remembered(event, result)
            except Exception as error:
                # As in ``_take``.
                self._leave(message, unexpected(error))
                continue
            if remembered:
                good.append(message)
            elif result.done or result.postponed or result.failures:
                self._messages[message.id] = (message, event)
        if good and self._queue is not None:
            try:
                self._queue.delete(good)
            except SwarmError as error:
                self._log.once(self._said, "queue", str(error))

    @staticmethod
    def _remembered(event: events.Event, result: Pass) -> bool:
        members = node_matching.join(result.observed)
        return all(
            interruptions.remembered(interruption, result.observed, members) for interruption in event.interruptions
        )
