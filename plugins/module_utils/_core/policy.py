"""The operator's settings for a cluster, which the role `discovery` writes to `policy.json`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, FrozenSet, Mapping, Optional, Sequence, Tuple

from . import names
from .cluster import MANAGER, WORKER, Instance
from .errors import SwarmError
from .parsing import decoded

_DURATIONS = ("drain_seconds", "surge_seconds", "hold_seconds", "launch_seconds", "down_seconds", "backup_seconds")
# The longest TTL, in seconds. Larger numbers make no difference anywhere.
_MOST = 2**31 - 1


class PolicyError(SwarmError):
    """`policy.json` is invalid."""


@dataclass(frozen=True)
class Scaling:
    """The sizes between which a group scales with the swarm's tasks."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class Group:
    """A node group, by its name in the configuration."""

    role: str
    labels: Mapping[str, str] = field(default_factory=dict)
    dns: bool = False
    # Labels of the data volumes of its instances, if they started after the volumes were configured.
    volumes: FrozenSet[str] = frozenset()
    # The ARNs of the target groups of its instances.
    target_groups: Tuple[str, ...] = ()
    # Whether Auto Scaling replaces instances that have a rebalance recommendation (Capacity Rebalancing).
    rebalance: bool = False
    # None if only people change its size.
    scaling: Optional[Scaling] = None
    # As in the policy; None for the policy's.
    launch_seconds: Optional[float] = None


@dataclass(frozen=True)
class Dns:
    """The cluster's DNS record, or its Cloud Map service."""

    # Empty for a Cloud Map service.
    zone_id: str
    # Lower case, without the final dot. For a Cloud Map service, its name with its namespace.
    record: str
    # Seconds that resolvers may cache an answer, and that a removal waits.
    ttl: int
    # The addresses in the A record: public or private.
    addresses: str = "public"
    # Whether there should be an AAAA record with the nodes' IPv6 addresses.
    ipv6: bool = False
    # The ID of the Cloud Map service; None for a record in a zone.
    service_id: Optional[str] = None

    @property
    def control_plane(self) -> str:
        """The name of the AWS service that has it."""
        return "Route 53" if self.service_id is None else "Cloud Map"


@dataclass(frozen=True)
class Monitoring:
    """The settings of metrics."""

    # CloudWatch's namespace; None if nothing is sent there.
    namespace: Optional[str] = None
    # Seconds between two measurements for CloudWatch.
    period: int = 60
    # The port at which each manager serves Prometheus metrics; None if it does not.
    port: Optional[int] = None
    # The ports of the nodes in the record at which certificates are checked.
    tls_ports: Tuple[int, ...] = ()


@dataclass(frozen=True)
class Policy:
    """The settings for `plan`. Durations are in seconds."""

    cluster: str
    groups: Mapping[str, Group]
    dns: Optional[Dns] = None
    queue: Optional[str] = None
    # Whether managers may get credentials for images in ECR.
    ecr: bool = False
    # In the owner's text: two clusters with the same name can share a zone from different regions.
    region: str = ""
    # How long tasks may take to stop on a drained node.
    drain_seconds: float = 300
    # How long a removal waits for healthy replacements of the node's tasks.
    surge_seconds: float = 300
    # How long an instance's termination is delayed at most.
    hold_seconds: float = 1800
    heartbeat_seconds: float = 30
    # How long a new instance may take to join; then its launch is abandoned.
    launch_seconds: float = 600
    # How long a node whose instance runs may be down before it is replaced; None for no limit.
    down_seconds: Optional[float] = None
    # The interval of backups, 0 for none, and how many are kept.
    backup_seconds: float = 86400
    backup_keep: int = 14
    # Whether managers lock their state; at boot the key in Secrets Manager unlocks it.
    autolock: bool = False
    monitoring: Monitoring = Monitoring()
    # CIDR blocks and prefix length of a new swarm's overlay networks; empty for Docker's own.
    address_pool: Tuple[str, ...] = ()
    subnet_size: int = 24

    @property
    def owner(self) -> str:
        """The text of the ownership record."""
        place = f",region={self.region}" if self.region else ""
        return f"heritage=swarm.aws,cluster={self.cluster}{place}"

    @property
    def target_groups(self) -> Tuple[str, ...]:
        """The ARNs of all groups' target groups."""
        return tuple(sorted({target_group for group in self.groups.values() for target_group in group.target_groups}))

    @property
    def scales(self) -> bool:
        """Whether any group scales with the swarm's tasks."""
        return any(group.scaling for group in self.groups.values())

    def role_of(self, instance: Instance) -> str:
        """The role that an instance's node should have."""
        group = self.groups.get(instance.group)
        return group.role if group else instance.role

    def launch_limit(self, instance: Instance) -> float:
        """How long an instance may take to join, in seconds."""
        group = self.groups.get(instance.group)
        return self.launch_seconds if group is None or group.launch_seconds is None else group.launch_seconds

    @property
    def launching_hook(self) -> str:
        """Name of the hook at which a new instance waits."""
        return names.launching_hook(self.cluster)

    @property
    def terminating_hook(self) -> str:
        """Name of the hook at which an instance waits before it terminates."""
        return names.terminating_hook(self.cluster)

    @classmethod
    def read(cls, content: bytes, region: str = "") -> Policy:
        """Read a `policy.json`. Raises PolicyError with the invalid field."""
        try:
            document = decoded(content)
        except ValueError as error:
            raise PolicyError(f"policy.json is not valid: it is not JSON: {error}. Run site.yml.") from None
        return cls.parse(document, region)

    @classmethod
    def parse(cls, document: Any, region: str = "") -> Policy:
        """Read a decoded `policy.json`. Raises PolicyError with the invalid field."""
        top = _mapping(document, "it")
        dns = top.get("dns")
        groups = _mapping(top.get("groups"), "groups")
        return cls(
            cluster=_text(top.get("cluster"), "cluster"),
            groups={str(name): _group(value, f"groups.{name}") for name, value in groups.items()},
            dns=None if dns is None else _dns(dns),
            queue=None if top.get("queue") is None else _text(top["queue"], "queue"),
            ecr=bool(top.get("ecr", False)),
            region=region,
            backup_keep=_count(top.get("backup_keep", cls.backup_keep), "backup_keep"),
            autolock=bool(top.get("autolock", False)),
            monitoring=_monitoring(top.get("monitoring") or {}),
            address_pool=tuple(
                _text(block, "address_pool") for block in _list(top.get("address_pool"), "address_pool")
            ),
            subnet_size=_count(top.get("subnet_size", cls.subnet_size), "subnet_size"),
            **{name: _seconds(top[name], name) for name in _DURATIONS if top.get(name) is not None},
        )


