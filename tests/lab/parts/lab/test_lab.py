"""The lab itself: two labs at once, and a second `up`."""

from __future__ import annotations

from lab import lifecycle
from lab.state import labs
from tests.lab.conftest import say
from tests.lab.remains import remains
from tests.lab.site import Site


def test_two_labs_do_not_collide(empty: Site) -> None:
    other = lifecycle.up(f"{empty.lab.name}-another", say)
    server = other.pid_file.read_text()
    try:
        assert other.endpoint != empty.lab.endpoint
        own = [{"Name": "is-default", "Values": ["false"]}]
        assert lifecycle.client(other, "ec2").describe_vpcs(Filters=own)["Vpcs"] == []
    finally:
        lifecycle.down(other, say)
    assert remains(other, server) == []
    assert other.name not in {lab.name for lab in labs()}


def test_a_second_up_changes_nothing(empty: Site) -> None:
    pid = empty.lab.pid_file.read_text()
    assert lifecycle.up(empty.lab.name, say) == empty.lab
    assert empty.lab.pid_file.read_text() == pid
