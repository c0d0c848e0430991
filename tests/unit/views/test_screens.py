"""The views of a cluster in trouble, from fake results of the modules."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import ScalingGroup, Service
from ansible_collections.swarm.aws.plugins.modules import cluster_info

from tests.unit.core.memory_cluster import dead, gone, instance, node, observed, record
from tests.unit.views.test_manager import control_plane

pytestmark = pytest.mark.real("ansible-playbook: a view is what Ansible makes of its templates")

ROOT = Path(__file__).resolve().parents[3]
WEB = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
GROUP = ScalingGroup("example-manager", "manager", 3, 3, 5, 3, "2")


def manager_report() -> dict[str, object]:
    """A manager's result: a manager is terminated, another is outdated, and the record is not up to date."""
    hosts = [gone(1), *(replace(instance(number), template="1") for number in (2, 3))]
    nodes = [dead(1), node(2, leader=True, engine="26.1.5"), node(3)]
    web = Service("1", "web", replicas=3, healthy={"n002": 1}, pending=2, why_pending="no suitable node")
    seen = replace(
        observed(hosts, nodes, record(1, 2, 3)),
        services=(web,),
        targets={WEB: {"i-002": "healthy", "i-003": "healthy"}},
    )
    done = {"at": "then", "action": "Drain", "sentence": "drain the node of i-001", "resource": "node of i-001"}
    status = {"at": "then", "version": "1", "last_actions": [done]}
    return cluster_info.show(control_plane(seen, "S3 rests.", groups=[GROUP], status=status))


def run_view(tmp_path: Path, view: str, states: dict[str, object], facts: dict[str, object]) -> tuple[int, str, str]:
    """The exit code, the screen and the errors of a view."""
    role = {"ansible.builtin.import_role": {"name": "swarm.aws.views", "tasks_from": view}}
    variables = {"terminal_quiet": True, "cluster_name": "example", "region": "eu-west-1", **facts}
    (tmp_path / "hosts.json").write_text(
        json.dumps({"all": {"hosts": {"localhost": None}, "children": {"swarm_role_manager": {"hosts": states}}}})
    )
    (tmp_path / "play.yml").write_text(
        json.dumps(
            [{"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": [role]}]
        )
    )
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml")],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "swarm.aws.terminal", "ANSIBLE_INVENTORY_ENABLED": "yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("view", ["status", "managers"])
def test_the_screen_has_the_report_of_a_manager(tmp_path, view):
    acting = {"managers_state": {"manager": True, "msg": "fine"}, "views_cluster": manager_report()}
    away = {"managers_state": {"msg": "Task failed: Timeout\n", "unreachable": True}}
    code, screen, errors = run_view(tmp_path, view, {"i-002": acting, "i-001": away}, {})
    assert code == 0, errors
    assert "i-001 cannot act: It did not answer: Timeout\n" in screen
    assert "Quorum: 2 of 3 managers reachable, quorum 2, 0 may fail" in screen
    row = next(line.split() for line in screen.splitlines() if line.startswith("i-001  "))
    assert "gone" in row and "unreachable" in row
    if view == "managers":
        return
    for sentence in (
        "Unhealthy: 2 of 2 nodes, 1 of 3 tasks; web runs 1 of 3 tasks",
        "DNS: www.example.com should point to 198.51.100.2, 198.51.100.3",
        "DNS: no instance of the cluster runs at 198.51.100.1",
        "Outdated: i-002, i-003",
        "Target group: web has 2 healthy",
        "Next: update the DNS record www.example.com: withdraw 198.51.100.1",
        "Unknown: S3 rests.",
        "Last actions of the leader's agent (1), reported at then:",
        "then  drain the node of i-001",
    ):
        assert sentence in screen, screen
    assert ["web", "replicated", "1", "3", "0", "0", "2", "no", "no", "suitable", "node"] in [
        line.split() for line in screen.splitlines()
    ]


def test_without_an_acting_manager_the_screen_has_aws_own_report(tmp_path):
    away = {"managers_state": {"manager": False, "msg": "The swarm does not have a leader."}}
    whole = manager_report()
    fleet = {
        name: whole[name] for name in ("members", "groups", "outdated", "record", "last_actions", "failures", "agent")
    }
    code, screen, errors = run_view(tmp_path, "status", {"i-001": away}, {"views_fleet": fleet})
    assert code == 2
    assert "No manager can act, so this is what EC2, Auto Scaling and DNS report." in screen
    assert "i-001 cannot act: The swarm does not have a leader." in screen
    assert "Quorum" not in screen and "In flight" not in screen
    assert "restore the swarm with playbooks/restore.yml" in " ".join(errors.split())
