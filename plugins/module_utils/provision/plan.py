"""What a run of `site.yml` would change, told from what its tasks returned in check mode and from what is not there."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

CREATE, UPDATE, DELETE = "to_create", "to_update", "to_delete"


def plan(
    cluster: str, missing: Sequence[str], kept: Mapping[str, Any], deleted: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Resources by what would happen to them, each as its kind and name.

    ``missing`` are those that are declared and not there. ``kept`` and ``deleted`` are what tasks that keep and delete
    resources returned, by their kinds. Modules of ours tell of each change themselves, in their diffs.
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


def _changes(cluster: str, kind: str, returned: Any, what: str) -> Iterator[tuple[str, str]]:
    """What happens to each resource of a task, which may be a loop's."""
    for result in returned.get("results", [returned]):
        if not result.get("changed"):
            continue
        if "changes" in result:
            for change in result["diff"]:
                what = CREATE if not change["before"] else DELETE if not change["after"] else UPDATE
                yield what, change["before_header"]
        else:
            yield what, f"{kind} {_name(cluster, result)}"


def _name(cluster: str, result: Mapping[str, Any]) -> str:
    """The name of what a task was about: its loop's item, or the cluster's."""
    item = result.get(result.get("ansible_loop_var", "item"), cluster)
    name = str(item["name"] if isinstance(item, Mapping) else item)
    return name if name.startswith(cluster) else f"{cluster}-{name}"
