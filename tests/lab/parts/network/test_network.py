"""A cluster in a VPC that existed before: built, upgraded, its backup tested, and destroyed. The VPC never changes.

The VPC is where Docker's own address pool begins, so the swarm has another pool; and the engine has options.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from lab import lifecycle
from lab.state import Lab
from tests.lab.configured import Configuration, build, node_groups, unchanged
from tests.lab.site import CLUSTER, Site
from tests.unit.existing import ZONES, Existing, existing_vpc

RANGE = "10.0.0.0/16"
POOL, LOCAL_POOL = "172.30.0.0/16", "172.27.0.0/16"
ENGINE: dict[str, Any] = {
    "swarm_address_pool": [POOL],
    "swarm_subnet_size": 26,
    "daemon_options": {
        "log-driver": "local",
        "log-opts": {"max-size": "20m"},
        "mtu": 1400,
        "bip": "172.26.0.1/24",
        "default-address-pools": [{"base": LOCAL_POOL, "size": 24}],
        "default-network-opts": {"overlay": {"com.docker.network.driver.mtu": 1350}},
    },
}
USER_DATA = "#cloud-config\n# the second template\n"


@pytest.fixture(scope="module")
def theirs(lab: Lab) -> Existing:
    """The VPC."""
    return existing_vpc(lifecycle.client(lab, "ec2"), cidr=RANGE)


@pytest.fixture(scope="module")
def site(lab: Lab, theirs: Existing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The cluster in it, destroyed by the last test. After each test the VPC is as it was."""
    before, variables = theirs.described(), theirs.variables()

    def inside(configuration: Configuration) -> Configuration:
        kept = {key: value for key, value in configuration.items() if key not in variables}
        return {**kept, **ENGINE, **{key: value for key, value in variables.items() if value is not None}}

    made = build(lab, tmp_path_factory.mktemp("network"), inside)
    assert theirs.described() == before
    yield made
    assert theirs.described() == before


@pytest.fixture(autouse=True)
def left_alone(site: Site, theirs: Existing) -> Iterator[None]:
    """Compare the VPC before and after each test."""
    before = theirs.described()
    yield
    assert theirs.described() == before


def subnets(site: Site) -> set[str]:
    """The subnets of the cluster's running instances."""
    found = site.aws("ec2").describe_instances(InstanceIds=sorted(site.ids()))["Reservations"]
    return {instance["SubnetId"] for reservation in found for instance in reservation["Instances"]}


