"""A cluster of instances with kernels of their own, with the stack `stacks/mesh`."""

from __future__ import annotations

import pytest

from tests.lab.configured import node_groups
from tests.lab.site import ROOT, Site

STACK = ROOT / "stacks/mesh/docker-compose.yml"
WORKERS = 2


@pytest.fixture(scope="session")
def kernel() -> str:
    """Containers share the host's kernel, which may have neither IPVS nor ESP."""
    return "own"


@pytest.fixture(scope="session")
def site(empty: Site) -> Site:
    """Three managers and two workers."""
    run = empty.playbook("site.yml", *node_groups(worker={"desired": WORKERS}), "-e", f"stack_file={STACK}")
    assert run.code == 0, run.output[-6000:]
    empty.settle(workers=WORKERS)
    return empty
