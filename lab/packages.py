"""Installs and unpacks Debian packages that the lab needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.commands import run
from lab.errors import LabError


def install(*packages: str, say: Callable[[str], None], needed_for: str) -> None:
    """Install packages. Raises LabError if that is not possible."""
    if os.geteuid() or not shutil.which("apt-get"):
        raise LabError(
            f"{needed_for} is missing ({', '.join(packages)}). The lab can install it only as root on Debian or "
            "Ubuntu: install it and run this again."
        )
    say(f"installing {', '.join(packages)}")
    _apt("update")
    _apt("install", "-y", "--no-install-recommends", *packages)


def extract(package: str, folder: Path, *, needed_for: str) -> None:
    """Unpack a package's files into a folder without installing it, because installing may start a service.

    Raises LabError if the package cannot be downloaded.
    """
    if not shutil.which("apt-get"):
        raise LabError(f"{needed_for} comes from Debian's package {package}, but this machine has no apt-get.")
    _apt("update")
    # apt's unprivileged downloader may not write to root's folder; its warning is harmless.
    _apt("download", package, cwd=folder)
    for archive in folder.glob("*.deb"):
        run("dpkg-deb", "--extract", str(archive), str(folder))


def _apt(*words: str, cwd: Path | None = None) -> None:
    # The machine's own timers hold apt's lock now and then.
    command = ["apt-get", "-qq", "--option=DPkg::Lock::Timeout=600", *words]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"`{' '.join(command)}` failed: {result.stderr.strip()[-500:]}")
