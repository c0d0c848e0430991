"""Events of instances arrive in the queue in AWS's format."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, allow, document, until

QUEUE = "example-events"
PATTERN = {"source": ["aws.autoscaling", "aws.ec2", "aws.health"]}


def arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}"


def sending(queue: str, rule: str) -> str:
    """A queue's policy that allows a rule to send."""
    by_rule = {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{rule}"}}
    statement = allow("sqs:SendMessage", on=arn(queue), when=by_rule)
    return document({**statement, "Principal": {"Service": "events.amazonaws.com"}})


class Queue:
    """The queue and its messages."""

    def __init__(self, aws: LittleAws, name: str) -> None:
        self._sqs = aws.client("sqs")
        attributes = {"Policy": sending(name, "example")}
        self.url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.events: list[dict[str, Any]] = []

    def find(self, kind: str, **detail: Any) -> dict[str, Any]:
        """Wait for the event of that kind and detail."""
        return until(lambda: self._look(kind, detail), f"the event {kind}")  # type: ignore[no-any-return]

    def _look(self, kind: str, detail: dict[str, Any]) -> dict[str, Any] | None:
        received = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        self.events += [json.loads(message["Body"]) for message in received.get("Messages", [])]
        for event in self.events:
            if event["detail-type"] == kind and detail.items() <= event["detail"].items():
                return event
        return None


@pytest.fixture
def queue(aws: LittleAws) -> Queue:
    queue = Queue(aws, QUEUE)
    events = aws.client("events")
    events.put_rule(Name="example", EventPattern=json.dumps(PATTERN))
    events.put_targets(Rule="example", Targets=[{"Id": "queue", "Arn": arn(QUEUE)}])
    network = aws.network()
    aws.template("example", network.group)
    hooks = [
        {
            "LifecycleHookName": f"example-{name.lower()}",
            "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{name}",
            "HeartbeatTimeout": 30,
            "DefaultResult": "CONTINUE",
        }
        for name in ("LAUNCHING", "TERMINATING")
    ]
    aws.group("example", network, capacity=1, LifecycleHookSpecificationList=hooks)
    return queue


def complete(aws: LittleAws, event: dict[str, Any]) -> None:
    named = {key: event["detail"][key] for key in ("AutoScalingGroupName", "LifecycleHookName", "LifecycleActionToken")}
    aws.client("autoscaling").complete_lifecycle_action(**named, LifecycleActionResult="CONTINUE")


def test_launches_and_terminations_send_events(aws: LittleAws, queue: Queue) -> None:
    launching = queue.find("EC2 Instance-launch Lifecycle Action")
    envelope = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert set(launching) == envelope
    instance_id = launching["detail"]["EC2InstanceId"]
    assert launching["source"] == "aws.autoscaling"
    assert launching["detail"] == {
        "LifecycleActionToken": launching["detail"]["LifecycleActionToken"],
        "AutoScalingGroupName": "example",
        "LifecycleHookName": "example-launching",
        "EC2InstanceId": instance_id,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
    }
    assert launching["resources"][0].endswith(":autoScalingGroupName/example")
    running = queue.find("EC2 Instance State-change Notification", state="running")
    assert running["detail"] == {"instance-id": instance_id, "state": "running"}
    assert running["resources"] == [f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{instance_id}"]
    complete(aws, launching)
    queue.find("EC2 Instance Launch Successful", EC2InstanceId=instance_id)
    aws.desire("example", 0)
    terminating = queue.find("EC2 Instance-terminate Lifecycle Action", EC2InstanceId=instance_id)
    complete(aws, terminating)
    queue.find("EC2 Instance Terminate Successful", EC2InstanceId=instance_id)
    queue.find("EC2 Instance State-change Notification", state="terminated")


def test_rebalance_spot_and_health_events_are_sent(aws: LittleAws, queue: Queue) -> None:
    launching = queue.find("EC2 Instance-launch Lifecycle Action")
    instance_id = launching["detail"]["EC2InstanceId"]
    aws.control("POST", f"rebalance?instance={instance_id}")
    recommendation = queue.find("EC2 Instance Rebalance Recommendation")
    assert recommendation["detail"] == {"instance-id": instance_id}
    aws.control("POST", f"spot-interrupt?instance={instance_id}")
    warning = queue.find("EC2 Spot Instance Interruption Warning")
    assert warning["detail"] == {"instance-id": instance_id, "instance-action": "terminate"}
    aws.control("POST", f"scheduled-event?instance={instance_id}")
    health = queue.find("AWS Health Event")
    assert (health["source"], health["resources"]) == ("aws.health", [instance_id])
    assert health["detail"]["eventTypeCategory"] == "scheduledChange"
    assert health["detail"]["affectedEntities"][0]["entityValue"] == instance_id


def test_an_event_that_the_queue_refuses_is_a_dead_letter(aws: LittleAws, queue: Queue) -> None:
    queue.find("EC2 Instance-launch Lifecycle Action")
    dead = Queue(aws, "dead")
    target = {"Id": "queue", "Arn": arn(QUEUE), "DeadLetterConfig": {"Arn": arn("dead")}}
    aws.client("events").put_targets(Rule="example", Targets=[target])
    aws.client("sqs").set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": sending(QUEUE, "another")})
    instance_id = aws.members("example")[0]["InstanceId"]
    aws.control("POST", f"rebalance?instance={instance_id}")
    dead.find("EC2 Instance Rebalance Recommendation")


def test_a_disabled_rule_sends_nothing(aws: LittleAws, queue: Queue) -> None:
    queue.find("EC2 Instance State-change Notification", state="running")
    aws.client("events").disable_rule(Name="example")
    instance_id = aws.members("example")[0]["InstanceId"]
    aws.control("POST", f"rebalance?instance={instance_id}")
    aws.client("events").enable_rule(Name="example")
    aws.control("POST", f"scheduled-event?instance={instance_id}")
    queue.find("AWS Health Event")
    assert "EC2 Instance Rebalance Recommendation" not in {event["detail-type"] for event in queue.events}


def test_a_long_poll_ends_with_the_first_message_and_blocks_no_other(aws: LittleAws) -> None:
    """The last answer is for the first request, so the other request did not wait until its timeout."""
    sqs = aws.client("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("first", "second")]
    answers: list[str] = []

    def poll(url: str) -> None:
        answers.append(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]["Body"])

    pollers = [threading.Thread(target=poll, args=(url,)) for url in urls]
    for poller in reversed(pollers):
        poller.start()
    for _ in range(5):
        assert sorted(sqs.list_queues()["QueueUrls"]) == sorted(urls)
    assert answers == []
    for url, poller in zip(urls, pollers, strict=True):
        sqs.send_message(QueueUrl=url, MessageBody=url)
        poller.join()
    assert answers == urls


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(aws: LittleAws) -> None:
    sqs = aws.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 2})
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
    url = sqs.create_queue(QueueName="live", Attributes=attributes)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="bad")
    for _ in range(2):
        assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"] == "bad"
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5)["Messages"][0]["Body"] == "bad"


def test_a_queue_keeps_its_policy_when_another_attribute_is_set(aws: LittleAws) -> None:
    sqs, policy = aws.client("sqs"), sending("kept", "example")
    url = sqs.create_queue(QueueName="kept", Attributes={"Policy": policy})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(found["Policy"]) == json.loads(policy)
    assert found["VisibilityTimeout"] == "5"
