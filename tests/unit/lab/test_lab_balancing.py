"""The lab's target groups know the health of their targets, and drain them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws import balancing, view, world
from tests.unit.lab.fakes import LittleAws, allow, refused, target_states


@pytest.fixture
def elb(aws: LittleAws) -> Any:
    return aws.client("elbv2")


@pytest.fixture
def balanced(aws: LittleAws) -> tuple[str, list[str]]:
    """A target group behind a load balancer that listens at port 80, and two running instances."""
    return aws.balanced(8080, 80, HealthyThresholdCount=2)


def check(*, passed: bool) -> None:
    """Make every health check due and note its result."""
    with world.LOCK:
        for target_group in world.elbv2().target_groups.values():
            for target in target_group.lab_targets.values():
                target.checked_at = 0.0
        for due in balancing.due_checks():
            balancing.note(due, passed=passed)


def listeners() -> list[tuple[str, int, list[str]]]:
    with world.LOCK:
        return [
            (found.address, found.port, sorted(target for target, *_ in found.targets))
            for found in balancing.listeners()
        ]


def test_a_target_gets_connections_once_it_is_healthy(elb: Any, balanced: tuple[str, list[str]]) -> None:
    group, instances = balanced
    first, second = instances
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": first}])
    assert target_states(elb, group) == {first: "initial"}
    check(passed=True)
    assert target_states(elb, group) == {first: "initial"}
    check(passed=True)
    assert target_states(elb, group) == {first: "healthy"}
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": second}])
    ((address, port, fit),) = listeners()
    assert (port, fit) == (80, [first])
    assert list(view.load_balancers().values()) == [address]
    check(passed=False)
    check(passed=False)
    assert set(target_states(elb, group).values()) == {"unhealthy"}
    assert listeners()[0][2] == instances, "with nobody healthy all are tried"


def test_a_deregistered_target_drains_while_it_has_a_connection(elb: Any, balanced: tuple[str, list[str]]) -> None:
    group, instances = balanced
    first, second = instances
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance} for instance in instances])
    check(passed=True)
    check(passed=True)
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": first}])
    assert target_states(elb, group) == {first: "draining", second: "healthy"}
    assert listeners()[0][2] == [second]
    with world.LOCK:
        balancing.forget({(group, first)})
    assert target_states(elb, group)[first] == "draining"
    with world.LOCK:
        balancing.forget(set())
    assert target_states(elb, group) == {second: "healthy"}
    named = elb.describe_target_health(TargetGroupArn=group, Targets=[{"Id": first}])["TargetHealthDescriptions"]
    assert [target["TargetHealth"]["State"] for target in named] == ["unused"]
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": balancing.DELAY, "Value": "0"}])
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": second}])
    with world.LOCK:
        balancing.forget({(group, second)})
    assert target_states(elb, group) == {}, "its deregistration delay is over"


def test_a_terminated_instance_is_no_target(aws: LittleAws, elb: Any, balanced: tuple[str, list[str]]) -> None:
    group, instances = balanced
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance} for instance in instances])
    aws.client("ec2").terminate_instances(InstanceIds=instances[:1])
    with world.LOCK:
        balancing.forget(set())
    assert set(target_states(elb, group)) == {instances[1]}


def test_a_role_registers_only_in_its_permitted_target_group(aws: LittleAws, balanced: tuple[str, list[str]]) -> None:
    group, (first, _) = balanced
    node = aws.acting("elbv2", "may", allow("elasticloadbalancing:RegisterTargets", on=group))
    node.register_targets(TargetGroupArn=group, Targets=[{"Id": first}])
    assert refused(node.deregister_targets, TargetGroupArn=group, Targets=[{"Id": first}]) == "AccessDenied"
