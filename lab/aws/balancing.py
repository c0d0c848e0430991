"""Elastic Load Balancing features that moto lacks: health checks of targets, and draining.

:mod:`lab.balancers` does the network work: it gets the due health checks and the listeners here and reports results.
A deregistered target drains until it has no connection, or until its target group's deregistration delay is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import elastic_network_interfaces
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup

from lab.aws import instances, world
from lab.aws.grafts import Grafts

DELAY = "deregistration_delay.timeout_seconds"
_REASONS = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
    "unused": ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"),
}


@dataclass
class Target:
    """An instance in a target group."""

    id: str
    port: int
    state: str = "initial"
    # Consecutive health checks with the same result, positive if they passed.
    streak: int = 0
    checked_at: float = 0.0
    """When its health was last checked, on the monotonic clock."""
    deregistered_at: float | None = None


@dataclass(frozen=True)
class Listener:
    """An address and port at which a load balancer listens, and the targets that it forwards to."""

    address: str
    port: int
    target_group: str
    targets: tuple[tuple[str, str, int], ...]
    """Instance ID, private address and port of each target that gets connections."""


@dataclass(frozen=True)
class HealthCheck:
    """A health check that is due."""

    target_group: str
    instance: str
    address: str
    port: int
    timeout: float


def install(grafts: Grafts) -> None:
    """Make moto's target groups keep their targets' states."""
    grafts.attribute(FakeTargetGroup, "register", _register)
    grafts.attribute(FakeTargetGroup, "deregister", _deregister)
    grafts.attribute(FakeTargetGroup, "health_for", _health_for)


def free_address() -> str:
    """A free public address."""
    return str(elastic_network_interfaces.random_public_ip())


def listeners() -> list[Listener]:
    """The listeners of all load balancers. The caller holds the world's lock."""
    result = []
    for balancer in world.elbv2().load_balancers.values():
        if not hasattr(balancer, "lab_address"):
            balancer.lab_address = free_address()
        for listener in balancer.listeners.values():
            group = world.elbv2().target_groups.get(_forwards_to(listener))
            if group is not None:
                targets = tuple(_chosen(group))
                result.append(Listener(balancer.lab_address, int(listener.port), group.arn, targets))
    return result


def due_checks() -> list[HealthCheck]:
    """The health checks that are due now. The caller holds the world's lock."""
    now, result = time.monotonic(), []
    for group in world.elbv2().target_groups.values():
        for target in _targets(group).values():
            address = _address(target.id)
            due = now - target.checked_at >= float(group.health_check_interval_seconds)
            if target.state != "draining" and address and due:
                target.checked_at = now
                own = group.health_check_port
                port = target.port if own in (None, "traffic-port") else int(own)
                timeout = float(group.health_check_timeout_seconds)
                result.append(HealthCheck(group.arn, target.id, address, port, timeout))
    return result


def note(check: HealthCheck, *, passed: bool) -> None:
    """Note the result of a health check. The caller holds the world's lock."""
    group = world.elbv2().target_groups.get(check.target_group)
    target = _targets(group).get(check.instance) if group else None
    if target is None or target.state == "draining":
        return
    target.streak = max(target.streak, 0) + 1 if passed else min(target.streak, 0) - 1
    if target.streak >= int(group.healthy_threshold_count):
        target.state = "healthy"
    elif -target.streak >= int(group.unhealthy_threshold_count):
        target.state = "unhealthy"


def forget(connected: set[tuple[str, str]]) -> None:
    """Remove drained targets and targets whose instance has ended. The caller holds the world's lock.

    ``connected`` has the target group's ARN and the instance ID of each connection.
    """
    now = time.monotonic()
    for group in world.elbv2().target_groups.values():
        for target in list(_targets(group).values()):
            left = target.deregistered_at
            over = left is not None and now - left >= float(group.attributes[DELAY])
            idle = left is not None and (group.arn, target.id) not in connected
            if over or idle or _address(target.id) is None:
                del group.lab_targets[target.id]
                group.targets.pop(target.id, None)


def _targets(group: Any) -> dict[str, Target]:
    known: dict[str, Target] = vars(group).setdefault("lab_targets", {})
    return known


def _register(self: Any, targets: list[dict[str, Any]]) -> None:
    for target in targets:
        port = int(target.get("Port") or self.port)
        present = _targets(self).get(target["Id"])
        if present is None or present.state == "draining":
            _targets(self)[target["Id"]] = Target(target["Id"], port)
        self.targets[target["Id"]] = {"Id": target["Id"], "Port": port}


def _deregister(self: Any, targets: list[dict[str, Any]]) -> None:
    for wanted in targets:
        target = _targets(self).get(wanted["Id"])
        if target is not None and target.deregistered_at is None:
            target.state, target.deregistered_at = "draining", time.monotonic()


def _health_for(self: Any, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
    known = _targets(self).get(target["Id"])
    if known is None:
        words = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
        return FakeHealthStatus(target["Id"], str(self.port), self.health_check_port, *words)
    in_use = any(
        _forwards_to(listener) == self.arn
        for balancer in world.elbv2().load_balancers.values()
        for listener in balancer.listeners.values()
    )
    state = known.state if in_use or known.state == "draining" else "unused"
    reason, description = _REASONS.get(state, (None, None))
    return FakeHealthStatus(known.id, str(known.port), self.health_check_port, state, reason, description)


def _chosen(group: Any) -> Iterator[tuple[str, str, int]]:
    """The healthy targets, or all targets if none is healthy, because a load balancer fails open."""
    present = [target for target in _targets(group).values() if target.state != "draining"]
    healthy = [target for target in present if target.state == "healthy"]
    for target in healthy or present:
        address = _address(target.id)
        if address:
            yield target.id, address, target.port


def _forwards_to(listener: Any) -> str:
    for action in listener.default_actions:
        if action.type == "forward":
            several = action.data.get("ForwardConfig", {}).get("TargetGroups") or [action.data]
            return str(several[0].get("TargetGroupArn", ""))
    return ""


def _address(instance_id: str) -> str | None:
    """The private address of a running instance."""
    instance = instances.find(instance_id)
    return str(instance.private_ip) if instance is not None and instance.alive else None
