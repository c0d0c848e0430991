"""Volumes beside the root volume: sparse files that the kernel shows as block devices."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.aws.ports import Disk
from lab.commands import run
from lab.state import Lab

GIB = 1 << 30


def image(lab: Lab, disk: Disk) -> Path:
    """The disk's file, blank unless the disk existed."""
    file = _folder(lab) / disk.volume_id
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        with file.open("wb") as blank:
            blank.truncate(disk.size * GIB)
    return file


def attach(lab: Lab, disk: Disk) -> str:
    """Create the disk's block device. Returns its name on the host.

    Raises LabError if the kernel has no loop devices.
    """
    file = image(lab, disk)
    present = _devices(file)
    return present[0] if present else run("losetup", "--find", "--show", str(file)).strip()


def remove(lab: Lab, volume_id: str) -> None:
    """Remove a disk and its device if they exist."""
    file = _folder(lab) / volume_id
    for device in _devices(file) if file.exists() else ():
        run("losetup", "--detach", device)
    with contextlib.suppress(FileNotFoundError):
        file.unlink()


def remove_all(lab: Lab) -> None:
    """Remove the remaining disks of a lab."""
    for file in _folder(lab).glob("vol-*"):
        remove(lab, file.name)


def _folder(lab: Lab) -> Path:
    return lab.folder / "disks"


def _devices(file: Path) -> list[str]:
    return [line.split(":")[0] for line in run("losetup", "--associated", str(file)).splitlines()]
