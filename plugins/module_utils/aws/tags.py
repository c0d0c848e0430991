"""Tags, by which everything of a cluster is found."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

CLUSTER = "swarm.aws/cluster"
GROUP = "swarm.aws/group"
ROLE = "swarm.aws/role"
# Of an IAM role, whose name is one for all regions: that of its cluster.
REGION = "swarm.aws/region"
# Of a private subnet, its route table, its NAT gateway and that one's address: the zone.
PRIVATE = "swarm.aws/private"
# Of an Auto Scaling group: the `desired` of node_groups that was applied last.
DESIRED = "swarm.aws/desired"


def of_cluster(cluster: str, tags: Mapping[str, str], **more: str) -> dict[str, str]:
    """The tags of a resource: the operator's, the cluster's and those of ``more`` (such as ``Name``)."""
    return {**tags, **more, CLUSTER: cluster}


def to_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the form that most services want."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def from_list(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping, without those that AWS sets itself."""
    return {tag["Key"]: str(tag.get("Value") or "") for tag in tags if not tag.get("Key", "aws:").startswith("aws:")}


def specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags in the form that EC2 wants when something of that kind is created."""
    return [{"ResourceType": kind, "Tags": to_list(tags)}]


def of_cluster_filter(cluster: str) -> list[dict[str, Any]]:
    """The EC2 filter that finds what belongs to the cluster."""
    return [{"Name": f"tag:{CLUSTER}", "Values": [cluster]}]


def missing(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The wanted tags that are not there or have another value. Others are none of our business."""
    return {key: value for key, value in wanted.items() if present.get(key) != value}
