"""The oldest supported ansible-core on the controller; the newest is what all other tests run on."""

from __future__ import annotations

import re
from pathlib import Path

import ansible
import pytest
import yaml

from . import environments
from .site import ROOT, Site

OLDEST = re.search(r"\d+\.\d+", yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What makes the oldest ansible-core, with the collections of the newest, the one that runs."""
    assert OLDEST
    folder = tmp_path_factory.mktemp("oldest") / "environment"
    environments.make(folder, f"ansible-core=={OLDEST[0]}.*", *environments.pinned("boto3"))
    collections = f"{ROOT}/.collections:{Path(ansible.__file__).parents[1]}"
    return {"PATH": f"{folder}/bin:/usr/bin:/bin", "ANSIBLE_COLLECTIONS_PATH": collections}


@pytest.mark.parametrize("words", ["site.yml", "playbooks/status.yml", "playbooks/upgrade.yml --check"])
def test_the_oldest_ansible_core_finds_all_as_it_should_be(site: Site, environment: dict[str, str], words: str) -> None:
    run = site.playbook(*words.split(), **environment)
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-4000:]
    assert "WARNING" not in run.output, run.output


def test_that_is_the_one_that_ran(site: Site, environment: dict[str, str]) -> None:
    assert OLDEST
    assert f"[core {OLDEST[0]}." in site.command("ansible", "--version", **environment).output
