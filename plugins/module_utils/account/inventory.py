"""Checks that an inventory file finds the cluster's instances, since inventories cannot read variables."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping

from .._core.cluster import MANAGER
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


def unreached(inventories: Mapping[str, Any], config: Mapping[str, Any], session_plugin: str) -> Iterator[str]:
    """A sentence for each reason why Ansible will not reach the nodes.

    ``inventories`` are the contents of inventory files by path. Files without the group session_manager connect in a
    way of their own. ``session_plugin`` is the path of AWS's session-manager-plugin, empty if it is not installed.
    """
    managers = [group for group in config["node_groups"] if group["role"] == MANAGER]
    # Images, user data and security groups of the operator's may let them in too.
    key = config["key_name"] or any(config["node_images"].values()) or any(group["user_data"] for group in managers)
    network = config["network"] or {}
    port = config["ssh_access"] or network.get("security_groups") or any(group["security_groups"] for group in managers)
    if not port and not config["session_manager"]:
        yield (
            "ssh_access is empty and session_manager is false, so nobody can reach the nodes: list the ranges that you "
            "connect from in ssh_access, or set session_manager to true."
        )
        return
    for path, inventory in inventories.items():
        condition = (inventory.get("groups") or {}).get("session_manager") if _finds_instances(inventory) else None
        if condition is None:
            continue
        if not _through_session_manager(str(condition), config):
            missing = [name for name, given in (("key_name", key), ("ssh_access", port)) if not given]
            if missing:
                yield (
                    f"{path}: Ansible connects to the nodes by SSH, but {' and '.join(missing)} "
                    f"{'are not set: set them' if len(missing) > 1 else 'is not set: set it'}, or set the group "
                    "session_manager to true there."
                )
        elif not config["session_manager"]:
            yield (
                f"{path}: Ansible connects to the nodes through Session Manager, but session_manager is false: set it "
                "to true, or set the group session_manager to false there."
            )
        elif not session_plugin:
            yield (
                f"{path}: Ansible connects to the nodes through Session Manager, but AWS's session-manager-plugin is "
                "not installed here: install it, or set key_name and ssh_access for SSH."
            )


def _through_session_manager(condition: str, config: Mapping[str, Any]) -> bool:
    """Whether the condition of the group session_manager holds for the cluster's nodes."""
    return (
        condition.lower() == "true"
        or ("aws_key_name" in condition and not config["key_name"])
        or ("aws_public_ip_address" in condition and not config["public_addresses"])
    )


def _finds_instances(inventory: Any) -> bool:
    return isinstance(inventory, Mapping) and str(inventory.get("plugin", "")).rsplit(".", 1)[-1] == PLUGIN


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
