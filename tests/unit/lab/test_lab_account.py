"""The lab's account profile: chosen when a lab is made, and what the strict account does that the kind does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import cli, state
from lab.aws.account import PROFILES
from lab.errors import LabError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(state, "HOME", tmp_path)
    return tmp_path


def test_a_new_lab_is_strict_and_keeps_its_account(home: Path) -> None:
    assert (state.claim("lab").account, state.claim("lab").seed) == ("strict", 1)
    kind = state.claim("other", "kind", 7)
    assert state.claim("other") == state.find("other") == kind
    assert (kind.account, kind.seed) == ("kind", 7)


@pytest.mark.parametrize("asked", [("kind", None), (None, 2)])
def test_another_account_for_a_lab_that_exists_is_refused(home: Path, asked: tuple[str | None, int | None]) -> None:
    state.claim("lab")
    with pytest.raises(LabError, match="has the account 'strict' with the seed 1.*lab down --name lab"):
        state.claim("lab", *asked)


def test_the_command_line_has_the_names_of_the_profiles() -> None:
    assert {name.value for name in cli.AccountName} == set(PROFILES)
