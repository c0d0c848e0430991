"""The collection as somebody has it who installed it: in an environment of their own, and a folder of their own.

The environment has the oldest supported ansible-core; all other tests run on the newest.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import ansible
import pytest
import yaml

from tests.lab import environments
from tests.lab.site import ROOT, Run, Site

PAGE = ROOT / "docs/install.md"
# What somebody who installs it gets, and nothing that only a checkout needs.
CONTENTS = {
    "COPYING",
    "FILES.json",
    "MANIFEST.json",
    "README.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "runtime",
    "stacks",
}
OLDEST = re.search(r"\d+\.\d+", yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"])


def told(start: str) -> str:
    """The page's first command that starts so."""
    return next(line.split("#")[0].strip() for line in PAGE.read_text().splitlines() if line.startswith(f"    {start}"))


@dataclass(frozen=True)
class Installed:
    """A home with the collection in it and an environment that has what it needs, and nothing of the checkout's."""

    site: Site
    home: Path

    @property
    def collection(self) -> Path:
        return self.collections / "swarm/aws"

    @property
    def collections(self) -> Path:
        return self.home / ".ansible/collections/ansible_collections"

    def run(self, command: str, folder: str = "my-swarm", **more: str) -> Run:
        """Run a command there as a shell would."""
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.home}/swarm/bin:/usr/bin:/bin",
            # Somebody's own inventory is not the checkout's.
            "ANSIBLE_INVENTORY": "",
        }
        words = ("env", "-u", "ANSIBLE_INVENTORY", "bash", "-c", command)
        return self.site.command(*words, folder=self.home / folder, **environment | more)


@pytest.fixture(scope="module")
def installed(empty: Site, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The collection, built and installed as the page says for where there is no Galaxy; the lab's configuration."""
    one = Installed(empty, tmp_path_factory.mktemp("home"))
    assert OLDEST
    environments.make(one.home / "swarm", f"ansible-core=={OLDEST[0]}.*", *environments.pinned("boto3"))
    # What Galaxy would bring.
    one.collections.mkdir(parents=True)
    for namespace in ("amazon", "community"):
        (one.collections / namespace).symlink_to(Path(ansible.__file__).parents[1] / "ansible_collections" / namespace)

    built = one.site.command("bash", "-c", told("ansible-galaxy collection build"), HOME=str(one.home))
    assert built.code == 0, built.output
    for step in (told("ansible-galaxy collection install --offline"), told("cp -r")):
        run = one.run(step, folder=".")
        assert run.code == 0, run.output
    own = one.home / "my-swarm/group_vars/all.yml"
    own.write_text((ROOT / "inventories/lab/group_vars/all.yml").read_text())
    return one


def test_the_archive_has_what_the_playbooks_need_and_nothing_else(installed: Installed) -> None:
    (archive,) = installed.home.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        names = members.getnames()
    assert {name.split("/")[0] for name in names} == CONTENTS
    assert {name.split("/")[1] for name in names if name.startswith("inventories/")} == {"example"}
    assert [name for name in names if "lab" in Path(name).parts or name.endswith((".pyc", "conf.py"))] == []


def test_every_playbook_goes_by_its_full_name(installed: Installed) -> None:
    paths = sorted((installed.collection / "playbooks").glob("*.yml"))
    assert "site" in [path.stem for path in paths]
    names = " ".join(f"swarm.aws.{path.stem}" for path in paths)
    run = installed.run(f"ansible-playbook --syntax-check {names}")
    assert run.code == 0, run.output[-4000:]
    assert [path for path in paths if f"playbook: {path}\n" not in run.output] == []


def test_what_a_checkout_has_built_is_not_changed_by_the_collection(site: Site, installed: Installed) -> None:
    """So the agent that both put there is the same, byte for byte."""
    assert OLDEST
    site.settle()
    command = "ansible-playbook swarm.aws.site"
    assert f"    {command}\n" in PAGE.read_text()
    run = installed.run(command)
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-6000:]
    assert "could not match" not in run.output.lower(), "the inventory has found the instances"
    assert "WARNING" not in run.output, run.output
    assert f"[core {OLDEST[0]}." in installed.run("ansible --version").output, "that is the one that ran"


def test_a_cluster_is_seen_and_kept_from_there(site: Site, installed: Installed) -> None:
    (worker,) = site.ids("worker")
    shown = installed.run("ansible-playbook swarm.aws.status", ANSIBLE_STDOUT_CALLBACK="swarm.aws.document")
    assert shown.code == 0, shown.output[-3000:]
    assert worker in shown.output
    kept = installed.run("ansible-playbook swarm.aws.scale -e group=worker -e desired=1")
    assert kept.code == 0, kept.output[-3000:]
    assert (kept.changed, site.ids("worker")) == (0, {worker})
