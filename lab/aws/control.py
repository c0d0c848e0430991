"""The lab's own endpoints, ``/_lab/…``, for the command line and the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from lab.aws import credentials, ecr, interruptions, inventory, view, world
from lab.aws.calls import CallLog
from lab.aws.hosts import Hosts
from lab.aws.iam.judgements import Judgements

Query = dict[str, str]


class Control:
    """Answers requests to these endpoints, by method and path."""

    def __init__(self, hosts: Hosts, calls: CallLog, judgements: Judgements) -> None:
        self._routes: dict[tuple[str, str], Callable[[Query], Any]] = {
            ("GET", "instances"): lambda _: view.instances(),
            ("GET", "inventory"): lambda _: inventory.resources(),
            ("GET", "calls"): lambda _: calls.as_json(),
            ("DELETE", "calls"): lambda _: calls.clear(),
            ("GET", "judgements"): lambda _: judgements.as_json(),
            ("GET", "credentials"): lambda _: credentials.handed_out(),
            ("POST", "partition"): lambda query: hosts.cut_off(query["instance"], cut=True),
            ("POST", "heal"): lambda query: hosts.cut_off(query["instance"], cut=False),
            ("POST", "hang"): lambda query: hosts.hang(query["instance"], hung=True),
            ("POST", "resume"): lambda query: hosts.hang(query["instance"], hung=False),
            ("POST", "spot-interrupt"): lambda query: interruptions.spot(
                query["instance"], float(query.get("seconds", interruptions.SPOT_NOTICE))
            ),
            ("GET", "ecr-tokens"): lambda _: ecr.given(),
            ("POST", "ecr-tokens"): lambda query: ecr.shorten(float(query["seconds"])),
            ("POST", "rebalance"): lambda query: interruptions.rebalance(query["instance"]),
            ("POST", "scheduled-event"): lambda query: interruptions.scheduled_event(
                query["instance"], float(query.get("seconds", interruptions.SCHEDULED_NOTICE))
            ),
        }

    def answer(self, environ: dict[str, Any]) -> tuple[str, bytes]:
        """The status line and the JSON body."""
        name = environ["PATH_INFO"].removeprefix("/_lab/")
        route = self._routes.get((environ["REQUEST_METHOD"], name))
        if route is None:
            return _failure("404 Not Found", f"The lab has no {environ['REQUEST_METHOD']} /_lab/{name}.")
        query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            with world.CHANGED:
                result = route(query)
                world.CHANGED.notify_all()
        except KeyError as error:
            return _failure("404 Not Found", f"The lab has no instance {error}, or the request lacks this parameter.")
        except ValueError as error:
            return _failure("400 Bad Request", str(error))
        return "200 OK", json.dumps(result).encode()


def _failure(status: str, message: str) -> tuple[str, bytes]:
    return status, json.dumps({"error": message}).encode()
