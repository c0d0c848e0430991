"""A configuration that is right, to be made wrong in one place at a time, and the spec that it is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_schema as configuration
from ansible_collections.swarm.aws.plugins.module_utils.account import preflight

ROOT = Path(__file__).resolve().parents[3]


@cache
def spec() -> Mapping[str, Any]:
    """The options that the role check declares."""
    text = (ROOT / "roles/check/meta/argument_specs.yml").read_text()
    return yaml.safe_load(text)["argument_specs"]["configuration"]["options"]


def raw(**changed: Any) -> dict[str, Any]:
    """The example's configuration with some keys changed; those that are set to None are left out."""
    example = yaml.safe_load((ROOT / "inventories/example/group_vars/all.yml").read_text())
    example["key_name"] = "operator"
    return {key: value for key, value in deepcopy({**example, **changed}).items() if value is not None}


def group(**changed: Any) -> dict[str, Any]:
    """A group of three managers with some keys changed."""
    return {"name": "manager", "role": "manager", "desired": 3, "dns": True, **changed}


def settled(**changed: Any) -> dict[str, Any]:
    """The configuration with its defaults, as the rules get it."""
    return preflight._settled(configuration.with_defaults(raw(**changed), spec()))


def complete(**changed: Any) -> dict[str, Any]:
    """The configuration as the roles get it."""
    image = {"id": "ami-1", "root_device": "/dev/xvda"}
    aws = SimpleNamespace(partition="aws", dns_suffix="amazonaws.com")
    found = SimpleNamespace(zone_id="Z1", key_id=None, images={"x86_64": image, "arm64": image})
    return preflight._complete(aws, settled(**changed), found)  # type: ignore[arg-type]
