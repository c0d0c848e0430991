"""The changes that `site.yml` would make, from its tasks' results in check mode and from missing resources."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

# Kinds with a single resource per cluster, and their keys in the configuration's `names`.
SINGLE = {
    "KMS key": "key_alias",
    "bucket": "bucket",
    "secret": "unlock_secret",
    "event rule": "event_rule",
    "topic": "alarm_topic",
    "log group": "log_group",
}
CREATE, UPDATE, DELETE = "to_create", "to_update", "to_delete"


def plan(
    cluster: Mapping[str, Any], missing: Sequence[str], kept: Mapping[str, Any], deleted: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Resources by change, each as its kind and name.

    ``cluster`` is the configuration as the preflight leaves it, ``missing`` are declared resources that do not
    exist. ``kept`` and ``deleted`` are the results, by kind, of tasks that create and delete resources. The
    collection's own modules report each change in their diffs.
    """
    result: dict[str, list[str]] = {CREATE: list(missing), UPDATE: [], DELETE: []}
    found = [
        *(change for kind, returned in kept.items() for change in _changes(cluster, kind, returned, UPDATE)),
        *(change for kind, returned in deleted.items() for change in _changes(cluster, kind, returned, DELETE)),
    ]
    for what, resource in found:
        if resource not in result[CREATE] and resource not in result[what]:
            result[what].append(resource)
    return result


def _changes(cluster: Mapping[str, Any], kind: str, returned: Any, what: str) -> Iterator[tuple[str, str]]:
    """The change of each resource of a task or of its loop."""
    for result in returned.get("results", [returned]):
        if not result.get("changed"):
            continue
        if "changes" in result:
            for change in result["diff"]:
                what = CREATE if not change["before"] else DELETE if not change["after"] else UPDATE
                yield what, change["before_header"]
        else:
            yield what, f"{kind} {_name(cluster, kind, result)}"


def _name(cluster: Mapping[str, Any], kind: str, result: Mapping[str, Any]) -> str:
    """The name of a task's resource: the loop's item, or the only resource of the kind."""
    item = result.get(result.get("ansible_loop_var", "item"))
    if item is None:
        return str(cluster["names"][SINGLE[kind]] if kind in SINGLE else cluster["cluster_name"])
    while isinstance(item, Mapping) and "name" not in item:
        # A result of another task's loop.
        item = item["item"]
    name, prefix = str(item["name"] if isinstance(item, Mapping) else item), cluster["cluster_name"]
    return name if name.startswith(prefix) else f"{prefix}-{name}"
