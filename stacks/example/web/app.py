"""A page that shows which task on which node served it, and counts visits in the store.

It uses only the standard library, so that it runs in the official Python image. `/` is a page, or JSON for a client
that accepts JSON; `/api` is always JSON; `/healthz` says whether the task takes requests. Without the store the page
has no count.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import random
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = int(os.environ.get("PORT", "8000"))
# How long a stopping task keeps serving while it reports that it is not ready, so that every proxy notices.
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "3"))
STORE_TIMEOUT = 1.0
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{service}</title>
<style>body{{font:1.2rem/1.6 system-ui,sans-serif;margin:4rem auto;max-width:36rem}}dt{{color:#666}}
dd{{margin:0 0 1rem;font-size:1.6rem}}</style>
<h1>Served by the swarm</h1>
<dl><dt>task</dt><dd>{task}</dd><dt>node</dt><dd>{node}</dd><dt>visits</dt><dd>{visits}</dd></dl>
</html>
"""


class StoreError(Exception):
    """The store did not answer as expected."""


class Connection:
    """A connection with the store's protocol (RESP 2)."""

    def __init__(self, host: str, port: int, password: str) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=STORE_TIMEOUT)
        except OSError as error:
            raise StoreError(f"{host}:{port}: {error}") from None
        self._reader = self._socket.makefile("rb")
        self.host = host
        self.ask(["AUTH", password])

    def ask(self, *commands: list[str], seconds: float = STORE_TIMEOUT) -> list[object]:
        """Send commands together and return their answers. Raises StoreError for a refused command."""
        request = b"".join(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
            for words in commands
        )
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(request)
            answers = [self._answer() for _ in commands]
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.host}: {error}") from None
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
        return answers

    def close(self) -> None:
        self._socket.close()

    def _answer(self) -> object:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the connection ended")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"+":
            return text
        if kind == b"-":
            return StoreError(text)
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if int(text) < 0 else self._reader.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return None if int(text) < 0 else [self._answer() for _ in range(int(text))]
        raise OSError(f"an answer of unknown kind {kind!r}")


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


class Store:
    """The number of visits, on the current primary. A thread keeps it connected."""

    def __init__(self, sentinels: str, password: str) -> None:
        host, _, port = sentinels.partition(":")
        self._sentinels, self._port, self._password = host, int(port or 26379), password
        self._lock = threading.Lock()
        self._connected = threading.Event()
        self._connection: Connection | None = None
        self._lost = threading.Event()
        self._lost_at = time.monotonic()
        threading.Thread(target=self._keep_connected, daemon=True).start()

    def count_visit(self) -> dict[str, object]:
        """Count a visit; ``visits`` is None if the store cannot be reached in time.

        ``replicas`` is the number of replicas that confirmed the count: from 1 on, it survives the loss of any node.
        """
        # A single deadline, so that queued visitors do not wait for each other, and the answer comes before the proxy
        # asks another task.
        deadline = time.monotonic() + STORE_TIMEOUT
        # Wait for a change of primary, but not during a longer outage.
        connected = self._connected.wait(_left(self._lost_at + STORE_TIMEOUT))
        if connected and self._lock.acquire(timeout=_left(deadline)):
            try:
                if self._connection:
                    # After a long queue, a slow store must not count as lost.
                    seconds = max(_left(deadline), STORE_TIMEOUT / 2)
                    visits, replicas = self._connection.ask(["INCR", "visits"], ["WAIT", "1", "300"], seconds=seconds)
                    return {"visits": visits, "replicas": replicas, "primary": self._connection.host}
            except StoreError as error:
                self._disconnect(error)
            finally:
                self._lock.release()
        return {"visits": None, "replicas": 0, "primary": None}

    def _disconnect(self, reason: StoreError) -> None:
        print(f"store: {reason}", flush=True)
        if self._connection:
            self._connection.close()
        self._connection = None
        self._lost_at = time.monotonic()
        self._connected.clear()
        self._lost.set()

    def _keep_connected(self) -> None:
        said = ""
        while True:
            try:
                connection = self._find_primary()
            except StoreError as error:
                if str(error) != said:
                    said = str(error)
                    print(f"store: {error}", flush=True)
                time.sleep(0.25)
                continue
            said = ""
            print(f"store: the primary is {connection.host}", flush=True)
            with self._lock:
                self._connection = connection
                self._lost.clear()
                self._connected.set()
            self._lost.wait()

    def _find_primary(self) -> Connection:
        """Ask the sentinels in any order, and accept an answer once the server confirms that it is the primary."""
        try:
            found = {item[4][0] for item in socket.getaddrinfo(self._sentinels, self._port, socket.AF_INET)}
        except OSError:
            found = set()
        reason = StoreError("no sentinel can be found")
        for address in random.sample(sorted(found), len(found)):
            try:
                sentinel = Connection(str(address), self._port, self._password)
                with contextlib.closing(sentinel):
                    (named,) = sentinel.ask(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "primary"])
                if not isinstance(named, list):
                    raise StoreError("the sentinels know no primary yet")
                primary = Connection(str(named[0]), int(named[1]), self._password)
                (role,) = primary.ask(["ROLE"])
                if isinstance(role, list) and role[0] == "master":
                    return primary
                primary.close()
                raise StoreError(f"{named[0]} is not the primary yet")
            except StoreError as error:
                reason = error
        raise reason


