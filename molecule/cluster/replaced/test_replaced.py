"""The lost instances are gone from the account; test_managers.py compares the swarm with the account."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nodes

LOST = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "lost.json").read_text())


def test_lost_instances_are_not_in_the_inventory() -> None:
    assert LOST
    assert not set(LOST) & set(nodes.inventory()["_meta"]["hostvars"])
