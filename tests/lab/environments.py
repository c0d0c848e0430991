"""Python environments besides the checkout's."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from .site import ROOT


def pinned(*names: str) -> list[str]:
    """The checkout's pinned requirements with these names."""
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [requirement for requirement in pinned if requirement.split("==")[0] in names]


def make(folder: Path, *requirements: str) -> None:
    """Create an environment with these requirements in the folder, with the present interpreter."""
    uv, python = ROOT / ".tools/bin/uv", folder / "bin/python"
    for words in (["venv", "--python", sys.executable, folder], ["pip", "install", "--python", python, *requirements]):
        subprocess.run([uv, "--quiet", *words], check=True)
