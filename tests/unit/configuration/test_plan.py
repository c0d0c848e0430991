"""What a plan says, from what is missing and what tasks returned in check mode."""

from __future__ import annotations

from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core.names import resource_names
from ansible_collections.swarm.aws.plugins.module_utils.account.site_plan import plan

CLUSTER = {"cluster_name": "prod", "names": resource_names("prod", "123456789012", "eu-west-1")}


def loop(*items: Any, changed: bool = True, var: str = "item") -> dict[str, Any]:
    return {"results": [{"changed": changed, "ansible_loop_var": var, var: item} for item in items]}


def planned(missing: list[str], kept: dict[str, Any], deleted: dict[str, Any] | None = None) -> dict[str, list[str]]:
    return plan(CLUSTER, missing, kept, deleted or {})


def test_a_missing_resource_is_created_and_not_also_updated() -> None:
    kept = {"VPC": {"changed": True}, "subnet": loop({"name": "prod-eu-west-1a"}, {"name": "prod-eu-west-1b"})}
    found = planned(["VPC prod", "subnet prod-eu-west-1b"], kept)
    assert found == {
        "to_create": ["VPC prod", "subnet prod-eu-west-1b"],
        "to_update": ["subnet prod-eu-west-1a"],
        "to_delete": [],
    }


def test_resources_are_named_by_their_items_or_their_kind() -> None:
    kept = {
        "launch template": loop({"name": "worker"}, var="group"),
        "policy of the IAM role": loop({"item": {"name": "prod-manager"}, "changed": False}),
        "topic": {"changed": True},
        "route table": loop("prod-public"),
    }
    assert planned([], kept)["to_update"] == [
        "launch template prod-worker",
        "policy of the IAM role prod-manager",
        "topic prod-alarms",
        "route table prod-public",
    ]


def test_the_modules_of_the_collection_report_their_own_changes() -> None:
    diff = [
        {"before_header": "warm pool of prod-worker", "before": "", "after": "1"},
        {"before_header": "Auto Scaling group prod-worker", "before": "1", "after": "2"},
        {"before_header": "alarm prod/old", "before": "1", "after": ""},
    ]
    found = planned([], {"Auto Scaling group": {"changed": True, "changes": ["..."], "diff": diff}})
    assert found == {
        "to_create": ["warm pool of prod-worker"],
        "to_update": ["Auto Scaling group prod-worker"],
        "to_delete": ["alarm prod/old"],
    }


def test_a_plan_names_deletions_but_no_skipped_or_unchanged_resource() -> None:
    kept = {"subnet": loop({"name": "prod-a"}, changed=False), "VPC": {"skipped": True}, "queue": {}}
    assert planned([], kept, {"topic": {"changed": True}})["to_delete"] == ["topic prod-alarms"]
    assert planned([], kept)["to_update"] == []
