"""The AWS endpoint: all of moto's services at a single address, behind the lab's checks."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from lab.aws import (
    account,
    addresses,
    balancing,
    calls,
    cloud_map,
    ecr,
    endpoints,
    instances,
    interruptions,
    ipv6,
    launch_failures,
    nat,
    polling,
    reach,
    repairs,
    seed,
    world,
)
from lab.aws.account import AccountProfile
from lab.aws.autoscaling import api, tracking
from lab.aws.calls import Call, CallLog
from lab.aws.cloudwatch import EVERY, alarms, measuring
from lab.aws.control import Control
from lab.aws.errors import AwsError, body
from lab.aws.grafts import Grafts
from lab.aws.hosts import Hosts
from lab.aws.iam.gate import Gate
from lab.aws.iam.judgements import Judgements
from lab.aws.ports import Machines
from lab.aws.strict import checks, policies
from lab.aws.strict.consistency import Consistency
from lab.aws.strict.limits import Limits

log = logging.getLogger(__name__)
TICK_SECONDS = 0.3
ALARMS_SECONDS = 1.0
"""Seconds between two evaluations of the alarms."""
POLL_SECONDS = 0.05
"""Seconds in which the server notices that it should stop."""
_LOOKS = ("Describe", "Get", "List", "Head", "Receive", "Test", "Simulate")


class Application:
    """The WSGI application: control endpoints, then the gate and the strict checks, then moto."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self.calls = CallLog()
        judgements = Judgements()
        self._control = Control(hosts, self.calls, judgements)
        self._gate = Gate(self.calls, judgements)
        self._limits, self._consistency = Limits(), Consistency()
        self._moto = DomainDispatcherApplication(_service)
        self.stopping = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_lab/"):
            status, content = self._control.answer(environ)
            start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
            return [content]
        content = _buffer(environ)
        call = calls.read(environ)
        environ["wsgi.input"] = io.BytesIO(content)
        if not reach.reaches(call.source, call.service):
            log.info("%s cannot reach an endpoint of %s", call.source, call.service or "AWS")
            # This closes the connection without an answer.
            raise ConnectionResetError(f"no route to {call.service}")
        try:
            return self._serve(call, environ, content, start_response)
        except AwsError as error:
            refusal = error
        except NotImplementedError as error:
            log.warning("%s %s: %s", call.service, call.action, error)
            refusal = AwsError("NotImplemented", f"The lab does not support {call.action}: {error}", 501)
        except Exception:
            log.exception("%s %s failed", call.service, call.action)
            refusal = AwsError("InternalFailure", "The lab failed; its log says how.", 500)
        return _refuse(call, refusal, start_response)

    def _serve(
        self, call: Call, environ: dict[str, Any], content: bytes, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        with world.LOCK:
            self._limits.throttle(call)
            self._gate.admit(call)
        if call.service == "sqs" and call.action == "ReceiveMessage":
            return polling.receive(call, environ, content, start_response, self._moto, self.stopping)
        with world.CHANGED:
            self._limits.check(call)
            checks.check(call)
            with self._consistency.around(call):
                answer = list(self._moto(environ, start_response))
            if not call.action.startswith(_LOOKS):
                self._hosts.answer()
                world.CHANGED.notify_all()
        return answer


class Server:
    """A running endpoint; ``port`` is its port."""

    def __init__(
        self, application: Application, hosts: Hosts, grafts: Grafts, host: str, port: int, tick: float
    ) -> None:
        self._application, self._hosts, self._grafts, self._tick = application, hosts, grafts, tick
        self._http: BaseWSGIServer = make_server(host, port, application, threaded=True, request_handler=_Handler)
        self.port = int(self._http.server_port)
        self.calls = application.calls
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(POLL_SECONDS,), daemon=True, name="aws"),
            threading.Thread(target=self._control_loop, daemon=True, name="aws-control-loop"),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop serving and release the port."""
        self._application.stopping.set()
        with world.CHANGED:
            world.CHANGED.notify_all()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join(timeout=5)
        with world.LOCK:
            world.reset()
            self._grafts.remove()

    def _control_loop(self) -> None:
        measured = looked = 0.0
        while not self._application.stopping.is_set():
            with world.CHANGED:
                try:
                    interruptions.tick()
                    world.autoscaling().step()
                    self._hosts.tick()
                    now = time.monotonic()
                    if now - measured >= EVERY:
                        measured = now
                        measuring.measure()
                    if now - looked >= ALARMS_SECONDS:
                        looked = now
                        metrics = alarms.measurements()
                        alarms.look(metrics)
                        tracking.look(metrics)
                except Exception:
                    log.exception("a round of the control loop failed")
                world.CHANGED.wait(self._tick)


class _Handler(MotoRequestHandler):
    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close the connection, whichever side dropped it."""
        self.close_connection = True

    def log_request(self, *_: Any) -> None:
        """Log nothing: the call log has the requests."""


def start(
    machines: Machines,
    host: str,
    port: int,
    *,
    public_pool: str,
    ipv6_pool: str = ipv6.DOCUMENTATION,
    profile: AccountProfile = account.STRICT,
    tick: float = TICK_SECONDS,
) -> Server:
    """Serve a new account, whose instances run on these machines.

    :param port: 0 for any free port; the server's ``port`` is the chosen port.
    :param public_pool: the CIDR range of the instances' public addresses.
    :param ipv6_pool: the CIDR range of the VPCs' IPv6 ranges.
    :param profile: how strict and how slow the account is.
    :param tick: seconds between two rounds of the control loop without a call.
    """
    grafts = Grafts()
    with world.LOCK:
        grafts.attribute(account, "current", profile)
        seed.prepare(grafts)
        for part in (api, alarms, instances, launch_failures, repairs, ecr, cloud_map, balancing, policies):
            part.install(grafts)
        addresses.install(grafts, public_pool)
        ipv6.install(grafts, ipv6_pool)
        nat.install(grafts, nat.PENDING_SECONDS)
        endpoints.install(grafts, endpoints.PENDING_SECONDS)
        interruptions.reset()
        world.reset()
        seed.plant()
        launch_failures.plant()
    hosts = Hosts(machines)
    return Server(Application(hosts), hosts, grafts, host, port, tick)


def _service(name: Any) -> Any:
    if name is None:
        raise NotImplementedError("moto has no such service")
    return create_backend_app(name)


def _buffer(environ: dict[str, Any]) -> bytes:
    """Read the whole body, because several readers need it."""
    source = environ["wsgi.input"]
    if "chunked" in environ.pop("HTTP_TRANSFER_ENCODING", "").lower():
        content: bytes = source.read()
        environ.pop("wsgi.input_terminated", None)
    else:
        content = source.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["CONTENT_LENGTH"] = str(len(content))
    environ["wsgi.input"] = io.BytesIO(content)
    return content


def _refuse(call: Call, error: AwsError, start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers, content = body(error, call.service or "s3", call.action, call.protocol)
    headers["Content-Length"] = str(len(content))
    start_response(f"{error.status} Refused", list(headers.items()))
    return [content]
