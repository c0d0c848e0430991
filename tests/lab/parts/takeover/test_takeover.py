"""A cluster of an earlier version of the collection, taken over by this version as docs/release.md describes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.state import Lab
from tests.lab.configured import unchanged
from tests.lab.conftest import fresh
from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, ROOT, Site, say

# The last commit before nodes had a virtual environment and engines a label for the agent. From the second release on:
# the tag of the release before.
EARLIER = "dc72a5d"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier version's checkout. The repository needs its history."""
    folder = tmp_path_factory.mktemp("earlier")
    archive = subprocess.run(["git", "archive", EARLIER], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with a kind account: the earlier version does not expect what AWS delays and refuses."""
    with fresh(os.environ.get("SWARM_LAB_NAME", "takeover"), "kind") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, earlier: Path) -> Site:
    """The earlier version's cluster."""
    made = Site(lab)
    run = made.playbook("site.yml", folder=earlier)
    assert run.code == 0, run.output[-6000:]
    made.settle()
    return made


def test_an_earlier_cluster_is_taken_over_and_no_request_fails(site: Site, earlier: Path) -> None:
    """The commands of the page, in its order."""
    before, cluster, kept = site.ids(), site.cluster_record()["cluster_id"], site.kept()
    with Load(site.lab, RECORD, rate=100.0, longest=3600.0) as load:
        status = site.playbook("playbooks/status.yml")
        assert status.code == 0, status.output[-4000:]

        check = site.playbook("site.yml", "--check", "--diff")
        assert check.code == 0, check.output[-6000:]
        assert site.ids() == before

        run = site.playbook("site.yml")
        assert run.code == 0, run.output[-6000:]
        # Running nodes keep their agents, which follow the new policy.
        assert site.ids() == before
        assert site.members() == before

        # A replacement has the new agent, beside the old agents of the others.
        (worker,) = site.ids("worker")
        removal = site.playbook("remove_node.yml", "-e", f"id={worker}")
        assert removal.code == 0, removal.output[-4000:]
        site.settle()
        status = site.playbook("playbooks/status.yml")
        assert "Agents: an earlier version on 3, 0.1.0+" in status.said

        # The earlier version's commands still work.
        old = site.playbook("playbooks/status.yml", folder=earlier)
        assert old.code == 0, old.output[-4000:]

        for instance in site.managers():
            assert "the last valid policy counts" not in site.agent_log(instance)
        upgrade = site.playbook("playbooks/upgrade.yml", "-e", "batch=2")
        assert upgrade.code == 0, upgrade.output[-6000:]
    say(f"takeover: {load.result}")
    assert load.result.failures == []
    site.settle()
    assert not site.ids("manager") & before
    assert site.clusters() == {site.cluster_record()["cluster_id"]} == {cluster}
    assert site.kept() == kept
    assert "Agents:" not in site.playbook("playbooks/status.yml").said
    unchanged(site)


def test_a_cluster_taken_over_is_destroyed_without_remains(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before
