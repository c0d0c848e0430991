"""The event queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence

from .._core.counting import counted
from .._core.errors import Unavailable
from ..aws.aws_session import AwsSession

# SQS allows 20 s and 10 messages at most; an answer must come before the client's own timeout.
LONGEST_WAIT = 18
BATCH = 10
# Seconds for which SQS does not deliver a held message again: longer than a pass. If the agent dies, another gets it
# then.
HOLD = 120


@dataclass(frozen=True)
class Message:
    """A delivery of a message. SQS delivers it again unless it is deleted."""

    receipt: str
    body: str
    # The same in each delivery.
    id: str


class Queue:
    """An SQS queue, by its name."""

    def __init__(self, aws: AwsSession, name: str) -> None:
        self._aws, self._name = aws, name
        self._url: Optional[str] = None

    def receive(self, seconds: float) -> List[Message]:
        """Wait for messages, at most ``seconds``. Raises Unavailable."""
        with self._aws.asked(f"receive messages of the queue {self._name}"):
            answer = self._aws.client("sqs").receive_message(
                QueueUrl=self._address(),
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=max(0, min(int(seconds), LONGEST_WAIT)),
            )
            return [
                Message(message["ReceiptHandle"], message.get("Body", ""), message["MessageId"])
                for message in answer.get("Messages", [])
            ]

    def send(self, body: str) -> None:
        """Send a message, which wakes the leader's agent. Raises Unavailable."""
        with self._aws.asked(f"send a message to the queue {self._name}"):
            self._aws.client("sqs").send_message(QueueUrl=self._address(), MessageBody=body)

    def depth(self) -> int:
        """The approximate number of waiting messages. Raises Unavailable."""
        name = "ApproximateNumberOfMessages"
        with self._aws.asked(f"count the messages of the queue {self._name}"):
            answer = self._aws.client("sqs").get_queue_attributes(QueueUrl=self._address(), AttributeNames=[name])
            return int(answer["Attributes"][name])

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete any number of messages. Raises Unavailable; SQS delivers them again then."""
        self._change("delete", "delete_message_batch", messages)

    def hold(self, messages: Sequence[Message]) -> None:
        """Keep any number of messages from being delivered again for ``HOLD`` seconds. Raises Unavailable."""
        self._change("hold", "change_message_visibility_batch", messages, VisibilityTimeout=HOLD)

    def _change(self, verb: str, operation: str, messages: Sequence[Message], **more: int) -> None:
        failed = []
        for start in range(0, len(messages), BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt, **more}
                for number, message in enumerate(messages[start : start + BATCH])
            ]
            with self._aws.asked(f"{verb} messages of the queue {self._name}"):
                answer = getattr(self._aws.client("sqs"), operation)(QueueUrl=self._address(), Entries=entries)
            failed += answer.get("Failed", [])
        if failed:
            raise Unavailable(
                f"The queue {self._name} did not {verb} {counted(len(failed), 'message')}: {failed[0].get('Message')}."
            )

    def _address(self) -> str:
        if self._url is None:
            self._url = str(self._aws.client("sqs").get_queue_url(QueueName=self._name)["QueueUrl"])
        return self._url
