"""The scenarios name only existing files, because Molecule skips missing files silently or with a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCENARIOS = sorted((ROOT / "molecule").glob("*/molecule.yml"))


def settings(scenario: Path) -> dict[str, Any]:
    """A scenario's configuration merged with the shared configuration."""
    shared = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())
    own = yaml.safe_load(scenario.read_text()) or {}
    merged: dict[str, Any] = {key: shared.get(key, {}) | own.get(key, {}) for key in ("verifier", "scenario")}
    merged["playbooks"] = shared["ansible"]["playbooks"] | own.get("ansible", {}).get("playbooks", {})
    return merged


def found(scenario: Path, name: str) -> Path:
    """The target of a path in a scenario's configuration."""
    return scenario.parent / name.replace("${MOLECULE_PROJECT_DIRECTORY}", str(ROOT))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.parent.name)
def test_a_scenario_has_its_playbooks_and_tests(scenario: Path) -> None:
    has = settings(scenario)
    steps = set(has["scenario"]["test_sequence"]) & {"create", "converge", "side_effect", "destroy"}
    assert steps <= has["playbooks"].keys()
    assert [name for name in has["playbooks"].values() if not found(scenario, name).is_file()] == []
    tests = found(scenario, has["verifier"]["directory"])
    # Relative to the folder of the tests, not to the scenario's folder.
    folders = [tests, *(tests / name for name in has["verifier"].get("additional_files_or_dirs", []))]
    assert [folder for folder in folders if not list(folder.glob("test_*.py"))] == []


def test_all_scenarios_are_found() -> None:
    assert {path.parent.name for path in SCENARIOS} >= {"default", "cluster"}
