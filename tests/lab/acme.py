"""An ACME authority beside the lab, and certbot as on the controller."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from lab.authority import Authority
from lab.registry import free_port
from lab.waiting import until

from . import environments
from .site import RECORD, ROOT, Run, Site

CERTBOT = "certbot-dns-route53==5.8.0"
ROLE = "certificates"
PAGE = ROOT / "docs/tls.md"


@dataclass
class Acme:
    """Pebble, the test server of Let's Encrypt, with the lab's DNS; certbot has only the documented permissions."""

    site: Site
    folder: Path
    """The home of certbot's user."""
    directory: str
    """The HTTPS URL of the ACME directory."""
    management: str
    credentials: dict[str, str]

    def documented(self, verb: str, *more: str) -> Run:
        """Run the page's certbot command with this verb, for the lab's name and against this authority."""
        (line,) = re.findall(rf"^    (certbot {verb} .*)$", PAGE.read_text(), re.MULTILINE)
        words = [
            word.replace("swarm.example.com", RECORD).replace("~", str(self.folder)) for word in shlex.split(str(line))
        ]
        words[0] = str(self.folder / "environment/bin/certbot")
        trusted = str(self.site.lab.folder / "ca.pem")
        return self.site.command(
            *words, "--server", self.directory, *more, REQUESTS_CA_BUNDLE=trusted, **self.credentials
        )

    @property
    def live(self) -> Path:
        """The folder that the documentation deploys."""
        return self.folder / "acme/live" / RECORD

    def trusting(self) -> ssl.SSLContext:
        """The TLS context of a client that trusts only this authority."""
        own = ssl.create_default_context(cafile=str(self.site.lab.folder / "ca.pem"))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=own, timeout=10) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())


@contextlib.contextmanager
def authority(site: Site, folder: Path) -> Iterator[Acme]:
    """Run an authority, with a role that has the permissions of the page."""
    packages.extract("pebble", folder, needed_for="An authority that speaks ACME")
    environments.make(folder / "environment", CERTBOT)
    # Its own pages have a certificate of the lab.
    Authority(site.lab.folder).issue("localhost", folder / "served")
    ports = [free_port(), free_port()]
    settings = {
        "listenAddress": f"127.0.0.1:{ports[0]}",
        "managementListenAddress": f"127.0.0.1:{ports[1]}",
        "certificate": str(folder / "served/fullchain.pem"),
        "certificateValidityPeriod": 90 * 86400,
        "privateKey": str(folder / "served/privkey.pem"),
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    words = [str(folder / "usr/bin/pebble"), "-config", str(folder / "pebble.json"), "-strict"]
    with _role(site) as credentials, (folder / "pebble.log").open("w") as log:
        server = subprocess.Popen([*words, "-dnsserver", f"{site.lab.address}:53"], stdout=log, stderr=log)
        try:
            until("Pebble to listen", lambda: server.poll() is None and _listens(ports[0]), seconds=30)
            addresses = [f"https://localhost:{port}" for port in ports]
            yield Acme(site, folder, f"{addresses[0]}/dir", addresses[1], credentials)
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextlib.contextmanager
def _role(site: Site) -> Iterator[dict[str, str]]:
    """Credentials of a role with exactly the permissions of the page."""
    iam, zones = site.aws("iam"), site.aws("route53").list_hosted_zones_by_name(DNSName="swarm.test")["HostedZones"]
    (written,) = re.findall(r'^    (\{"Version".*?\]\})$', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    zone = zones[0]["Id"].removeprefix("/hostedzone/")
    policy = json.loads(written.replace("Z0123456789ABC", zone).replace("swarm.example.com", RECORD))
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({**policy, "Statement": [trust]}))
    iam.put_role_policy(RoleName=ROLE, PolicyName=ROLE, PolicyDocument=json.dumps(policy))
    given = site.aws("sts").assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="job")["Credentials"]
    try:
        yield {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=ROLE)
        iam.delete_role(RoleName=ROLE)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