def _group(value: Any, where: str) -> Group:
    group = _mapping(value, where)
    role = group.get("role")
    if role not in (MANAGER, WORKER):
        raise PolicyError(f"policy.json is not valid: {where}.role is {role!r}, but must be manager or worker.")
    labels = _mapping(group.get("labels") or {}, f"{where}.labels")
    return Group(
        role,
        {str(key): _label(label) for key, label in labels.items()},
        bool(group.get("dns", False)),
        frozenset(map(str, _list(group.get("volumes"), f"{where}.volumes"))),
        tuple(
            _target_group(arn, f"{where}.target_groups")
            for arn in _list(group.get("target_groups"), f"{where}.target_groups")
        ),
        bool(group.get("rebalance", False)),
        None if group.get("scaling") is None else _scaling(group["scaling"], f"{where}.scaling"),
        None if group.get("launch_seconds") is None else _seconds(group["launch_seconds"], f"{where}.launch_seconds"),
    )


def _scaling(value: Any, where: str) -> Scaling:
    found = _mapping(value, where)
    return Scaling(_count(found.get("min"), f"{where}.min"), _count(found.get("max"), f"{where}.max"))


def _target_group(value: Any, where: str) -> str:
    if not isinstance(value, str) or ":targetgroup/" not in value or value.count("/") != 2:
        raise PolicyError(f"policy.json is not valid: {where} has {value!r}, but must have ARNs of target groups.")
    return value


def _label(value: Any) -> str:
    """A label's value as text. Booleans are written as in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dns(value: Any) -> Dns:
    dns = _mapping(value, "dns")
    ttl, addresses, ipv6 = dns.get("ttl"), dns.get("addresses", "public"), dns.get("ipv6", False)
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= _MOST:
        raise PolicyError(f"policy.json is not valid: dns.ttl is {ttl!r}, but must be a number of seconds.")
    if addresses not in ("public", "private"):
        raise PolicyError(f"policy.json is not valid: dns.addresses is {addresses!r}, but must be public or private.")
    if not isinstance(ipv6, bool):
        raise PolicyError(f"policy.json is not valid: dns.ipv6 is {ipv6!r}, but must be true or false.")
    record = _text(dns.get("record"), "dns.record").rstrip(".").lower()
    if dns.get("service_id") is not None:
        return Dns("", record, ttl, addresses, ipv6, _text(dns["service_id"], "dns.service_id"))
    return Dns(_text(dns.get("zone_id"), "dns.zone_id"), record, ttl, addresses, ipv6)


def _monitoring(value: Any) -> Monitoring:
    found = _mapping(value, "monitoring")
    namespace, port = found.get("namespace"), found.get("port")
    return Monitoring(
        namespace=None if namespace is None else _text(namespace, "monitoring.namespace"),
        period=_count(found.get("period", Monitoring.period), "monitoring.period"),
        port=None if port is None else _port(port, "monitoring.port"),
        tls_ports=tuple(
            _port(tls_port, "monitoring.tls_ports")
            for tls_port in _list(found.get("tls_ports"), "monitoring.tls_ports")
        ),
    )


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be a number of seconds.")
    return float(min(value, _MOST))


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be an integer, at least 1.")
    return min(value, _MOST)


def _port(value: Any, where: str) -> int:
    port = _count(value, where)
    if port > 65535:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be a port from 1 to 65535.")
    return port


def _list(value: Any, where: str) -> Sequence[Any]:
    """A list; empty if there is none."""
    if not isinstance(value or (), (list, tuple)):
        raise PolicyError(f"policy.json is not valid: {where} is {type(value).__name__}, but must be a list.")
    return value or ()


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError(f"policy.json is not valid: {where} is {type(value).__name__}, but must be a mapping.")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyError(f"policy.json is not valid: {where} is {value!r}, but must be a string.")
    return value
