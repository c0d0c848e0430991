"""A manager's agent: the real loop and the real control plane over the simulated ports."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from math import floor
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import AwsTime
from ansible_collections.swarm.aws.plugins.module_utils._core.backoff import Backoff
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Node
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster_ports import ClusterPorts
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Stored
from ansible_collections.swarm.aws.plugins.module_utils._core.observation import Observer
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.publication import Publication
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Pass
from ansible_collections.swarm.aws.plugins.module_utils.adapters.control_plane import ControlPlane
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.loop import Loop
from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.bucket import NODES

from .cloud import EPOCH, Machine
from .ports import SimBalancing, SimFleet, SimPeers, SimQueue, SimRecords, SimRegistries, SimStore, SimSwarm
from .swarm import Swarm

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

# How long systemd waits before it restarts an agent, at most.
RESTART_SECONDS = 10.0
# The time-out of a call to an engine that does not answer.
ENGINE_SECONDS = 30.0
# How far a host's clock may be off before AWS refuses its signatures.
MOST_SKEW, MOST_SKEW_OF_S3 = 300.0, 900.0
REFUSALS = ("ThrottlingException", "ServiceUnavailable (503)", "InternalError (500)", "Read timeout")
Result = TypeVar("Result")


class SimKeeper(ControlPlane):
    """The real control plane with simulated adapters."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._now, self._alive = agent.aws_time.now, lambda: None
        self.swarm = SimSwarm(agent)  # type: ignore[assignment]
        self._ports = ClusterPorts(
            swarm=self.swarm,
            scaling=SimFleet(agent),
            tokens=Publication(SimStore(agent), self.swarm),  # type: ignore[arg-type]
            records=SimRecords(agent),
            registries=SimRegistries(agent),
            balancing=SimBalancing(agent),
            peers=SimPeers(agent),
        )
        self.fleet = self._ports.scaling  # type: ignore[assignment]
        self.observer = Observer(self._ports, agent.aws_time.now)
        self._backoff = Backoff()

    def policy(self) -> Policy:
        return self._agent.call(act.STORE, "read policy.json", lambda: self._agent.world.policy)

    def policy_or_last(self) -> tuple[Policy, str]:
        return self.policy(), ""

    def observe(self, policy: Policy) -> Cluster:
        self._agent.pass_began = self._agent.world.now
        found = super().observe(policy)
        self._agent.observed = found.nodes or ()
        return found

    def reconcile(self, policy: Policy) -> Pass:
        result = super().reconcile(policy)
        if self._agent.world.mistake:
            raise self._agent.world.mistake
        for sentence in (*result.decision.refused, *(failure.message for failure in result.failures)):
            if "an unexpected " in sentence:
                self._agent.world.broken(f"I5: the agent of {self._agent.machine.id} says: {sentence}")
        self._agent.passes += 1
        self._agent.last = result
        self._agent.world.invariants.passed(self._agent, result)
        return result

    def queue(self, name: str) -> SimQueue:  # type: ignore[override]
        return SimQueue(self._agent)

    def list_nodes(self, swarm_id: str, nodes: Collection[str], at: str) -> None:
        bucket = self._agent.world.bucket
        own = self.swarm.here()
        self._agent.call(act.STORE, "list the nodes", lambda: bucket.put(NODES, (swarm_id, nodes, own)), write=True)

    def listed_by(self) -> Stored[str] | None:
        found = self._agent.call(act.STORE, "read the list of nodes", lambda: self._agent.world.bucket.get(NODES))
        return Stored(found.value[2], found.version) if found else None

    def write_status(self, status: Mapping[str, Any]) -> None:
        self._agent.world.invariants.spoken(self._agent, str(status))
        self._agent.call(act.STORE, "write the status", lambda: setattr(self._agent, "document", status), write=True)


