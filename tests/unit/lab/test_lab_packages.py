"""The lab's errors where it cannot install what it needs."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import engine, lifecycle, packages, registry
from lab.errors import LabError
from lab.waiting import until


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without an engine and without root."""
    monkeypatch.setattr(engine, "_candidates", lambda: [f"unix://{tmp_path}/no.sock"])
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def silent(line: str) -> None:
    raise AssertionError(f"nothing is to be begun, but it said: {line}")


@pytest.mark.usefixtures("bare")
def test_without_an_engine_and_root_the_error_says_what_to_install() -> None:
    with pytest.raises(LabError) as caught:
        engine.ensure(silent)
    assert str(caught.value) == (
        "A Docker engine is missing (docker.io). The lab can install it only as root on Debian or Ubuntu: "
        "install it and run this again."
    )


@pytest.mark.usefixtures("bare")
def test_without_apt_get_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    with pytest.raises(LabError, match="comes from Debian's package docker-registry"):
        registry.program()


def test_two_labs_prepare_the_machine_one_after_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lifecycle, "HOME", tmp_path)
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        with lifecycle.one_at_a_time(said.append):
            second = pool.submit(lambda: lifecycle.one_at_a_time(said.append).__enter__())
            until("the second to wait", lambda: bool(said), seconds=20)
            assert not second.done()
        second.result(timeout=20)
    assert said == ["waiting for another lab that is being prepared on this machine"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\n[ "$3" = update ] || { echo "E: Unable to locate package $4" >&2; exit 100; }\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(LabError, match="Unable to locate package nonesuch"):
        packages.extract("nonesuch", tmp_path, needed_for="Nothing")
