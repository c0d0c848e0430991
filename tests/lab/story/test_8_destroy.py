"""The cluster is destroyed, then the lab is taken down: nothing is left of either."""

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


def test_a_lab_that_is_taken_down_leaves_nothing(empty: Site) -> None:
    server = empty.lab.pid_file.read_text()
    lifecycle.down(empty.lab, say)
    assert remains(empty.lab, server) == []
