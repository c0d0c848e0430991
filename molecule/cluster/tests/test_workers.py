"""What holds on the workers."""

from __future__ import annotations

import nodes
from testinfra.host import Host

testinfra_hosts = nodes.urls("swarm_role_worker")


def test_its_agent_watches_whether_the_swarm_is_restored_without_it(host: Host) -> None:
    status = host.check_output("systemctl show --property=StatusText --value swarm-agent")
    assert status.startswith("Member of the swarm ")


def test_it_has_no_say_in_the_swarm(host: Host) -> None:
    assert host.check_output("docker info --format '{{.Swarm.ControlAvailable}}'") == "false"
    assert not nodes.listens(host, 2377)
