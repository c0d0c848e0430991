"""Keeping the cluster true: on every manager, but only the Raft leader's agent acts."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Tuple

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
from ansible_collections.swarm.aws.plugins.module_utils.adapters.clock import SystemClock
from ansible_collections.swarm.aws.plugins.module_utils.adapters.control_plane import ControlPlane
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Message, Queue
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metric_sources import Sources
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config

from . import VERSION
from .log import Log
from .monitor import Monitor
from .notify import Notifier
from .watch import MembershipWatch

# All in seconds. How long a manager that does not lead waits until it looks again whether it does.
STANDBY = 3.0
# Between two passes while something is about to change, and when nothing is; then it is looked so often whether a node
# has changed, so that nothing hangs on a message that gets lost.
QUICK, IDLE, LOOK = 1.0, 30.0, 5.0
# Passes that follow one another at once as long as each does something.
MOST_BUSY = 8
STATUS_EVERY = 60.0
LIST_EVERY = 20.0
# Messages that wake one pass at most.
MOST_MESSAGES = 100
LAST_ACTIONS = 20
# Messages that cannot be handled: so many are told in the status, and so many are known when they come again.
LAST_UNHANDLED, KNOWN_UNHANDLED = 20, 1000


def run(config: Config, notify: Notifier, log: Log, watch: MembershipWatch) -> None:
    """Keep the cluster true, until this node must be made a member anew. May be killed at any moment."""
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
        # Why the policy cannot be read, if it cannot.
        self._policy_flaw = ""
        self._queue: Optional[Queue] = None
        self._queue_rests_until = 0.0
        # The nodes as they were before the last pass.
        self._versions: Optional[Mapping[str, int]] = None
        # Those that are being handled, by their IDs, with what they say.
        self._messages: Dict[str, Tuple[Message, events.Event]] = {}
        # Why each of the last messages that cannot be handled is left out, by its ID.
        self._unhandled: Dict[str, str] = {}
        self._actions: Deque[Dict[str, Any]] = deque(maxlen=LAST_ACTIONS)
        self._status_at: Optional[float] = None
        self._listed_at: Optional[float] = None
        # Whether it acts: as the leader's agent, or for one that is silent.
        self._leading: Optional[bool] = None
        self._deputy, self._silent = deputy.Deputy(), ""
        self._looked_for_leader_at: Optional[float] = None
        # Passes in a row that did something.
        self._busy = 0
        # What was said last of each subject, so that it is not said every two seconds.
        self._said: Dict[str, str] = {}

    def turn(self) -> None:
        """One pass and the wait after it; on a manager that does not lead, only the wait."""
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
        self._versions = self._look()
        began = self._clock.now()
        result = self._control_plane.reconcile(policy)
        if self._monitor is not None:
            seconds = self._clock.now() - began
            self._monitor.passed(result, policy, seconds, self._policy_flaw, for_another=bool(self._silent))
        self._tell(result)
        self._dismiss_messages(result)
        self._write_status(result)
        self._list_nodes(result)
        # What was just done is seen at once, and so is what comes next; but never without end.
        self._busy = self._busy + 1 if result.done else 0
        if not 0 < self._busy < MOST_BUSY:
            self._wait(policy, self._pause(result))

    def _pause(self, result: Pass) -> float:
        """How long to wait for an event after a pass."""
        if not result.decision.in_flight:
            return IDLE
        due = result.decision.due
        return QUICK if due is None else max(0.0, min(QUICK, due - self._wall().timestamp()))

    def _leads(self) -> bool:
        """Whether this agent is the one that acts."""
        try:
            leads = self._control_plane.swarm.leads()
            self._silent = silent = "" if leads else self._silent_leader()
        except SwarmError as error:
            # Also when too many managers are lost: then nobody leads, and nothing can be changed.
            self._say("leader", deputy.unknown(error))
            self._notify.status(f"Cannot tell who leads: {error} If managers are lost for good: playbooks/restore.yml")
            self._leading = None
            return False
        self._say("deputy", deputy.silent(self._silent))
        acts = leads or bool(silent)
        if acts != self._leading:
            self._log.info("This manager leads the swarm." if leads else "Another manager leads the swarm.")
            self._notify.status("Keeping the cluster true" if acts else "Standing by: another manager leads")
            self._said = {"deputy": self._said.get("deputy", "")}
            self._leading = acts
            # Whoever acted in between may have changed anything.
            self._control_plane.observer.forget()
            self._policy_read_at = None
        return acts

    def _agents_flaw(self) -> str:
        return " ".join(filter(None, [deputy.silent(self._silent), self._clock.flaw()]))

    def _silent_leader(self) -> str:
        """The leader whose agent is silent and for which this one has to act. Raises SwarmError."""
        now = self._clock.now()
        if self._looked_for_leader_at is None or now - self._looked_for_leader_at >= LIST_EVERY:
            self._looked_for_leader_at = now
            own = self._control_plane.swarm.here()
            if own is None:
                # A worker, as after a demotion by hand: it knows no nodes.
                self._deputy, self._silent = deputy.Deputy(), ""
                return ""
            try:
                listed = self._control_plane.listed_by()
            except SwarmError:
                # Whom S3 does not answer hears nobody, and nobody hears it.
                self._deputy, self._silent = deputy.Deputy(), ""
                return ""
            self._silent = self._deputy.acts(own, self._control_plane.swarm.nodes(), listed, now)
        return self._silent

    def _current_policy(self) -> Optional[Policy]:
        """The policy, read anew from time to time; the last good one if it cannot be read."""
        now = self._clock.now()
        if self._policy_read_at is None or now - self._policy_read_at >= IDLE:
            try:
                self._policy, self._policy_flaw = self._control_plane.policy_or_last()
            except SwarmError as error:
                self._policy_flaw = str(error)
            self._say("policy", self._policy_flaw)
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
                    "resource": change.resource,
                    "before": change.before,
                    "after": change.after,
                }
            )
        failures: Dict[str, List[str]] = {}
        for failure in result.failures:
            failures.setdefault(failure.service, []).append(failure.message)
        for service, messages in failures.items():
            self._say(service, f"{service}: {'; '.join(messages)}")
        decision = result.decision
        self._say("refused", " ".join(decision.refused))
        self._say("notes", " ".join(decision.notes))
        self._say("postponed", " ".join(result.postponed))
        waiting = f", waiting for {'; '.join(decision.awaited)}" if decision.awaited else ""
        doing = "Keeping the cluster true" if decision.acts else "Leads, and does nothing"
        why = " ".join(filter(None, [self._agents_flaw(), self._policy_flaw, *decision.refused[:1]]))
        self._notify.status(f"{doing}{waiting}{': ' if why else ''}{why}")

    def _say(self, subject: str, sentence: str) -> None:
        """Log a warning unless it was the last one about the same."""
        if sentence and self._said.get(subject) != sentence:
            self._log.warning(sentence)
        self._said[subject] = sentence

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
        # What was planned has been done.
        del status["planned"]
        try:
            self._control_plane.write_status(status)
            self._said.pop("status", None)
        except SwarmError as error:
            self._say("status", str(error))
        self._status_at = now

    def _list_nodes(self, result: Pass) -> None:
        """List the swarm's nodes in the bucket, again and again: the swarm does not tell a node that it was deleted."""
        now, observed = self._clock.now(), result.observed
        if not result.decision.acts or observed.nodes is None or observed.swarm_id is None:
            return
        if observed.instances is None:
            # Whom EC2 does not answer, as one whose clock is wrong, does nothing, and another is to act for it.
            return
        if self._listed_at is None or now - self._listed_at >= LIST_EVERY:
            nodes = [node.id for node in observed.nodes]
            try:
                self._control_plane.list_nodes(observed.swarm_id, nodes, self._wall().isoformat())
                self._said.pop("nodes", None)
            except SwarmError as error:
                self._say("nodes", str(error))
            self._listed_at = now

    # Events, which only wake

    def _wait(self, policy: Policy, seconds: float) -> None:
        """Wait for so long, or until something is in the queue, or a node is not as it was before the last pass."""
        deadline = self._clock.now() + seconds
        while True:
            self._notify.alive()
            left = deadline - self._clock.now()
            if left <= 0 or self._receive(policy, min(left, LOOK)) or self._look() != self._versions:
                return

    def _look(self) -> Optional[Mapping[str, int]]:
        """The nodes' versions; None if the engine does not tell, which the next pass says."""
        try:
            return self._control_plane.swarm.versions()
        except SwarmError:
            return None

    def _receive(self, policy: Policy, seconds: float) -> bool:
        """Wait at the queue, and return whether there was a message. If the queue cannot be asked, only wait."""
        # The queue takes no less than a second.
        if policy.queue is None or seconds < 1 or self._clock.now() < self._queue_rests_until:
            self._clock.wait(min(seconds, STANDBY), "something to happen")
            return False
        received = 0
        try:
            queue = self._queue = self._queue or self._control_plane.queue(policy.queue)
            messages = queue.receive(seconds)
            # All that is there, so that a burst wakes one pass.
            while messages:
                self._take(messages)
                received += len(messages)
                messages = queue.receive(0) if received < MOST_MESSAGES else []
            self._said.pop("queue", None)
        except SwarmError as error:
            self._say("queue", str(error))
            self._queue_rests_until = self._clock.now() + IDLE
        return bool(received or self._messages)

    def _take(self, messages: List[Message]) -> None:
        """Read messages, each by itself."""
        for message in messages:
            try:
                event = events.parse(message.body, self._wall().timestamp())
            except Exception as error:
                # Whatever is wrong with this message, the others of its batch are handled.
                self._leave(message, unexpected(error))
                continue
            if event is None:
                self._leave(message, "it is none that is known")
            else:
                self._messages[message.id] = (message, event)

    def _leave(self, message: Message, why: str) -> None:
        """Leave a message to the dead letters, and say so the first time that it comes."""
        if message.id not in self._unhandled:
            sentence = events.unhandled(message.id, why)
            self._log.warning(sentence)
            self._unhandled[message.id] = sentence
            if len(self._unhandled) > KNOWN_UNHANDLED:
                del self._unhandled[next(iter(self._unhandled))]

    def _interruptions(self) -> List[Interruption]:
        """What the messages say of instances that are to go."""
        return [interruption for _message, event in self._messages.values() for interruption in event.interruptions]

    def _dismiss_messages(self, result: Pass) -> None:
        """Delete the messages that the pass was for.

        One that announces something stays until the instance's node carries that as a label, which the next pass sees;
        so it outlives this process.
        """
        messages, self._messages = self._messages, {}
        good: List[Message] = []
        for message, event in messages.values():
            try:
                remembered = self._remembered(event, result)
            except Exception as error:
                # As when it is read.
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
                self._say("queue", str(error))

    @staticmethod
    def _remembered(event: events.Event, result: Pass) -> bool:
        if not event.interruptions:
            return True
        members = node_matching.join(result.observed)
        return all(
            interruptions.remembered(interruption, result.observed, members) for interruption in event.interruptions
        )
