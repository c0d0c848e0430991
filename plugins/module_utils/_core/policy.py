"""What the operator wants of a cluster, as the role `discovery` writes it to `policy.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .cluster import MANAGER, WORKER
from .errors import SwarmError

_DURATIONS = ("drain_seconds", "surge_seconds", "hold_seconds", "launch_seconds", "down_seconds")


class PolicyError(SwarmError):
    """`policy.json` is not what the role `discovery` writes."""


@dataclass(frozen=True)
class Group:
    """A node group, by its name in the configuration."""

    role: str
    labels: Mapping[str, str] = field(default_factory=dict)
    dns: bool = False


@dataclass(frozen=True)
class Dns:
    """The record that leads to the cluster."""

    zone_id: str
    # Lower case, without the dot at the end.
    record: str
    # Seconds that resolvers may keep an answer, and that a removal therefore waits.
    ttl: int
    # public or private.
    addresses: str = "public"


@dataclass(frozen=True)
class Policy:
    """What `plan` aims at. Durations are in seconds."""

    cluster: str
    groups: Mapping[str, Group]
    dns: Optional[Dns] = None
    queue: Optional[str] = None
    # Two clusters of one name can share a zone only from different regions.
    region: str = ""
    # How long tasks may take to end on a node that is drained.
    drain_seconds: float = 300
    # How long a node that is to go waits for replacements of its tasks to be healthy elsewhere.
    surge_seconds: float = 300
    # How long an instance's termination is held at most; after that Auto Scaling goes on by itself.
    hold_seconds: float = 1800
    heartbeat_seconds: float = 30
    # How long a new instance may take to join; then Auto Scaling is told to try another one.
    launch_seconds: float = 600
    # How long a node whose instance runs may be down before it is replaced; None for ever, since it may come back.
    down_seconds: Optional[float] = None

    @property
    def owner(self) -> str:
        """What the ownership record says."""
        place = f",region={self.region}" if self.region else ""
        return f"heritage=swarm.aws,cluster={self.cluster}{place}"

    @property
    def launching_hook(self) -> str:
        """Name of the hook at which a new instance waits."""
        return f"{self.cluster}-launching"

    @property
    def terminating_hook(self) -> str:
        """Name of the hook at which an instance waits before it ends."""
        return f"{self.cluster}-terminating"

    @classmethod
    def parse(cls, document: Any, region: str = "") -> Policy:
        """Read a decoded `policy.json`. Raises PolicyError, which says what is wrong where."""
        top = _mapping(document, "it")
        dns = top.get("dns")
        groups = _mapping(top.get("groups"), "groups")
        return cls(
            cluster=_text(top.get("cluster"), "cluster"),
            groups={str(name): _group(value, f"groups.{name}") for name, value in groups.items()},
            dns=None if dns is None else _dns(dns),
            queue=None if top.get("queue") is None else _text(top["queue"], "queue"),
            region=region,
            **{name: _seconds(top[name], name) for name in _DURATIONS if top.get(name) is not None},
        )


def _group(value: Any, where: str) -> Group:
    group = _mapping(value, where)
    role = group.get("role")
    if role not in (MANAGER, WORKER):
        raise PolicyError(f"policy.json is not valid: {where}.role is {role!r}, but must be manager or worker.")
    labels = _mapping(group.get("labels") or {}, f"{where}.labels")
    return Group(role, {str(key): _label(one) for key, one in labels.items()}, bool(group.get("dns", False)))


def _label(value: Any) -> str:
    """A label's value as YAML's author meant it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dns(value: Any) -> Dns:
    dns = _mapping(value, "dns")
    ttl, addresses = dns.get("ttl"), dns.get("addresses", "public")
    if not isinstance(ttl, int) or isinstance(ttl, bool) or ttl < 0:
        raise PolicyError(f"policy.json is not valid: dns.ttl is {ttl!r}, but must be a number of seconds.")
    if addresses not in ("public", "private"):
        raise PolicyError(f"policy.json is not valid: dns.addresses is {addresses!r}, but must be public or private.")
    record = _text(dns.get("record"), "dns.record").rstrip(".").lower()
    return Dns(_text(dns.get("zone_id"), "dns.zone_id"), record, ttl, addresses)


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be a number of seconds.")
    return float(value)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError(f"policy.json is not valid: {where} is {type(value).__name__}, but must be a mapping.")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be a text.")
    return value
