"""What must hold for every module of the collection, besides what ansible-test sees to."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.doc_fragments.kept import ModuleDocFragment

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
CONNECTION = "amazon.aws.common.modules"


def module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.swarm.aws.plugins.modules.{name}")


def documentation(name: str) -> dict[str, Any]:
    return yaml.safe_load(module(name).DOCUMENTATION)


def attributes(name: str) -> dict[str, Any]:
    """The module's own attributes, or those of the fragment that it shares with others."""
    own = documentation(name)
    if "swarm.aws.kept" in own.get("extends_documentation_fragment", []):
        own = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)
    return own["attributes"]


def action_group() -> list[str]:
    return yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["all"]


def asks_aws(name: str) -> bool:
    return CONNECTION in documentation(name).get("extends_documentation_fragment", [])


def test_the_action_group_has_every_module_that_takes_a_connection_to_aws_and_no_other() -> None:
    assert action_group() == [name for name in MODULES if asks_aws(name)]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_documented_and_has_a_check_mode(name: str) -> None:
    assert documentation(name)["module"] == name
    assert attributes(name)["check_mode"]["support"] in ("full", "partial")
    assert yaml.safe_load(module(name).RETURN)
    tasks = yaml.safe_load(module(name).EXAMPLES)
    assert any(f"swarm.aws.{name}" in task for task in tasks)