class Handler(BaseHTTPRequestHandler):
    """Serves a client connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 75
    # Send an answer in a single write, because a health check disconnects after its first line.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.busy(self.connection)
        path = self.path.partition("?")[0]
        wants_json = "application/json" in self.headers.get("Accept", "")
        if path == "/healthz":
            ready = not self.server.draining.is_set()
            self._send(200 if ready else 503, "text/plain", "ok\n" if ready else "stopping\n")
        elif path == "/api" or (path == "/" and wants_json):
            self._send(200, "application/json", json.dumps(self._visit()) + "\n")
        elif path == "/":
            visit = self._visit()
            shown = visit | {"visits": "not counted just now" if visit["visits"] is None else visit["visits"]}
            self._send(200, "text/html", PAGE.format_map({k: html.escape(str(v)) for k, v in shown.items()}))
        else:
            self._send(404, "text/plain", "not found\n")
        self.server.idle(self.connection)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _visit(self) -> dict[str, object]:
        counted = {} if self.command == "HEAD" else self.server.store.count_visit()
        return {"service": SERVICE, "task": TASK, "slot": SLOT, "node": NODE, "visits": None} | counted

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.server.draining.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "web"

    def log_message(self, format: str, *args: object) -> None:
        """The proxy logs requests."""


class Server(ThreadingHTTPServer):
    """Serves until it is told to stop, and then finishes its requests."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, store: Store) -> None:
        super().__init__(("", PORT), Handler)
        self.store = store
        self.draining = threading.Event()
        self._idle: set[socket.socket] = set()
        self._idle_lock = threading.Lock()
        self._ending = False

    def process_request(self, request: Any, client_address: Any) -> None:
        self.idle(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.busy(request)
        super().shutdown_request(request)

    def busy(self, connection: socket.socket) -> None:
        with self._idle_lock:
            self._idle.discard(connection)

    def idle(self, connection: socket.socket) -> None:
        """Note a connection that waits for its next request, or close it at the very end."""
        with self._idle_lock:
            self._idle.add(connection)
            if self._ending:
                self._hang_up(connection)

    def stop(self) -> None:
        """Report that the task is not ready, keep serving for a while, then close every connection once it is idle."""
        self.draining.set()
        time.sleep(DRAIN_SECONDS)
        self.shutdown()
        with self._idle_lock:
            self._ending = True
            for connection in self._idle:
                self._hang_up(connection)

    @staticmethod
    def _hang_up(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)


SERVICE, TASK, SLOT, NODE = (os.environ.get(name, "?") for name in ("SERVICE", "TASK", "SLOT", "NODE"))


def main() -> None:
    password = Path(os.environ["STORE_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
    server = Server(Store(os.environ["STORE_SENTINELS"], password))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
    print(f"serving on port {PORT}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
