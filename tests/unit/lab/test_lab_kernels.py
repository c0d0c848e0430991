"""What instances with a kernel of their own are made of."""

from __future__ import annotations

import platform
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab import disks, images, kinds
from lab.aws.ports import Disk, InstanceSpec
from lab.errors import LabError
from lab.state import Lab

SPEC = InstanceSpec(
    "i-0123456789abcdef0", "vpc-1", "10.20.0.0/20", "10.20.0.4", None, disks=(Disk("vol-1", "/dev/sdf", 3),)
)


def test_a_guest_writes_to_its_own_files_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disks, "_folder", lambda lab: tmp_path / "disks")
    image, arguments, settings = kinds.on_its_own_kernel(Lab("lab", 0, kernel="own"), SPEC)
    assert (image, arguments) == (images.kernel_image(), ["sdf"])
    assert settings["binds"] == [
        "swarm-lab-i-0123456789abcdef0:/disk",
        f"{images.kernel_root()}:/shared/root.ext4:ro",
        f"{tmp_path}/disks/vol-1:/disks/sdf",
    ]
    assert (tmp_path / "disks/vol-1").stat().st_size == 3 * disks.GIB


def test_a_processor_without_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(LabError, match=r"package user-mode-linux, which does not exist for aarch64: use"):
        images.ensure_kernel(Mock(), print)


def test_a_package_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LabError("Building it failed.")

    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(images, "_has", lambda engine, reference: False)
    monkeypatch.setattr(images, "_build", fail)
    with pytest.raises(LabError, match=r"user-mode-linux, which could not be installed.*Building it failed"):
        images.ensure_kernel(Mock(), print)
