"""The control plane of a cluster, on one of its managers: the core with this host's adapters."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, Collection, Mapping, Optional, Tuple

from .._core.actions import Action
from .._core.apply import apply
from .._core.backoff import Backoff
from .._core.change import Change
from .._core.cluster import Cluster
from .._core.cluster_ports import ClusterPorts
from .._core.errors import SwarmError
from .._core.join.ports import Stored
from .._core.observation import Observer
from .._core.policy import Policy, PolicyError
from .._core.publication import Publication
from .._core.reconcile import Pass, reconcile
from ..aws.aws_session import AwsSession
from ..aws.clock import aws_time
from . import files
from .autoscaling import AutoScalingGroups
from .ecr import Ecr
from .event_queue import Queue
from .load_balancing import TargetGroups
from .node_engine import Managers
from .records import Records
from .s3_store import POLICY_KEY, S3Store
from .swarm import DockerSwarm
from .unlock_keys import Locks, UnlockKeys

# The last valid policy, for when the bucket has none.
LAST_POLICY = Path("/var/lib/swarm-agent/policy.json")


class ControlPlane:
    """Observes and changes a cluster from this manager."""

    def __init__(self, cluster: str, region: str, bucket: str, *, alive: Callable[[], None] = lambda: None) -> None:
        """``alive`` is called between requests. Raises SwarmError if an SDK is missing."""
        self._cluster, self._bucket, self._now, self._alive = cluster, bucket, aws_time.now, alive
        self._aws = AwsSession.on_node(region)
        self._store = S3Store(self._aws, bucket)
        self.swarm = DockerSwarm()
        self.fleet = AutoScalingGroups(self._aws, cluster, self._now)
        self.tokens = Publication(self._store, self.swarm)
        self.lock = Locks(self.swarm, UnlockKeys(self._aws, cluster))
        self._ports = ClusterPorts(
            swarm=self.swarm,
            scaling=self.fleet,
            tokens=self.tokens,
            records=Records(self._aws, self._now, self.fleet.instances),
            registries=Ecr(self._aws, self._now),
            lock=self.lock,
            balancing=TargetGroups(self._aws),
            peers=Managers(),
        )
        self.observer = Observer(self._ports, self._now, alive)
        self._backoff = Backoff()
        self._last_policy = LAST_POLICY

    @property
    def console(self) -> Optional[str]:
        """The address of the region's AWS console; None for an endpoint that is not AWS's."""
        return self._aws.console

    def policy(self) -> Policy:
        """The operator's policy. Raises PolicyError if it is missing or invalid, Unavailable if unknown."""
        content = self._store.policy()
        policy = Policy.read(content, self._aws.region)
        if policy.cluster != self._cluster:
            raise PolicyError(f"{POLICY_KEY} in the bucket {self._bucket} is of the cluster {policy.cluster}.")
        self._remember(content)
        return policy

    def policy_or_last(self) -> Tuple[Policy, str]:
        """The policy, or the last valid policy on this host and the reason. Raises SwarmError if it has none."""
        try:
            return self.policy(), ""
        except SwarmError as error:
            try:
                last = Policy.read(self._last_policy.read_bytes(), self._aws.region)
            except (OSError, PolicyError):
                raise error from None
            return last, f"{error} Until that is fixed, the last valid policy counts."

    def _remember(self, content: bytes) -> None:
        path = self._last_policy
        # The copy is only needed when the bucket has no valid policy.
        with contextlib.suppress(OSError):
            if not path.exists() or path.read_bytes() != content:
                files.write(path, content)

    def observe(self, policy: Policy) -> Cluster:
        """The present state; ``observer.failures`` has what could not be observed."""
        with self.swarm.sharing_tasks():
            return self.observer.observe(policy)

    def apply(self, action: Action, policy: Policy) -> Optional[Change]:
        """Do an action, if it is still right."""
        self._alive()
        return apply(action, self._ports, policy)

    def reconcile(self, policy: Policy) -> Pass:
        """Observe, decide and act once."""
        result = reconcile(
            lambda: self.observe(policy),
            lambda action: self.apply(action, policy),
            policy,
            self._now,
            self._backoff,
        )
        result.failures[:0] = self.observer.failures
        return result

    def queue(self, name: str) -> Queue:
        """The event queue."""
        return Queue(self._aws, name)

    def read_status(self) -> Mapping[str, Any]:
        """The last status of the leader's agent. Raises Unavailable."""
        return self._store.status()

    def list_nodes(self, swarm_id: str, nodes: Collection[str], at: str) -> None:
        """List the swarm's nodes for their agents. Raises Unavailable."""
        self._store.write_nodes(swarm_id, nodes, self.swarm.here() or "", at)

    def listed_by(self) -> Optional[Stored[str]]:
        """The node whose agent listed the nodes last: the acting agent does so regularly. Raises Unavailable."""
        return self._store.listed_by()

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Write the status for people. Raises Unavailable."""
        self._store.write_status(status)
