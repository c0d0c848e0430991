"""A cluster in a Cloud Map service instead of its own record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parliament import analyze_policy_string

from lab import lifecycle, pages
from lab.state import Lab
from tests.lab.configured import Configuration, build, unchanged
from tests.lab.load import Load
from tests.lab.site import CLUSTER, Site, say

NAMESPACE, SERVICE = "cloud.test", "www"
NAME = f"{SERVICE}.{NAMESPACE}"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster, destroyed by the last test. The operator created the namespace."""
    lifecycle.client(lab, "servicediscovery").create_public_dns_namespace(Name=NAMESPACE)
    return build(lab, tmp_path_factory.mktemp("cloud"), with_service)


def with_service(configuration: Configuration) -> Configuration:
    """The configuration with the service instead of the record."""
    dns = {key: value for key, value in configuration["dns"].items() if key not in ("zone", "record")}
    return {**configuration, "dns": {**dns, "cloud_map": {"namespace": NAMESPACE, "service": SERVICE}}}


def registered(site: Site) -> dict[str, dict[str, Any]]:
    """The attributes of the service's instances, by their IDs."""
    client = site.aws("servicediscovery")
    (service,) = client.list_services()["Services"]
    return {
        instance["Id"]: instance["Attributes"]
        for instance in client.list_instances(ServiceId=service["Id"])["Instances"]
    }


def addresses(site: Site, kind: str = "A") -> set[str]:
    """The service's addresses in DNS."""
    return set(pages.lookup(site.lab, NAME, kind))


def test_dns_has_the_managers_and_they_serve_the_page(site: Site) -> None:
    site.wait("DNS to name the managers", lambda: addresses(site) == site.public_addresses())
    assert addresses(site, "AAAA") == site.ipv6_addresses()
    assert set(registered(site)) == site.ids("manager")
    assert pages.fetch(site.lab, f"http://{NAME}/api").status == 200
    again = site.playbook("playbooks/status.yml")
    assert again.code == 0, again.output[-3000:]
    said = next(line for line in again.output.splitlines() if f"DNS: {NAME} points to" in line)
    assert said.rstrip().endswith("(TTL 10 s): correct")
    assert all(address in said for address in site.public_addresses() | site.ipv6_addresses())


def test_a_second_run_changes_nothing_and_the_plan_has_the_cost(site: Site) -> None:
    plan = unchanged(site)
    assert "Cloud Map" in plan.split("Monthly cost")[1]


def test_dns_yml_registers_an_instance_that_somebody_deregistered(site: Site) -> None:
    site.settle()
    site.wait("the managers to be registered", lambda: set(registered(site)) == site.ids("manager"))
    client = site.aws("servicediscovery")
    (service,) = client.list_services()["Services"]
    lost = min(registered(site))
    with site.agents_stopped():
        client.deregister_instance(ServiceId=service["Id"], InstanceId=lost)
        site.wait("the instance to be deregistered", lambda: lost not in registered(site))
        plan = site.playbook("playbooks/dns.yml", "--check", "--diff")
        assert (plan.code, plan.changed) == (0, 1), plan.output[-4000:]
        assert f"To do: update the Cloud Map service {NAME}" in plan.said
        assert [address for address in site.public_addresses() if address not in plan.output] == []
        assert lost not in registered(site)
        run = site.playbook("playbooks/dns.yml")
        assert (run.code, run.changed) == (0, 1), run.output[-4000:]
        assert set(registered(site)) == site.ids("manager")
        again = site.playbook("playbooks/dns.yml")
        assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    assert addresses(site) == site.public_addresses()


def test_a_node_is_withdrawn_before_it_is_drained_and_no_request_fails(site: Site) -> None:
    site.settle()
    leader, instance = site.pick("leader"), site.pick("follower")
    (own,) = [known for known in site.instances() if known["instance_id"] == instance]
    with Load(site.lab, NAME) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
        site.wait("its replacement to be in DNS", lambda: addresses(site) == site.public_addresses())
    assert run.code == 0, run.output[-4000:]
    say(f"behind Cloud Map: {load.result}")
    assert load.result.failures == []
    assert instance not in registered(site)
    done = site.actions(leader)
    drained = next(at for at, line in enumerate(done) if line["action"] == "Drain" and instance in str(line))
    withdrawn = [
        at
        for at, line in enumerate(done)
        if line["action"] == "SyncRecord"
        and own["public_ip"] in ((line["before"] or {}).get("ipv4_values") or ())
        and own["public_ip"] not in line["after"]["ipv4_values"]
    ]
    assert withdrawn and withdrawn[0] < drained, done
    _nodes_used_exactly_their_permissions(site)


def test_destroying_deletes_the_service_and_keeps_the_namespace(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    said = run.said
    assert f"Cloud Map service {NAME}" in said
    assert "Nothing is left." in said
    assert f"The namespace {NAMESPACE} is yours and stays." in said
    assert site.aws("servicediscovery").list_services()["Services"] == []
    assert site.inventory() == site.before


def _nodes_used_exactly_their_permissions(site: Site) -> None:
    """For the calls of a build and a removal to Cloud Map and Route 53."""
    policy = site.aws("iam").get_role_policy(RoleName=f"{CLUSTER}-manager", PolicyName="swarm")["PolicyDocument"]
    assert [finding.issue for finding in analyze_policy_string(json.dumps(policy)).findings] == []
    nodes = [call for call in site.calls() if call["caller"].startswith(f"{CLUSTER}-")]
    about = [call for call in nodes if call["service"] in ("servicediscovery", "route53")]
    assert [call for call in about if not call["allowed"]] == []
    # Cloud Map writes the records.
    used = ("GetService", "ListTagsForResource", "ListInstances", "RegisterInstance", "DeregisterInstance")
    assert {call["action"] for call in about} == {*used, "GetOperation"}
    assert {call["caller"] for call in about} == {f"{CLUSTER}-manager"}
