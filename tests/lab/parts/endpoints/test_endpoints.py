"""Private nodes that only reach AWS, by interface endpoints, with their images in ECR."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab import lifecycle
from lab.state import ECR_HOST, REGISTRY_PORT, SERVICES_ADDRESS, Lab
from tests.lab.configured import Configuration, build, unchanged
from tests.lab.site import CLUSTER, ROOT, Site, say

NAMESPACE, SERVICE = "cloud.test", "www"
NAME = f"{SERVICE}.{NAMESPACE}"
# The repositories of the example's images on Docker Hub and in the lab's registry.
REPOSITORIES = {
    "haproxy:": "library/haproxy",
    "python:": "library/python",
    "valkey/valkey:": "valkey/valkey",
}
# The endpoints that the lab's configuration needs.
WANTED = {
    "autoscaling",
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "logs",
    "monitoring",
    "servicediscovery",
    "sqs",
    "ssm",
    "ssmmessages",
}
HUB = f"import socket; socket.create_connection(('{SERVICES_ADDRESS}', {REGISTRY_PORT}), 3)"
PAGE = f"import urllib.request; print(urllib.request.urlopen('http://{NAME}/api', timeout=5).status)"
BY_NAT = ("site.yml", "--tags", "network", "-e", json.dumps({"private_nodes": {"nat": "one"}}))


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster, destroyed by the last test. The operator created the namespace and the repositories."""
    folder = tmp_path_factory.mktemp("endpoints")
    lifecycle.client(lab, "servicediscovery").create_public_dns_namespace(Name=NAMESPACE)
    for repository in REPOSITORIES.values():
        lifecycle.client(lab, "ecr").create_repository(repositoryName=repository)
    ours = [{"Name": "name", "Values": ["debian-13-amd64"]}]
    (image,) = lifecycle.client(lab, "ec2").describe_images(Filters=ours)["Images"]

    def isolated(configuration: Configuration) -> Configuration:
        return {
            **configuration,
            "private_nodes": {"nat": "none"},
            "node_images": {"x86_64": image["ImageId"]},
            "ecr_repositories": list(REPOSITORIES.values()),
            "stack_file": str(example(folder)),
            "dns": {"cloud_map": {"namespace": NAMESPACE, "service": SERVICE}, "ttl": 10, "addresses": "private"},
        }

    return build(lab, folder / "inventory", isolated)


def example(folder: Path) -> Path:
    """The example stack with its images in ECR."""
    path: Path = shutil.copytree(ROOT / "stacks/example", folder / "example") / "docker-compose.yml"
    text = path.read_text()
    for image, repository in REPOSITORIES.items():
        assert f"image: {image}" in text
        text = text.replace(f"image: {image}", f"image: {ECR_HOST}/{repository}:")
    path.write_text(text)
    return path


