"""The names of the resources that a configuration declares, by kind, for the plan and the orphans."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..._core.cluster import WORKER
from ..interface_endpoints import endpoint_name
from ..monitoring import alarms_and_dashboard
from ..name_clashes import SECURITY_GROUPS
from ..nat_gateways import NONE, PER_ZONE
from ..nat_gateways import name as nat_name
from .model import Resource

# By the role of `site.yml` that creates them.
PARTS: Mapping[str, Sequence[str]] = {
    "network": (
        "VPC",
        "subnet",
        "internet gateway",
        "route table",
        "security group",
        "elastic IP address",
        "NAT gateway",
        "interface endpoint",
        "gateway endpoint",
    ),
    "dns": ("Cloud Map service",),
    "events": ("queue", "event rule"),
    "discovery": ("KMS key", "KMS alias", "bucket", "secret"),
    "iam": ("IAM role", "policy of the IAM role", "instance profile"),
    "node_groups": ("launch template", "Auto Scaling group", "lifecycle hook", "scaling policy"),
    "monitoring": ("topic", "log group", "alarm", "dashboard"),
}


def declared(cluster: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names by kind, as `resources/survey.py` has them.

    ``cluster`` is the configuration as the preflight leaves it.
    """
    name, names, zones, groups = (cluster[key] for key in ("cluster_name", "names", "zones", "node_groups"))
    private, dns, monitoring = cluster["private_nodes"], cluster["dns"], cluster["monitoring"]
    # In an existing network only the security groups are the cluster's.
    own = [] if cluster["network"] else [name]
    zones = zones if own else []
    watched = monitoring is not None and monitoring["alarms"]
    endpoints = private["endpoints"] if private else []
    nat = [] if private is None or private["nat"] == NONE else zones if private["nat"] == PER_ZONE else zones[:1]
    tables = [*(f"{item}-public" for item in own), *(f"{name}-{zone}-private" for zone in zones if private)]
    roles = [names["manager_role"], names["worker_role"]]
    scaled = [f"{name}-{group['name']}" for group in groups]
    security = [*SECURITY_GROUPS, *(["endpoints"] if endpoints else [])]
    hooks = (names["launching_hook"], names["terminating_hook"])
    return {
        "VPC": own,
        "subnet": [*(f"{name}-{zone}" for zone in zones), *(f"{name}-{zone}-private" for zone in zones if private)],
        "internet gateway": own,
        "route table": tables,
        "security group": [f"{name}-{group}" for group in security],
        "elastic IP address": [nat_name(name, zone) for zone in nat],
        "NAT gateway": [nat_name(name, zone) for zone in nat],
        "interface endpoint": [endpoint_name(name, endpoint) for endpoint in endpoints],
        "gateway endpoint": tables,
        "Cloud Map service": [dns["record"]] if dns is not None and dns["cloud_map"] is not None else [],
        "queue": [names["dead_letter_queue"], names["queue"]],
        "event rule": [names["event_rule"]],
        "KMS key": [names["key_alias"]],
        "KMS alias": [f"alias/{names['key_alias']}"],
        "bucket": [names["bucket"]],
        "secret": [names["unlock_secret"]] if cluster["autolock"] else [],
        "IAM role": roles,
        "policy of the IAM role": roles,
        "instance profile": roles,
        "launch template": scaled,
        "Auto Scaling group": scaled,
        "lifecycle hook": [f"{group}/{hook}" for group in scaled for hook in hooks],
        "scaling policy": [
            f"{name}-{group['name']}/needed-nodes" for group in groups if group["role"] == WORKER and group["scaling"]
        ],
        "topic": [names["alarm_topic"]] if watched and monitoring["topic_arn"] is None else [],
        "log group": [names["log_group"]] if cluster["logs"] is not None else [],
        "alarm": list(alarms_and_dashboard(cluster)[0]),
        "dashboard": [names["dashboard"]] if watched else [],
    }


def missing(wanted: Mapping[str, Sequence[str]], found: Iterable[Resource], roles: Sequence[str]) -> list[str]:
    """Kind and name of each declared resource that does not exist, for the kinds that these roles create."""
    there: dict[str, set[str]] = {}
    for resource in found:
        if not resource.kept and not resource.going:
            there.setdefault(resource.kind, set()).add(resource.name or resource.id)
    # A key is known by its alias. A single NAT gateway may be in any zone.
    there["KMS key"] = {alias.split("/", 1)[1] for alias in there.get("KMS alias", ())}
    for kind in ("NAT gateway", "elastic IP address"):
        if len(wanted[kind]) == 1 and there.get(kind):
            there[kind].update(wanted[kind])
    kinds = [kind for role in roles for kind in PARTS[role]]
    return [f"{kind} {name}" for kind in kinds for name in wanted[kind] if name not in there.get(kind, ())]
