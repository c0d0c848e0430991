"""Whether an inventory file finds the instances of the cluster that is configured, since it cannot read variables."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ..aws import tags

PLUGIN = "aws_ec2"


def check(path: str, inventory: Any, config: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each thing in an aws_ec2 inventory file that does not agree with the configuration."""
    if not _finds_instances(inventory):
        return
    key = f"tag:{tags.CLUSTER}"
    cluster, region = config["cluster_name"], config["region"]
    found = (inventory.get("filters") or {}).get(key)
    if _list(found) != [cluster]:
        what = f"{key} is {found}" if found else f"{key} is missing"
        yield f"{path}: in filters, {what}, but cluster_name is {cluster}: write `{key}: {cluster}` there."
    regions = _list(inventory.get("regions"))
    if regions != [region]:
        what = f"regions is {', '.join(regions)}" if regions else "regions is missing"
        yield f"{path}: {what}, but region is {region}: write `regions: [{region}]` there."


def unreached(path: str, inventory: Any, config: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each thing that SSH lacks, where the file's group for Session Manager leaves the nodes to it.

    A file without such a group has a way of its own.
    """
    if not _finds_instances(inventory) or config["private_nodes"] is not None:
        return
    condition = (inventory.get("groups") or {}).get("session_manager")
    if condition is None or str(condition).lower() == "true":
        return
    for key in ("key_name", "ssh_access"):
        if not config[key]:
            yield (
                f"{path}: the nodes have public addresses and so are reached by SSH, but {key} is not set: set it, or "
                "set the group session_manager to true there."
            )


def _finds_instances(inventory: Any) -> bool:
    return isinstance(inventory, Mapping) and str(inventory.get("plugin", "")).rsplit(".", 1)[-1] == PLUGIN


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
