"""A container that ends by itself: an instance whose system rebooted keeps running, any other has died."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from lab.engine import LABEL
from lab.machines import ContainerMachines
from tests.unit.lab.fakes import until

INSTANCE = "i-0123456789abcdef0"
SPEC = Mock(instance_id=INSTANCE, private_ip="10.20.0.4")


class Engine:
    """An engine whose events a test sends."""

    def __init__(self) -> None:
        self.sent: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.container = Mock(attrs={"State": {"Pid": 7}})
        self.containers = SimpleNamespace(get=lambda name: self.container)

    def info(self) -> dict[str, str]:
        return {"CgroupVersion": "2"}

    def events(self, **_: object) -> Iterator[dict[str, Any]]:
        while True:
            yield self.sent.get()

    def ends(self, exit_code: str) -> None:
        self.sent.put({"Actor": {"Attributes": {f"{LABEL}.instance": INSTANCE, "exitCode": exit_code}}})


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def machines(engine: Engine) -> ContainerMachines:
    """Machines with a running instance."""
    found = ContainerMachines(Mock(), engine, Mock(), Mock())  # type: ignore[arg-type]
    found._specs[INSTANCE] = SPEC
    return found


def test_an_instance_whose_system_reboots_is_started_again(engine: Engine, machines: ContainerMachines) -> None:
    # 128 and SIGHUP, with which the kernel ends the init of a container that reboots.
    engine.ends("129")
    until(lambda: not machines._rebooting and machines._router.connect.called, "the container to start")  # type: ignore[attr-defined]
    engine.container.restart.assert_called_once()
    assert machines.is_running(INSTANCE)
    engine.ends("129")
    until(lambda: engine.container.restart.call_count == 2, "the second reboot")


def test_an_instance_hangs_and_continues(engine: Engine, machines: ContainerMachines) -> None:
    engine.container.status = "running"
    machines.hang(INSTANCE, hung=True)
    engine.container.pause.assert_called_once()
    engine.container.status = "paused"
    machines.hang(INSTANCE, hung=True)
    machines.hang(INSTANCE, hung=False)
    engine.container.pause.assert_called_once()
    engine.container.unpause.assert_called_once()


@pytest.mark.parametrize("exit_code", ["137", "130", "0"])
def test_an_instance_that_ends_in_another_way_has_died(
    engine: Engine, machines: ContainerMachines, exit_code: str
) -> None:
    engine.ends(exit_code)
    until(lambda: not machines.is_running(INSTANCE), "its death")
    engine.container.restart.assert_not_called()
