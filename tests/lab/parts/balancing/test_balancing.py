"""The operator's network load balancer in front of the managers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import pages
from tests.lab.configured import node_groups
from tests.lab.load import Load
from tests.lab.site import Run, Site, say

# How many requests make a removal a test.
ENOUGH = 1000


class Balancer:
    """The load balancer, its listener and its target group."""

    def __init__(self, site: Site) -> None:
        self._elb = site.aws("elbv2")
        ours = [{"Name": "tag:swarm.aws/cluster", "Values": ["example"]}]
        subnets = site.aws("ec2").describe_subnets(Filters=ours)["Subnets"]
        self.target_group: str = self._elb.create_target_group(
            Name="web",
            Protocol="TCP",
            Port=80,
            VpcId=subnets[0]["VpcId"],
            TargetType="instance",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "20"}
        self._elb.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=[delay])
        made = self._elb.create_load_balancer(
            Name="web", Type="network", Subnets=[subnet["SubnetId"] for subnet in subnets]
        )
        self._arn: str = made["LoadBalancers"][0]["LoadBalancerArn"]
        self.name: str = made["LoadBalancers"][0]["DNSName"]
        self._elb.create_listener(
            LoadBalancerArn=self._arn,
            Protocol="TCP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.target_group}],
        )

    def states(self) -> dict[str, str]:
        """The state of each target, by the instance's ID."""
        found = self._elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return {target["Target"]["Id"]: target["TargetHealth"]["State"] for target in found}

    def delete(self) -> None:
        self._elb.delete_load_balancer(LoadBalancerArn=self._arn)
        self._elb.delete_target_group(TargetGroupArn=self.target_group)


def build(site: Site, *target_groups: str) -> Run:
    """Run site.yml with these target groups for the managers."""
    return site.playbook("site.yml", "--skip-tags", "stack", *node_groups(manager={"target_groups": target_groups}))


@pytest.fixture(scope="module")
def balancer(site: Site) -> Iterator[Balancer]:
    """The load balancer in front of the managers, deleted after this file."""
    site.settle()
    made = Balancer(site)
    try:
        built = build(site, made.target_group)
        assert built.code == 0, built.output[-4000:]
        yield made
    finally:
        again = build(site)
        made.delete()
        assert again.code == 0, again.output[-4000:]


def healthy(site: Site, balancer: Balancer) -> bool:
    """Whether exactly the managers are targets, and healthy."""
    return balancer.states() == dict.fromkeys(site.ids("manager"), "healthy")


def test_the_managers_are_targets_and_serve_the_page(site: Site, balancer: Balancer) -> None:
    site.wait("the managers to be healthy targets", lambda: healthy(site, balancer))
    again = site.playbook("playbooks/status.yml")
    assert "Target group: web has 3 healthy" in again.output, again.output[-3000:]
    assert pages.fetch(site.lab, f"http://{balancer.name}/api").status == 200


def test_no_request_fails_while_a_target_is_removed(site: Site, balancer: Balancer) -> None:
    site.settle()
    site.wait("the managers to be healthy targets", lambda: healthy(site, balancer))
    instance = site.pick("leader")
    with Load(site.lab, balancer.name) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
        site.wait("its replacement to be a healthy target", lambda: healthy(site, balancer))
        site.wait("enough requests", lambda: load.result.sent >= ENOUGH)
    assert run.code == 0, run.output[-4000:]
    say(f"behind a load balancer: {load.result}; {run.line('Seconds:')}")
    assert load.result.failures == []
    assert instance not in balancer.states()


def test_a_target_whose_host_fails_is_deregistered(site: Site, balancer: Balancer) -> None:
    site.settle()
    site.wait("the managers to be healthy targets", lambda: healthy(site, balancer))
    instance = site.pick("follower")
    site.aws("ec2").terminate_instances(InstanceIds=[instance])
    site.wait("the target to be deregistered", lambda: instance not in balancer.states())
    site.settle()
    site.wait("the managers to be healthy targets", lambda: healthy(site, balancer))


def test_a_missing_target_group_is_refused(site: Site, balancer: Balancer) -> None:
    missing = balancer.target_group[:-4] + "0000"
    run = build(site, missing)
    assert run.code != 0
    assert f"target_groups has {missing}, but this target group does not exist" in run.said
    assert run.changed == 0
