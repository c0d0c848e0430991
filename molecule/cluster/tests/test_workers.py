"""Tests of the workers."""

from __future__ import annotations

import nodes
from testinfra.host import Host

testinfra_hosts = nodes.urls("swarm_role_worker")


def test_a_workers_agent_watches_its_membership(host: Host) -> None:
    status = host.check_output("systemctl show --property=StatusText --value swarm-agent")
    assert status.startswith("Member of the swarm ")


def test_a_worker_is_no_manager(host: Host) -> None:
    assert host.check_output("docker info --format '{{.Swarm.ControlAvailable}}'") == "false"
    assert not nodes.listens(host, 2377)
