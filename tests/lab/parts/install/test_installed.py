"""The installed collection, in its own environment and folder.

The environment has the oldest supported ansible-core; all other tests use the newest.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import ansible
import pytest
import yaml

from tests.lab import environments
from tests.lab.site import CLUSTER, ROOT, Run, Site

PAGE, LOOK = ROOT / "docs/install.md", ROOT / "docs/look.md"
# The archive's top level, without files that only a checkout needs.
CONTENTS = {
    "CHANGELOG.md",
    "COPYING",
    "FILES.json",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "inventories",
    "look",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "runtime",
    "stacks",
}
OLDEST = re.search(r"\d+\.\d+", yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"])


def documented(start: str) -> str:
    """The page's first command that starts with ``start``."""
    return next(line.split("#")[0].strip() for line in PAGE.read_text().splitlines() if line.startswith(f"    {start}"))


@dataclass(frozen=True)
class Installed:
    """A home with the collection and an environment with its requirements, and nothing of the checkout."""

    site: Site
    home: Path

    @property
    def collection(self) -> Path:
        return self.collections / "swarm/aws"

    @property
    def collections(self) -> Path:
        return self.home / ".ansible/collections/ansible_collections"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home}/swarm/bin:/usr/bin:/bin",
            # Not the checkout's.
            "ANSIBLE_INVENTORY": str(self.home / "my-swarm"),
        }

    def run(self, command: str, folder: str = "my-swarm", **more: str) -> Run:
        """Run a shell command there."""
        return self.site.command("bash", "-c", command, folder=self.home / folder, **self.environment | more)


@pytest.fixture(scope="module")
def installed(empty: Site, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The collection, built and installed without Galaxy as documented, with the lab's configuration."""
    made = Installed(empty, tmp_path_factory.mktemp("home"))
    assert OLDEST
    environments.make(made.home / "swarm", f"ansible-core=={OLDEST[0]}.*", *environments.pinned("boto3"))
    # Instead of the collections from Galaxy.
    made.collections.mkdir(parents=True)
    for namespace in ("amazon", "community"):
        (made.collections / namespace).symlink_to(Path(ansible.__file__).parents[1] / "ansible_collections" / namespace)

    built = made.site.command("bash", "-c", documented("ansible-galaxy collection build"), HOME=str(made.home))
    assert built.code == 0, built.output
    for step in (documented("ansible-galaxy collection install --offline"), documented("cp -r")):
        run = made.run(step, folder=".")
        assert run.code == 0, run.output
    own = made.home / "my-swarm/group_vars/all.yml"
    own.write_text((ROOT / "inventories/lab/group_vars/all.yml").read_text())
    return made


def test_the_archive_has_exactly_the_files_of_the_playbooks(installed: Installed) -> None:
    (archive,) = installed.home.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        names = members.getnames()
    assert {name.split("/")[0] for name in names} == CONTENTS
    assert {name.split("/")[1] for name in names if name.startswith("inventories/")} == {"example"}
    assert [name for name in names if "lab" in Path(name).parts or name.endswith((".pyc", "conf.py"))] == []


def test_every_playbook_runs_by_its_full_name(installed: Installed) -> None:
    paths = sorted((installed.collection / "playbooks").glob("*.yml"))
    assert "site" in [path.stem for path in paths]
    names = " ".join(f"swarm.aws.{path.stem}" for path in paths)
    run = installed.run(f"ansible-playbook --syntax-check {names}")
    assert run.code == 0, run.output[-4000:]
    assert [path for path in paths if f"playbook: {path}\n" not in run.output] == []


def test_the_collection_does_not_change_a_cluster_of_the_checkout(site: Site, installed: Installed) -> None:
    """So both upload the same agent, byte for byte."""
    assert OLDEST
    site.settle()
    command = "ansible-playbook swarm.aws.site"
    assert f"    {command}\n" in PAGE.read_text()
    run = installed.run(command)
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-6000:]
    assert "could not match" not in run.output.lower(), "the inventory has not found the instances"
    assert "WARNING" not in run.output, run.output
    assert f"[core {OLDEST[0]}." in installed.run("ansible --version").output, "another ansible-core ran"


def test_the_collection_shows_and_scales_the_cluster(site: Site, installed: Installed) -> None:
    (worker,) = site.ids("worker")
    shown = installed.run("ansible-playbook swarm.aws.status")
    assert shown.code == 0, shown.output[-3000:]
    assert worker in shown.output
    scaled = installed.run("ansible-playbook swarm.aws.scale -e group=worker -e desired=1")
    assert scaled.code == 0, scaled.output[-3000:]
    assert (scaled.changed, site.ids("worker")) == (0, {worker})


def test_the_page_runs_from_the_installed_collection(site: Site, installed: Installed) -> None:
    site.settle()
    command = re.search(r"^    (PYTHONPATH=\S+) (python3 -m \S+\.look)$", LOOK.read_text(), re.MULTILINE)
    assert command
    process = subprocess.Popen(
        ["bash", "-c", f"{command[1]} exec {command[2]} --port 0"],
        cwd=installed.home / "my-swarm",
        env={**site.environment, **installed.environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        address, _, key = process.stdout.readline().removeprefix("look: ").strip().partition("?key=")
        request = urllib.request.Request(f"{address}moment.json", headers={"Authorization": f"Bearer {key}"})

        def live() -> bool:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return (json.load(answer)["moment"] or {}).get("cluster") == CLUSTER

        site.wait("the page to be live", live)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)
