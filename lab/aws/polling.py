"""SQS's long polling: repeats a receive after every change, without blocking other calls."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from lab.aws import world
from lab.aws.calls import Call

Respond = Callable[..., Any]
Look = Callable[[dict[str, Any], Respond], Iterable[bytes]]
LOOK_SECONDS = 0.5
"""Seconds between two receives without a change: a message can become visible by itself."""


def receive(
    call: Call, environ: dict[str, Any], content: bytes, respond: Respond, look: Look, stopping: threading.Event
) -> Iterable[bytes]:
    """Answer a ReceiveMessage: at once if there are messages, otherwise when the wait time has passed."""
    if call.protocol != "json":
        return look(environ, respond)
    asked = json.loads(content or b"{}")
    deadline = time.monotonic() + _wait_seconds(asked)
    looked = json.dumps({**asked, "WaitTimeSeconds": 0}).encode()
    answers: list[tuple[Any, ...]] = []
    while True:
        with world.CHANGED:
            attempt = {**environ, "wsgi.input": io.BytesIO(looked), "CONTENT_LENGTH": str(len(looked))}
            result = b"".join(look(attempt, lambda *answer: answers.append(answer)))
            left = deadline - time.monotonic()
            if b'"Messages"' in result or not answers[-1][0].startswith("200") or left <= 0 or stopping.is_set():
                respond(*answers[-1])
                return [result]
            world.CHANGED.wait(min(left, LOOK_SECONDS))


def _wait_seconds(asked: dict[str, Any]) -> float:
    if "WaitTimeSeconds" in asked:
        return float(asked["WaitTimeSeconds"])
    queue = world.sqs().queues.get(str(asked.get("QueueUrl", "")).rsplit("/", 1)[-1])
    return float(queue.receive_message_wait_time_seconds) if queue else 0.0
