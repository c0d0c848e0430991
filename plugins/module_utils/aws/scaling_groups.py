"""Auto Scaling groups, as Auto Scaling describes them."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from . import tags


def groups_of(autoscaling: Any, cluster: str, *filters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cluster's groups, limited by additional filters."""
    return _groups(autoscaling, Filters=[*tags.of_cluster_filter(cluster), *filters])


def groups_named(autoscaling: Any, names: Iterable[str]) -> list[Mapping[str, Any]]:
    """The groups that have these names and exist, of any cluster."""
    return _groups(autoscaling, AutoScalingGroupNames=list(names))


def _groups(autoscaling: Any, **arguments: Any) -> list[Mapping[str, Any]]:
    pages = autoscaling.get_paginator("describe_auto_scaling_groups").paginate(**arguments)
    return [group for page in pages for group in page["AutoScalingGroups"]]


def template_of(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """The launch template of a group or of its mixed instances policy."""
    mixed = (group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate", {})
    return group.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification") or {}
