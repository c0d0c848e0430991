"""Nodes whose only way out of their VPC is an HTTP proxy: no NAT gateway, no endpoint, no route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.aws.seed import IMAGES
from lab.state import ENDPOINT_PORT, REGISTRY_PORT, SERVICES_ADDRESS, Lab
from tests.lab.configured import Configuration, build, unchanged
from tests.lab.parts.proxy.forward import PORT
from tests.lab.site import CLUSTER, RECORD, Site
from tests.unit.existing import RANGE, Existing, existing_vpc

FORWARD = Path(__file__).with_name("forward.py")
USER_DATA = f"""#!/bin/sh
cat > /usr/local/lib/forward.py <<'END'
{FORWARD.read_text()}
END
systemd-run --unit=proxy python3 /usr/local/lib/forward.py
"""
AWS, HUB = (f"http://{SERVICES_ADDRESS}:{port}/" for port in (ENDPOINT_PORT, REGISTRY_PORT))
REACH = "import http.client; http.client.HTTPConnection('{}', {}, timeout=3).connect()"
PAGE = f"import urllib.request; print(urllib.request.urlopen('http://{RECORD}/api', timeout=5).status)"


def _proxy(site: Site, theirs: Existing) -> tuple[str, str]:
    """Launch the proxy in the VPC's public subnet. Returns its instance and its address."""
    ec2 = site.aws("ec2")
    (entrance,) = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["entrance"]}])["Subnets"]
    group = ec2.create_security_group(GroupName="proxy", Description="The proxy's", VpcId=theirs.vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "IpRanges": [{"CidrIp": RANGE}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    (made,) = ec2.run_instances(
        ImageId=IMAGES[0].image_id,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=entrance["SubnetId"],
        SecurityGroupIds=[group],
        UserData=USER_DATA,
    )["Instances"]
    return made["InstanceId"], made["PrivateIpAddress"]


@pytest.fixture(scope="module")
def proxy(empty: Site) -> Iterator[tuple[str, Configuration]]:
    """The proxy's instance, and the configuration of a cluster in private subnets of its VPC."""
    theirs = existing_vpc(empty.aws("ec2"), public=False)
    theirs.ec2.delete_route(RouteTableId=theirs.table, DestinationCidrBlock="0.0.0.0/0")
    instance, address = _proxy(empty, theirs)
    empty.wait("the proxy", lambda: empty.on(instance, "systemctl", "is-active", "proxy").code == 0)
    yield instance, {**theirs.variables(), "http_proxy": {"url": f"http://{address}:{PORT}"}}


@pytest.fixture(scope="module")
def site(lab: Lab, proxy: tuple[str, Configuration], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster, destroyed by the last test."""

    def behind(configuration: Configuration) -> Configuration:
        changed = {**configuration, **proxy[1]}
        return {key: value for key, value in changed.items() if value is not None}

    return build(lab, tmp_path_factory.mktemp("proxy"), behind)


@pytest.fixture
def requested(site: Site, proxy: tuple[str, Configuration]) -> Callable[[], list[list[str]]]:
    """Returns the requests so far: client, method, URL."""
    return lambda: [
        line.split() for line in site.must(proxy[0], "journalctl", "--unit=proxy", "--output=cat").splitlines()
    ]


def test_nodes_join_and_serve_by_the_proxy_alone(site: Site, requested: Callable[[], list[list[str]]]) -> None:
    nodes = {node.instance for node in site.settle()}
    seen = requested()
    for node in (node for node in site.instances() if node["instance_id"] in nodes):
        urls = [url for client, _, url in (line for line in seen if len(line) == 3) if client == node["private_ip"]]
        assert any(url.startswith(AWS) for url in urls), "the agent's calls"
        assert any(url.startswith(f"{HUB}v2/") for url in urls), "the engine's pulls"
        assert site.on(node["instance_id"], "python3", "-c", REACH.format(SERVICES_ADDRESS, REGISTRY_PORT)).code != 0
    assert not [line for line in seen if "169.254.169.254" in line[-1]], "the metadata service has no proxy"
    worker = site.pick("worker")
    site.wait("a page", lambda: site.on(worker, "python3", "-c", PAGE).output.strip() == "200")


def test_a_second_run_changes_nothing(site: Site) -> None:
    unchanged(site)


def test_modules_on_a_node_use_the_proxy(site: Site) -> None:
    run = site.playbook("playbooks/backup.yml")
    assert run.code == 0, run.output[-4000:]
    run = site.playbook("playbooks/status.yml")
    assert run.code == 0, run.output[-4000:]


def test_a_rebooted_node_is_a_member_again(site: Site) -> None:
    worker = site.pick("worker")
    site.must(worker, "touch", "/run/before-the-reboot")
    site.aws("ec2").reboot_instances(InstanceIds=[worker])
    site.wait("the reboot", lambda: site.on(worker, "test", "-e", "/run/before-the-reboot").code == 1)
    assert worker in {node.instance for node in site.settle()}
    assert "http_proxy=http://" in site.must(worker, "systemctl", "show-environment")


def test_a_lost_manager_is_replaced(site: Site) -> None:
    lost = site.pick("follower")
    site.kill_host(lost)
    site.wait("the instance to be terminated", lambda: lost not in site.ids())
    assert lost not in {node.instance for node in site.settle()}


def test_a_destroyed_cluster_leaves_the_account_as_it_was(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before
