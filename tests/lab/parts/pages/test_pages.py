"""Every command in the documentation works: it runs here, or in a test that tests/lab/documented.py names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import environments
from tests.lab.documented import commands, elsewhere
from tests.lab.site import CLUSTER, ROOT, Site

# Commands that change nothing.
READ_ONLY = re.compile(
    r".*(aws (cloudwatch|logs)|ansible all -m ping|ansible \S+ -m ansible\.builtin\.command|ansible-inventory"
    r"|lab (status|get)|make .*(ssh|status)|swarm\.aws\.ssh"
    r"|playbooks/(diagnose|instances|managers|picture|plan|status)\.yml|--check).*"
).fullmatch
# The AWS CLI, which the project itself does not need.
AWS_CLI = "awscli==1.46.3"
# Values for the placeholders and example names of the pages.
FILLED: dict[str, Callable[[Site], str]] = {
    r"\bi-[0-9a-f]{17}\b|\bi-[0-9a-f]*…": lambda site: site.pick("worker"),
    r"\bNAME\b": lambda site: newest_backup(site),
    r"\bshop_web,shop_api\b": lambda _: f"{CLUSTER}_web",
}


def newest_backup(site: Site) -> str:
    if not site.backups():
        assert site.playbook("playbooks/backup.yml").code == 0
    return site.backups()[0]


COMMANDS = commands()


@pytest.mark.parametrize("text", sorted(text for text in COMMANDS if not elsewhere(text) and not READ_ONLY(text)))
def test_a_command_of_the_documentation_works(site: Site, text: str, tmp_path: Path) -> None:
    site.settle()
    _works(site, text, tmp_path)
    # The next command needs a converged cluster.
    site.settle()


def test_read_only_commands_of_the_documentation_work_and_write_nothing(
    site: Site, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Two run at a time, since they do not affect each other."""
    texts = sorted(text for text in COMMANDS if not elsewhere(text) and READ_ONLY(text))
    assert len(texts) > 20
    site.settle()
    newest_backup(site)
    environments.make(tmp_path / "aws", AWS_CLI)
    site.forget_calls()
    with ThreadPoolExecutor(2) as pool:
        runs = {
            text: pool.submit(_works, site, text, tmp_path / str(number), tmp_path / "aws/bin")
            for number, text in enumerate(texts, start=1)
        }
    for text, run in runs.items():
        with subtests.test(text):
            run.result()
    assert site.writes() == []


def _works(site: Site, text: str, folder: Path, *programs: Path) -> None:
    for pattern, value in FILLED.items():
        if re.search(pattern, text):
            text = re.sub(pattern, value(site), text)
    text = text.replace("/tmp/", f"{folder}/")
    if not shutil.which("jq"):
        text = re.sub(r" \| jq .*", "", text)
    # A copy of the checkout by links, for the files that the command writes.
    (folder / "docs").mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name != "docs":
            (folder / entry.name).symlink_to(entry)
    # Last, since an environment has its own Python.
    path = os.pathsep.join([os.environ["PATH"], *map(str, programs)])
    run = site.command("bash", "-o", "errexit", "-o", "pipefail", "-c", text, folder=folder, PATH=path)
    assert run.code == 0, f"{text}: {run.output[-3000:]}"
    for file in re.findall(r"output=(\S+)", text):
        assert (folder / file).is_file(), f"{file} was not written"
