"""The lab's certificate authority, in place of an ACME server."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import idna
import trustme

from lab.errors import LabError

LIFETIME = datetime.timedelta(days=90)
"""As long as Let's Encrypt's certificates are valid."""


class Authority:
    """The authority with the key and certificate in a folder, created at the first use."""

    def __init__(self, folder: Path) -> None:
        self._key_file, self._certificate_file = folder / "ca-key.pem", folder / "ca.pem"

    def issue(self, name: str, folder: Path) -> None:
        """Write a new key and a certificate for a name into a folder, with certbot's file names.

        Raises LabError for a text that is not a DNS name.
        """
        until = datetime.datetime.now(datetime.UTC) + LIFETIME
        try:
            if not name.isascii():
                raise ValueError("a certificate has only the ASCII form")
            issued = self._own().issue_cert(name, common_name=name, not_after=until)
        except (ValueError, idna.IDNAError):
            raise LabError(
                f"'{name}' is not a valid name for a certificate: use a name such as www.swarm.test."
            ) from None
        folder.mkdir(parents=True, exist_ok=True)
        _write_key(folder / "privkey.pem", issued.private_key_pem)
        (folder / "fullchain.pem").write_bytes(issued.cert_chain_pems[0].bytes())

    def trusting(self) -> ssl.SSLContext:
        """The TLS context of a client that trusts only this authority."""
        self._own()
        return ssl.create_default_context(cafile=str(self._certificate_file))

    def _own(self) -> trustme.CA:
        if self._certificate_file.exists():
            return trustme.CA.from_pem(self._certificate_file.read_bytes(), self._key_file.read_bytes())
        made = trustme.CA(organization_name="The lab's certificate authority")
        self._certificate_file.parent.mkdir(parents=True, exist_ok=True)
        _write_key(self._key_file, made.private_key_pem)
        made.cert_pem.write_to_path(str(self._certificate_file))
        return made


def _write_key(path: Path, key: trustme.Blob) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.bytes())
