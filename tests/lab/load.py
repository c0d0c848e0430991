"""A client that sends requests all the time: it resolves a name through the lab's DNS and honours the TTL.

Limited by its rate and its longest duration: a few threads, each with a connection that it keeps for some requests, as
browsers do.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from dnslib import QTYPE, DNSRecord

from lab.pages import Tls
from lab.state import Lab

# In seconds: a request's time-out, and the longest load unless a test says otherwise.
PATIENCE = 5.0
LONGEST = 1500.0
THREADS = 10
# Requests on a connection, before the next address has its turn.
REQUESTS = 25


class Resolver:
    """The name's addresses, resolved again after each TTL."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self._name = lab, name
        self._lock = threading.Lock()
        self._addresses: list[str] = []
        self._until = 0.0
        self.asked_at = 0.0
        """The time of the last question, in epoch seconds."""

    def addresses(self) -> tuple[list[str], float]:
        """The addresses and the time of the answer. Raises OSError without an address."""
        with self._lock:
            if time.monotonic() >= self._until:
                asked, self.asked_at = time.monotonic(), time.time()
                reply = self._ask()
                found = [answer for answer in reply.rr if answer.rtype == QTYPE.A]
                self._addresses = [str(answer.rdata) for answer in found]
                self._until = asked + min((answer.ttl for answer in found), default=0)
            if not self._addresses:
                raise OSError(f"{self._name} has no address")
            return self._addresses, self.asked_at

    def _ask(self) -> DNSRecord:
        """The name server's answer. A datagram may be lost, so it asks twice, like resolv.conf(5)."""
        question = DNSRecord.question(self._name, "A")
        try:
            answer = question.send(self._lab.address, 53, timeout=2)
        except TimeoutError:
            answer = question.send(self._lab.address, 53, timeout=2)
        return DNSRecord.parse(answer)


@dataclass(frozen=True)
class Failure:
    """A failed request: its time, address and reason, and when the name was resolved. Times are epoch seconds."""

    at: float
    address: str
    reason: str
    resolved_at: float


@dataclass
class Result:
    """The result of a load."""

    seconds: float = 0.0
    sent: int = 0
    failures: list[Failure] = field(default_factory=list)
    slowest: float = 0.0
    answered_by: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def failing_seconds(self) -> float:
        """Seconds from the first failure to the last."""
        times = [failure.at for failure in self.failures]
        return max(times) - min(times) if times else 0.0

    def __str__(self) -> str:
        reasons = Counter(f"{failure.address}: {failure.reason}" for failure in self.failures)
        return (
            f"{self.sent} requests in {self.seconds:.0f} s ({self.rate:.0f}/s), {len(self.failures)} failed"
            f"{f' {dict(reasons.most_common(4))} over {self.failing_seconds:.1f} s' if self.failures else ''}, "
            f"slowest {self.slowest:.2f} s"
        )


class Load:
    """Sends requests during a ``with`` block, about `rate` times a second."""

    def __init__(
        self,
        lab: Lab,
        name: str,
        path: str = "/api",
        rate: float = 260.0,
        trust: ssl.SSLContext | None = None,
        longest: float = LONGEST,
    ) -> None:
        """``rate`` is in requests a second, ``longest`` in seconds. ``trust`` turns TLS on."""
        self.result = Result()
        self._trust, self._longest, self._cut = trust, longest, False
        self._name, self._path = name, path
        self.resolver = Resolver(lab, name)
        self._interval = THREADS / rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(THREADS)]
        self._began = 0.0

    def __enter__(self) -> Load:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE * 2)
        self.result.seconds = time.monotonic() - self._began
        assert not self._cut, f"the load ended after {self._longest:.0f} s, before what it accompanied"

    def _ask(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        following = time.monotonic() + self._interval * number / THREADS
        turn, left = number, 0
        while not self._stop.wait(max(0.0, following - time.monotonic())):
            now = time.monotonic()
            if now - self._began > self._longest:
                self._cut = True
                return
            # A late thread does not catch up, so that no burst follows a slow moment.
            following = max(following + self._interval, now - self._interval)
            address, resolved_at = "?", time.time()
            try:
                addresses, resolved_at = self.resolver.addresses()
                if connection is None or not left or connection.host not in addresses:
                    if connection is not None:
                        connection.close()
                    turn, left = turn + 1, REQUESTS
                    address = addresses[turn % len(addresses)]
                    connection = self._connection(address)
                address, left = connection.host, left - 1
                connection.request("GET", self._path, headers={"Host": self._name})
                answer = connection.getresponse()
                answer.read()
                wrong = "" if answer.status == 200 else f"HTTP {answer.status}"
                self._note(address, wrong, time.monotonic() - now, resolved_at)
                if answer.will_close:
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self._note(address, type(error).__name__, time.monotonic() - now, resolved_at)
                if connection is not None:
                    connection.close()
                connection = None

    def _connection(self, address: str) -> http.client.HTTPConnection:
        if self._trust:
            return Tls(address, self._name, self._trust, seconds=PATIENCE)
        return http.client.HTTPConnection(address, 80, timeout=PATIENCE)

    def _note(self, address: str, failure: str, seconds: float, resolved_at: float) -> None:
        with self._lock:
            self.result.sent += 1
            self.result.slowest = max(self.result.slowest, seconds)
            self.result.answered_by[address] += 1
            if failure:
                self.result.failures.append(Failure(time.time(), address, failure, resolved_at))
