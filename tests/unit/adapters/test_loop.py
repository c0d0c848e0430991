"""The agent's loop on a cluster in memory."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import plan
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import CompleteLifecycle
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy, PolicyError
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Failure, reconcile
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Message
from ansible_collections.swarm.aws.runtime.swarm_agent import loop as agent
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log

from tests.unit import hostile
from tests.unit.core import memory_cluster
from tests.unit.core.memory_cluster import instance, node, observed

GOOD = json.dumps({"detail-type": "EC2 Instance-terminate Lifecycle Action", "detail": {"EC2InstanceId": "i-002"}})
REMOVING = instance(2, "worker", lifecycle="Terminating:Wait")
POLICY = replace(memory_cluster.POLICY, dns=None)
QUIET = observed([instance(1)], [node(1, leader=True)])


class FakeKeeper:
    """A cluster's control plane, which a test changes. It is its own queue, swarm and observer."""

    def __init__(self, clock):
        self.clock, self.cluster = clock, QUIET
        self.swarm = self.observer = self
        self.leading: bool | Exception = True
        self.wanted: Policy | Exception = POLICY
        self.last: Policy | None = None
        self.messages: list[Message] = []
        self.deleted: list[str] = []
        self.held: list[str] = []
        self.statuses: list[dict] = []
        self.applied: list[str] = []
        self.listed: list[tuple[str, ...]] = []
        self.interruptions = []
        self.broken = ""
        # The nodes' versions, by the time from which they are valid.
        self.versions_at: dict[float, object] = {0: {"n1": 1}}

    def versions(self):
        return _or_raise(self.versions_at[max(at for at in self.versions_at if at <= self.clock.now())])

    def leads(self):
        return _or_raise(self.leading)

    def forget(self):
        """Nothing is remembered here."""

    def policy(self):
        return _or_raise(self.wanted)

    def policy_or_last(self):
        try:
            return self.policy(), ""
        except PolicyError as error:
            if self.last is None:
                raise
            return self.last, f"{error} The last valid policy counts."

    def reconcile(self, policy):
        seen = replace(self.cluster, interruptions=tuple(self.interruptions))
        result = reconcile(lambda: seen, self._apply, policy, self.clock.now)
        result.failures += [Failure("s3", self.broken)] if self.broken else []
        return result

    def _apply(self, action):
        self.applied.append(type(action).__name__)
        if isinstance(action, CompleteLifecycle):
            self.cluster = QUIET
        return action.change

    def write_status(self, status):
        self.statuses.append(json.loads(json.dumps(status)))

    def here(self):
        return "n001"

    def nodes(self):
        return self.cluster.nodes

    def listed_by(self):
        return None

    def list_nodes(self, swarm_id, nodes, at):
        self.listed.append((swarm_id, *nodes))

    def queue(self, name):
        assert name == "example-events"
        return self

    def receive(self, seconds):
        if self.broken:
            raise Unavailable(self.broken)
        if not self.messages:
            self.clock.wait(seconds, "messages")
        found, self.messages = self.messages, []
        return found

    def hold(self, messages):
        self.held += [message.receipt for message in messages]

    def delete(self, messages):
        self.deleted += [message.receipt for message in messages]


def _or_raise(value):
    if isinstance(value, Exception):
        raise value
    return value


class FakeClock:
    """Only waiting moves it."""

    def __init__(self):
        self.seconds, self.wrong = 0.0, ""

    def now(self):
        return self.seconds

    def flaw(self):
        return self.wrong

    def wait(self, seconds, reason):
        self.seconds += seconds


class FakeNotifier:
    """Counts signs of life."""

    def __init__(self):
        self.signs, self.text = 0, ""

    def alive(self):
        self.signs += 1

    def status(self, text):
        self.signs += 1
        self.text = text


class Bench:
    """A loop with all that is around it."""

    def __init__(self):
        self.clock, self.notify, self.output = FakeClock(), FakeNotifier(), io.StringIO()
        self.control_plane = FakeKeeper(self.clock)
        self.loop = agent.Loop(self.control_plane, self.clock, self.notify, Log(self.output))

    def turn(self) -> float:
        """One turn, and how long it took."""
        before = self.clock.now()
        self.loop.turn()
        return self.clock.now() - before

    def lines(self, level):
        found = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in found if line["level"] == level]


@pytest.fixture
def bench():
    return Bench()


def test_a_quiet_cluster_is_observed_every_30_seconds(bench):
    assert [bench.turn() for _ in range(3)] == [30, 30, 30]
    assert bench.control_plane.applied == []
    assert len(bench.control_plane.statuses) == 2
    assert bench.control_plane.statuses[0]["quorum"] == {"voters": 1, "reachable": 1, "needed": 1, "margin": 0}


