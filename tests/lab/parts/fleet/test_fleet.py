"""The life of a fleet. Each test continues the last, since a fleet takes minutes to build."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab.configured import node_groups
from tests.lab.conftest import say
from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, Run, Site

WORKERS, FEWER = 20, 5
# The account strictly allows 64 vCPUs; a t3.small has two. With a surge during the upgrade.
GROUPS = node_groups(worker={"desired": WORKERS, "max": WORKERS + 4})
USER_DATA = "#cloud-config\n# another template\n"
# Requests a second, beside so many engines on two cores.
RATE = 60.0


def timed(site: Site, what: str, work: Callable[[], Run]) -> Run:
    """The run, which must succeed. Its seconds are shown: no test asserts them."""
    began = time.monotonic()
    run = work()
    assert run.code == 0, run.output[-4000:]
    say(f"{what}: {time.monotonic() - began:.0f} s")
    return run


@pytest.fixture(scope="module")
def fleet(empty: Site) -> Site:
    """Three managers and twenty workers."""
    timed(empty, "built and served", lambda: empty.playbook("site.yml", *GROUPS))
    empty.settle(workers=WORKERS)
    return empty


def test_a_second_run_changes_nothing(fleet: Site) -> None:
    assert timed(fleet, "site.yml without a change", lambda: fleet.playbook("site.yml", *GROUPS)).changed == 0


def test_a_lost_zone_is_replaced(fleet: Site) -> None:
    fleet.settle(workers=WORKERS)
    lost = {instance["instance_id"] for instance in fleet.instances() if instance["zone"].endswith("b")}
    assert len(lost) >= WORKERS // 3
    began = time.monotonic()
    for instance in lost:
        fleet.kill_host(instance)
    fleet.wait("the zone to be replaced", lambda: not lost & fleet.ids(), seconds=900)
    fleet.settle(workers=WORKERS)
    fleet.settle_record()
    say(f"{len(lost)} nodes of a zone lost and replaced: {time.monotonic() - began:.0f} s")
    assert fleet.page().status == 200


def test_scaling_down_fails_no_request(fleet: Site) -> None:
    fleet.settle(workers=WORKERS)
    words = ("playbooks/scale.yml", "-e", "group=worker", "-e", f"desired={FEWER}", *GROUPS)
    with Load(fleet.lab, RECORD, rate=RATE) as load:
        timed(fleet, f"scaled from {WORKERS} to {FEWER} workers", lambda: fleet.playbook(*words))
    assert load.result.failures == [], str(load.result)
    fleet.settle(workers=FEWER)


def test_an_upgrade_fails_no_request(fleet: Site) -> None:
    fleet.settle(workers=FEWER)
    changed = node_groups(
        manager={"user_data": USER_DATA}, worker={"desired": FEWER, "max": WORKERS + 4, "user_data": USER_DATA}
    )
    timed(fleet, "a new template", lambda: fleet.playbook("site.yml", "--tags", "node_groups", *changed))
    with Load(fleet.lab, RECORD, rate=RATE) as load:
        timed(fleet, f"upgraded {3 + FEWER} nodes", lambda: fleet.playbook("playbooks/upgrade.yml", *changed))
    assert load.result.failures == [], str(load.result)


def test_a_destroyed_fleet_leaves_the_account_as_it_was(fleet: Site) -> None:
    words = ("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert "Nothing is left." in timed(fleet, "destroyed", lambda: fleet.playbook(*words)).said
    assert fleet.inventory() == fleet.before
