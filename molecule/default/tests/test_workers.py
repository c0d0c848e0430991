"""What holds on the workers."""

from __future__ import annotations

import nodes
from testinfra.host import Host

testinfra_hosts = nodes.urls("swarm_role_worker")


def test_its_agent_is_done_when_it_has_joined(host: Host) -> None:
    shown = host.check_output("systemctl show --property=ActiveState,ExecMainStatus swarm-agent")
    assert dict(line.split("=") for line in shown.splitlines()) == {"ActiveState": "inactive", "ExecMainStatus": "0"}


def test_it_has_no_say_in_the_swarm(host: Host) -> None:
    assert host.check_output("docker info --format '{{.Swarm.ControlAvailable}}'") == "false"
    assert not host.socket("tcp://2377").is_listening
