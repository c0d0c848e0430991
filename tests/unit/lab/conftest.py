"""The little AWS for the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.lab.fakes import LittleAws, Network, little_aws


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lab's AWS is tested as its clients use it: over HTTP."""
    for item in items:
        if "aws" in getattr(item, "fixturenames", ()) and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.real("a server: the lab's AWS is what its clients are answered over HTTP"))


@pytest.fixture
def aws() -> Iterator[LittleAws]:
    """A fresh account."""
    with little_aws() as account:
        yield account


@pytest.fixture
def network(aws: LittleAws) -> Network:
    """A VPC, and the launch template ``example`` of its security group."""
    network = aws.network()
    aws.template("example", network.group)
    return network
