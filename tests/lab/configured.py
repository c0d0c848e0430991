"""A cluster that is configured otherwise than the lab's usual one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.state import Lab

from .site import ROOT, Site

Configuration = Mapping[str, Any]


def build(lab: Lab, folder: Path, change: Callable[[Configuration], Configuration]) -> Site:
    """Run `site.yml` with what ``change`` makes of the usual configuration, whose inventory is then in ``folder``."""
    site = Site(lab)
    shutil.copytree(ROOT / "inventories/lab", folder, dirs_exist_ok=True)
    configuration = folder / "group_vars/all.yml"
    configuration.write_text(yaml.safe_dump(change(yaml.safe_load(configuration.read_text()))))
    site.environment["ANSIBLE_INVENTORY"] = str(folder)
    site.first_run = site.playbook("site.yml")
    assert site.first_run.code == 0, site.first_run.output[-6000:]
    return site
