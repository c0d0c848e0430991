"""Elastic Load Balancing, as far as moto has none: targets whose health is looked at, and that drain.

What goes over the wire is :mod:`lab.balancers`' work: it asks here what to look at and whom to send requests to, and
tells what it found. A target that is deregistered is draining until nothing is connected to it any more, or its target
group's deregistration delay is over.
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
    # Looks in a row that ended the same way, positive if they were good.
    streak: int = 0
    looked: float = 0.0
    """When it was looked at last, by the monotonic clock."""
    left: float | None = None
    """When it was deregistered."""


@dataclass(frozen=True)
class Way:
    """An address and port at which a load balancer listens, and where it sends what comes."""

    address: str
    port: int
    target_group: str
    fit: tuple[tuple[str, str, int], ...]
    """Instance ID, private address and port of each target that gets requests."""


@dataclass(frozen=True)
class Look:
    """A target whose health is to be looked at now."""

    target_group: str
    instance: str
    address: str
    port: int
    timeout: float


def install(grafts: Grafts) -> None:
    """Have moto's target groups know their targets' states."""
    grafts.attribute(FakeTargetGroup, "register", _register)
    grafts.attribute(FakeTargetGroup, "deregister", _deregister)
    grafts.attribute(FakeTargetGroup, "health_for", _health_for)


def free_address() -> str:
    """A public address that nobody has."""
    return str(elastic_network_interfaces.random_public_ip())


def ways() -> list[Way]:
    """What every load balancer listens at. Whoever calls holds the world's lock."""
    result = []
    for balancer in world.elbv2().load_balancers.values():
        if not hasattr(balancer, "lab_address"):
            balancer.lab_address = free_address()
        for listener in balancer.listeners.values():
            group = world.elbv2().target_groups.get(_forwards_to(listener))
            if group is not None:
                fit = tuple(_fit(group))
                result.append(Way(balancer.lab_address, int(listener.port), group.arn, fit))
    return result


def looks() -> list[Look]:
    """Whom to look at now. Whoever calls holds the world's lock."""
    now, result = time.monotonic(), []
    for group in world.elbv2().target_groups.values():
        for target in _targets(group).values():
            address = _address(target.id)
            due = now - target.looked >= float(group.health_check_interval_seconds)
            if target.state != "draining" and address and due:
                target.looked = now
                own = group.health_check_port
                port = target.port if own in (None, "traffic-port") else int(own)
                result.append(Look(group.arn, target.id, address, port, float(group.health_check_timeout_seconds)))
    return result


def found(look: Look, *, good: bool) -> None:
    """Note how a look ended. Whoever calls holds the world's lock."""
    group = world.elbv2().target_groups.get(look.target_group)
    target = _targets(group).get(look.instance) if group else None
    if target is None or target.state == "draining":
        return
    target.streak = max(target.streak, 0) + 1 if good else min(target.streak, 0) - 1
    if target.streak >= int(group.healthy_threshold_count):
        target.state = "healthy"
    elif -target.streak >= int(group.unhealthy_threshold_count):
        target.state = "unhealthy"


def forget(connected: set[tuple[str, str]]) -> None:
    """Let go of targets that have drained, and of instances that ended.

    ``connected`` are the target groups' ARNs and the IDs of instances to which there is a connection. Whoever calls
    holds the world's lock.
    """
    now = time.monotonic()
    for group in world.elbv2().target_groups.values():
        for target in list(_targets(group).values()):
            over = target.left is not None and now - target.left >= float(group.attributes[DELAY])
            idle = target.left is not None and (group.arn, target.id) not in connected
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
        if target is not None and target.left is None:
            target.state, target.left = "draining", time.monotonic()


def _health_for(self: Any, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
    known = _targets(self).get(target["Id"])
    if known is None:
        words = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
        return FakeHealthStatus(target["Id"], str(self.port), self.health_check_port, *words)
    listeners = [
        listener for balancer in world.elbv2().load_balancers.values() for listener in balancer.listeners.values()
    ]
    in_use = any(_forwards_to(listener) == self.arn for listener in listeners)
    state = known.state if in_use or known.state == "draining" else "unused"
    reason, description = _REASONS.get(state, (None, None))
    return FakeHealthStatus(known.id, str(known.port), self.health_check_port, state, reason, description)


def _fit(group: Any) -> Iterator[tuple[str, str, int]]:
    """The healthy ones; all of them if none is, as a load balancer fails open."""
    present = [target for target in _targets(group).values() if target.state != "draining"]
    for chosen in [target for target in present if target.state == "healthy"] or present:
        address = _address(chosen.id)
        if address:
            yield chosen.id, address, chosen.port


def _forwards_to(listener: Any) -> str:
    for action in listener.default_actions:
        if action.type == "forward":
            several = action.data.get("ForwardConfig", {}).get("TargetGroups") or [action.data]
            return str(several[0].get("TargetGroupArn", ""))
    return ""


def _address(instance_id: str) -> str | None:
    """The private address of an instance that lives."""
    instance = instances.find(instance_id)
    return str(instance.private_ip) if instance is not None and instance.alive else None
