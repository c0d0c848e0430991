"""Where what is measured beside a pass comes from, and CloudWatch, which is told all of it."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Sequence, Tuple

from .._core.backups import taken_at
from .._core.metrics import Sample, data
from .aws import Aws
from .backups import Backups
from .metadata import Metadata
from .queue import Queue
from .swarm import DockerSwarm


class Sources:
    """Asked from a thread of its own, so it has connections of its own. Every method raises Unavailable."""

    def __init__(self, region: str, bucket: str) -> None:
        self._aws = Aws(region)
        self._backups, self._swarm = Backups(self._aws, bucket), DockerSwarm()
        self._queues: Dict[str, Queue] = {}

    def address(self) -> str:
        """This node's private address."""
        return Metadata().identity().private_address

    def certificate(self) -> float:
        """When this node's certificate expires, in epoch seconds."""
        return self._swarm.certificate_until()

    def backup(self) -> Tuple[Optional[float], float]:
        """When the newest backup was taken, and when the swarm was made, in epoch seconds."""
        newest = next(iter(self._backups.names()), None)
        return (taken_at(newest) if newest else None), self._swarm.since()

    def depths(self, queue: str) -> Mapping[str, int]:
        """How many messages wait in the queue of events and in that of the dead letters."""
        names = {"events": queue, "dead": f"{queue}-dead"}
        return {kind: self._queue(name).depth() for kind, name in names.items()}

    def put(self, namespace: str, samples: Sequence[Sample], resolution: int) -> None:
        """Tell CloudWatch, in one request."""
        with self._aws.asked(f"tell CloudWatch's namespace {namespace} of the cluster"):
            self._aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data(samples, resolution))

    def _queue(self, name: str) -> Queue:
        return self._queues.setdefault(name, Queue(self._aws, name))