class Agent:
    """The agent's process, and its state that outlives the process."""

    def __init__(self, world: SimCluster, machine: Machine, swarm: Swarm) -> None:
        self.world, self.machine, self.swarm = world, machine, swarm
        self.process: greenlet | None = None
        self.skew = world.rng.uniform(-1, 1) * world.weather.skew
        self.aws_time = AwsTime(self.wall, lambda: world.now)
        # Whether it acts though it does not lead, as an operator's command does.
        self.acts_anyway = False
        # Until when its engine does not answer, though Raft goes on.
        self.hangs_until = 0.0
        self.passes = 0
        self.last: Pass | None = None
        # The last status document, and the last state told to systemd.
        self.document: Mapping[str, Any] = {}
        self.state = ""
        self.said: list[str] = []
        # The nodes as its engine listed them last, and at the beginning of its pass.
        self.told: tuple[Node, ...] = ()
        self.observed: tuple[Node, ...] = ()
        self.pass_began = self.record_read_at = 0.0
        self.start(world.rng.uniform(0.1, 3))

    # The process

    def start(self, delay: float) -> None:
        """Start the process in ``delay`` seconds, instead of the present process."""
        if self.process is not getcurrent():
            self.stop()
        self.process = self.world.scheduler.start(self._run, delay)

    def stop(self) -> None:
        """Kill the process. If it calls this itself, it dies at its next pause."""
        process, self.process = self.process, None
        if process is not None:
            self.world.at(0.0, lambda: self.world.scheduler.kill(process))

    def _run(self) -> None:
        if not self.machine.engine_up:
            return
        self.trace("agent starts")
        self.aws_time = AwsTime(self.wall, lambda: self.world.now)
        host = SimHost(self)
        log = Log(host)  # type: ignore[arg-type]
        try:
            loop = Loop(SimKeeper(self), host, host, log, wall=lambda: datetime.fromtimestamp(self.aws_time.now(), UTC))  # type: ignore[arg-type]
            while True:
                loop.turn()
        except SwarmError as error:
            self.world.broken(f"I5: the agent of {self.machine.id} did not catch an error: {error}")

    def _crash(self) -> None:
        self.trace("agent is killed")
        self.start(self.world.rng.uniform(1, RESTART_SECONDS))
        raise GreenletExit

    # Calls

    def call(self, service: str, what: str, effect: Callable[[], Result], *, write: bool = False) -> Result:
        """Call a service and return its answer. Raises Unavailable if a fault happens."""
        try:
            return self._call(service, what, effect, write=write)
        except SwarmError:
            raise
        except Exception as error:
            # The agent treats it as a failure of this call alone, but it ends the story.
            self.world.mistake = self.world.mistake or error
            raise

    def _call(self, service: str, what: str, effect: Callable[[], Result], *, write: bool) -> Result:
        world, weather = self.world, self.world.weather
        stalls, number = world.happens(weather.stall), 0
        if write:
            number = world.count_effect(what)
            self._maybe_crash(number, before=True)
            if world.happens(weather.freeze):
                self.trace("agent freezes")
                seconds = world.rng.uniform(15, 60)
                world.frozen_until = max(world.frozen_until, world.now + seconds)
                world.pause(seconds)
        took = world.rng.uniform(2, 20) if stalls else world.rng.uniform(0.005, 0.05)
        world.pause(took)
        if service != act.SWARM:
            self._heard(service, what, took)
        if service == act.SWARM and world.now < self.hangs_until:
            world.pause(ENGINE_SECONDS)
            raise Unavailable(f"{service}: {what}: the engine does not answer")
        if world.now < world.outages.get(service, 0.0) or world.happens(weather.refuse):
            raise Unavailable(f"{service}: {what}: {world.rng.choice(REFUSALS)}")
        if not write:
            return effect()
        if world.happens(weather.delay_write):
            world.at(world.rng.uniform(0.5, 10), lambda: self._late(what, effect))
            raise Unavailable(f"{service}: {what}: no answer")
        result = effect()
        self.trace(what)
        world.changed()
        self._maybe_crash(number, before=False)
        if world.happens(weather.lose_reply):
            raise Unavailable(f"{service}: {what}: the reply was lost")
        return result

    def _late(self, what: str, effect: Callable[[], object]) -> None:
        # The decision may be outdated.
        self.world.work.excuse()
        try:
            effect()
            self.trace(f"{what}, late")
        except Unavailable:
            return
        self.world.changed()

    def _maybe_crash(self, effect: int, *, before: bool) -> None:
        if self.world.crash_at == (effect, before) or self.world.happens(self.world.weather.crash / 2):
            self._crash()

    def _heard(self, service: str, what: str, took: float) -> None:
        """AWS dates its answers in whole seconds and refuses signatures of another time. Raises Unavailable."""
        self.aws_time.observe(floor(EPOCH + self.world.now - self.world.rng.uniform(0, took)), took)
        if abs(self.skew) > (MOST_SKEW_OF_S3 if service == act.STORE else MOST_SKEW):
            raise Unavailable(f"{service}: {what}: RequestTimeTooSkewed")

    def wall(self) -> float:
        """Its own clock, in epoch seconds."""
        return EPOCH + self.world.now + self.skew

    def trace(self, what: str) -> None:
        if self.world.tracing:
            self.world.trace(self.machine.id, what)


class SimHost:
    """The host's clock, notifier and log stream, as the loop gets them."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def now(self) -> float:
        return self._agent.world.now

    def flaw(self) -> str:
        return self._agent.aws_time.flaw()

    def wait(self, seconds: float, reason: str) -> None:
        self._agent.world.pause(seconds)

    def alive(self) -> None:
        """The watchdog is not simulated."""

    def status(self, text: str) -> None:
        self._agent.world.invariants.spoken(self._agent, text)
        self._agent.state = text

    def write(self, line: str) -> None:
        agent = self._agent
        agent.world.invariants.spoken(agent, line)
        agent.said.append(line)
        if agent.world.tracing and '"event": "action"' not in line:
            agent.trace(str(json.loads(line)["message"]))

    def flush(self) -> None:
        """Nothing is buffered."""
