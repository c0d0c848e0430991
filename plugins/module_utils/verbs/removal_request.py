"""Request a node's removal and follow it. The leader's agent does the work, whether or not anyone follows."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core import interruptions, node_labels, node_matching, removal_check
from .._core.cluster import Cluster, Instance, Node
from .._core.errors import SwarmError, Unavailable
from .._core.plan import decide
from .._core.policy import Policy
from .._core.removal_progress import BEGUN, READY, REMOVED, REQUESTED, STAGES, RemovalProgress
from ..adapters.control_plane import ControlPlane

# Seconds between two looks at the swarm, and between two observations of the whole cluster.
LOOK, LOOK_AROUND = 0.5, 4.0
# Seconds that a removal is held before it is cancelled: a node that missed a heartbeat is back by then.
HELD = 20.0


class RemovalRequest:
    """The removal of an instance, requested on a manager."""

    def __init__(
        self,
        control_plane: ControlPlane,
        policy: Policy,
        observed: Cluster,
        instance: str,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Raises RequestRefused if the cluster has no such instance."""
        self._control_plane, self._policy, self._observed = control_plane, policy, observed
        self._id = removal_check.well_formed(instance)
        self._now, self._sleep = now, sleep
        self._members = node_matching.join(observed)
        self.awaited: List[str] = []
        self.notes: List[str] = []
        self._held_since: Optional[float] = None
        if self._id not in self._members.instances and self._orphan is None:
            raise removal_check.foreign(self._id, control_plane.fleet.owner(self._id), policy.cluster, policy.region)

    @property
    def node(self) -> Optional[Node]:
        """The node of the instance, which may be terminated; None if there is no node."""
        return self._members.node_of.get(self._id) or self._orphan

    @property
    def _orphan(self) -> Optional[Node]:
        return next((node for node, identifier in self._members.orphans if identifier == self._id), None)

    @property
    def instance(self) -> Optional[Instance]:
        """The instance, as EC2 knows it."""
        return self._members.instances.get(self._id)

    @property
    def over(self) -> bool:
        """Whether the node and the instance are gone."""
        return self.node is None and (self.instance is None or self.instance.gone)

    def check(self, together: Sequence[str], *, replace: bool, force: bool) -> None:
        """Raises RequestRefused if it cannot be done. ``together`` are other instances that are removed before it."""
        node, instance = self.node, self.instance
        if node is None and instance is not None and instance.warmed and not (instance.gone or instance.terminating):
            raise removal_check.warm(self._id, instance.scaling_group)
        if node is None or instance is None or instance.gone or instance.terminating:
            return
        if not removal_check.requested(node, self._id):
            every = [
                instance for instance in dict.fromkeys([*together, self._id]) if instance in self._members.instances
            ]
            removal_check.check_quorum(self._observed, self._members, every, replace=replace)
            if not replace and instance.scaling_group:
                sizes = {instance.scaling_group: self._control_plane.fleet.sizes(instance.scaling_group)}
                removal_check.check_size(every, self._members, sizes)
        if not force:
            removal_check.check_room(self._observed, node, self._id)
            removal_check.check_record(self._observed, instance, self._policy)

    def request(self, *, replace: bool, force: bool, check_mode: bool) -> Optional[Tuple[str, str]]:
        """Request it from the leader's agent. Returns the label before and after; None if it was requested already."""
        node, instance = self.node, self.instance
        if instance is None or instance.gone or (instance.terminating and not force):
            return None
        if node is None:
            # The instance is not in the swarm, so there is nothing to drain.
            if instance.terminating:
                return None
            if not check_mode:
                self._control_plane.fleet.terminate(self._id, replace=replace)
            return "", "terminated, since it has not joined"
        before = node.labels.get(node_labels.REQUESTED, "")
        asked = interruptions.read_request(before, self._id)
        if asked and (asked.replace, asked.force) == (replace, force):
            return None
        after = interruptions.write_request(self._now(), replace=replace, force=force)
        if not check_mode:
            self._relabel(node.id, after)
        return before, after

    def withdraw(self, *, check_mode: bool) -> Optional[Tuple[str, str]]:
        """Withdraw the request; the agent then activates the node again. Raises RequestRefused if it is too late."""
        node, instance = self.node, self.instance
        if node is None or instance is None or instance.terminating or instance.gone:
            raise removal_check.RequestRefused(
                f"The removal of {self._id} cannot be undone: its instance is being terminated."
            )
        if node.role != self._policy.role_of(instance):
            raise removal_check.RequestRefused(
                f"The removal of {self._id} cannot be undone: it is no longer a manager."
            )
        before = node.labels.get(node_labels.REQUESTED, "")
        if not before:
            return None
        if not check_mode:
            self._relabel(node.id, "")
        return before, ""

    def _relabel(self, node: str, value: str) -> None:
        swarm = self._control_plane.swarm
        for attempt in range(5):
            present = next((member for member in swarm.nodes() if member.id == node), None)
            if present is None:
                return
            changed = {key: text for key, text in present.labels.items() if key != node_labels.REQUESTED}
            try:
                swarm.update(node, labels={**changed, **({node_labels.REQUESTED: value} if value else {})})
                break
            except Unavailable:
                # Somebody else changed the node meanwhile.
                if attempt == 4:
                    raise
        self._wake()

    def _wake(self) -> None:
        if self._policy.queue is None:
            return
        message = {"source": "swarm.aws", "detail-type": "Removal Requested", "detail": {"EC2InstanceId": self._id}}
        try:
            self._control_plane.queue(self._policy.queue).send(json.dumps(message))
        except SwarmError as error:
            self.notes.append(f"The leader's agent notices the request by itself within seconds, because: {error}")

    # Watching

    def follow(self, seen: Dict[str, Any], until: str, timeout: float) -> RemovalProgress:
        """Follow until a stage is reached. Raises SwarmError if the removal is held, or after ``timeout`` seconds."""
        node = self.node
        watch = RemovalProgress.resume(node.id if node else "", seen)
        deadline, look_around_at = self._now() + timeout, self._now()
        while True:
            stage = self._look(watch)
            if stage is not None and STAGES.index(stage) >= STAGES.index(until) and self._finished(until):
                self._look_around(stage)
                return watch
            if self._now() >= look_around_at:
                self._look_around(stage)
                look_around_at = self._now() + LOOK_AROUND
            if self._now() >= deadline:
                waiting = "; ".join(self.awaited) or "the leader's agent"
                raise SwarmError(
                    f"After {timeout:.0f} s the removal of {self._id} still waits for {waiting}. It continues by "
                    "itself: run this again to follow it, or with state=kept to stop it."
                )
            self._sleep(LOOK)

    def _look(self, watch: RemovalProgress) -> Optional[str]:
        """The stage, or None if the engine does not answer now."""
        try:
            return watch.look(self._control_plane.swarm.nodes(), self._control_plane.swarm.services(), self._now())
        except Unavailable:
            return None

    def _finished(self, until: str) -> bool:
        """Whether the instance's removal is complete, including the answer to its hook."""
        if until != REMOVED:
            return True
        try:
            return self._control_plane.fleet.gone_or_going(self._id)
        except Unavailable:
            return False

    def _look_around(self, stage: Optional[str]) -> None:
        observed = self._control_plane.observe(self._policy)
        if observed.nodes is None or observed.instances is None:
            return
        self._observed, self._members = observed, node_matching.join(observed)
        decision = decide(observed, self._policy, self._now())
        self.awaited = decision.waits.get(self._id, [])
        held = decision.held.get(self._id)
        if not held:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = self._now()
        elif stage in (REQUESTED, BEGUN, None) and self._now() - self._held_since >= HELD:
            self.withdraw(check_mode=False)
            raise removal_check.RequestRefused(f"{held} Its removal was cancelled, and the node continues to serve.")
        if stage == READY and not self.awaited:
            self.awaited = ["its tasks to stop"]


def describe(watch: RemovalProgress) -> List[str]:
    """Notes for the operator after a removal, a sentence each."""
    lines = []
    if watch.plain:
        names = ", ".join(watch.plain)
        lines.append(f"Drained without earlier replacements, since they are not start-first: {names}.")
    if watch.unchecked:
        names = ", ".join(watch.unchecked)
        lines.append(f"Replaced by tasks that may not have been ready, since no healthcheck is declared: {names}.")
    for name, seconds in sorted(watch.stubborn.items()):
        lines.append(f"{name} did not stop when told to and took all or nearly all of its {seconds:.0f} s.")
    return lines
