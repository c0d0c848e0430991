"""Compare the swarm's nodes with the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core.counting import counted

GROUP = "swarm.aws.group"


def missing(nodes: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """A phrase for each group that lacks nodes; empty if none does.

    ``nodes`` are the engine's nodes. ``groups`` are those of the configuration: name, role, desired, labels.
    A node counts when it is ready, has its role, and carries the labels of its group.
    """
    phrases = []
    for group in groups:
        desired = int(group["desired"])
        mine, ready, labelled = _of_group(nodes, group)
        if len(labelled) >= desired:
            continue
        phrase = f"{desired - len(labelled)} of {counted(desired, 'node')} of group '{group['name']}' ({group['role']})"
        if len(mine) > len(ready):
            phrase += f", {len(mine) - len(ready)} of them joined but not ready"
        if len(ready) > len(labelled):
            phrase += f", {len(ready) - len(labelled)} of them without the group's labels"
        phrases.append(phrase)
    return phrases


def told(nodes: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> str:
    """How many of the groups' nodes count, and which are missing, as a sentence."""
    desired = [int(group["desired"]) for group in groups]
    present = sum(min(len(_of_group(nodes, group)[2]), size) for group, size in zip(groups, desired))
    lacking = missing(nodes, groups)
    lacks = f", and lacks {'; '.join(lacking)}" if lacking else ""
    return f"The swarm has {present} of {counted(sum(desired), 'node')}{lacks}."


def scaled(groups: Sequence[Mapping[str, Any]], sizes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The groups with their present size, if ``sizes`` has it."""
    now = {size["name"]: int(size["desired"]) for size in sizes}
    return [{**group, "desired": now[group["name"]]} if group.get("name") in now else group for group in groups]


def _of_group(nodes: Sequence[Mapping[str, Any]], group: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The group's nodes, those of them that are ready, and those of these that have its labels."""
    mine = [node for node in nodes if _labels(node).get(GROUP) == group["name"]]
    ready = [node for node in mine if _serves(node, group["role"])]
    return [mine, ready, [node for node in ready if _has(node, group.get("labels") or {})]]


def _labels(node: Mapping[str, Any]) -> Mapping[str, str]:
    return node["Spec"].get("Labels") or {}


def _serves(node: Mapping[str, Any], role: str) -> bool:
    if node["Status"]["State"] != "ready" or node["Spec"]["Role"] != role:
        return False
    return role == "worker" or (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"


def _has(node: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return all(_labels(node).get(key) == _text(value) for key, value in labels.items())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
