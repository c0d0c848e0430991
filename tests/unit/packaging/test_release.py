"""The version is the same wherever it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("runtime/swarm_agent/__init__.py", r'^VERSION = "(.+)"$'),
        ("execution-environment.yml", r"swarm-aws-([\d.]+)\.tar\.gz"),
        ("docs/install.md", r"swarm-aws-([\d.]+)\.tar\.gz"),
        ("docs/release.md", r"swarm-aws-([\d.]+)\.tar\.gz"),
        ("docs/ci-cd.md", r"swarm\.aws, version: ([\d.]+)\}"),
    ],
)
def test_a_file_has_the_version_of_galaxy_yml(file: str, pattern: str) -> None:
    assert set(re.findall(pattern, (ROOT / file).read_text(), flags=re.MULTILINE)) == {VERSION}
