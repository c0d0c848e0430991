"""The agent's metrics: served to Prometheus, and sent to CloudWatch.

In separate threads, so that they do not delay a pass, and the metrics of a pass that hangs go missing.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import AwsTime
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, unexpected
from ansible_collections.swarm.aws.plugins.module_utils._core.metrics import Sample, sample
from ansible_collections.swarm.aws.plugins.module_utils._core.names import metrics_namespace
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Pass
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import aws_time

from .log import Log

# All in seconds. How long the metrics of a pass are valid; the leader makes a pass at least every half minute.
FRESH = 120.0
# The interval of slow metrics: periods, and at most.
SLOW_PERIODS, SLOW = 5, 300.0
TICK = 1.0


class Monitor:
    """The metrics of an agent. Use it as a context, in which its threads run."""

    def __init__(
        self, sources: Any, log: Log, clock: AwsTime = aws_time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """``sources`` is the adapter of that name; ``steady`` is monotonic, in seconds."""
        self._sources, self._log, self._clock, self._steady = sources, log, clock, steady
        self._lock = threading.Lock()
        self._policy: Optional[Policy] = None
        self._leading = self._acts_for_another = False
        self._pass: List[Sample] = []
        self._addresses: Sequence[str] = ()
        # In epoch seconds, and by the steady clock.
        self._pass_at = self._passed_at = self._pass_seconds = 0.0
        self._passes = self._passes_sent = self._postponed = 0
        self._actions: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        # The metrics from other sources, and when they were read.
        self._asked: Dict[str, List[Sample]] = {}
        self._asked_at: Dict[str, float] = {}
        self._due = -math.inf
        self._host_sent_at = -math.inf
        self._said: Dict[str, str] = {}
        self._stopped = threading.Event()
        self._threads: List[threading.Thread] = []
        self._server: Optional[ThreadingHTTPServer] = None

    def __enter__(self) -> Monitor:
        thread = threading.Thread(target=self._run, daemon=True, name="monitor")
        self._threads.append(thread)
        thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        # It may still wait for AWS. It is a daemon, and does nothing any more.
        self._threads[0].join(timeout=TICK * 2)
        self._close()

    # Called by the loop

    def stands_by(self, policy: Optional[Policy]) -> None:
        """Another manager is the leader, or the leader is unknown."""
        with self._lock:
            self._policy, self._leading, self._pass = policy or self._policy, False, []
            self._acts_for_another = False
            for source in self._of_the_leader():
                del self._asked[source], self._asked_at[source]

    def passed(
        self, result: Pass, policy: Policy, seconds: float, policy_flaw: str = "", *, for_another: bool = False
    ) -> None:
        """A pass is over, which took ``seconds``.

        ``policy_flaw`` says why the bucket's policy is not used, if so; ``for_another`` whether this agent acts for the
        leader's, which is silent.
        """
        seen = metrics.measure(result.observed, policy, result.decision, policy_flaw, self._measured)
        with self._lock:
            self._policy, self._leading, self._pass = policy, True, seen
            self._acts_for_another = for_another
            self._addresses = result.observed.record.addresses if result.observed.record else ()
            self._pass_at, self._passed_at, self._pass_seconds = self._clock.now(), self._steady(), seconds
            self._passes += result.decision.acts
            self._postponed += len(result.postponed)
            self._actions.update(type(action).__name__ for action, _change in result.done)
            self._failures.update(failure.service for failure in result.failures)

    def _measured(self, part: str, why: str) -> None:
        self._log.once(self._said, f"measure {part}", f"The metrics of the {part} are left out: {why}." if why else "")

    # Output

    def samples(self) -> List[Sample]:
        """All metrics that are known now."""
        with self._lock:
            own = [
                sample(metrics.LEADING, self._leading),
                sample(metrics.PASSES, self._passes),
                sample(metrics.PASS_AT, self._pass_at),
                sample(metrics.PASS_SECONDS, self._pass_seconds),
                sample(metrics.POSTPONED, self._postponed),
                *self._host(),
                *(sample(metrics.ACTIONS, count, action=name) for name, count in sorted(self._actions.items())),
                *(sample(metrics.FAILURES, count, service=name) for name, count in sorted(self._failures.items())),
            ]
            asked = [measured for found in self._asked.values() for measured in found]
            return [*own, *asked, *(self._pass if self._fresh() else [])]

    def text(self) -> str:
        """The same for Prometheus."""
        return metrics.exposition(self.samples())

    def tick(self) -> None:
        """Serve, read and send what is due."""
        policy = self._policy
        if policy is None:
            return
        wanted, now = policy.monitoring, self._steady()
        self._keep_server(wanted.port)
        monitored = wanted.port or wanted.namespace
        if now < self._due or not (monitored or policy.scales):
            return
        self._due = now + wanted.period
        if monitored:
            self._ask(policy, now)
        if wanted.namespace:
            self._send(wanted.namespace, wanted.period, now)
        elif policy.scales:
            self._send_capacity(metrics_namespace(policy.cluster))

    def _host(self) -> List[Sample]:
        flaws = bool(self._clock.flaw()) + self._acts_for_another
        return [sample(metrics.CLOCK_OFF, abs(self._clock.difference())), sample(metrics.AGENT_FLAWS, flaws)]

    def _fresh(self) -> bool:
        return self._leading and self._steady() - self._passed_at <= FRESH

    def _of_the_leader(self) -> List[str]:
        """The known sources that only the leader reads."""
        return [source for source in self._asked if source != "certificate"]

    def _ask(self, policy: Policy, now: float) -> None:
        slow = min(SLOW, SLOW_PERIODS * policy.monitoring.period)
        self._keep("certificate", slow, now, lambda: metrics.left(self._sources.certificate(), self._clock.now()))
        if not self._leading:
            return
        if policy.backup_seconds:
            self._keep("backup", slow, now, self._backup)
        queue = policy.queue
        if queue is not None:
            self._keep("queues", 0, now, lambda: self._depths(queue))
        if policy.dns is not None and self._addresses:
            name = policy.dns.record
            for port in policy.monitoring.tls_ports:
                self._keep(f"port {port}", slow, now, partial(self._shown, name, port))

    def _backup(self) -> List[Sample]:
        newest, since = self._sources.backup()
        return metrics.age(newest, since, self._clock.now())

    def _depths(self, queue: str) -> List[Sample]:
        found = self._sources.depths(queue)
        return [sample(metrics.QUEUE, depth, queue=kind) for kind, depth in found.items()]

    def _shown(self, name: str, port: int) -> List[Sample]:
        until = self._sources.shown_until(name, self._addresses, port)
        return [sample(metrics.TLS_LEFT, until - self._clock.now(), port=str(port))]

    def _keep(self, source: str, every: float, now: float, ask: Callable[[], List[Sample]]) -> None:
        """Read a source again if it is due. Without an answer its metrics are unknown."""
        if source in self._asked and now - self._asked_at[source] < every:
            return
        try:
            found = ask()
            self._log.once(self._said, source, "")
        except SwarmError as error:
            found = []
            self._log.once(self._said, source, str(error))
        except Exception as error:
            # The other sources are read nevertheless.
            found = []
            self._log.once(self._said, source, f"The metrics of the {source} are left out: {unexpected(error)}.")
        with self._lock:
            self._asked_at[source] = now
            # It may not be the leader any more.
            if self._leading or source == "certificate":
                self._asked[source] = found

    def _send(self, namespace: str, period: int, now: float) -> None:
        with self._lock:
            passes = self._passes
            found = [*self._asked.get("certificate", ()), *self._host()]
            if self._leading:
                found.append(sample(metrics.PASSES, passes - self._passes_sent))
                if self._fresh():
                    found += self._pass
                    found += [measured for source in self._of_the_leader() for measured in self._asked[source]]
                    found.append(sample(metrics.PASS_SECONDS, self._pass_seconds))
            elif now - self._host_sent_at < min(SLOW, SLOW_PERIODS * period):
                return
        if not any(measured.family.cloudwatch for measured in found):
            return
        if self._put(namespace, found, 1 if period < 60 else 60):
            self._passes_sent, self._host_sent_at = passes, now

    def _send_capacity(self, namespace: str) -> None:
        """Send only the metric by which groups scale."""
        with self._lock:
            found = (
                [measured for measured in self._pass if measured.family is metrics.RESERVATION] if self._fresh() else []
            )
        if found:
            self._put(namespace, found, 60)

    def _put(self, namespace: str, found: List[Sample], resolution: int) -> bool:
        """Send samples, and return whether CloudWatch took them."""
        try:
            self._sources.put(namespace, found, resolution)
        except SwarmError as error:
            self._log.once(self._said, "cloudwatch", str(error))
            return False
        self._log.once(self._said, "cloudwatch", "")
        return True

    # Threads

    def _run(self) -> None:
        while not self._stopped.wait(TICK):
            try:
                self.tick()
            except Exception as error:
                # The loop goes on nevertheless.
                self._log.once(self._said, "monitor", f"Nothing was measured: {unexpected(error)}.")

    def _keep_server(self, port: Optional[int]) -> None:
        if self._server is not None and self._server.server_port != port:
            self._close()
        if port is None or self._server is not None:
            return
        try:
            server = ThreadingHTTPServer((self._sources.address(), port), _handler(self.text))
        except (SwarmError, OSError) as error:
            self._log.once(self._said, "port", f"Metrics cannot be served at port {port}: {error}")
            return
        server.daemon_threads = True
        self._server = server
        thread = threading.Thread(target=server.serve_forever, daemon=True, name="metrics")
        self._threads.append(thread)
        thread.start()

    def _close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _handler(text: Callable[[], str]) -> Any:
    class Handler(BaseHTTPRequestHandler):
        """Answers `GET /metrics`."""

        timeout = 10

        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            content = (text() if found else "There is only /metrics here.\n").encode(errors="replace")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", f"text/plain; {'version=0.0.4; ' if found else ''}charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:
            """Log nothing."""

    return Handler
