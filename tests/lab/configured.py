"""Clusters with other configurations than the lab's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.aws.seed import IMAGES
from lab.state import Lab

from .site import ROOT, Site

Configuration = Mapping[str, Any]


def lab_configuration() -> Configuration:
    """The lab's own configuration."""
    return yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())  # type: ignore[no-any-return]


def node_groups(**settings: Mapping[str, Any]) -> tuple[str, str]:
    """The arguments for `ansible-playbook` that change or add node groups of the lab's configuration."""
    groups = {group["name"]: group for group in lab_configuration()["node_groups"]}
    changed = {name: groups.get(name, {"name": name}) | setting for name, setting in settings.items()}
    return "-e", json.dumps({"node_groups": list((groups | changed).values())})


def private(configuration: Configuration) -> Configuration:
    """The configuration with nodes that have no public address, behind a NAT gateway."""
    dns = {**configuration["dns"], "addresses": "private", "ipv6": False}
    return {**configuration, "private_nodes": {"nat": "one"}, "dns": dns}


def configure(lab: Lab, folder: Path, change: Callable[[Configuration], Configuration]) -> Site:
    """The lab with a configuration changed by ``change``, and its inventory in ``folder``."""
    site = Site(lab)
    shutil.copytree(ROOT / "inventories/lab", folder, dirs_exist_ok=True)
    configuration = folder / "group_vars/all.yml"
    configuration.write_text(yaml.safe_dump(change(lab_configuration())))
    site.environment["ANSIBLE_INVENTORY"] = str(folder)
    return site


def build(lab: Lab, folder: Path, change: Callable[[Configuration], Configuration]) -> Site:
    """Run `site.yml` with another configuration, as `configure` writes it."""
    site = configure(lab, folder, change)
    run = site.playbook("site.yml")
    assert run.code == 0, run.output[-6000:]
    return site


def unchanged(site: Site) -> str:
    """Run `site.yml` again, which must change nothing, and return the output of the plan."""
    site.settle()
    run = site.playbook("site.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-6000:]
    plan = site.playbook("playbooks/plan.yml")
    assert plan.code == 0, plan.output[-4000:]
    assert "Nothing to change." in plan.output and "No orphans" in plan.output, plan.output[-4000:]
    return plan.output


def private_nodes(nat: str) -> dict[str, Any]:
    """The settings of private nodes with this NAT mode."""
    # Without a NAT gateway the image must have the packages.
    images = {"node_images": {"x86_64": IMAGES[0].image_id}} if nat == "none" else {}
    return {"private_nodes": {"nat": nat}, "dns": private(lab_configuration())["dns"], **images}


_MANAGERS, _WORKERS = lab_configuration()["node_groups"]
_DISK = {"label": "data", "size": 50, "iops": 4000}
CONFIGURATIONS: Mapping[str, Configuration] = {
    "public nodes with IPv6": {},
    "private nodes, one NAT gateway, own tags": {
        **private_nodes("one"),
        "cluster_tags": {"team": "blue", "cost centre": "7"},
    },
    "a NAT gateway for each zone, spot, types, scaling, volumes": {
        **private_nodes("per_zone"),
        "node_groups": [
            {**_MANAGERS, "volumes": [_DISK], "user_data": "#!/bin/sh\ntrue\n"},
            {**_WORKERS, "instance_types": ["t3.small", "t3a.small"], "spot": {"share": 50}, "scaling": {"target": 80}},
        ],
    },
    "interface endpoints alone, warm pool, autolock": {
        **private_nodes("none"),
        "autolock": True,
        "node_groups": [_MANAGERS, {**_WORKERS, "warm_pool": {"min": 1}}],
    },
    "Cloud Map, registry, no ECR": {
        "dns": {"cloud_map": {"namespace": "swarm.internal", "service": "www"}, "ipv6": False},
        "registry": True,
        "ecr_repositories": [],
    },
    "no record, no alarms, no logs, no backups": {
        "dns": None,
        "monitoring": None,
        "logs": None,
        "backup_hours": 0,
        "published_ports": [],
    },
}
"""Configurations, as changes of the lab's: together they provision every kind of resource."""
