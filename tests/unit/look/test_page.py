"""The page in a browser: a cluster in memory, as its manager tells it. tests/lab/parts/views has a real cluster."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import (
    Cluster,
    Instance,
    Needs,
    Node,
    ScalingGroup,
    Service,
)
from ansible_collections.swarm.aws.runtime.swarm_agent.look import ClusterView

from lab.waiting import until
from look.hub import Hub
from look.server import Server
from tests.lab.browser import Browser, browser
from tests.unit.core import memory_cluster
from tests.unit.look.test_look import CONFIG, FakeControlPlane

pytestmark = [
    pytest.mark.real("a browser: the page's layout and its scripts"),
    pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="there is no Chromium"),
]
# The folder for pictures of the page, if wanted.
PICTURES = os.environ.get("SWARM_PICTURES", "")
DESKTOP, PHONE = 1280, 400
NOW = datetime(2026, 11, 25, 1, 12, 44, tzinfo=UTC).timestamp()
# The cluster of docs/status.md.
LEADER, OTHER, THIRD, VICTIM = (
    "i-4eb1feedb9e264fe4",
    "i-2205d7c040c812178",
    "i-34c6b0307398de4c6",
    "i-e87573302699d3966",
)
IPV6 = ("2001:db8:2:0:abc8:11d8:a5fd:845b", "2001:db8:2:1:d86:eeda:931b:6ef2", "2001:db8:2:2:fe33:7d80:923c:c853")
POLICY = memory_cluster.DUAL
REMOVAL = {"remove-requested": NOW - 21, "leaving-since": NOW - 20, "paused-at": NOW - 18, "drained-at": NOW - 2}


def _instance(number: int, identifier: str, role: str = "manager") -> Instance:
    return replace(
        memory_cluster.instance(number, role),
        id=identifier,
        zone=f"eu-west-1{'abcc'[number - 1]}",
        private_address=f"10.20.{(number - 1) % 3 * 16}.{3 + number}",
        public_address=f"198.51.100.{64 + number}",
        ipv6_address=IPV6[number - 1] if number <= 3 else None,
        kind="t3.small",
        template="1",
        launched=NOW - 3 * 3600,
    )


def _node(number: int, identifier: str, role: str = "manager", **more: Any) -> Node:
    labels = {**memory_cluster.node(number, role).labels, "swarm.aws.instance": identifier}
    labels["swarm.aws.zone"] = f"eu-west-1{'abcc'[number - 1]}"
    return replace(
        memory_cluster.node(number, role),
        id=f"node{number}",
        address=f"10.20.{(number - 1) % 3 * 16}.{3 + number}",
        engine_labels={"swarm.aws.instance": identifier},
        labels=labels | more.pop("labels", {}),
        engine="26.1.5+dfsg1",
        memory=2_003_000_000,
        cpus=2_000_000_000,
        **more,
    )


INSTANCES = (
    _instance(1, OTHER),
    _instance(2, LEADER),
    _instance(3, THIRD),
    _instance(4, VICTIM, "worker"),
)
NODES = (_node(1, OTHER), _node(2, LEADER, leader=True), _node(3, THIRD), _node(4, VICTIM, "worker"))
SMALL, LARGE = Needs(memory=64 * 2**20, cpus=50_000_000), Needs(memory=128 * 2**20, cpus=100_000_000)
SERVICES = (
    Service("1", "example_proxy", "global", healthy=dict.fromkeys(("node1", "node2", "node3"), 1), needs=SMALL),
    Service("2", "example_sentinel", replicas=3, healthy={"node2": 1, "node3": 1, "node4": 1}, needs=SMALL),
    Service("3", "example_store", replicas=3, healthy={"node2": 1, "node3": 1, "node4": 1}, needs=LARGE),
    Service("4", "example_web", replicas=6, healthy={"node2": 2, "node3": 2, "node4": 2}, needs=SMALL),
)
WELL = replace(
    memory_cluster.observed(
        INSTANCES,
        NODES,
        memory_cluster.dual_record(
            addresses=tuple(sorted([*(f"198.51.100.{64 + number}" for number in (1, 2, 3)), *IPV6]))
        ),
    ),
    services=SERVICES,
    desired={"manager": 3, "worker": 1},
)
# The worker was told to stop its tasks, and their replacements run or start elsewhere.
LEAVING = replace(
    NODES[3],
    availability="drain",
    labels={**NODES[3].labels, **{f"swarm.aws.{name}": f"{at:.0f}" for name, at in REMOVAL.items()}},
)
DRAINING = replace(
    WELL,
    nodes=(*NODES[:3], LEAVING),
    services=(
        SERVICES[0],
        replace(SERVICES[1], healthy={"node2": 1, "node3": 1, "node1": 1}, stopping={"node4": 1}),
        replace(SERVICES[2], healthy={"node2": 1, "node3": 1}, starting={"node1": 1}, stopping={"node4": 1}),
        replace(SERVICES[3], healthy={"node1": 2, "node2": 2, "node3": 2}, stopping={"node4": 2}),
    ),
)
ACTIONS = [
    (2, f"drain the node of {VICTIM}"),
    (9, "scale the service example_web from 6 to 8"),
    (18, f"cordon the node of {VICTIM}"),
    (20, f"update the labels of the node of {VICTIM}"),
    (10_700, f"complete the launch of {VICTIM}"),
    (10_730, "update the DNS record www.example.com: add 198.51.100.67"),
]


class SeenControlPlane(FakeControlPlane):
    """The control plane of a cluster that was observed."""

    def __init__(self, seen: Cluster) -> None:
        super().__init__()
        self.seen = seen

    def policy_or_last(self) -> Any:
        return POLICY, ""

    def observe(self, policy: object) -> Cluster:
        return self.seen

    def groups(self) -> Any:
        return (
            ScalingGroup("example-manager", "manager", 3, 3, 5, 3, "1"),
            ScalingGroup("example-worker", "worker", 1, 1, 4, 1, "1"),
        )

    def read_status(self) -> Any:
        def at(seconds: float) -> str:
            return datetime.fromtimestamp(NOW - seconds, UTC).isoformat()

        actions = [{"at": at(seconds), "sentence": sentence} for seconds, sentence in reversed(ACTIONS)]
        return {"at": at(2), "version": "0.1.0", "last_actions": actions}


def told(seen: Cluster, console: str | None = SeenControlPlane.console) -> dict[str, Any]:
    """The document of a manager."""
    control_plane = SeenControlPlane(seen)
    control_plane.console = console
    return ClusterView(control_plane, CONFIG, "node2", now=lambda: NOW).look()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def driven() -> Iterator[Browser]:
    with browser() as page:
        yield page


@pytest.fixture
def hub(driven: Browser) -> Iterator[Hub]:
    """The hub of the page that is open in the browser."""
    hub = Hub()
    server = Server(hub, "the-key", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    driven.size(DESKTOP, 1000)
    driven.prefer("light")
    driven.get(server.address)
    yield hub
    assert driven.complaints() == []
    driven.get("about:blank")
    server.shutdown()
    server.server_close()


def text(page: Browser, selector: str) -> str:
    found: str = page.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return found


def show(page: Browser, hub: Hub, moment: dict[str, Any]) -> None:
    hub.tell(moment)
    until("the page to show it", lambda: text(page, "#health") == moment["health"]["sentence"], seconds=60)


def test_a_page_that_is_connecting_is_neutral(driven: Browser, hub: Hub) -> None:
    hub.connect("i-1")
    until("the page to name the manager", lambda: text(driven, "#link").endswith("Connecting to i-1"), seconds=60)
    states = "return ['#link', '#health'].map((place) => document.querySelector(place).dataset.state)"
    assert driven.execute_script(states) == ["connecting", "unknown"]
    assert driven.execute_script("return document.querySelector('#all').hidden")
    pictures(driven, "look-connecting")
    hub.lost("i-1 sent no data")
    hub.connect("i-2")
    until("the page to be lost", lambda: driven.execute_script(states) == ["lost", "unknown"], seconds=60)
    assert text(driven, "#health") == "No data from the cluster"


def test_the_page_shows_a_healthy_cluster(driven: Browser, hub: Hub) -> None:
    show(driven, hub, told(WELL))
    assert text(driven, "#health") == "Healthy: 4 of 4 nodes, 15 of 15 tasks"
    rows = driven.execute_script("return [...document.querySelectorAll('#record li')].map((row) => row.innerText)")
    assert [LEADER, "published", "198.51.100.66", IPV6[1]] in [row.split() for row in rows]
    assert f"{VICTIM}\nomitted: dns is false for the group worker" in rows
    assert "2 s ago" in text(driven, "#done") and "2 h ago" in text(driven, "#done")
    assert f"drain the node of {VICTIM}" in text(driven, "#done")
    assert "of 1.9 GiB reserved" in text(driven, f"[data-instance={LEADER}]")
    links = driven.execute_script("return [...document.querySelectorAll('a.console')].map((link) => link.href)")
    home = "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1"
    assert f"{home}#InstanceDetails:instanceId={LEADER}" in links
    assert f"{home}#AutoScalingGroupDetails:id=example-worker" in links
    pictures(driven, "look-healthy")


def test_an_endpoint_that_is_not_awss_has_no_console(driven: Browser, hub: Hub) -> None:
    show(driven, hub, told(WELL, console=None))
    assert driven.execute_script("return document.querySelectorAll('a.console').length") == 0


def test_an_older_agent_is_named(driven: Browser, hub: Hub) -> None:
    moment = told(WELL)
    del moment["health"]
    for row in moment["members"]:
        del row["capacity"], row["omitted"]
    hub.tell(moment)
    until("the page to say so", lambda: "is older than this page" in text(driven, "#health"), seconds=60)


def test_an_id_is_copied(driven: Browser, hub: Hub) -> None:
    show(driven, hub, told(WELL))
    driven.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    driven.execute_script(f"document.querySelector('[data-copy={LEADER}]').click()")
    until("the ID to be copied", lambda: driven.execute_script("return window.copied") == LEADER, seconds=60)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_steps_of_a_removal_are_on_one_line(driven: Browser, hub: Hub, width: int) -> None:
    driven.size(width, 1000)
    show(driven, hub, told(DRAINING))
    steps = "return [...document.querySelectorAll('.steps li')]"
    places = driven.execute_script(f"{steps}.map((step) => [step.offsetTop, step.scrollWidth - step.offsetWidth])")
    assert len(places) == 5
    assert len({top for top, _overflow in places}) == 1
    assert all(overflow <= 0 for _top, overflow in places)
    inside = "return document.querySelector('.steps').offsetWidth <= document.querySelector('.tasks').offsetWidth"
    assert driven.execute_script(inside), "the steps are wider than their node"
    wide = driven.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, "the page scrolls sideways"
    pictures(driven, "look" if width == DESKTOP else "look-phone")


def test_an_unhealthy_cluster_is_accessible_and_says_what_is_wrong(driven: Browser, hub: Hub) -> None:
    down = replace(WELL, nodes=(replace(NODES[0], state="down", reachable=False), *NODES[1:]))
    show(driven, hub, told(down))
    assert text(driven, "#health").endswith(f"{OTHER} is down")
    for scheme in ("light", "dark"):
        driven.prefer(scheme)
        assert driven.violations() == [], scheme
    hub.lost("i-1 stopped sending data")
    until("the page to say so", lambda: text(driven, "#health").startswith("Not live, as of "), seconds=60)
    pictures(driven, "look-lost")


def pictures(page: Browser, name: str) -> None:
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        if PICTURES:
            page.picture(Path(PICTURES) / f"{name}-{scheme}.png")