def endpoints(site: Site) -> dict[str, str]:
    """The IDs of the cluster's interface endpoints, by service."""
    wanted = [{"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
    found = site.aws("ec2").describe_vpc_endpoints(Filters=wanted)["VpcEndpoints"]
    return {
        entry["ServiceName"].removeprefix("com.amazonaws.").removeprefix("eu-west-1."): entry["VpcEndpointId"]
        for entry in found
        if entry["State"] == "available"
    }


def gateways(site: Site) -> int:
    wanted = [{"Name": "state", "Values": ["pending", "available"]}]
    return len(site.aws("ec2").describe_nat_gateways(Filters=wanted)["NatGateways"])


def registered(site: Site) -> set[str]:
    """The IDs of the service's instances."""
    client = site.aws("servicediscovery")
    (service,) = client.list_services()["Services"]
    return {instance["Id"] for instance in client.list_instances(ServiceId=service["Id"])["Instances"]}


def served(site: Site) -> bool:
    """Whether a client in the VPC gets the page by the service's name."""
    run = site.on(site.pick("worker"), "python3", "-c", PAGE)
    return run.code == 0 and run.output.strip() == "200"


def test_nodes_that_only_reach_aws_serve_the_page(site: Site) -> None:
    assert set(endpoints(site)) == WANTED
    assert gateways(site) == 0
    site.settle()
    assert {instance["public_ip"] for instance in site.instances()} == {None}
    site.wait("the managers to be registered", lambda: registered(site) == site.ids("manager"))
    site.wait("a page", lambda: served(site))
    for node in site.ids():
        assert site.on(node, "python3", "-c", HUB).code != 0, "Docker Hub is reached"
    nodes = [call for call in site.calls() if call["caller"].startswith(f"{CLUSTER}-")]
    assert [call for call in nodes if not call["allowed"]] == []
    say(f"by endpoints alone: {len(nodes)} calls to {', '.join(sorted({call['service'] for call in nodes}))}")


def test_a_second_run_changes_nothing_and_the_plan_has_the_cost(site: Site) -> None:
    plan = unchanged(site)
    cost = plan.split("Monthly cost")[1]
    # Ten in three zones, 730 hours at 0.011.
    assert "240.90" in next(line for line in cost.splitlines() if "interface endpoints" in line)
    assert "NAT gateways" not in cost


def test_a_terminated_and_a_removed_node_are_replaced(site: Site) -> None:
    manager, worker = site.pick("follower"), site.pick("worker")
    site.aws("ec2").terminate_instances(InstanceIds=[worker])
    run = site.playbook("remove_node.yml", "-e", f"id={manager}")
    assert run.code == 0, run.output[-4000:]
    assert not {manager, worker} & {node.instance for node in site.settle()}
    site.wait("the replacement to be registered", lambda: registered(site) == site.ids("manager"))
    site.wait("a page", lambda: served(site))


def test_agents_report_a_deleted_endpoint_and_site_yml_creates_it(site: Site) -> None:
    leader, before = site.pick("leader"), endpoints(site)
    missed = f"AWS did not answer the request to receive messages of the queue {CLUSTER}-events"
    assert missed not in site.agent_log(leader)
    site.aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[before["sqs"]])
    site.wait("the leader to log it", lambda: missed in site.agent_log(leader))
    assert served(site)
    plan = site.playbook("site.yml", "--tags", "network", "--check")
    assert plan.code == 0 and f"interface endpoint {CLUSTER}-sqs" in plan.output, plan.output[-4000:]
    run = site.playbook("site.yml", "--tags", "network")
    assert (run.code, run.changed) == (0, 1), run.output[-4000:]
    assert set(endpoints(site)) == WANTED
    site.forget_calls()

    def listens() -> bool:
        return any(call["service"] == "sqs" and call["caller"] == f"{CLUSTER}-manager" for call in site.calls())

    site.wait("a manager to listen again", listens)


def test_nodes_stay_when_endpoints_become_a_nat_gateway_and_back(site: Site) -> None:
    nodes = site.ids()
    run = site.playbook(*BY_NAT)
    assert run.code == 0, run.output[-4000:]
    assert (endpoints(site), gateways(site)) == ({}, 1)
    site.wait("Docker Hub to be reached", lambda: site.on(site.pick("worker"), "python3", "-c", HUB).code == 0)
    again = site.playbook(*BY_NAT)
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    run = site.playbook("site.yml", "--tags", "network")
    assert run.code == 0, run.output[-4000:]
    assert (set(endpoints(site)), gateways(site)) == (WANTED, 0)
    assert site.aws("ec2").describe_addresses()["Addresses"] == []
    again = site.playbook("site.yml", "--tags", "network")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    site.settle()
    assert site.ids() == nodes
    assert served(site)


def test_a_destroyed_cluster_leaves_the_account_as_it_was(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    said = run.said
    assert f"interface endpoint {CLUSTER}-sqs" in said
    assert "Nothing is left." in said
    assert site.inventory() == site.before
