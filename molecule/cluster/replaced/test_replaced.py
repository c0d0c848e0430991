"""What was taken away is gone, from the account and from the swarm, and others are in its place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nodes
from testinfra.host import Host

testinfra_hosts = nodes.urls("swarm_role_manager")
LOST = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "lost.json").read_text())


def test_they_are_neither_in_the_inventory_nor_in_the_swarm(host: Host) -> None:
    assert LOST
    members = host.check_output(
        "docker node inspect --format '{{index .Spec.Labels \"swarm.aws.instance\"}}' $(docker node ls --quiet)"
    ).split()
    assert not set(LOST) & set(nodes.inventory()["_meta"]["hostvars"])
    assert not set(LOST) & set(members)
    assert len(members) == 4