def groups_of(site: Site, instance: str) -> set[str]:
    """The names of an instance's security groups."""
    (found,) = site.aws("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
    return {group["GroupName"] for group in found["Instances"][0]["SecurityGroups"]}


def test_nodes_in_an_existing_vpc_serve_the_page(site: Site, theirs: Existing) -> None:
    site.settle()
    assert subnets(site) == set(theirs.subnets.values())
    for instance in site.ids("worker"):
        assert groups_of(site, instance) == {f"{CLUSTER}-member", "office"}
    site.settle_record()
    assert site.page().status == 200
    run = site.playbook("playbooks/status.yml")
    assert run.code == 0, run.output[-4000:]
    assert all(zone in run.output for zone in ZONES)


def docker(site: Site, instance: str, *words: str) -> Any:
    """Docker's answer on a node, as JSON."""
    return json.loads(site.must(instance, "docker", *words, "--format", "{{json .}}"))


def subnet(network: dict[str, Any]) -> Any:
    """The addresses of a network."""
    return ip_network(network["IPAM"]["Config"][0]["Subnet"])


def test_the_engines_have_the_options_and_the_swarm_the_pool(site: Site) -> None:
    for instance in site.ids():
        assert docker(site, instance, "info")["LoggingDriver"] == "local"
        bridge, gateway = (docker(site, instance, "network", "inspect", name) for name in ("bridge", "docker_gwbridge"))
        assert str(subnet(bridge)) == "172.26.0.0/24"
        assert bridge["Options"]["com.docker.network.driver.mtu"] == "1400"
        assert subnet(gateway).subnet_of(ip_network(LOCAL_POOL))
    manager = site.managers()[0]
    swarm = docker(site, manager, "info")["Swarm"]["Cluster"]
    assert (swarm["DefaultAddrPool"], swarm["SubnetSize"]) == ([POOL], 26)
    found = site.must(manager, "docker", "network", "ls", "--quiet", "--filter", "driver=overlay").split()
    overlays = [docker(site, manager, "network", "inspect", identifier) for identifier in found]
    assert "ingress" in [network["Name"] for network in overlays]
    for network in overlays:
        assert subnet(network).subnet_of(ip_network(POOL)) and subnet(network).prefixlen == 26


def test_another_pool_is_refused_and_other_options_make_nodes_outdated(site: Site) -> None:
    run = site.playbook("site.yml", "-e", json.dumps({"swarm_address_pool": ["172.31.0.0/16"]}))
    assert run.code != 0
    assert f"but the cluster's swarm has {POOL} with /26, which cannot be changed" in run.said
    options = {"daemon_options": {**ENGINE["daemon_options"], "debug": True}}
    run = site.playbook("playbooks/plan.yml", "-e", json.dumps(options))
    assert run.code == 0, run.output[-4000:]
    assert all(f"Outdated in the group {group}: " in run.said for group in ("manager", "worker"))


def test_a_second_run_changes_nothing_and_the_plan_is_empty(site: Site) -> None:
    plan = unchanged(site)
    assert "NAT gateways" not in plan


def test_an_upgrade_replaces_nodes_in_the_same_subnets(site: Site, theirs: Existing) -> None:
    site.settle()
    before = site.ids("worker")
    changed = node_groups(worker={"user_data": USER_DATA})
    run = site.playbook("site.yml", "--tags", "node_groups", *changed)
    assert run.code == 0, run.output[-4000:]
    run = site.playbook("playbooks/upgrade.yml", *changed)
    assert run.code == 0, run.output[-4000:]
    site.settle()
    assert not before & site.ids("worker")
    assert subnets(site) <= set(theirs.subnets.values())
    # The configuration's own template again.
    run = site.playbook("site.yml", "--tags", "node_groups")
    assert run.code == 0, run.output[-4000:]


def test_a_lost_manager_is_replaced(site: Site) -> None:
    site.settle()
    lost = site.pick("follower")
    site.kill_host(lost)
    site.wait("the instance to be terminated", lambda: lost not in site.ids())
    assert lost not in {node.instance for node in site.settle()}
    site.settle_record()


def test_a_backup_is_tested_on_an_instance_in_the_vpc(site: Site) -> None:
    site.settle()
    for playbook in ("backup", "restore_drill"):
        run = site.playbook(f"playbooks/{playbook}.yml")
        assert run.code == 0, run.output[-4000:]


def test_a_missing_route_is_refused_before_the_first_write(site: Site, theirs: Existing) -> None:
    filters = [{"Name": "attachment.vpc-id", "Values": [theirs.vpc]}]
    (gateway,) = theirs.ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]
    route = {"RouteTableId": theirs.table, "DestinationCidrBlock": "0.0.0.0/0"}
    theirs.ec2.delete_route(**route)
    site.forget_calls()
    try:
        run = site.playbook("site.yml")
    finally:
        theirs.ec2.create_route(**route, GatewayId=gateway["InternetGatewayId"])
    assert run.code != 0
    assert f"their route table {theirs.table} has no route from 0.0.0.0/0 to an internet gateway" in run.said
    # The route itself is created again by this test.
    assert set(site.writes()) <= {"CreateRoute"}


def test_destroying_names_a_foreign_rule_and_then_leaves_the_vpc(site: Site, theirs: Existing) -> None:
    ec2 = site.aws("ec2")
    filters = [{"Name": "group-name", "Values": [f"{CLUSTER}-member"]}]
    (member,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    rule = [
        {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": member["GroupId"]}]}
    ]
    ec2.authorize_security_group_ingress(GroupId=theirs.group, IpPermissions=rule)
    words = ("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    run = site.playbook(*words)
    assert run.code == 0, run.output[-4000:]
    assert f"since the security group office ({theirs.group}) needs it, and it is not this cluster's" in run.said
    ec2.revoke_security_group_ingress(GroupId=theirs.group, IpPermissions=rule)
    run = site.playbook(*words)
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before
