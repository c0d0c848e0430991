"""CloudWatch Logs."""

from __future__ import annotations

from typing import Any, Sequence

from .._core.journal import Entry
from ..aws.aws_session import AwsSession, ClientError, code

MISSING = "ResourceNotFoundException"


class LogStreams:
    """A node's streams in its cluster's log group, a stream for each source: ``i-…/engine``."""

    def __init__(self, aws: AwsSession, group: str, instance: str) -> None:
        self._aws, self._group, self._instance = aws, group, instance

    def put(self, source: str, batch: Sequence[Entry]) -> None:
        """Write a batch, in order of time. Raises Unavailable; the batch may have been written even then."""
        stream = f"{self._instance}/{source}"
        with self._aws.asked(f"write to the log stream {stream} of {self._group}"):
            try:
                self._put(stream, batch)
            except ClientError as error:
                if code(error) != MISSING:
                    raise
                self._create(stream)
                self._put(stream, batch)

    def _put(self, stream: str, batch: Sequence[Entry]) -> None:
        # CloudWatch drops entries that are too old or too new by itself.
        self._logs.put_log_events(
            logGroupName=self._group,
            logStreamName=stream,
            logEvents=[{"timestamp": event.time, "message": event.text} for event in batch],
        )

    def _create(self, stream: str) -> None:
        try:
            self._logs.create_log_stream(logGroupName=self._group, logStreamName=stream)
        except ClientError as error:
            if code(error) != "ResourceAlreadyExistsException":
                raise

    @property
    def _logs(self) -> Any:
        return self._aws.client("logs")