@pytest.mark.parametrize("queue", ["answers", "fails"])
def test_a_changed_node_starts_a_pass_without_an_event(bench, queue):
    bench.control_plane.broken = "" if queue == "answers" else "The queue is away."
    bench.control_plane.versions_at[12] = {"n1": 2}
    assert 12 <= bench.turn() <= 12 + agent.LOOK
    assert bench.turn() == 30


def test_unavailable_nodes_start_a_single_pass(bench):
    bench.control_plane.versions_at[12] = Unavailable("The engine is away.")
    assert [bench.turn() for _ in range(3)] == [15, 30, 30]


def test_an_event_starts_a_pass_and_actions_are_logged(bench):
    bench.control_plane.messages = [Message("r1", GOOD, "m1")]
    assert bench.turn() == 0
    bench.control_plane.cluster = replace(QUIET, instances=(*QUIET.instances, REMOVING))
    assert [bench.turn(), bench.turn()] == [0, 30]
    (line,) = [line for line in bench.lines("info") if line.get("event") == "action"]
    assert line["action"] == "CompleteLifecycle"
    assert line["before"] == {"state": "Terminating:Wait"}
    assert line["after"] == {"hook": "example-terminating", "result": "CONTINUE"}
    assert bench.control_plane.statuses[-1]["last_actions"][0]["resource"] == "lifecycle of i-002"


@pytest.mark.fault(17)
def test_fault_17_an_unreadable_message_is_left_to_the_dead_letter_queue(bench):
    bench.control_plane.messages = [
        Message("good", GOOD, "m1"),
        Message("bad", "{", "m2"),
        Message("test", '{"Event": "x"}', "m3"),
    ]
    assert bench.turn() == 0
    bench.turn()
    assert bench.control_plane.deleted == ["good"]
    assert sum("dead-letter queue" in line["message"] for line in bench.lines("warning")) == 2


def test_a_message_that_only_wakes_the_agent_is_deleted_before_the_pass(bench):
    bench.control_plane.messages = [Message("r1", GOOD, "m1")]
    bench.turn()
    assert bench.control_plane.deleted == ["r1"]


def test_an_interruption_is_held_during_each_pass_until_the_node_has_it(bench):
    bench.control_plane.messages = [Message("spot", json.dumps(SPOT), "m1")]
    for _ in range(4):
        bench.turn()
    # The pass of the first turn did not know the message yet.
    assert bench.control_plane.held == ["spot"] * 3


def changed(instance: str, state: str = "terminated") -> str:
    detail = {"instance-id": instance, "state": state}
    return json.dumps({"detail-type": "EC2 Instance State-change Notification", "detail": detail})


def test_a_foreign_instances_state_starts_no_pass(bench):
    bench.control_plane.messages = [
        Message(f"r{number}", changed(f"i-other{number}"), f"m{number}") for number in range(3)
    ]
    assert bench.turn() == 30
    assert bench.control_plane.deleted == ["r0", "r1", "r2"]
    bench.control_plane.messages = [Message("other", changed("i-other"), "m8"), Message("own", changed("i-001"), "m9")]
    assert bench.turn() == 0
    assert bench.control_plane.deleted[3:] == ["other", "own"]


def test_an_instances_state_starts_a_pass_while_the_instances_are_unknown(bench):
    bench.control_plane.cluster = replace(QUIET, instances=None)
    bench.control_plane.messages = [Message("r1", changed("i-other"), "m1")]
    assert bench.turn() == 0


@pytest.mark.fault(28)
def test_fault_28_an_interruption_stays_queued_until_the_node_has_it(bench):
    said = {
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "time": "2026-01-27T06:02:51Z",
        "detail": {"instance-id": "i-001"},
    }
    bench.control_plane.messages = [Message("spot", json.dumps(said), "m1")]
    bench.turn()
    bench.turn()
    assert "SetLabels" in bench.control_plane.applied
    assert bench.control_plane.deleted == []
    (node,) = bench.control_plane.cluster.nodes
    labels = {**node.labels, "swarm.aws.interruption": "spot interruption@1769493891"}
    bench.control_plane.cluster = replace(bench.control_plane.cluster, nodes=(replace(node, labels=labels),))
    bench.turn()
    assert bench.control_plane.deleted == ["spot"]


SPOT = {
    "detail-type": "EC2 Spot Instance Interruption Warning",
    "time": "2026-01-27T06:02:51Z",
    "detail": {"instance-id": "i-001"},
}


