"""What was taken away is gone from the account, and so from the swarm: test_managers.py has the two agree."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nodes

LOST = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "lost.json").read_text())


def test_they_are_not_in_the_inventory() -> None:
    assert LOST
    assert not set(LOST) & set(nodes.inventory()["_meta"]["hostvars"])
