"""Tests of the managers."""

from __future__ import annotations

import json

import nodes
from testinfra.host import Host

testinfra_hosts = nodes.urls("swarm_role_manager")


def test_the_swarm_has_three_reachable_managers_and_a_worker(host: Host) -> None:
    lines = host.check_output("docker node ls --format '{{json .}}'").splitlines()
    found = [json.loads(line) for line in lines]
    assert {node["Status"] for node in found} == {"Ready"}
    assert sorted(node["ManagerStatus"] for node in found) == ["", "Leader", "Reachable", "Reachable"]


def test_managers_listen_on_the_join_port(host: Host) -> None:
    assert nodes.listens(host, 2377)


def test_every_node_has_its_instance_as_a_label(host: Host) -> None:
    labels = host.check_output(
        "docker node inspect --format '{{index .Spec.Labels \"swarm.aws.instance\"}}' $(docker node ls --quiet)"
    )
    assert sorted(labels.split()) == sorted(nodes.inventory()["_meta"]["hostvars"])
