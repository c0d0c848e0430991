"""The engine's packages, options and addresses: what is refused, and the daemon.json that nodes get."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_rules, engine

from tests.unit.configuration.configuration import complete, group, raw, settled
from tests.unit.configuration.test_rules import ENDPOINTS, IMAGES, check

OPTIONS = {
    "log-driver": "local",
    "log-opts": {"max-size": "50m", "compress": True},
    "registry-mirrors": ["https://mirror.example.com"],
    "mtu": 1400,
    "default-network-opts": {"overlay": {"com.docker.network.driver.mtu": 1350}},
    "default-address-pools": [{"base": "172.26.0.0/16", "size": 24}],
    "data-root": "/srv/engine",
}


def options(**changed: Any) -> dict[str, Any]:
    return {"daemon_options": {key.replace("_", "-"): value for key, value in changed.items()}}


def test_options_are_merged_over_the_collections_own() -> None:
    found = complete(daemon_options=OPTIONS)["daemon"]

    assert found == {
        **OPTIONS,
        "icc": False,
        "live-restore": False,
        "metrics-addr": "127.0.0.1:9323",
        "log-opts": {"max-size": "50m", "max-file": "5", "compress": "true"},
        "default-network-opts": {"overlay": {"com.docker.network.driver.mtu": "1350"}},
    }
    assert check(daemon_options=OPTIONS) == ([], [])


def test_a_driver_without_files_has_no_rotation() -> None:
    assert complete(**options(log_driver="journald"))["daemon"]["log-opts"] == {}
    assert complete(**options(log_driver=None))["daemon"]["log-driver"] == "json-file"


@pytest.mark.parametrize("key", [*engine.FIXED])
def test_options_that_are_set_here_or_break_a_swarm_are_refused(key: str) -> None:
    (said,) = check(daemon_options={key: "x"}).errors
    assert said == f"daemon_options has {key}, which cannot be set, since {engine.FIXED[key]}: remove it."


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (options(iptables=False), "daemon_options.iptables is false, but the swarm's networks need it: remove it."),
        (
            options(registry_mirrors="https://m"),
            "daemon_options.registry-mirrors is 'https://m', but must be a list: See the reference of dockerd.",
        ),
        (options(mtu="large"), "daemon_options.mtu is 'large', but must be an integer: See the reference of dockerd."),
        (options(log_opts={"tag": ["a"]}), "daemon_options.log-opts.tag is ['a'], but must be a string."),
        (
            options(default_network_opts={"overlay": "mtu"}),
            "daemon_options.default-network-opts.overlay is 'mtu', but must be a mapping of strings.",
        ),
        (
            options(default_network_opts={"overlay": {"com.docker.network.driver.mtu": 9051}}),
            "daemon_options.default-network-opts.overlay.com.docker.network.driver.mtu is 9051, but a VPC carries "
            "packets of at most 9001 bytes: use 1500, or up to that.",
        ),
        (
            options(bip="172.26.0.0/16"),
            "daemon_options.bip is '172.26.0.0/16', but must be the address of the bridge with its prefix length, such "
            "as 172.26.0.1/16.",
        ),
        (
            options(default_address_pools=[{"base": "172.26.0.0/16", "size": 12}]),
            "daemon_options.default-address-pools has 172.26.0.0/16 with networks of the size /12, but the size must "
            "be between /16 and /29: correct size.",
        ),
        (options(default_address_pools=[{"base": "172.26.0.0/16"}]), "default-address-pools[0].size is missing"),
        (
            options(note="x" * 2048),
            "daemon_options needs 2072 bytes of the user data, but the maximum is 2048: use fewer options.",
        ),
        ({"swarm_address_pool": []}, "swarm_address_pool is empty"),
        ({"swarm_address_pool": ["172.30.0.1/16"]}, "did you mean '172.30.0.0/16'?"),
        (
            {"swarm_address_pool": ["172.30.0.0/25"]},
            "swarm_address_pool has 172.30.0.0/25 with networks of the size /24, but the size must be between /25 and "
            "/29: correct swarm_subnet_size.",
        ),
        (
            {"swarm_address_pool": ["172.28.0.0/14", "172.30.0.0/16"]},
            "swarm_address_pool has 172.28.0.0/14 and 172.30.0.0/16, which overlap: use separate ranges.",
        ),
        (
            {"swarm_address_pool": ["172.17.0.0/16"]},
            "172.17.0.0/16, used by the swarm's first overlay networks, overlaps 172.17.0.0/16, used by Docker's "
            "bridge network: set swarm_address_pool or daemon_options.bip to other addresses.",
        ),
        (
            {"engine_version": "28.5"},
            "engine_version is 28.5, but the distribution has a single version: set engine to docker-ce, or remove",
        ),
        ({"engine": "docker-ce", "engine_version": 28.5}, "engine_version is 28.5, but must be a version in quotes"),
        ({"engine": "docker-ce", "engine_version": "24.0.9"}, "is 24.0.9, but the agents need 25 or newer."),
        (
            {"engine": "docker-ce", "node_os": "amazonlinux2023"},
            "engine is docker-ce, but Docker has no packages for amazonlinux2023: remove engine, or use "
            "another node_os.",
        ),
        (
            {"engine": "docker-ce", **ENDPOINTS, **IMAGES},
            "engine is docker-ce, but private_nodes.nat is none, so its nodes do not reach download.docker.com: remove "
            "engine, and use an image that has the engine.",
        ),
        (
            {"engine": "docker-ce", "node_groups": [group(user_data="#!" + "x" * 5119)]},
            "user_data has 5121 bytes, but the maximum with engine or daemon_options is 5120.",
        ),
    ],
)
def test_a_wrong_value_is_explained_in_a_sentence(changed: dict[str, Any], wrong: str) -> None:
    (said,) = check(**changed).errors
    assert wrong in said


def test_an_unknown_option_is_passed_on_and_a_likely_mistake_named() -> None:
    found = check(**options(userland_proxy_path="/usr/bin/docker-proxy", newest={"a": 1}), engine="docker-ce")
    assert (found.errors, found.warnings) == ([], [])
    assert complete(**options(newest={"a": 1}))["daemon"]["newest"] == {"a": 1}
    assert check(daemon_options={"log_driver": "local"}).warnings == [
        "daemon_options has 'log_driver', which is passed on to the engine without a check; did you mean 'log-driver'?"
    ]


def test_a_vpc_may_be_where_the_default_pool_begins_with_another_pool() -> None:
    assert check(vpc_cidr="10.0.0.0/16", swarm_address_pool=["172.30.0.0/16"]).errors == []
    assert check(vpc_cidr="172.17.0.0/16", **options(bip="172.26.0.1/16")).errors == []
    assert check(vpc_cidr="172.30.0.0/20", swarm_address_pool=["172.30.0.0/16"]).errors == [
        "vpc_cidr 172.30.0.0/20 overlaps 172.30.0.0/16, used by the swarm's first overlay networks: choose another "
        "range, such as 10.20.0.0/16, or set swarm_address_pool to other addresses."
    ]
    assert "overlaps 172.26.0.0/16, used by Docker's local networks" in " ".join(
        check(vpc_cidr="172.26.0.0/24", daemon_options=OPTIONS).errors
    )


def test_the_bridge_may_be_in_the_engines_local_pool() -> None:
    pool = [{"base": "172.26.0.0/16", "size": 24}]
    assert check(**options(bip="172.26.0.1/24", default_address_pools=pool)) == ([], [])


def test_options_without_values_are_not_set() -> None:
    given = options(log_opts=None, default_network_opts={"overlay": None}, bip=None)
    assert check(**given) == ([], [])
    assert complete(**given)["daemon"]["default-network-opts"] == {"overlay": {}}


def test_the_swarms_first_networks_are_taken_from_all_ranges_in_order() -> None:
    config = settled(swarm_address_pool=["172.30.0.0/24", "10.128.0.0/9"], swarm_subnet_size=25)
    blocks = [str(network.block) for network in engine.networks(config) if network.setting == "swarm_address_pool"]
    first = configuration_rules.IPv4Network("172.30.0.0/24")
    assert blocks[0] == "10.128.0.0/18" and str(first) in blocks


def test_the_example_keeps_dockers_own_pool() -> None:
    assert "swarm_address_pool" not in raw()
    assert [str(network.block) for network in engine.networks(settled())] == ["10.0.0.0/16", "172.17.0.0/16"]
