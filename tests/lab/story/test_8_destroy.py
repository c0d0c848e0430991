"""The cluster is destroyed and the lab is deleted: nothing is left."""

from __future__ import annotations

import pytest

from lab import lifecycle
from tests.lab.conftest import say
from tests.lab.remains import remains
from tests.lab.site import CLUSTER, Site


@pytest.mark.fault(33)
def test_a_destroyed_cluster_leaves_the_account_as_it_was(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before


def test_a_deleted_lab_leaves_nothing_on_the_machine(empty: Site) -> None:
    server = empty.lab.pid_file.read_text()
    lifecycle.down(empty.lab, say)
    assert remains(empty.lab, server) == []
