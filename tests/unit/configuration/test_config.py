"""A configuration is checked against its spec, and all that is wrong is said at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_schema as configuration

from tests.unit.configuration.configuration import group, raw, spec


def errors(**changed: Any) -> list[str]:
    return configuration.check(raw(**changed), spec())


def test_the_example_is_valid() -> None:
    assert errors() == []


@pytest.mark.parametrize("key", ["account_id", "region", "cluster_name", "node_groups"])
def test_a_missing_key_is_named_with_its_purpose(key: str) -> None:
    (error,) = errors(**{key: None})

    assert error.startswith(f"{key} is missing: ")
    assert error.endswith(".")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"zones": "eu-west-1a"}, "zones is 'eu-west-1a', but must be a list: "),
        ({"node_os": "debian12"}, "node_os is 'debian12', but must be one of debian13, amazonlinux2023, ubuntu2404; d"),
        ({"session_manager": "yes"}, "session_manager is 'yes', but must be true or false: "),
        # What YAML makes of no.
        ({"private_nodes": {"nat": False}}, "private_nodes.nat is False, but must be one of one, per_zone, none."),
        ({"private_nodes": True}, "private_nodes is True, but must be a mapping of nat: "),
        ({"logs": True}, "logs is True, but must be a mapping of mib_per_day, retention_days: "),
        ({"cluster_tags": "web"}, "cluster_tags is 'web', but must be a mapping: "),
        ({"dns": {"cloud_map": {"service": "www"}}}, "dns.cloud_map.namespace is missing: "),
        ({"dns": {"zone": "e.com", "record": "e.com", "tll": 5}}, "dns: unknown key 'tll'; did you mean 'ttl'?"),
        ({"node_groups": [group(desired="3")]}, "node_groups[manager].desired is '3', but must be an integer: "),
        ({"node_groups": [group(role="master")]}, "node_groups[manager].role is 'master', but must be one of manager"),
        ({"node_groups": [group(lables={})]}, "node_groups[manager]: unknown key 'lables'; did you mean 'labels'?"),
        ({"node_groups": [{"role": "worker", "desired": 1}]}, "node_groups[0].name is missing: "),
        ({"published_ports": [{"from": []}]}, "published_ports[0].port is missing: "),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(changed: dict[str, Any], error: str) -> None:
    (found,) = errors(**changed)

    assert found.startswith(error)


def test_an_invalid_number_gets_no_spelling_suggestion() -> None:
    (found,) = errors(logs={"retention_days": 15})

    assert found.startswith("logs.retention_days is 15, but must be one of 1, 3, 5, 7, 14, 30, ")
    assert "did you mean" not in found


def test_all_errors_are_reported_at_once() -> None:
    assert len(errors(region=None, account_id=None, node_os="plan9")) == 3


def test_unknown_keys_are_refused_except_the_operators_own() -> None:
    found = configuration.unknown_keys("all.yml", ["region", "x_mine", "regoin"], spec())

    assert found == ["all.yml: unknown key 'regoin'; did you mean 'region'?"]


def test_unset_keys_get_their_defaults() -> None:
    config = configuration.with_defaults(raw(published_ports=None, node_groups=[group()]), spec())

    assert config["published_ports"] == [
        {"port": 80, "protocol": "tcp", "from": ["0.0.0.0/0"]},
        {"port": 443, "protocol": "tcp", "from": ["0.0.0.0/0"]},
    ]
    assert config["dns"]["addresses"] == "public"
    assert config["node_groups"][0]["instance_types"] == ["t3.small"]
    assert config["node_groups"][0]["spot"] is None
