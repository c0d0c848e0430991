"""TLS in front of the example stack: a certificate verified, renewed and mistaken, and a node removed."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import pages
from lab.authority import Authority
from tests.lab import acme
from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, ROOT, Run, Site, say

STACK = ROOT / "stacks/edge/docker-compose.yml"
MONITORING = {"emails": ["operator@swarm.test"], "period_seconds": 10, "prometheus_port": 9324, "tls_ports": [443]}
# Where nobody looks on, certbot waits for some minutes, so that not all of the world's ask at once.
AT_ONCE = "--no-random-sleep-on-renew"
# Requests that a change must have met for their success to mean something.
ENOUGH = 1000
# Seconds until connections that were under way to a failed host are given up: `tcp-ut`, the client's patience and some.
CUT_OFF = 10


class Edge:
    """The stack, and the folder that its certificate is in."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site, self.folder = site, folder
        self.trust = Authority(site.lab.folder).trusting()

    def new_certificate(self) -> bytes:
        """Have one made, which is not deployed yet; returned in DER."""
        words = ["python", "-m", "lab", "certificate", "--name", self._site.lab.name, RECORD, str(self.folder)]
        made = self._site.command(*words)
        assert made.code == 0, made.output
        return ssl.PEM_cert_to_DER_cert((self.folder / "fullchain.pem").read_text())

    def deploy(self, *words: str) -> Run:
        """Run `deploy.yml` as the documentation has it."""
        return self._site.playbook(
            "playbooks/deploy.yml", "-e", f"stack_file={STACK}", *words, EDGE_CERTIFICATE=str(self.folder)
        )

    def ask(self, address: str, trust: ssl.SSLContext | None = None) -> pages.Page:
        """The page at one of the record's addresses."""
        return pages.ask(address, f"https://{RECORD}/api", trust=trust or self.trust)

    def shown(self, trust: ssl.SSLContext | None = None) -> set[bytes]:
        """The certificates that the record's addresses show, each asked a few times, for there are several tasks."""
        return {self.ask(address, trust).certificate for address in self._site.addresses() for _ in range(6)}


