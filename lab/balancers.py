"""Running load balancers: they listen at their own addresses, check their targets' health, and forward bytes.

As with a network load balancer, a whole connection goes to a target that is healthy when the connection opens. It may
continue while the target drains, until the deregistration delay is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable

from lab.aws import balancing, world
from lab.aws.balancing import HealthCheck, Listener
from lab.commands import run

EVERY = 0.25
"""Seconds between two rounds."""
_CONNECT_SECONDS = 2.0


def own(address: str) -> None:
    """Add an address in the lab's namespace."""
    run("ip", "addr", "replace", f"{address}/32", "dev", "lo")


class Balancers:
    """All load balancers of the account, in their own thread."""

    def __init__(self, claim: Callable[[str], object] = own) -> None:
        """``claim`` adds an address to listen at."""
        self._claim = claim
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        # Open connections, by target group ARN and instance ID.
        self._connected: Counter[tuple[str, str]] = Counter()
        self._turn = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=5)

    async def _run(self) -> None:
        checking: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            listeners, checks = await asyncio.to_thread(self._ask)
            self._listeners = {(listener.address, listener.port): listener for listener in listeners}
            await self._listen()
            for check in checks:
                task = asyncio.create_task(_check(check))
                checking.add(task)
                task.add_done_callback(checking.discard)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), EVERY)
        for server in self._servers.values():
            server.close()

    def _ask(self) -> tuple[list[Listener], list[HealthCheck]]:
        with world.LOCK:
            balancing.forget({key for key, count in self._connected.items() if count > 0})
            return balancing.listeners(), balancing.due_checks()

    async def _listen(self) -> None:
        for key in self._listeners.keys() - self._servers.keys():
            await asyncio.to_thread(self._claim, key[0])
            self._servers[key] = await asyncio.start_server(
                lambda reader, writer, key=key: self._serve(key, reader, writer),  # type: ignore[misc]
                *key,
                backlog=512,
            )
        for key in self._servers.keys() - self._listeners.keys():
            self._servers.pop(key).close()

    async def _serve(self, key: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener = self._listeners.get(key)
        if listener is None or not listener.targets:
            writer.transport.abort()
            return
        instance, address, port = listener.targets[next(self._turn) % len(listener.targets)]
        connected = (listener.target_group, instance)
        self._connected[connected] += 1
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                back_reader, back_writer = await asyncio.open_connection(address, port)
        except (OSError, TimeoutError):
            self._connected[connected] -= 1
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_forward(reader, back_writer), _forward(back_reader, writer))
        finally:
            self._connected[connected] -= 1


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()


async def _check(check: HealthCheck) -> None:
    """Check whether the target accepts connections."""
    passed = False
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(check.timeout):
            _, writer = await asyncio.open_connection(check.address, check.port)
        writer.close()
        passed = True
    await asyncio.to_thread(_note, check, passed)


def _note(check: HealthCheck, passed: bool) -> None:
    with world.CHANGED:
        balancing.note(check, passed=passed)
