"""An empty account, its plan, and the cluster that site.yml builds."""

from __future__ import annotations

import json
import re

import pytest

from lab.network import ipv6_works
from lab.state import ENDPOINT_PORT, SERVICES_ADDRESS
from tests.lab.site import CLUSTER, Site

READ_WITH_BOTO3 = """
import boto3, sys
s3 = boto3.client("s3", region_name="eu-west-1")
for key in sys.argv[2:]:
    try:
        s3.get_object(Bucket=sys.argv[1], Key=key)["Body"].read()
        print(key, "allowed")
    except Exception as error:
        print(key, getattr(error, "response", {}).get("Error", {}).get("Code", repr(error)))
try:
    s3.put_object(Bucket=sys.argv[1], Key="cluster.json", Body=b"{}")
    print("write allowed")
except Exception as error:
    print("write", error.response["Error"]["Code"])
try:
    autoscaling = boto3.client("autoscaling", region_name="eu-west-1")
    autoscaling.set_desired_capacity(AutoScalingGroupName="example-manager", DesiredCapacity=1)
    print("scale allowed")
except Exception as error:
    print("scale", error.response["Error"]["Code"])
"""


PLANNED = [
    f"VPC {CLUSTER}",
    f"subnet {CLUSTER}-eu-west-1a",
    f"subnet {CLUSTER}-eu-west-1c",
    f"internet gateway {CLUSTER}",
    f"route table {CLUSTER}-public",
    f"gateway endpoint {CLUSTER}-public",
    f"security group {CLUSTER}-member",
    f"security group {CLUSTER}-manager",
    f"queue {CLUSTER}-events",
    f"queue {CLUSTER}-events-dead",
    f"bucket {CLUSTER}-swarm-123456789012-eu-west-1",
    f"KMS key {CLUSTER}-swarm",
    f"IAM role {CLUSTER}-manager",
    f"IAM role {CLUSTER}-worker",
    f"launch template {CLUSTER}-manager",
    f"launch template {CLUSTER}-worker",
    f"Auto Scaling group {CLUSTER}-manager",
    f"Auto Scaling group {CLUSTER}-worker",
]


def test_the_plan_names_every_new_resource_and_writes_nothing(empty: Site) -> None:
    empty.forget_calls()
    run = empty.playbook("site.yml", "--check", "--diff")
    assert run.code == 0, run.output[-4000:]
    assert [name for name in PLANNED if f"+ {name}\n" not in run.output] == []
    assert "To create: " in run.output, "the plan has no summary"
    assert empty.writes() == []


@pytest.mark.fault(1)
def test_the_first_run_makes_a_swarm_of_three_managers_and_a_worker(site: Site) -> None:
    nodes = site.settle()
    assert sorted(node.role for node in nodes) == ["manager", "manager", "manager", "worker"]
    assert {node.labels["swarm.aws.instance"] for node in nodes} == {
        instance["instance_id"] for instance in site.instances()
    }
    assert {node.labels["swarm.aws.zone"] for node in nodes if node.role == "manager"} == {
        "eu-west-1a",
        "eu-west-1b",
        "eu-west-1c",
    }
    assert all(node.labels.get("edge") == "true" for node in nodes if node.role == "manager")
    assert site.clusters() == {site.cluster_record()["cluster_id"]}, (
        "all nodes booted at once, but there must be a single cluster"
    )


def test_a_second_run_changes_nothing(site: Site) -> None:
    """With Ansible's own output, as in docs/terminal.md."""
    run = site.playbook("site.yml", "-vvv", ANSIBLE_STDOUT_CALLBACK="default")
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-6000:]


def test_inventory_api_ssh_engine_and_dns_show_the_same_cluster(site: Site) -> None:
    graph = site.command("ansible-inventory", "--graph")
    reservations = site.aws("ec2").describe_instances(
        Filters=[
            {"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )["Reservations"]
    instances = {
        instance["InstanceId"]: instance for reservation in reservations for instance in reservation["Instances"]
    }
    assert len(instances) == 4
    assert set(re.findall(r"i-[0-9a-f]{17}", graph.output)) == set(instances)
    for name in ("swarm_role_manager", "swarm_role_worker", "node_group_manager", "node_group_worker"):
        assert f"@{name}:" in graph.output

    manager = site.managers()[0]
    listed = site.ssh(manager, "docker node ls --format '{{.Status}} {{.ManagerStatus}}'")
    assert listed.code == 0, listed.output
    assert listed.output.count("Ready") == 4

    addresses = {
        instance["PublicIpAddress"] for instance in instances.values() if _tag(instance, "swarm.aws/role") == "manager"
    }
    site.wait("the record to name the managers", lambda: site.addresses() == addresses)


def test_the_aaaa_record_names_the_managers_and_ipv6_works(site: Site) -> None:
    site.wait("the AAAA record to name the managers", lambda: site.addresses("AAAA") == site.ipv6_addresses())
    addresses = site.addresses("AAAA")
    assert len(addresses) == 3
    if ipv6_works():
        assert {site.page_at(address).status for address in addresses} == {200}


def test_ansible_reaches_every_instance(site: Site) -> None:
    run = site.command("ansible", "all", "-m", "ansible.builtin.ping")
    assert run.code == 0, run.output
    assert run.output.count("pong") == 4


def test_several_tasks_serve_the_page_by_name_and_count_visits(site: Site) -> None:
    pages = [site.page() for _ in range(12)]
    assert {page.status for page in pages} == {200}
    answers = [json.loads(page.body) for page in pages]
    assert len({answer["task"] for answer in answers}) > 1
    visits = [answer["visits"] for answer in answers]
    assert visits == sorted(set(visits)), "every visit must add 1"


@pytest.mark.fault(11)
def test_fault_11_a_worker_can_neither_read_nor_write_managers_objects(site: Site) -> None:
    worker = site.instances("worker")[0]["instance_id"]
    keys = ["worker/token", "manager/token"]
    run = site.on(
        worker,
        "env",
        f"AWS_ENDPOINT_URL=http://{SERVICES_ADDRESS}:{ENDPOINT_PORT}",
        "python3",
        "-c",
        READ_WITH_BOTO3,
        site.bucket,
        *keys,
    )
    assert run.output.split("\n")[:4] == [
        "worker/token allowed",
        "manager/token AccessDenied",
        "write AccessDenied",
        "scale AccessDenied",
    ]


def test_every_node_passes_the_verification_of_molecule(site: Site) -> None:
    site.settle()
    run = site.command("python", "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "molecule/cluster/tests")
    assert run.code == 0, run.output


def test_the_engines_api_listens_on_no_tcp_port(site: Site) -> None:
    for instance in site.instances():
        listening = site.on(instance["instance_id"], "ss", "-Hltn").output
        ports = {line.split()[3].rsplit(":", 1)[1] for line in listening.splitlines() if line.strip()}
        assert not ports & {"2375", "2376"}


def _tag(instance: dict, key: str) -> str:  # type: ignore[type-arg]
    return next((tag["Value"] for tag in instance["Tags"] if tag["Key"] == key), "")
