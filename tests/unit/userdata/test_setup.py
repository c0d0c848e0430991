"""The setup script of an instance, with fakes of the programs that change the instance."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.userdata.rendering import OPERATING_SYSTEMS, cloud_config, files, user_data

pytestmark = pytest.mark.real("a shell: the setup is a shell script, run on stand-ins for package managers")

# The programs on an image with all packages, and the packages that a bare instance lacks.
READY = {"dpkg-query": "echo installed", "rpm": "true", "python3": "true", "docker": "echo ' swarm.aws.instance=i-0'"}
BARE = {**READY, "dpkg-query": "exit 1", "rpm": "exit 1"}
OTHERS = ("usermod", "systemctl", "apt-get", "dnf", "dpkg", "sleep")


def run(node_os: str, folder: Path, programs: dict[str, str]) -> tuple[int, list[str]]:
    """Run the script, and return its exit and the programs that it ran."""
    log = folder / "log"
    for name in {*OTHERS, *programs}:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n{programs.get(name, "true")}\n')
        program.chmod(0o755)
    script = files(cloud_config(user_data(node_os)))["/usr/local/lib/swarm-agent/setup"]
    ended = subprocess.run(
        ["sh"], input=script, text=True, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, timeout=30
    )
    return ended.returncode, log.read_text().splitlines()


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_no_package_is_installed_if_all_are_present(node_os: str, tmp_path: Path) -> None:
    code, calls = run(node_os, tmp_path, READY)

    assert code == 0
    assert not [call for call in calls if call.startswith(("apt-get", "dnf", "python3 -m pip"))]
    assert "systemctl restart docker" not in calls
    assert "systemctl enable --now --no-block swarm-agent.service swarm-prune.timer swarm-backup.timer" in calls


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_missing_packages_are_installed_before_the_agent_starts(node_os: str, tmp_path: Path) -> None:
    code, calls = run(node_os, tmp_path, BARE)

    manager = "dnf -q -y install docker" if node_os == "amazonlinux2023" else "apt-get -q -o DPkg::Lock::Timeout=120"
    (installed,) = [number for number, call in enumerate(calls) if call.startswith(manager)]
    (started,) = [number for number, call in enumerate(calls) if "swarm-agent.service" in call]
    assert code == 0
    assert installed < started


def test_an_unavailable_mirror_is_tried_again(tmp_path: Path) -> None:
    away = f"[ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; exit 100; }}"

    code, calls = run("debian13", tmp_path, {**BARE, "apt-get": away})

    assert code == 0
    assert calls.count("apt-get -q update") == 2
    assert calls.count("sleep 10") == 1


def test_without_its_packages_the_agent_does_not_start(tmp_path: Path) -> None:
    # The clock jumps over the deadline.
    clock = f"[ -e {tmp_path}/begun ] && echo 601 || {{ touch {tmp_path}/begun; echo 0; }}"

    code, calls = run("debian13", tmp_path, {**BARE, "apt-get": "exit 100", "date": clock})

    assert code == 1
    assert not [call for call in calls if "swarm-agent" in call]


def test_an_engine_that_started_without_its_labels_is_restarted(tmp_path: Path) -> None:
    code, calls = run("debian13", tmp_path, {**READY, "docker": "true"})

    assert code == 0
    assert calls.index("systemctl restart docker") < next(n for n, call in enumerate(calls) if "swarm-agent" in call)


def test_a_node_starts_without_session_managers_agent(tmp_path: Path) -> None:
    code, calls = run("debian13", tmp_path, {**READY, "systemctl": '[ "$1" != cat ]', "python3": "exit 1"})

    assert code == 0
    assert not [call for call in calls if call.startswith("dpkg -i")]
    assert [call for call in calls if "swarm-agent.service" in call]
