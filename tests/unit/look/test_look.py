"""The page's server, and its link to managers, which are scripts here."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Instance, Node, Record, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord, Published
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Group, Policy
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.runtime.swarm_agent import look as agent

from lab.waiting import until
from look.hub import Hub
from look.link import Link, NoShells, command
from look.server import Server

pytestmark = pytest.mark.real("a server: the page is served, and its stream read, over HTTP")

KEY = "the-key"
FILES = ("/page.js", "/page.css")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(Hub(), KEY, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def get(server: Server, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    if path != "/moments":
        answer.body = answer.read()  # type: ignore[attr-defined]
    return answer


@pytest.mark.parametrize(
    "path", ["/", *FILES, "/moment.json", "/moments?x", "/nothing", "/?key=wrong", "/moment.json?key=the-key"]
)
def test_without_the_key_every_request_is_refused(server, path):
    assert get(server, path).status == 401
    assert get(server, path, Authorization="Bearer wrong", Cookie=f"{server.cookie}=wrong").status == 401


def test_the_printed_address_opens_the_page_in_a_browser(server):
    entered = get(server, f"/?key={KEY}")
    cookie = entered.headers["Set-Cookie"]
    assert (entered.status, entered.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} < set(cookie.split("; "))
    assert server.address == f"http://127.0.0.1:{server.server_port}/?key={KEY}"
    for path in ("/", *FILES, "/moment.json"):
        answer = get(server, path, Cookie=cookie.split(";")[0])
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert get(server, "/look.py", Cookie=cookie.split(";")[0]).status == 404


def test_a_program_can_send_the_key_in_a_header(server):
    server.hub.tell({"cluster": "example"})
    answer = get(server, "/moment.json", Authorization=f"Bearer {KEY}")
    assert json.loads(answer.body) == {"lost": "", "connecting": False, "moment": {"cluster": "example"}}


def test_a_foreign_host_name_is_refused(server):
    assert get(server, "/moment.json", Authorization=f"Bearer {KEY}", Host="evil.example").status == 421


def test_the_server_only_listens_on_this_machine(server):
    assert server.server_address[0] == "127.0.0.1"


def test_every_state_is_streamed(server):
    answer = get(server, "/moments", Authorization=f"Bearer {KEY}")
    assert answer.headers["Content-Type"] == "text/event-stream"
    seen = [json.loads(answer.readline()[6:])]
    answer.readline()
    for number in range(3):
        server.hub.tell({"number": number})
        seen.append(json.loads(answer.readline()[6:]))
        answer.readline()
    assert [state["moment"] for state in seen] == [None, {"number": 0}, {"number": 1}, {"number": 2}]
    assert [state["lost"] for state in seen] == ["Looking for a manager", "", "", ""]
    assert [state["connecting"] for state in seen] == [True, False, False, False]


def test_a_page_is_connecting_until_something_fails():
    hub = Hub()
    seen = []
    for step in (lambda: hub.connect("i-1"), lambda: hub.lost("no answer"), lambda: hub.connect("i-2")):
        step()
        seen.append((hub.now()[1]["connecting"], hub.now()[1]["lost"]))
    assert seen == [(True, "Connecting to i-1"), (False, "no answer"), (False, "Connecting to i-2")]


# The link


def current(hub: Hub) -> dict:
    return hub.now()[1]["moment"] or {}


@pytest.fixture
def managers(tmp_path, monkeypatch):
    """Creates fake managers from scripts, whose `$0` is the name."""
    monkeypatch.setattr("look.link.FIRST", 1.0)

    def made(**scripts: str) -> dict[str, str]:
        for name, text in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)
        return {name: f"{tmp_path / name} somewhere" for name in scripts}

    return made


ALIVE = """for i in $(seq 100); do echo '{"told_by": "'${0##*/}'"}'; sleep 0.1; done"""


@pytest.fixture
def linked():
    """Starts links, and stops them at the end."""
    links = []

    def start(shells, **more) -> Hub:
        hub = Hub()
        links.append(Link(hub, shells, **({"silence": 1.0, "rest": 0.05} | more)))
        links[-1].start()
        return hub

    yield start
    for link in links:
        link.stop()
        link.join(10)
        assert not link.is_alive()


def test_another_manager_replaces_a_manager_that_ends_or_fails(linked, managers):
    shells = managers(
        first="echo 'no manager' >&2; exit 1",
        second="""echo '{"told_by": "second"}'""",
        third=f"echo Starting session; {ALIVE}",
    )
    hub = linked(lambda: shells)
    until("the third manager to tell", lambda: current(hub).get("told_by") == "third", seconds=60)
    assert hub.now()[1]["lost"] == ""


def test_another_manager_replaces_a_silent_manager(linked, managers):
    shells = managers(first="""echo '{"told_by": "first"}'; exec sleep 100""", second=ALIVE)
    hub = linked(lambda: shells)
    until("the first manager to tell", lambda: current(hub).get("told_by") == "first", seconds=60)
    until("the second manager to tell", lambda: current(hub).get("told_by") == "second", seconds=60)


def test_the_page_says_why_a_manager_sends_no_data(linked, managers):
    shells = managers(first="echo 'swarm-agent: This host is not a manager of a swarm.' >&2; exit 1")
    hub = linked(lambda: shells, rest=5.0)
    sentence = "first sent no data: swarm-agent: This host is not a manager of a swarm."
    until("the page to say why", lambda: hub.now()[1]["lost"] == sentence, seconds=60)


def test_the_inventory_is_read_again_if_no_manager_sends_data(linked, managers):
    answers = iter([NoShells("There is no network."), managers(first="exit 1"), managers(second=ALIVE)])

    def shells():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    hub = linked(shells, rest=1.0)
    until("the page to say what is wrong", lambda: hub.now()[1]["lost"] == "There is no network.", seconds=60)
    until("the new manager to tell", lambda: current(hub).get("told_by") == "second", seconds=60)


def test_the_shell_is_ssh_or_session_manager():
    assert command("ssh -i '/k/a key' admin@h", "sudo x").endswith(" -i '/k/a key' admin@h 'sudo x'")
    assert "ServerAliveInterval" in command("ssh h", "x")
    assert command("aws ssm start-session --target i-1", "sudo x").endswith(
        """ --document-name AWS-StartInteractiveCommand --parameters '{"command": ["sudo x"]}'"""
    )


# What the manager tells

NODE = Node("n1", "manager", "ready", voter=True, reachable=True, leader=True, labels={"swarm.aws.instance": "i-1"})
REMOVAL = {"remove-requested": "90", "leaving-since": "91.000", "paused-at": "92.000", "instance": "i-2"}
LABELS = {f"swarm.aws.{name}": value for name, value in REMOVAL.items()}
WORKER = Node("n2", "worker", "ready", availability="pause", labels=LABELS)
CONFIG = Config("example", "eu-west-1", "1", "bucket", "manager", "manager")
INSTANCES = tuple(
    Instance(name, role, role, "a", "running", lifecycle="InService")
    for name, role in (("i-1", "manager"), ("i-2", "worker"))
)
WEB = Service("s1", "web", replicas=3, healthy={"n1": 1, "n2": 2}, starting={"n1": 1}, stopping={})


class FakeControlPlane:
    """The control plane of a cluster in memory; also its swarm, observer and fleet."""

    console: str | None = "https://eu-west-1.console.aws.amazon.com"

    def __init__(self) -> None:
        self.swarm = self.observer = self.fleet = self
        self.failures: list[SimpleNamespace] = []
        self.node, self.looks = WORKER, 0
        self.away = False

    def policy_or_last(self):
        return Policy("example", {"manager": Group("manager"), "worker": Group("worker")}), ""

    def observe(self, policy):
        self.looks += 1
        return Cluster(
            "s",
            Published(ClusterRecord("formed", "i-001", "", 2, "s"), "v"),
            self.nodes(),
            INSTANCES,
            Record(),
            (),
            services=self.services(),
        )

    def nodes(self):
        if self.away:
            raise Unavailable("The engine does not answer.")
        return (NODE, self.node)

    def services(self):
        return (WEB,)

    def groups(self):
        return ()

    def read_status(self):
        return {"at": "then", "version": "1", "last_actions": [{"action": "Cordon"}]}


def view(control_plane, clock):
    return agent.ClusterView(control_plane, CONFIG, "n1", now=lambda: clock[0])


def test_the_state_has_each_nodes_tasks_and_the_stage_of_its_removal():
    moment = view(FakeControlPlane(), [100.0]).look()
    rows = {row["instance"]: row for row in moment["members"]}
    assert rows["i-1"]["runs"] == [{"service": "web", "running": 1, "starting": 1, "stopping": 0}]
    assert (rows["i-1"]["going"], moment["told_by"]) == (None, "n1")
    going = rows["i-2"]["going"]
    assert (going["why"], going["stage"]) == ("requested", "begun")
    assert moment["quorum"] == {"voters": 1, "reachable": 1, "needed": 1, "margin": 0}
    assert moment["last_actions"] == [{"action": "Cordon"}]
    assert (moment["health"]["state"], moment["console"]) == ("changing", "https://eu-west-1.console.aws.amazon.com")
    assert json.loads(json.dumps(moment)) == moment


def test_the_engine_is_read_for_every_state_and_aws_less_often():
    control_plane, clock = FakeControlPlane(), [100.0]
    seen = view(control_plane, clock)
    stages = []
    for availability, drained in (("pause", {}), ("drain", {"swarm.aws.drained-at": "100.000"})):
        control_plane.node = Node("n2", "worker", "ready", availability=availability, labels={**LABELS, **drained})
        stages.append({row["instance"]: row for row in seen.look()["members"]}["i-2"]["going"]["stage"])
        clock[0] += 1
    assert (stages, control_plane.looks) == (["begun", "ready"], 1)
    clock[0] += agent.AWS_EVERY
    seen.look()
    assert control_plane.looks == 2


def test_without_an_answer_of_the_engine_its_state_is_unknown():
    control_plane, clock = FakeControlPlane(), [100.0]
    seen = view(control_plane, clock)
    seen.look()
    control_plane.away = True
    clock[0] += 1
    moment = seen.look()
    assert (moment["quorum"], moment["services"]) == (None, None)
    assert moment["failures"] == ["The engine does not answer."]


def test_the_agents_view_ends_when_its_reader_ends(monkeypatch):
    closed = Mock()
    closed.write.side_effect = [None, None, BrokenPipeError]
    monkeypatch.setattr(agent, "ControlPlane", lambda *words: FakeControlPlane())
    monkeypatch.setattr(agent, "manager_here", lambda swarm: "n1")
    monkeypatch.setattr(agent, "EVERY", 0.0)
    monkeypatch.setattr(agent.os, "dup2", lambda *words: None)
    assert agent.run(CONFIG, closed) == 0
