"""A cluster that is configured otherwise than the lab's usual one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.state import Lab

from .site import ROOT, Site

Configuration = Mapping[str, Any]


def usual() -> Configuration:
    """The lab's own configuration."""
    return yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())  # type: ignore[no-any-return]


def node_groups(**settings: Mapping[str, Any]) -> tuple[str, str]:
    """The words for `ansible-playbook` that give the lab's node groups of these names other settings, or add groups."""
    groups = {group["name"]: group for group in usual()["node_groups"]}
    changed = {name: groups.get(name, {"name": name}) | setting for name, setting in settings.items()}
    return "-e", json.dumps({"node_groups": list((groups | changed).values())})


def private(usual: Configuration) -> Configuration:
    """The configuration with nodes that have no public address, behind a NAT gateway."""
    dns = {**usual["dns"], "addresses": "private", "ipv6": False}
    return {**usual, "private_nodes": {"nat": "one"}, "dns": dns}


def configure(lab: Lab, folder: Path, change: Callable[[Configuration], Configuration]) -> Site:
    """The lab with what ``change`` makes of the usual configuration, whose inventory is then in ``folder``."""
    site = Site(lab)
    shutil.copytree(ROOT / "inventories/lab", folder, dirs_exist_ok=True)
    configuration = folder / "group_vars/all.yml"
    configuration.write_text(yaml.safe_dump(change(usual())))
    site.environment["ANSIBLE_INVENTORY"] = str(folder)
    return site


def build(lab: Lab, folder: Path, change: Callable[[Configuration], Configuration]) -> Site:
    """Run `site.yml` with another configuration, as `configure` writes it."""
    site = configure(lab, folder, change)
    run = site.playbook("site.yml")
    assert run.code == 0, run.output[-6000:]
    return site


def unchanged(site: Site) -> str:
    """Run `site.yml` once more, which may change nothing, and return what the plan then says."""
    site.settle()
    run = site.playbook("site.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-6000:]
    plan = site.playbook("playbooks/plan.yml")
    assert plan.code == 0, plan.output[-4000:]
    assert "Nothing is to be changed." in plan.output and "No orphans" in plan.output, plan.output[-4000:]
    return plan.output
