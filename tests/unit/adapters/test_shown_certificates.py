"""Certificates that addresses present at a port, with real handshakes."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import expiry
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metric_sources import Sources

from lab.authority import Authority

pytestmark = pytest.mark.real("a server: a certificate is what a TLS handshake shows")

NAME = "www.swarm.test"


@contextlib.contextmanager
def showing(address: str, folder: Path, port: int = 0) -> Iterator[int]:
    """A TLS server at the address with the certificate in a folder. Yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    with socket.create_server((address, port)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = server.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        # Closing the socket does not wake a waiting accept.
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def sources() -> Sources:
    return Sources("eu-west-1", "bucket")


def test_the_earliest_expiry_counts_and_silent_addresses_are_skipped(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    authority.issue(NAME, tmp_path / "new")
    monkeypatch.setattr("lab.authority.LIFETIME", datetime.timedelta(days=20))
    authority.issue(NAME, tmp_path / "old")
    old = expiry((tmp_path / "old/fullchain.pem").read_bytes())
    new = expiry((tmp_path / "new/fullchain.pem").read_bytes())
    assert old < new
    with showing("127.0.0.1", tmp_path / "new") as port, showing("127.0.0.2", tmp_path / "old", port):
        assert sources.shown_until(NAME, ["127.0.0.1"], port) == new
        assert sources.shown_until(NAME, ["127.0.0.1", "127.0.0.2", "127.0.0.3"], port) == old


def test_without_any_certificate_the_first_reason_is_reported(sources: Sources) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = f"No address of {NAME} presents a certificate at port {port}: 127.0.0.1: .*refused"
    with pytest.raises(Unavailable, match=said):
        sources.shown_until(NAME, ["127.0.0.1"], port)


def test_a_port_without_tls_has_no_certificate(sources: Sources) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _peer = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(Unavailable, match="presents a certificate"):
            sources.shown_until(NAME, ["127.0.0.1"], server.getsockname()[1])
