"""The lab itself: two at once, and nothing left of either."""

from __future__ import annotations

import subprocess
from pathlib import Path

from docker.errors import DockerException

from lab import lifecycle
from lab.engine import LABEL, connect
from lab.state import HOME, labs

from .conftest import say
from .site import Site


def test_two_labs_do_not_collide(empty: Site) -> None:
    other = lifecycle.up("another", say)
    try:
        assert other.endpoint != empty.lab.endpoint
        vpcs = lifecycle.client(other, "ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])[
            "Vpcs"
        ]
        assert vpcs == []
    finally:
        lifecycle.down(other, say)
    assert "another" not in {one.name for one in labs()}


def test_up_again_changes_nothing(empty: Site) -> None:
    pid = empty.lab.pid_file.read_text()
    assert lifecycle.up(empty.lab.name, say) == empty.lab
    assert empty.lab.pid_file.read_text() == pid


def test_down_leaves_nothing_behind(empty: Site) -> None:
    lab, engine = empty.lab, connect()
    server = lab.pid_file.read_text()
    lifecycle.down(lab, say)
    assert not Path(f"/proc/{server}").exists()
    assert not Path(f"/run/netns/{lab.namespace}").exists()
    assert not Path(f"/sys/class/net/{lab.host_link}").exists()
    assert not lab.folder.exists()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in processes.splitlines() if lab.namespace in line]
    try:
        mine = {"label": f"{LABEL}={lab.name}"}
        assert engine.containers.list(all=True, filters=mine) == []
        assert engine.volumes.list(filters=mine) == []
    except (DockerException, OSError):
        # The last lab's engine has gone with it, so nothing of it may still be mounted.
        assert labs() == []
        assert str(HOME) not in Path("/proc/mounts").read_text()
