from __future__ import annotations

import datetime

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import Subject, subject
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def pem(**names: str) -> bytes:
    """A certificate for these names, issued by another."""
    key = ec.generate_private_key(ec.SECP256R1())
    oids = {"O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME}
    whom = x509.Name([x509.NameAttribute(oids[name], value) for name, value in names.items()])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    now = datetime.datetime(2026, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(whom)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_the_nodes_own_certificate_comes_first() -> None:
    own = pem(O="swarm", OU="swarm-worker", CN="node")
    assert subject(own + pem(CN="swarm-ca")) == Subject("swarm", "node", "swarm-worker")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(content: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        subject(content)


def test_a_certificate_of_something_else() -> None:
    with pytest.raises(ValueError, match="not one of a swarm's node"):
        subject(pem(CN="example.com"))
