"""A cluster in a lab of its own, configured otherwise than the lab's usual one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab import lifecycle
from lab.state import Lab

from .conftest import say
from .site import ROOT, Site

Configuration = Mapping[str, Any]


@contextlib.contextmanager
def cluster(
    name: str,
    folder: Path,
    change: Callable[[Configuration], Configuration],
    prepare: Callable[[Lab], object] = lambda _lab: None,
) -> Iterator[Site]:
    """Bring the lab up, prepare its account, run `site.yml`, and take the lab down in the end.

    ``folder`` is for the inventory, whose configuration is what ``change`` makes of the usual one.
    """
    lab = lifecycle.up(name, say)
    try:
        prepare(lab)
        site = Site(lab)
        shutil.copytree(ROOT / "inventories/lab", folder, dirs_exist_ok=True)
        configuration = folder / "group_vars/all.yml"
        configuration.write_text(yaml.safe_dump(change(yaml.safe_load(configuration.read_text()))))
        site.environment["ANSIBLE_INVENTORY"] = str(folder)
        site.first_run = site.playbook("site.yml")
        assert site.first_run.code == 0, site.first_run.output[-6000:]
        yield site
    finally:
        lifecycle.down(lab, say)
