"""TLS in front of the example stack: a certificate is verified, renewed and wrong, and a node is removed."""

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
# Without a terminal, certbot waits for some minutes, to spread the load of all clients.
AT_ONCE = "--no-random-sleep-on-renew"
# How many requests make a change a test.
ENOUGH = 1000
# Seconds until open connections to a failed host time out: `tcp-ut`, the client's time-out and some more.
CUT_OFF = 10


class Edge:
    """The stack, and the folder of its certificate."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site, self.folder = site, folder
        self.trust = Authority(site.lab.folder).trusting()

    def new_certificate(self) -> bytes:
        """Create a certificate without deploying it. Returns it in DER."""
        words = ["python", "-m", "lab", "certificate", "--name", self._site.lab.name, RECORD, str(self.folder)]
        made = self._site.command(*words)
        assert made.code == 0, made.output
        return ssl.PEM_cert_to_DER_cert((self.folder / "fullchain.pem").read_text())

    def deploy(self, *words: str) -> Run:
        """Run `deploy.yml` as documented."""
        return self._site.playbook(
            "playbooks/deploy.yml", "-e", f"stack_file={STACK}", *words, EDGE_CERTIFICATE=str(self.folder)
        )

    def ask(self, address: str, trust: ssl.SSLContext | None = None) -> pages.Page:
        """The page at an address of the record."""
        return pages.ask(address, f"https://{RECORD}/api", trust=trust or self.trust)

    def shown(self, trust: ssl.SSLContext | None = None) -> set[bytes]:
        """The certificates at the record's addresses, each asked several times, to reach all tasks."""
        return {self.ask(address, trust).certificate for address in self._site.addresses() for _ in range(6)}


@pytest.fixture(scope="module")
def edge(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The edge stack in front of the example, stopped after this file."""
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
    """The IDs of the tasks that have the nodes' port."""
    words = ["docker", "service", "ps", "--quiet", "--filter", "desired-state=running", "edge_entry"]
    return set(site.must(site.managers()[0], *words).split())


def test_the_page_has_a_verified_certificate(site: Site, edge: Edge) -> None:
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


def test_an_alarm_watches_the_certificate_that_clients_see(site: Site, edge: Edge) -> None:
    """The certificate is valid for 90 days: the alarm goes off for 100 days, but not for 14."""
    states = {}
    try:
        for days, state in ((14, "OK"), (100, "ALARM")):
            settings = json.dumps({"monitoring": {**MONITORING, "certificate_days": days}})
            run = site.playbook("site.yml", "--tags", "discovery,monitoring", "-e", settings)
            assert run.code == 0, run.output[-4000:]
            site.wait(f"the alarm to be {state}", lambda state=state: _alarm(site).get("StateValue") == state)
            states[days] = _alarm(site)["StateReason"]
    finally:
        again = site.playbook("site.yml", "--tags", "discovery,monitoring")
    assert again.code == 0, again.output[-4000:]
    say(f"the alarm: {states}")
    assert _alarm(site) == {}, "the alarm was not deleted"


def _alarm(site: Site) -> dict[str, Any]:
    found = site.aws("cloudwatch").describe_alarms(AlarmNames=[f"{CLUSTER}/tls-443"])["MetricAlarms"]
    return found[0] if found else {}


@pytest.mark.filterwarnings("ignore:.*TLSv1.* is deprecated:DeprecationWarning")
def test_the_log_has_the_clients_address_and_old_protocols_are_refused(site: Site, edge: Edge) -> None:
    """The service that terminates TLS logs the client's address, though it is behind the proxy with the port."""
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
        site.wait("all tasks to have the new certificate", lambda: edge.shown() == {renewed})
        site.wait("enough requests", lambda: load.result.sent >= ENOUGH)
    assert run.code == 0, run.output[-4000:]
    assert "PRIVATE KEY" not in run.output
    say(f"a renewed certificate: {load.result}; the command took {took:.0f} s")
    assert load.result.failures == []
    assert _entries(site) == entries, "the proxy with the port was replaced"


def test_a_key_that_does_not_match_keeps_the_old_certificate(site: Site, edge: Edge, tmp_path: Path) -> None:
    before = edge.shown()
    Authority(site.lab.folder).issue(RECORD, tmp_path)
    (tmp_path / "fullchain.pem").write_bytes((edge.folder / "fullchain.pem").read_bytes())
    wrong = site.playbook("playbooks/deploy.yml", "-e", f"stack_file={STACK}", EDGE_CERTIFICATE=str(tmp_path))
    assert wrong.code != 0
    said = wrong.said
    assert "The stack 'edge' did not converge: edge_tls rolled back" in said, wrong.output[-4000:]
    assert "inconsistencies between private key and certificate" in said, wrong.output[-4000:]
    assert edge.shown() == before


def test_acme_issues_and_renews_with_the_documented_permissions(site: Site, edge: Edge, tmp_path: Path) -> None:
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
        site.wait("the new certificate", lambda: edge.shown(authority.trusting()).isdisjoint(first))
        # The role may not prove another name.
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
    instance = site.pick("follower")
    with Load(site.lab, RECORD, trust=edge.trust) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
        site.settle_record()
    assert run.code == 0, run.output[-4000:]
    say(f"a removal over TLS: {load.result}")
    assert load.result.failures == []
    assert load.result.sent >= ENOUGH
    site.settle()


def test_a_failed_host_fails_only_open_connections(site: Site, edge: Edge) -> None:
    """A connection through another node may reach the failed host's `tls`; it times out within seconds."""
    site.settle()
    site.settle_record()
    instance = site.pick("follower")
    address = next(known["public_ip"] for known in site.instances() if known["instance_id"] == instance)
    with Load(site.lab, RECORD, trust=edge.trust) as load:
        site.wait("the load to begin", lambda: load.result.sent >= ENOUGH)
        site.kill_host(instance)
        killed = time.time()
        site.wait("the record to drop the address", lambda: address not in site.addresses())
        withdrawn_after = time.time() - killed
        site.wait("the resolver to drop the address", lambda: load.resolver.asked_at > killed + withdrawn_after)
        site.wait("enough requests", lambda: time.time() > killed + withdrawn_after + CUT_OFF)
    elsewhere = [failure for failure in load.result.failures if failure.address != address]
    say(
        f"a failed host, over TLS: {load.result}; withdrawn after {withdrawn_after:.1f} s, {len(elsewhere)} failed at "
        f"other addresses, the last after {max((request.at - killed for request in elsewhere), default=0):.1f} s"
    )
    assert [request for request in elsewhere if request.at > killed + CUT_OFF] == []
    assert [
        failure
        for failure in load.result.failures
        if failure.address == address and failure.resolved_at > killed + withdrawn_after
    ] == []
    site.settle()
