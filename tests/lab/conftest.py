"""A lab for the whole run, and fixtures for its cluster.

The files in story/ are numbered because each continues the last: an empty account, a cluster, lost and removed nodes,
and an empty account again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
def kernel() -> str | None:
    """The kind of the lab's instances: `SWARM_LAB_KERNEL`, or containers."""
    return os.environ.get("SWARM_LAB_KERNEL")


@pytest.fixture(scope="session")
def lab(kernel: str | None) -> Iterator[Lab]:
    """The lab that most tests share, new at the start and deleted at the end."""
    with fresh(os.environ.get("SWARM_LAB_NAME", "test"), kernel=kernel) as lab:
        yield lab


@contextmanager
def fresh(name: str, account: str | None = None, kernel: str | None = None) -> Iterator[Lab]:
    """A lab as long as the context lasts; a lab of that name is removed first."""
    for left in (lab for lab in labs() if lab.name == name):
        lifecycle.down(left, say)
    yield lifecycle.up(name, say, account=account, kernel=kernel)
    for left in (lab for lab in labs() if lab.name == name):
        lifecycle.down(left, say)


@pytest.fixture(scope="session")
def empty(lab: Lab) -> Site:
    """The account before anything is built in it."""
    return Site(lab)


@pytest.fixture(scope="session")
def site(empty: Site) -> Site:
    """The account after `ansible-playbook site.yml -vvv`, whose output is searched for secrets later."""
    run = empty.playbook("site.yml", "-vvv")
    assert run.code == 0, run.output[-6000:]
    return empty
