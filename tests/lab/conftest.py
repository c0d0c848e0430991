"""A lab for the whole run, and what its tests ask of the cluster that is built there.

The tests' files are numbered because they tell one story: an empty account, a cluster, its nodes coming and going, and
a lab that leaves nothing behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import lifecycle
from lab.state import Lab, labs

from .site import Site

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("lab")


def say(line: str) -> None:
    print(f"lab: {line}", file=sys.stderr)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab that most tests share, fresh at the start and gone at the end."""
    name = os.environ.get("SWARM_LAB_NAME", "test")
    for left in (lab for lab in labs() if lab.name == name):
        lifecycle.down(left, say)
    yield lifecycle.up(name, say)
    for left in (lab for lab in labs() if lab.name == name):
        lifecycle.down(left, say)


@pytest.fixture(scope="session")
def empty(lab: Lab) -> Site:
    """The account before anything is built in it."""
    return Site(lab)


@pytest.fixture(scope="session")
def site(empty: Site) -> Site:
    """The account after `ansible-playbook site.yml`, which said all it can, for the story's search for secrets."""
    run = empty.playbook("site.yml", "-vvv")
    assert run.code == 0, run.output[-6000:]
    return empty
