"""Rules for `cluster_tags`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_rules

from tests.unit.configuration.configuration import complete, group, settled

ALLOWED = "letters, digits, spaces and _ . : / = + - @"


def errors(cluster_tags: dict[str, Any]) -> list[str]:
    return configuration_rules.check(settled(cluster_tags=cluster_tags), ["eu-west-1"]).errors


@pytest.mark.parametrize(
    ("tag", "error"),
    [
        (
            {"team&co": "web"},
            f"cluster_tags has the key 'team&co' with '&', but AWS accepts only {ALLOWED}: rename it.",
        ),
        ({"a\tb": "x"}, f"cluster_tags has the key 'a\\tb' with '\\t', but AWS accepts only {ALLOWED}: rename it."),
        (
            {"team": "web (blue), #1"},
            "cluster_tags has the value 'web (blue), #1' for team with '(', ')', ',', '#', but AWS accepts only "
            f"{ALLOWED}: change it.",
        ),
        ({"": "web"}, "cluster_tags has an empty key, but AWS accepts 1 to 128 characters: name it."),
        (
            {"k" * 129: "web"},
            f"cluster_tags has the key '{'k' * 40}…' with 129 characters, but AWS accepts at most 128: shorten it.",
        ),
        (
            {"team": "v" * 257},
            f"cluster_tags has the value '{'v' * 40}…' for team with 257 characters, but AWS accepts at most 256: "
            "shorten it.",
        ),
        (
            {"AWS:team": "web"},
            "cluster_tags has the key 'AWS:team', but the prefix aws: is AWS's own: rename it.",
        ),
        (
            {"Swarm.AWS/group": "web"},
            "cluster_tags has the key 'Swarm.AWS/group', but the prefix swarm.aws/ is the collection's own: rename it.",
        ),
        (
            {"team": "Aws:web"},
            "cluster_tags has the value 'Aws:web' for team, but the prefix aws: is AWS's own: change it.",
        ),
        (
            {"team": None},
            "cluster_tags has no value for team: set a value, '' for an empty value, or remove the key.",
        ),
        (
            {"team": ["web", "db"]},
            "cluster_tags has a list as the value of team, but AWS accepts only strings, such as 'web db'.",
        ),
        (
            {"team": {"name": "web"}},
            "cluster_tags has a mapping as the value of team, but AWS accepts only strings, such as 'web'.",
        ),
        (
            {"Team": "web", "team": "db"},
            "cluster_tags has the keys Team and team, but in the tags of roles IAM ignores case: remove one of them.",
        ),
        (
            {f"key{number}": "" for number in range(45)},
            "cluster_tags has 45 tags, but the maximum is 44: AWS accepts 50 per resource, and 6 are the collection's.",
        ),
    ],
)
def test_a_tag_that_aws_does_not_allow_is_refused(tag: dict[str, Any], error: str) -> None:
    assert errors(tag) == [error]


def test_each_invalid_tag_has_its_own_error() -> None:
    assert len(errors({"a&b": "x", "team": None, "aws:x": "y"})) == 3


@pytest.mark.parametrize(
    "tag",
    [
        {"Cost Center": "", "url": "https://example.com/a", "who": "me@example.com", "sum": "1+1=2"},
        {"k" * 128: "v" * 256},
        {"größe": "日本 ½"},
        {f"key{number}": "" for number in range(44)},
    ],
)
def test_a_tag_that_aws_allows_is_accepted(tag: dict[str, Any]) -> None:
    assert errors(tag) == []


@pytest.mark.parametrize(("value", "text"), [(4711, "4711"), (1.5, "1.5"), (True, "true"), (False, "false")])
def test_numbers_and_booleans_become_text(value: Any, text: str) -> None:
    config = complete(cluster_tags={"cost_center": value}, node_groups=[group()])

    assert config["cluster_tags"]["cost_center"] == text
    assert config["tags"]["cost_center"] == text
    assert config["node_groups"][0]["tags"]["cost_center"] == text