@pytest.fixture(scope="module")
def edge(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """In front of the example for this file's time."""
    site.settle()
    made = Edge(site, tmp_path_factory.mktemp("certificate"))
    made.new_certificate()
    try:
        deployed = made.deploy()
        assert deployed.code == 0, deployed.output[-4000:]
        yield made
    finally:
        stopped = site.playbook("playbooks/stop.yml", "-e", "stack_name=edge")
        assert stopped.code == 0, stopped.output[-3000:]


def _entries(site: Site) -> set[str]:
    """The tasks that hold the nodes' port, by ID."""
    words = ["docker", "service", "ps", "--quiet", "--filter", "desired-state=running", "edge_entry"]
    return set(site.must(site.managers()[0], *words).split())


def test_a_page_comes_over_tls_and_its_certificate_is_verified(site: Site, edge: Edge) -> None:
    site.settle()
    expected = ssl.PEM_cert_to_DER_cert((edge.folder / "fullchain.pem").read_text())
    for address in site.public_addresses():
        page = edge.ask(address)
        assert page.status == 200
        assert "replicas" in json.loads(page.body)
        assert page.certificate == expected
        with pytest.raises(ssl.SSLCertVerificationError):
            edge.ask(address, ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            pages.ask(address, "https://other.swarm.test/api", trust=edge.trust)
    got = site.command("python", "-m", "lab", "get", "--name", site.lab.name, f"https://{RECORD}/api")
    assert got.code == 0, got.output
    again = edge.deploy()
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]


def test_an_alarm_looks_at_the_certificate_that_clients_see(site: Site, edge: Edge) -> None:
    """It is good for 90 days: an alarm that asks for more goes off, and one that asks for less does not."""
    states = {}
    try:
        for days, state in ((14, "OK"), (100, "ALARM")):
            told = json.dumps({"monitoring": {**MONITORING, "certificate_days": days}})
            run = site.playbook("site.yml", "--tags", "discovery,monitoring", "-e", told)
            assert run.code == 0, run.output[-4000:]
            site.wait(f"the alarm to be {state}", lambda state=state: _alarm(site).get("StateValue") == state)
            states[days] = _alarm(site)["StateReason"]
    finally:
        again = site.playbook("site.yml", "--tags", "discovery,monitoring")
    assert again.code == 0, again.output[-4000:]
    say(f"the alarm: {states}")
    assert _alarm(site) == {}, "nothing asks for it any more"


def _alarm(site: Site) -> dict[str, Any]:
    found = site.aws("cloudwatch").describe_alarms(AlarmNames=[f"{CLUSTER}/tls-443"])["MetricAlarms"]
    return found[0] if found else {}


@pytest.mark.filterwarnings("ignore:.*TLSv1.* is deprecated:DeprecationWarning")
def test_the_clients_address_and_old_protocols(site: Site, edge: Edge) -> None:
    """The address that a client has is in the log of what speaks TLS, behind the proxy that holds the port."""
    address = sorted(site.public_addresses())[0]
    edge.ask(address)
    log = site.must(site.managers()[0], "docker", "service", "logs", "--raw", "--tail", "50", "edge_tls")
    assert f"{site.lab.host_address}:" in log, log[-2000:]
    old = ssl.create_default_context(cafile=str(site.lab.folder / "ca.pem"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        edge.ask(address, old)


def test_no_request_fails_while_a_certificate_is_renewed(site: Site, edge: Edge) -> None:
    site.settle()
    before, entries = edge.shown(), _entries(site)
    renewed = edge.new_certificate()
    assert renewed not in before
    with Load(site.lab, RECORD, trust=edge.trust) as load:
        began = time.monotonic()
        run = edge.deploy("--diff", "-vvv")
        took = time.monotonic() - began
        site.wait("all to show the new certificate", lambda: edge.shown() == {renewed})
        site.wait("the load to have met it", lambda: load.result.sent >= ENOUGH)
    assert run.code == 0, run.output[-4000:]
    assert "PRIVATE KEY" not in run.output
    say(f"a renewed certificate: {load.result}; the command took {took:.0f} s")
    assert load.result.failures == []
    assert _entries(site) == entries, "what holds the port was left alone"


def test_a_key_that_is_not_the_certificates_leaves_the_old_one_in_place(site: Site, edge: Edge, tmp_path: Path) -> None:
    before = edge.shown()
    Authority(site.lab.folder).issue(RECORD, tmp_path)
    (tmp_path / "fullchain.pem").write_bytes((edge.folder / "fullchain.pem").read_bytes())
    wrong = site.playbook("playbooks/deploy.yml", "-e", f"stack_file={STACK}", EDGE_CERTIFICATE=str(tmp_path))
    assert wrong.code != 0
    said = wrong.said
    assert "The stack 'edge' did not converge: edge_tls rolled back" in said, wrong.output[-4000:]
    assert "inconsistencies between private key and certificate" in said, wrong.output[-4000:]
    assert edge.shown() == before


def test_a_certificate_comes_by_acme_and_is_renewed_with_the_permissions_that_the_page_names(
    site: Site, edge: Edge, tmp_path: Path
) -> None:
    with acme.authority(site, tmp_path) as authority:
        site.forget_calls()
        made = authority.documented("certonly")
        assert made.code == 0, made.output[-4000:]
        # The TXT record that proved the name is gone.
        assert pages.lookup(site.lab, f"_acme-challenge.{RECORD}", "TXT") == []
        asked = [call for call in site.calls() if call["caller"] == acme.ROLE]
        assert asked and all(call["allowed"] for call in asked)
        _deploys(site, edge, authority)
        first = edge.shown(authority.trusting())
        idle = authority.documented("renew", AT_ONCE)
        assert idle.code == 0, idle.output[-4000:]
        assert "not yet due" in idle.output
        assert _deploys(site, edge, authority).changed == 0
        renewed = authority.documented("renew", AT_ONCE, "--force-renewal")
        assert renewed.code == 0, renewed.output[-4000:]
        _deploys(site, edge, authority)
        site.wait("the new certificate to be shown", lambda: edge.shown(authority.trusting()).isdisjoint(first))
        # Another name is not the role's to prove.
        other = authority.documented("certonly", "--expand", "-d", f"other.{RECORD}")
        assert other.code != 0
        assert "AccessDenied" in other.output, other.output[-2000:]
    back = edge.deploy()
    assert back.code == 0, back.output[-4000:]


def _deploys(site: Site, edge: Edge, authority: acme.Acme) -> Run:
    run = site.playbook("playbooks/deploy.yml", "-e", f"stack_file={STACK}", EDGE_CERTIFICATE=str(authority.live))
    assert run.code == 0, run.output[-4000:]
    return run


def test_no_request_fails_over_tls_while_a_node_is_removed(site: Site, edge: Edge) -> None:
    site.settle()
    site.settle_record()
    instance = site.one("follower")
    with Load(site.lab, RECORD, trust=edge.trust) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
        site.settle_record()
    assert run.code == 0, run.output[-4000:]
    say(f"a removal over TLS: {load.result}")
    assert load.result.failures == []
    assert load.result.sent >= ENOUGH
    site.settle()


def test_a_host_that_fails_takes_along_no_more_than_what_was_under_way(site: Site, edge: Edge) -> None:
    """A connection that came in at another node may have been to the failed host's `tls`; it is over within seconds."""
    site.settle()
    site.settle_record()
    instance = site.one("follower")
    address = next(known["public_ip"] for known in site.instances() if known["instance_id"] == instance)
    with Load(site.lab, RECORD, trust=edge.trust) as load:
        site.wait("the load to have begun", lambda: load.result.sent >= ENOUGH)
        site.kill_host(instance)
        killed = time.time()
        site.wait("the record to be without it", lambda: address not in site.addresses())
        forgotten = time.time() - killed
        site.wait("the resolver to forget it", lambda: load.resolver.asked_at > killed + forgotten)
        site.wait("the load to have met it", lambda: time.time() > killed + forgotten + CUT_OFF)
    elsewhere = [failure for failure in load.result.failures if failure.address != address]
    say(
        f"a host that fails, over TLS: {load.result}; withdrawn after {forgotten:.1f} s, {len(elsewhere)} failed at "
        f"other addresses, the last after {max((request.at - killed for request in elsewhere), default=0):.1f} s"
    )
    assert [request for request in elsewhere if request.at > killed + CUT_OFF] == []
    assert [
        failure
        for failure in load.result.failures
        if failure.address == address and failure.resolved_at > killed + forgotten
    ] == []
    site.settle()
