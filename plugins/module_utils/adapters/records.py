"""The cluster's DNS record, in Route 53 or Cloud Map as the policy says."""

from __future__ import annotations

from typing import Callable, Sequence, Union

from .._core.cluster import Instance, Record
from .._core.policy import Dns
from ..aws.aws_session import AwsSession
from .cloud_map import CloudMapRecords
from .route53 import Zone


class Records:
    """The core's ``Records``: a record in a Route 53 zone, or a Cloud Map service."""

    def __init__(self, aws: AwsSession, now: Callable[[], float], instances: Callable[[], Sequence[Instance]]) -> None:
        """``now`` gives epoch seconds; ``instances`` are the cluster's."""
        self._zone, self._service = Zone(aws, now), CloudMapRecords(aws, now, instances)

    def read(self, wanted: Dns) -> Record:
        return self._of(wanted).read(wanted)

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        self._of(wanted).write(wanted, before, after)

    def _of(self, wanted: Dns) -> Union[Zone, CloudMapRecords]:
        return self._zone if wanted.service_id is None else self._service