@pytest.mark.fault(47)
@pytest.mark.parametrize("poison", hostile.TEXTS, ids=range(len(hostile.TEXTS)))
def test_fault_47_an_invalid_message_does_not_block_the_others(bench, poison):
    batch = [Message("bad", poison, "m1"), Message("spot", json.dumps(SPOT), "m2"), Message("good", GOOD, "m3")]
    bench.control_plane.messages = list(batch)
    bench.turn()
    for _ in range(3):
        bench.control_plane.messages = [replace(batch[0], receipt="again")]
        bench.turn()
    assert bench.control_plane.deleted == ["good"]
    assert "SetLabels" in bench.control_plane.applied
    told = [line["message"] for line in bench.lines("warning") if "dead-letter queue" in line["message"]]
    assert told == ["The message m1 in the queue is left for the dead-letter queue: its kind is unknown."]
    assert bench.control_plane.statuses[-1]["unhandled_messages"] == told


@pytest.mark.fault(47)
@pytest.mark.parametrize("part", ["events.parse", "interruptions.remembered"])
def test_fault_47_an_unexpected_failure_is_logged_without_its_words(bench, part, monkeypatch):
    module, function = part.split(".")
    honest = getattr(getattr(agent, module), function)

    def fails(what, *more):
        if "i-secret" in str(what):
            raise KeyError("i-secret")
        return honest(what, *more)

    monkeypatch.setattr(getattr(agent, module), function, fails)
    poisoned = json.dumps({**SPOT, "detail": {"instance-id": "i-secret"}})
    bench.control_plane.messages = [Message("bad", poisoned, "m1"), Message("good", GOOD, "m2")]
    assert [bench.turn(), bench.turn()] == [0, 30]
    assert bench.control_plane.deleted == ["good"]
    (told,) = [line["message"] for line in bench.lines("warning")]
    assert "m1" in told and "an unexpected KeyError in test_loop.py" in told
    assert "i-secret" not in bench.output.getvalue() + json.dumps(bench.control_plane.statuses)


def test_only_the_leaders_agent_acts(bench):
    bench.control_plane.leading = False
    bench.control_plane.messages = [Message("r1", GOOD, "m1")]
    assert bench.turn() == agent.STANDBY
    bench.control_plane.leading = Unavailable("The swarm does not have a leader.")
    assert [bench.turn(), bench.turn()] == [agent.STANDBY] * 2
    assert (len(bench.control_plane.messages), bench.control_plane.statuses, bench.control_plane.applied) == (1, [], [])
    assert [line["message"] for line in bench.lines("warning")] == [
        "It is unknown whether this manager is the leader, so nothing is done: The swarm does not have a leader. If "
        "its engine hangs, restart it (`systemctl restart docker`) or remove the node. If too many managers are lost "
        "for good, restore the swarm: ansible-playbook playbooks/restore.yml."
    ]


@pytest.mark.fault(45)
def test_fault_45_a_wrong_clock_is_in_the_status(bench):
    bench.clock.wrong = "The clock of this host is 600 s ahead of AWS's time."
    bench.turn()
    assert bench.notify.text == f"Reconciling the cluster: {bench.clock.wrong}"
    assert bench.control_plane.statuses[-1]["agents"] == bench.clock.wrong


@pytest.mark.fault(45)
def test_fault_45_without_answers_from_ec2_the_node_list_is_not_written(bench):
    bench.turn()
    listed = len(bench.control_plane.listed)
    bench.control_plane.cluster = replace(QUIET, instances=None)
    bench.turn()
    bench.turn()
    assert len(bench.control_plane.listed) == listed > 0


def test_a_failing_queue_does_not_stop_the_passes(bench):
    bench.control_plane.broken = "SQS and S3 are away"
    assert bench.turn() == bench.turn() == 30
    warnings = [line["message"] for line in bench.lines("warning")]
    assert warnings == ["s3: SQS and S3 are away", "SQS and S3 are away"]
    assert bench.notify.signs > 20


@pytest.mark.fault(41)
def test_fault_41_without_a_valid_policy_the_last_counts_and_is_reported(bench):
    bench.control_plane.wanted = PolicyError("policy.json is not valid.")
    assert bench.turn() == agent.STANDBY
    assert bench.control_plane.statuses == []
    bench.control_plane.last = POLICY
    bench.turn()
    bench.turn()
    told = [line["message"] for line in bench.lines("warning")]
    assert told == ["policy.json is not valid.", "policy.json is not valid. The last valid policy counts."]
    assert {status["policy"] for status in bench.control_plane.statuses} == {told[1]}


def test_the_quiet_cluster_of_these_tests_needs_no_action():
    assert plan.plan(QUIET, POLICY, 0) == []
