"""Observing the cluster. If a service does not answer, its part is left out, and it is not asked for a while."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Tuple, TypeVar

from . import actions as act
from .backoff import Backoff, Failure
from .cluster import MANAGER, Cluster, Instance, Interruption, Node, Record
from .cluster_ports import ClusterPorts
from .errors import SwarmError, Unreadable, unexpected
from .join.cluster_record import Published
from .node_matching import INSTANCE_LABEL
from .policy import Dns, Policy
from .record_authority import judge

# Seconds for which an answer of the bucket is used.
PUBLISHED_FOR = 30.0
# How long a manager may listen without being reachable, as while it joins or restarts, in seconds.
ELSEWHERE_AFTER = 30.0
Result = TypeVar("Result")


class Observer:
    """Observes a cluster repeatedly."""

    def __init__(
        self,
        ports: ClusterPorts,
        now: Callable[[], float],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """``now`` gives epoch seconds; ``alive`` is called before each question, since answers may take a while."""
        self._ports, self._now, self._alive = ports, now, alive
        # Not shared with the actions: a service may answer all questions and yet refuse all changes.
        self._backoff = Backoff()
        self._published: Optional[Published] = None
        # Since when managers listen that are not reachable in this swarm.
        self._elsewhere: Dict[str, float] = {}
        self._read_at: Dict[str, float] = {}
        # The queue's interruptions, for the next observation.
        self.interruptions: List[Interruption] = []
        # Of the last observation.
        self.failures: List[Failure] = []

    def observe(self, policy: Policy) -> Cluster:
        """Observe the cluster now."""
        self.failures = []
        if self._due("published"):
            published = self._ask(act.STORE, self._ports.tokens.published)
            if published is not None:
                self._published = published
                self._read_at["published"] = self._now()
        # Before the rest: if another agent withdraws a node after this, it changes the record, and our write fails.
        record = self._record(policy.dns)
        nodes = self._ask(act.SWARM, self._ports.swarm.nodes)
        services = self._ask(act.SWARM, self._ports.swarm.services)
        # A node stays in even if parts of it cannot be read, since Raft counts it.
        flaws = [*(node.flaw for node in nodes or ()), *(service.flaw for service in services or ())]
        self.failures += [Failure(act.SWARM, flaw) for flaw in flaws if flaw]
        services = None if services is None else tuple(service for service in services if not service.flaw)
        # After the nodes, which may be of another swarm if the engine was moved meanwhile.
        memory = self._ask(act.SWARM, self._ports.swarm.memory)
        instances = self._ask(act.SCALING, self._ports.scaling.instances)
        locked, key_kept = self._lock(policy)
        found = Cluster(
            swarm_id=memory.swarm_id if memory else None,
            remembered=memory.remembered if memory else None,
            epoch=memory.epoch if memory else 0,
            published=self._published,
            elsewhere=self._listening(nodes, instances),
            nodes=nodes,
            instances=instances,
            record=record,
            targets={target_group: self._targets(target_group) for target_group in policy.target_groups},
            stale_tokens=self._stale_tokens(),
            locked=locked,
            key_kept=key_kept,
            interruptions=tuple(self.interruptions),
            services=services,
            desired=dict(self._ports.scaling.desired),
            upgrading=frozenset(self._ports.scaling.upgrading),
            launch_failures=dict(self._ports.scaling.launch_failures),
            heartbeats=dict(self._ports.scaling.heartbeats),
        )
        if judge(found).action:
            # The record will be written, so read it again at once.
            self._read_at.pop("published", None)
        return found

    def _listening(
        self, nodes: Optional[Tuple[Node, ...]], instances: Optional[Tuple[Instance, ...]]
    ) -> Tuple[str, ...]:
        """Managers that have listened on the swarm's port for a while, although this swarm does not reach them."""
        peers = self._ports.peers
        if peers is None or nodes is None or instances is None:
            return ()
        voters = [node for node in nodes if node.voter and node.reachable]
        # A leader's own address may differ from its address for others.
        reached = {node.address for node in voters} | {node.engine_labels.get(INSTANCE_LABEL) for node in voters}
        apart = {
            instance.id: instance.private_address
            for instance in instances
            if instance.role == MANAGER
            and instance.state == "running"
            and not {instance.id, instance.private_address} & reached
        }
        listening = {identifier for identifier, address in apart.items() if address and peers.listens(address)}
        self._elsewhere = {identifier: self._elsewhere.get(identifier, self._now()) for identifier in listening}
        return tuple(
            sorted(instance for instance, since in self._elsewhere.items() if self._now() - since >= ELSEWHERE_AFTER)
        )

    def forget(self) -> None:
        """Read everything again at the next observation."""
        self._read_at.clear()

    def _record(self, wanted: Optional[Dns]) -> Optional[Record]:
        return None if wanted is None else self._ask(act.DNS, lambda: self._ports.records.read(wanted))

    def _targets(self, target_group: str) -> Optional[Mapping[str, str]]:
        balancing = self._ports.balancing
        return None if balancing is None else self._ask(act.BALANCING, lambda: balancing.health(target_group))

    def _stale_tokens(self) -> Optional[Tuple[str, ...]]:
        if not self._due("tokens"):
            return None
        stale = self._ask(act.STORE, self._ports.tokens.stale)
        # Stale tokens are read again at once, to see that they were published.
        if stale == ():
            self._read_at["tokens"] = self._now()
        return stale

    def _lock(self, policy: Policy) -> Tuple[Optional[bool], Optional[bool]]:
        """Whether the managers lock their state, and whether its key is stored."""
        lock = self._ports.lock
        if lock is None or not self._due("lock"):
            return None, None
        locked = self._ask(act.SWARM, lock.locked)
        # Without a lock there is no key, and no permission to read it.
        kept = self._ask(act.KEYS, lock.kept) if locked and policy.autolock else None
        if locked == policy.autolock and kept is not False:
            self._read_at["lock"] = self._now()
        return locked, kept

    def _due(self, what: str) -> bool:
        at = self._read_at.get(what)
        return at is None or not 0 <= self._now() - at < PUBLISHED_FOR

    def _ask(self, service: str, question: Callable[[], Result]) -> Optional[Result]:
        if self._backoff.rests(service, self._now()):
            return None
        self._alive()
        try:
            answer = question()
        except Unreadable as error:
            # It answers, so ask it the other questions.
            self.failures.append(Failure(service, str(error)))
            return None
        except SwarmError as error:
            self._backoff.failed(service, self._now())
            self.failures.append(Failure(service, str(error)))
            return None
        except Exception as error:
            # The pass goes on with the other answers.
            self.failures.append(Failure(service, f"{service}'s answer cannot be read: {unexpected(error)}."))
            return None
        self._backoff.worked(service)
        return answer
