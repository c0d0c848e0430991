"""Two workers are replaced by those of a new launch template, while a client asks hundreds of times a second."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.lab.load import Load
from tests.lab.site import RECORD, ROOT, Site, say


def test_two_nodes_are_upgraded_and_no_request_fails(site: Site, tmp_path: Path) -> None:
    site.settle()
    larger = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    assert larger.code == 0, larger.output[-4000:]
    old, managers = site.ids("worker"), site.ids("manager")
    assert len(old) == 2

    changed = tmp_path / "groups.json"
    configured = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())["node_groups"]
    user_data = {"worker": {"user_data": "#cloud-config\n# a new launch template\n"}}
    changed.write_text(json.dumps({"node_groups": [group | user_data.get(group["name"], {}) for group in configured]}))
    built = site.playbook("site.yml", "--tags", "groups", "-e", f"@{changed}")
    assert (built.code, built.changed) == (0, 1), built.output[-4000:]

    with Load(site.lab, RECORD) as load:
        run = site.playbook("playbooks/upgrade.yml")
    assert run.code == 0, run.output[-6000:]
    say(f"an upgrade of two nodes: {load.result}")
    assert load.result.failures == []
    site.settle(workers=2)
    assert not site.ids("worker") & old, "both are new"
    assert site.ids("manager") == managers, "their launch template is as before"

    smaller = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=1")
    assert smaller.code == 0, smaller.output[-4000:]
    site.settle()
