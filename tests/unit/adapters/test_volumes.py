"""A node's data volumes: the device of each volume, and that only a blank volume is formatted."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.runtime.swarm_agent import volumes
from ansible_collections.swarm.aws.runtime.swarm_agent.command import command
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.volumes import Volume, Volumes

DATA = Volume("data", "/dev/sdf", "/srv/data")


class Clock:
    """Time that only passes by waiting."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def timestamp(self) -> str:
        return ""

    def wait(self, seconds: float, reason: str) -> None:
        self.at += seconds


class Host:
    """A host with NVMe disks and their contents, by serial number."""

    def __init__(self, root: Path, content: str = "") -> None:
        self.root, self.content, self.mounted, self.ran = root, content, False, list[str]()
        self.attached: list[Any] = [{"/dev/xvda": "vol-01", "/dev/sdf": "vol-02"}]
        self.clock = Clock()
        self.probe = 0
        for number, serial in enumerate(["vol02", "vol01"]):
            folder = root / f"sys/block/nvme{number}n1/device"
            folder.mkdir(parents=True)
            (folder / "serial").write_text(f"{serial}\n")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        self.ran.append(" ".join(words))
        code, said = 0, ""
        if words[0] == "mountpoint":
            code = 0 if self.mounted else 32
        elif words[:2] == ("blkid", "-L"):
            code, said = (0, "/dev/nvme0n1\n") if self.content == words[2] else (2, "")
        elif words[0] == "blkid":
            code = self.probe or (0 if self.content else 2)
        elif words[0] == "mkfs.ext4":
            self.content = words[3]
        elif words[0] == "mount":
            self.mounted = True
        return subprocess.CompletedProcess(words, code, said, "")

    def tell(self) -> Any:
        answer = self.attached.pop(0) if len(self.attached) > 1 else self.attached[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def keep(self) -> list[str]:
        """Mount the volume, and return the changes."""
        self.ran.clear()
        Volumes(self.tell, Log(io.StringIO()), self.clock, self.run, self.root).keep([DATA])
        return [command for command in self.ran if command.startswith(("mkfs", "mount "))]


def test_a_blank_volume_is_formatted_and_mounted_once(tmp_path: Path) -> None:
    host = Host(tmp_path)

    assert host.keep() == ["mkfs.ext4 -q -L data /dev/nvme0n1", "mount /dev/nvme0n1 /srv/data"]
    assert (tmp_path / "srv/data").is_dir()
    assert host.keep() == []


def test_after_a_reboot_the_volume_is_found_by_its_label(tmp_path: Path) -> None:
    host = Host(tmp_path, content="data")
    host.attached = [AssertionError("nobody is to be asked")]

    assert host.keep() == ["mount /dev/nvme0n1 /srv/data"]


def test_a_volume_with_any_content_is_not_formatted(tmp_path: Path) -> None:
    assert Host(tmp_path, content="a file system of someone else's").keep() == ["mount /dev/nvme0n1 /srv/data"]


def test_a_volume_of_unknown_content_is_not_formatted(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.probe = 8

    with pytest.raises(SwarmError, match="The content of /dev/nvme0n1 is unknown"):
        host.keep()
    assert not host.content
    assert not host.mounted


def test_a_volume_that_attaches_late_is_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.attached = [Unavailable("AWS did not answer."), {}, host.attached[0]]

    assert len(host.keep()) == 2
    assert host.clock.at == 2 * volumes.EVERY


def test_a_volume_that_never_attaches_is_named_with_the_last_reason(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.attached = [Unavailable("AWS did not answer.")]

    with pytest.raises(SwarmError, match=r"data \(/dev/sdf\) was not found within 300 s. AWS did not answer."):
        host.keep()
    assert host.clock.at >= volumes.DEADLINE


def test_an_invalid_list_of_volumes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "volumes.json"
    path.write_text(json.dumps([vars(DATA)]))
    assert volumes.load(path) == [DATA]
    path.write_text('[{"label": "data"}]')
    with pytest.raises(SwarmError, match="which lists the data volumes, cannot be read"):
        volumes.load(path)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(SwarmError, match=r"no-such-mkfs cannot be run: No such file"):
        command("no-such-mkfs", "/dev/sdf")
