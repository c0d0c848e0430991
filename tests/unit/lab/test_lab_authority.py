"""A TLS client verifies the lab's certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lab.authority import Authority
from lab.errors import LabError


def shake_hands(certificate: Path, trust: ssl.SSLContext, name: str) -> None:
    """Run a TLS handshake in memory. Raises ssl.SSLError if the client refuses the certificate."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate / "fullchain.pem", certificate / "privkey.pem")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(down, up, server_hostname=name)
    server = served.wrap_bio(up, down, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (client, server):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass


def test_a_certificate_is_only_valid_for_its_name_and_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "lab")
    authority.issue("www.swarm.test", tmp_path)
    shake_hands(tmp_path, authority.trusting(), "www.swarm.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(tmp_path, authority.trusting(), "other.swarm.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake_hands(tmp_path, Authority(tmp_path / "another").trusting(), "www.swarm.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, ssl.create_default_context(), "www.swarm.test")


def test_a_renewed_certificate_has_a_new_key_and_the_same_authority(tmp_path: Path) -> None:
    trust = Authority(tmp_path / "lab").trusting()
    files = ("fullchain.pem", "privkey.pem")
    Authority(tmp_path / "lab").issue("*.swarm.test", tmp_path)
    before = [(tmp_path / name).read_bytes() for name in files]
    Authority(tmp_path / "lab").issue("*.swarm.test", tmp_path)
    assert all((tmp_path / name).read_bytes() != old for name, old in zip(files, before, strict=True))
    shake_hands(tmp_path, trust, "www.swarm.test")


def test_only_their_owner_can_read_keys(tmp_path: Path) -> None:
    Authority(tmp_path / "lab").issue("www.swarm.test", tmp_path)
    for key in (tmp_path / "privkey.pem", tmp_path / "lab/ca-key.pem"):
        assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["wüw.swarm.test", ""])
def test_an_invalid_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="is not a valid name for a certificate"):
        Authority(tmp_path / "lab").issue(name, tmp_path)
    assert not (tmp_path / "privkey.pem").exists()
