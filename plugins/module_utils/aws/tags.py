"""The tags that identify a cluster's resources."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

CLUSTER = "swarm.aws/cluster"
GROUP = "swarm.aws/group"
ROLE = "swarm.aws/role"
# Of an IAM role, whose name is global: its cluster's region.
REGION = "swarm.aws/region"
# Of a private subnet, its route table, its NAT gateway and the gateway's address: the zone.
PRIVATE = "swarm.aws/private"
# Of an Auto Scaling group: the last applied `desired` of node_groups.
DESIRED = "swarm.aws/desired"


def of_cluster(cluster: str, tags: Mapping[str, str], **more: str) -> dict[str, str]:
    """The tags of a resource: the operator's, the cluster's and those of ``more`` (such as ``Name``)."""
    return {**tags, **more, CLUSTER: cluster}


def to_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the form of most services."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def from_list(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping, without AWS's own tags."""
    return {tag["Key"]: str(tag.get("Value") or "") for tag in tags if not tag.get("Key", "aws:").startswith("aws:")}


def specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags for EC2 requests that create a resource of that kind."""
    return [{"ResourceType": kind, "Tags": to_list(tags)}]


def of_cluster_filter(cluster: str) -> list[dict[str, Any]]:
    """The EC2 filter for the cluster's resources."""
    return [{"Name": f"tag:{CLUSTER}", "Values": [cluster]}]


def missing(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The wanted tags that are missing or have another value. Other tags are ignored."""
    return {key: value for key, value in wanted.items() if present.get(key) != value}
