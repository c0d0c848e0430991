"""The packages that setup installs, against what the distributions offer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.userdata.rendering import OPERATING_SYSTEMS, ROLE

# The oldest versions that have what is needed: an engine that knows a health check's start_interval, which the stacks
# use, the conditional writes of S3 with If-Match, and a client for requests 2.32.
NEEDED = {"engine": "25.0", "boto3": "1.35.69", "docker": "7.1"}
every_os = pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)


@cache
def offered() -> dict[str, dict[str, list[str]]]:
    listed: dict[str, dict[str, list[str]]] = yaml.safe_load(Path(__file__).with_name("distributions.yml").read_text())
    return listed


def asked(node_os: str) -> dict[str, Any]:
    variables: dict[str, Any] = yaml.safe_load((ROLE / f"vars/{node_os}.yml").read_text())["node_groups_os"]
    return variables


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, without a distribution's own."""
    match = re.match(r"[0-9.]+", text)
    assert match, text
    return tuple(int(number) for number in match[0].strip(".").split("."))


@every_os
def test_the_distribution_has_every_package(node_os: str) -> None:
    packages = asked(node_os)
    assert {*packages["packages"], *packages["engine_packages"], "e2fsprogs"} <= offered()[node_os].keys()


@every_os
def test_packages_of_pypi_support_the_distributions_python(node_os: str) -> None:
    found = offered()
    for package in asked(node_os)["python_packages"]:
        assert version(found["pypi"][package][0]) <= version(found[node_os]["python"][0]), package


@every_os
def test_the_engine_and_the_sdks_have_what_the_agent_needs(node_os: str) -> None:
    found, packages = offered()[node_os], asked(node_os)["packages"]
    versions = {package.partition("==")[0]: package.partition("==")[2] for package in asked(node_os)["python_packages"]}
    for sdk in ("boto3", "docker"):
        if f"python3-{sdk}" in packages:
            versions.setdefault(sdk, found[f"python3-{sdk}"][0])
    versions["engine"] = found[asked(node_os)["engine_packages"][0]][0]

    assert {name for name in NEEDED if version(versions[name]) < version(NEEDED[name])} == set()
