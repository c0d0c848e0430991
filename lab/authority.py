"""The lab's certificate authority, in place of the ACME server that a cluster on AWS would use."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.errors import LabError

LIFETIME = datetime.timedelta(days=90)
"""As long as Let's Encrypt's certificates are valid; the authority's own is valid ten times as long."""
_SIGNING_ONLY = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
    False,
)


class Authority:
    """The authority whose key and certificate are in a folder, created on first use."""

    def __init__(self, folder: Path) -> None:
        self._key_file, self._certificate_file = folder / "ca-key.pem", folder / "ca.pem"

    def issue(self, name: str, folder: Path) -> None:
        """Write a new key and a certificate for a name into a folder, with certbot's file names.

        Raises LabError for an invalid DNS name.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name)])
        except ValueError:
            raise LabError(
                f"'{name}' is not a valid name for a certificate: give a DNS name such as www.swarm.test."
            ) from None
        issuer_key, issuer = self._own()
        certificate = (
            _begun(subject, issuer.subject, key.public_key(), LIFETIME)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        _write_key(folder / "privkey.pem", key)
        (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def trusting(self) -> ssl.SSLContext:
        """The context of a client that trusts only this authority."""
        self._own()
        return ssl.create_default_context(cafile=str(self._certificate_file))

    def _own(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if not self._certificate_file.exists():
            self._create()
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key, x509.load_pem_x509_certificate(self._certificate_file.read_bytes())

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The lab's certificate authority")])
        certificate = (
            _begun(name, name, key.public_key(), 10 * LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._certificate_file.parent.mkdir(parents=True, exist_ok=True)
        _write_key(self._key_file, key)
        self._certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **_SIGNING_ONLY,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
