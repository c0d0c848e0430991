"""Python environments beside the checkout's own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from .site import ROOT


def pinned(*names: str) -> list[str]:
    """The requirements of those names as the checkout pins them."""
    every = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [requirement for requirement in every if requirement.split("==")[0] in names]


def make(folder: Path, *requirements: str) -> None:
    """Make an environment in the folder, of the interpreter that runs this, with these requirements."""
    uv, python = ROOT / ".tools/bin/uv", folder / "bin/python"
    for words in (["venv", "--python", sys.executable, folder], ["pip", "install", "--python", python, *requirements]):
        subprocess.run([uv, "--quiet", *words], check=True)
