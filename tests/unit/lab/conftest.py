"""The little AWS for the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.lab.fakes import LittleAws, little_aws


@pytest.fixture
def aws() -> Iterator[LittleAws]:
    """A fresh account."""
    with little_aws() as account:
        yield account
