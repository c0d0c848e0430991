"""The sources of the metrics that are measured outside a pass, and CloudWatch, which gets them all."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Mapping, Optional, Sequence, Tuple, Union

from .._core.backup_schedule import taken_at
from .._core.errors import Unavailable
from .._core.metrics import Sample, data
from ..aws.aws_session import AwsSession
from .backup_store import Backups
from .certificate import expiry
from .event_queue import Queue
from .metadata import Metadata
from .swarm import DockerSwarm

# Seconds to connect, and again for the handshake.
PATIENCE = 5.0
ASKED_AT_ONCE = 8


class Sources:
    """Used from a thread of its own, so it has its own connections. Every method raises Unavailable."""

    def __init__(self, region: str, bucket: str) -> None:
        self._aws = AwsSession.on_node(region)
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
        """The messages that wait in the event queue and in its dead-letter queue."""
        names = {"events": queue, "dead": f"{queue}-dead"}
        return {kind: self._queue(name).depth() for kind, name in names.items()}

    def shown_until(self, name: str, addresses: Sequence[str], port: int) -> float:
        """When the first certificate that the addresses present at a port expires, in epoch seconds.

        An address without a certificate is skipped, unless none has any: other metrics tell whether a node serves.
        """
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            found = list(pool.map(lambda address: _shown_until(name, address, port), addresses))
        times = [time for time in found if isinstance(time, float)]
        if not times:
            raise Unavailable(f"No address of {name} presents a certificate at port {port}: {found[0]}")
        return min(times)

    def put(self, namespace: str, samples: Sequence[Sample], resolution: int) -> None:
        """Send the samples to CloudWatch in one request."""
        with self._aws.asked(f"put metrics into CloudWatch's namespace {namespace}"):
            self._aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data(samples, resolution))

    def _queue(self, name: str) -> Queue:
        return self._queues.setdefault(name, Queue(self._aws, name))


def _shown_until(name: str, address: str, port: int) -> Union[float, str]:
    """When the certificate that an address presents for a name expires, or why that is not known."""
    # Unverified, so that an expired or untrusted certificate also tells its expiry.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        plain = socket.create_connection((address, port), PATIENCE)
        with plain, context.wrap_socket(plain, server_hostname=name) as connection:
            certificate = connection.getpeercert(binary_form=True)
        return expiry(ssl.DER_cert_to_PEM_cert(certificate or b"").encode())
    except (OSError, ValueError) as error:
        return f"{address}: {error}"
