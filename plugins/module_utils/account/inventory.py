"""Checks that an inventory file finds the cluster's instances, since inventories cannot read variables."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ..aws import tags

PLUGIN = "aws_ec2"


def check(path: str, inventory: Any, config: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each value in an aws_ec2 inventory file that contradicts the configuration."""
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
    """A sentence if SSH lacks a setting, and the file does not connect to all nodes through Session Manager.

    Files without the group session_manager are not checked.
    """
    if not _finds_instances(inventory) or not config["public_addresses"]:
        return
    condition = (inventory.get("groups") or {}).get("session_manager")
    if condition is None or str(condition).lower() == "true":
        return
    missing = [key for key in ("key_name", "ssh_access") if not config[key]]
    if missing:
        yield (
            f"{path}: Ansible connects to nodes with public addresses by SSH, but {' and '.join(missing)} "
            f"{'are not set: set them' if len(missing) > 1 else 'is not set: set it'}, or set the group "
            "session_manager to true there."
        )


def _finds_instances(inventory: Any) -> bool:
    return isinstance(inventory, Mapping) and str(inventory.get("plugin", "")).rsplit(".", 1)[-1] == PLUGIN


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
