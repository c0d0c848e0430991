"""The account: its plan, the refusal of other accounts, and a destroyed cluster that leaves nothing.

The nodes are private, so that their resources are planned, changed and destroyed too.
"""

from __future__ import annotations

import json

import pytest

from lab.state import ENDPOINT_PORT, SERVICES_ADDRESS, Lab
from tests.lab.configured import build, private
from tests.lab.site import CLUSTER, Site

# No workers, and managers with larger disks.
CHANGED = {"name": "manager", "role": "manager", "desired": 3, "min": 3, "max": 5, "dns": True, "volume_size": 21}
FOREIGN = "a printer"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
# How to use other credentials, and the refusal.
OTHERS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "account": (["-e", "account_id=210987654321"], {}, "The credentials are for the account 123456789012"),
    "region": (["-e", "region=eu-central-1"], {}, "regions is eu-west-1, but region is eu-central-1"),
    "profile": ([], {**NO_KEYS, "AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
    "no credentials": ([], NO_KEYS, "There are no AWS credentials"),
}


# Any answer counts.
REACHES_AWS = (
    f"import http.client; aws = http.client.HTTPConnection('{SERVICES_ADDRESS}', {ENDPOINT_PORT}, timeout=3); "
    "aws.request('GET', '/'); aws.getresponse()"
)


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster, destroyed by the last test. The account has nothing else."""
    return build(lab, tmp_path_factory.mktemp("private"), private)


def test_private_nodes_without_public_addresses_are_reachable(site: Site) -> None:
    nodes = site.instances()
    assert {node["public_ip"] for node in nodes} == {None}
    assert site.addresses() == {instance["private_ip"] for instance in site.instances("manager")}
    run = site.command("ansible", "all", "-m", "ansible.builtin.ping")
    assert run.code == 0, run.output[-4000:]
    assert run.output.count("pong") == len(nodes)
    removed = site.pick("worker")
    run = site.playbook("remove_node.yml", "-e", f"id={removed}")
    assert run.code == 0, run.output[-4000:]
    assert removed not in {node.instance for node in site.settle()}


def test_a_deleted_nat_gateway_is_created_again(site: Site) -> None:
    ec2, node = site.aws("ec2"), site.pick("leader")
    living = [{"Name": "state", "Values": ["available"]}]
    (gateway,) = ec2.describe_nat_gateways(Filters=living)["NatGateways"]
    assert site.on(node, "python3", "-c", REACHES_AWS).code == 0
    ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    site.wait("the nodes to be cut off", lambda: site.on(node, "python3", "-c", REACHES_AWS).code != 0)
    run = site.playbook("site.yml", "--tags", "network")
    assert run.code == 0, run.output[-4000:]
    (another,) = ec2.describe_nat_gateways(Filters=living)["NatGateways"]
    assert another["NatGatewayAddresses"][0]["PublicIp"] == gateway["NatGatewayAddresses"][0]["PublicIp"]
    site.wait("the nodes to reach AWS", lambda: site.on(node, "python3", "-c", REACHES_AWS).code == 0)
    site.settle()


def test_the_plan_of_a_built_cluster_is_empty_and_has_its_cost(site: Site) -> None:
    run = site.playbook("playbooks/plan.yml")
    assert run.code == 0, run.output[-4000:]
    assert "Nothing to change." in run.output
    assert "No orphans" in run.output
    assert "NAT gateways" in run.output
    assert "whole cluster" in run.output


def test_the_plan_names_outdated_instances_and_orphans(site: Site) -> None:
    site.forget_calls()
    run = site.playbook("playbooks/plan.yml", "-e", json.dumps({"node_groups": [CHANGED]}))
    assert run.code == 0, run.output[-4000:]
    said = run.said
    assert f"~ launch template {CLUSTER}-manager" in said
    for instance in site.ids("manager"):
        assert instance in said.split("Outdated in the group manager: ")[1]
    assert f"Orphan: Auto Scaling group {CLUSTER}-worker (1 instance), since node_groups has no worker" in said
    assert site.writes() == []


@pytest.mark.fault(34)
@pytest.mark.parametrize("playbook", ["tidy", "destroy"])
@pytest.mark.parametrize("other", OTHERS)
def test_fault_34_nothing_is_written_to_another_account(site: Site, playbook: str, other: str) -> None:
    arguments, environment, sentence = OTHERS[other]
    site.forget_calls()
    run = site.playbook(f"playbooks/{playbook}.yml", "-e", f"confirm={CLUSTER}", *arguments, **environment)
    assert run.code != 0
    assert sentence in run.said, run.output[-3000:]
    assert site.writes() == []


def test_a_cluster_is_only_destroyed_by_its_name(site: Site) -> None:
    site.forget_calls()
    for arguments in ([], ["-e", "confirm=exampel"]):
        run = site.playbook("playbooks/destroy.yml", *arguments)
        assert run.code != 0
        assert "Nothing was deleted" in run.said, run.output[-3000:]
    run = site.playbook("playbooks/destroy.yml", "--check", "--diff")
    assert run.code == 0, run.output[-3000:]
    for instance in site.ids():
        assert instance in run.output
    assert site.writes() == []


@pytest.mark.fault(33)
def test_fault_33_a_destruction_killed_and_hindered_leaves_nothing(site: Site) -> None:
    ec2, sqs = site.aws("ec2"), site.aws("sqs")
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}])["Subnets"][0]
    interface = ec2.create_network_interface(SubnetId=subnet["SubnetId"], Description=FOREIGN)["NetworkInterface"]
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{CLUSTER}-events")["QueueUrl"])
    command = ("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")

    site.forget_calls()
    site.killed_playbook(*command, when=lambda: "DeleteAutoScalingGroup" in site.writes())
    site.killed_playbook(*command, when=lambda: "DeleteSubnet" in site.writes())
    run = site.playbook(*command)
    assert run.code == 0, run.output[-4000:]
    said = run.said
    identifier = interface["NetworkInterfaceId"]
    assert f"Left: network interface {identifier}, since it is not this cluster's." in said
    assert f"since the network interface {identifier} needs it, and it is not this cluster's." in said
    assert "Nothing is left." not in said

    ec2.delete_network_interface(NetworkInterfaceId=identifier)
    run = site.playbook(*command)
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before

    run = site.playbook("playbooks/destroy.yml")
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0
    assert "Nothing is left." in run.said
