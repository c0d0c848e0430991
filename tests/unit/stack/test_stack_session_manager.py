"""Managers that only Session Manager reaches are not waited for if its plugin is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real("ansible-playbook: which connection plugin is tried is Ansible's to decide")

ROOT = Path(__file__).resolve().parents[3]
MANAGER = "i-0000000000000000c"
# As site.yml runs it after it has found the new instances.
PLAYS: list[dict[str, Any]] = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.set_fact": {"stack_instances": {}}}],
    },
    {
        "hosts": MANAGER,
        "gather_facts": False,
        "vars": {
            "cluster_name": "example",
            "region": "eu-west-1",
            "account_id": "123456789012",
            "node_groups": [],
            "stack_nodes_timeout": 1,
        },
        "tasks": [{"ansible.builtin.import_role": {"name": "swarm.aws.stack", "tasks_from": "choose"}}],
    },
]


def choose(folder: Path, **variables: str) -> str:
    """The output of a run that finds no working manager."""
    playbook, inventory = folder / "choose.yml", folder / "hosts.yml"
    playbook.write_text(json.dumps(PLAYS))
    of_manager = {"ansible_connection": "amazon.aws.aws_ssm", "ansible_aws_ssm_region": "eu-west-1", **variables}
    inventory.write_text(json.dumps({"all": {"hosts": {MANAGER: of_manager}}}))
    # Only Python and Ansible, so that no plugin of this machine is found.
    path = folder / "bin"
    path.mkdir()
    (path / "ansible-playbook").symlink_to(Path(sys.executable).with_name("ansible-playbook"))
    own = {"AWS_SESSION_MANAGER_PLUGIN": "", "ANSIBLE_INVENTORY_ENABLED": "yaml", "ANSIBLE_NOCOLOR": "1"}
    environment = os.environ | {"PATH": str(path)} | own
    done = subprocess.run(
        [path / "ansible-playbook", "-i", inventory, playbook],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


def test_a_plugin_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    said = choose(tmp_path)

    assert (
        f"Ansible connects to {MANAGER} through Session Manager, but AWS's session-manager-plugin is not installed "
        "here: install it, or use SSH in the inventory, and run this again." in said
    )
    assert "Wait for connections to new managers" not in said


def test_a_plugin_that_is_there_is_tried(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\nexit 1\n")
    plugin.chmod(0o755)

    said = choose(tmp_path, ansible_aws_ssm_plugin=str(plugin))

    assert "session-manager-plugin is not installed" not in said
    assert "Wait for connections to new managers" in said
