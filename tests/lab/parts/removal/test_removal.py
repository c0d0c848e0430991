"""Nodes are taken out, on purpose and otherwise, while a client asks the cluster hundreds of times a second."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, Site, say

# Seconds: the record's TTL.
TTL = 10
# Requests that a removal must have met for their success to mean something. The client asks for 220 a second and more.
ENOUGH = 2000
STUBBORN = """trap "" TERM; while :; do sleep 1; done"""


# What is refused, and what is in the way


@pytest.mark.fault(29)
def test_fault_29_what_is_no_instance_of_the_cluster_is_refused_in_a_sentence(site: Site) -> None:
    before = site.settle()
    image = site.aws("ec2").describe_instances(InstanceIds=[before[0].instance])["Reservations"][0]["Instances"][0]
    other = _foreign(site, image["ImageId"], image["SubnetId"])
    try:
        ids = ["i-xyz", "i-0123456789abcdef0", other]
        run = site.playbook("remove_node.yml", "-e", f"id={','.join(ids)}")
    finally:
        site.aws("ec2").terminate_instances(InstanceIds=[other])
    said = run.said
    assert run.code != 0
    assert "'i-xyz' is no instance ID" in said
    assert "EC2 knows no instance i-0123456789abcdef0 in eu-west-1 of this account" in said
    assert f"{other} belongs to the cluster 'another', and this is 'example'" in said
    assert run.changed == 0
    assert site.nodes() == before


@pytest.mark.fault(25)
@pytest.mark.fault(26)
@pytest.mark.fault(30)
def test_fault_25_26_30_no_place_elsewhere_a_deaf_container_and_everybody_killed(site: Site) -> None:
    """One forced removal serves three faults: refused first, killed in the middle, and finished by the next run."""
    site.settle()
    worker, manager = site.one("worker"), site.one("leader")
    pinned = ["--name", "pinned", "--replicas", "2", "--constraint", "node.role==worker"]
    options = ["--update-order", "start-first", "--stop-grace-period", "50s"]
    command = ["python:3.13-slim", "sh", "-c", STUBBORN]
    made = site.on(manager, "docker", "service", "create", "-d", *pinned, *options, *command)
    assert made.code == 0, made.output
    site.wait("the service to run", lambda: site.replicas("pinned") == "2/2")
    try:
        run = site.playbook("remove_node.yml", "-e", f"id={worker}")
        assert run.code != 0
        said = run.said
        assert "no place elsewhere for 2 tasks of pinned (none of 3 other nodes meets node.role==worker)" in said
        assert run.changed == 0
        assert all(node.availability == "active" for node in site.nodes())

        asked = ["remove_node.yml", "-e", f"id={worker}", "-e", "force=true"]

        def drained() -> bool:
            return any(node.instance == worker and node.availability == "drain" for node in site.listed())

        assert site.killed_playbook(*asked, when=drained), "its containers take long enough to stop"
        for instance in site.managers():
            site.on(instance, "systemctl", "kill", "--signal=KILL", "swarm-agent")
        run = site.playbook(*asked)
        assert run.code == 0, run.output[-4000:]
        assert worker not in {node.instance for node in site.nodes()}
        assert "pinned did not stop when told to and took all or nearly all of its 50 s" in run.said
    finally:
        site.on(site.managers()[0], "docker", "service", "rm", "pinned")


@pytest.mark.fault(28)
@pytest.mark.parametrize(("verb", "seconds"), [("spot-interrupt", 120), ("scheduled-event", 600)])
def test_fault_28_an_announced_end_is_drained_inside_its_deadline(site: Site, verb: str, seconds: int) -> None:
    site.settle()
    worker, leader = site.one("worker"), site.one("leader")
    site.control(verb, worker, seconds=seconds)
    site.wait("the worker to be out of the swarm", lambda: worker not in site.members(), seconds)
    # Facts that the agent notes: until when there was time, and when it took the node out.
    done = [line for line in site.actions(leader) if worker in line["message"]]
    (announced,) = {label for line in done if (label := (line["after"] or {}).get("swarm.aws.interruption"))}
    deadline = float(announced.partition("@")[2])
    (removed,) = [datetime.fromisoformat(line["time"]) for line in done if line["action"] == "Remove"]
    say(f"{verb}: {announced}, out of the swarm {deadline - removed.timestamp():.0f} of {seconds} s before")
    assert removed.timestamp() < deadline
    site.settle()
    # It ended before EC2 would have taken it back.
    (ended,) = site.aws("ec2").describe_instances(InstanceIds=[worker])["Reservations"][0]["Instances"]
    assert ended.get("StateReason", {}).get("Code") != "Server.SpotInstanceTermination", (
        "it went before it was taken back"
    )


# What nobody planned


@pytest.mark.fault(12)
def test_fault_12_what_a_task_was_about_to_answer_when_it_froze_is_answered_by_another(site: Site) -> None:
    """As on a host that fails: connections stay as they are, and nothing comes back."""
    site.settle()
    listing = ("docker", "ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=example_web")
    # A node that joined a moment ago has none.
    host, task = next(
        (identifier, found) for identifier in sorted(site.ids()) for found in site.must(identifier, *listing).split()
    )
    with Load(site.lab, RECORD) as load:
        site.wait("the load to have begun", lambda: load.result.sent > 200)
        site.must(host, "docker", "kill", "--signal", "STOP", task)
        try:
            site.wait("the load to have met it", lambda: load.result.sent > ENOUGH)
        finally:
            site.must(host, "docker", "kill", "--signal", "CONT", task)
    say(f"a frozen task: {load.result}")
    assert load.result.failures == []


@pytest.mark.fault(12)
def test_fault_12_a_host_that_fails_under_load_costs_requests_only_until_dns_forgets_it(site: Site) -> None:
    site.settle()
    manager, leader = site.one("follower"), site.one("leader")
    address = next(instance["public_ip"] for instance in site.instances() if instance["instance_id"] == manager)
    with Load(site.lab, RECORD) as load:
        site.wait("the load to have begun", lambda: load.result.sent > 200)
        site.kill_host(manager)
        killed, began = time.time(), datetime.now(UTC).isoformat(timespec="milliseconds")
        site.wait("the record to forget it", lambda: address not in site.addresses())
        forgotten = time.time() - killed
        site.wait("the resolver to forget it", lambda: load.resolver.asked_at > killed + forgotten)
        sent = load.result.sent
        site.wait("the load to go on", lambda: load.result.sent > sent + ENOUGH / 2)
    last = max((failure.at for failure in load.result.failures), default=killed) - killed
    say(f"hard kill: {load.result}; withdrawn after {forgotten:.1f} s, the last failure after {last:.1f} s")
    misled = [
        failure
        for failure in load.result.failures
        if failure.resolved_at > killed + forgotten or failure.address != address
    ]
    assert misled == [], "requests failed although no resolver knew the host any more, or at another one"
    site.settle()
    done = [line for line in site.actions(leader) if line["time"] > began]
    withdrawn = [line["action"] == "SyncRecord" and address not in line["after"]["ipv4_values"] for line in done]
    replaced = [line["action"] == "CompleteLifecycle" and "launching" in line["after"]["hook"] for line in done]
    assert withdrawn.index(True) < replaced.index(True), "it is withdrawn when it is missed, not when it is replaced"


@pytest.mark.fault(21)
def test_fault_21_an_instance_that_ends_before_it_joined_is_let_go_at_once(site: Site) -> None:
    site.settle()
    autoscaling, known, leader = site.aws("autoscaling"), site.ids(), site.one("leader")
    autoscaling.set_desired_capacity(AutoScalingGroupName=f"{CLUSTER}-worker", DesiredCapacity=2)
    fresh = site.wait("another instance", lambda: [identifier for identifier in site.ids() if identifier not in known])[
        0
    ]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=fresh, ShouldDecrementDesiredCapacity=True)
    site.wait("it to be gone", lambda: fresh not in site.ids())
    # The hook was answered, and nothing else was done.
    done = [line for line in site.actions(leader) if line["message"].endswith(f"lifecycle of {fresh}")]
    assert [line["after"]["result"] for line in done] == ["CONTINUE"], (
        "the hook was answered, and nothing else was done"
    )
    site.settle()


@pytest.mark.fault(31)
@pytest.mark.fault(15)
@pytest.mark.fault(22)
def test_fault_31_15_22_only_what_ec2_says_is_gone_is_tidied_away(site: Site) -> None:
    """With the agents stopped: a worker ended and a manager cut off; then an engine that hangs."""
    site.settle()
    run = site.playbook("playbooks/tidy.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-3000:]
    assert "No node to delete" in run.output
    worker, cut_off = site.one("worker"), site.one("follower")
    before = {node.instance: node.node_id for node in site.nodes()}
    with site.agents_stopped():
        site.aws("ec2").terminate_instances(InstanceIds=[worker])
        site.control("partition", cut_off)
        try:
            site.wait("both to be seen as down", lambda: site.down() >= {worker, cut_off})
            run = site.playbook("playbooks/tidy.yml")
        finally:
            site.control("heal", cut_off)
    assert run.code == 0, run.output[-3000:]
    said = run.said
    assert f"Removed: {worker}, since its instance is gone" in said
    assert f"{cut_off} is down, but EC2 says that it is running: it is left alone" in said
    after = {node.instance: node.node_id for node in site.settle()}
    assert after[cut_off] == before[cut_off], "it came back as the node that it was"

    hanging = site.one("worker")
    site.on(hanging, "pkill", "-STOP", "dockerd")
    try:
        site.wait("its engine to be seen as down", lambda: hanging in site.down())
        assert hanging in site.members()
    finally:
        site.on(hanging, "pkill", "-CONT", "dockerd")
    assert {node.instance for node in site.settle()} >= {hanging}


@pytest.mark.fault(13)
def test_fault_13_without_a_quorum_nothing_is_touched_and_that_is_said(site: Site) -> None:
    before = site.settle()
    followers = [node.instance for node in before if node.role == "manager" and node.instance != site.one("leader")]
    record = site.addresses()
    for instance in followers:
        site.control("partition", instance)
    try:
        site.wait("the quorum to be lost", lambda: not site.managers())
        run = site.playbook("playbooks/status.yml")
    finally:
        for instance in followers:
            site.control("heal", instance)
    assert run.code != 0
    assert "restore the swarm with playbooks/restore.yml" in run.said
    assert "No manager can act, so this is what EC2, Auto Scaling and DNS report" in run.output
    assert {identifier for identifier in site.ids() if f"{identifier}  " in run.output} == site.ids(), (
        "all instances are shown"
    )
    assert {address for address in record if f"{address}, " in run.output} == record, "so is where DNS leads"
    assert site.addresses() == record
    assert {node.node_id for node in site.settle()} == {node.node_id for node in before}


@pytest.mark.fault(17)
def test_fault_17_messages_that_nobody_can_read_end_as_dead_letters(site: Site) -> None:
    site.settle()
    sqs = site.aws("sqs")
    queue = sqs.get_queue_url(QueueName=f"{CLUSTER}-events")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{CLUSTER}-events-dead")["QueueUrl"]
    usual = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    began = [_started(site, manager) for manager in site.managers()]
    bad = ["{", '{"detail-type": "Nobody knows this", "detail": {}}']
    spot = {"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {"instance-id": "i-0123456789abcdef0"}}
    good = [json.dumps({"Event": "autoscaling:TEST_NOTIFICATION"}), json.dumps(spot)]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    try:
        for body in [*bad, *good]:
            sqs.send_message(QueueUrl=queue, MessageBody=body)
        site.wait("the bad ones to be dead letters", lambda: _waiting(site, dead) >= len(bad))
        site.wait("the queue to be empty", lambda: not _waiting(site, queue))
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=usual)
        sqs.purge_queue(QueueUrl=dead)
    assert [_started(site, manager) for manager in site.managers()] == began, "no agent was started anew"
    site.settle()


@pytest.mark.fault(47)
def test_fault_47_a_poisoned_message_keeps_no_spot_warning_of_its_batch(site: Site) -> None:
    site.settle()
    worker = site.one("worker")
    sqs = site.aws("sqs")
    queue = sqs.get_queue_url(QueueName=f"{CLUSTER}-events")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{CLUSTER}-events-dead")["QueueUrl"]
    usual = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5"})
    try:
        # Both wait in the queue before an agent looks, so that they are of one batch.
        with site.agents_stopped():
            poison = sqs.send_message(QueueUrl=queue, MessageBody="[" * 100_000)["MessageId"]
            site.control("spot-interrupt", worker, seconds=120)
            site.wait("both to be in the queue", lambda: _waiting(site, queue) >= 2)
        site.wait("the worker to be out of the swarm", lambda: worker not in site.members(), 120)
        site.wait("the poisoned one to be a dead letter", lambda: _waiting(site, dead) >= 1)
        site.wait("the queue to be empty", lambda: not _waiting(site, queue))
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=usual)
        sqs.purge_queue(QueueUrl=dead)
    (ended,) = site.aws("ec2").describe_instances(InstanceIds=[worker])["Reservations"][0]["Instances"]
    assert ended.get("StateReason", {}).get("Code") != "Server.SpotInstanceTermination", "it went before"
    journal = "".join(
        site.on(manager, "journalctl", "-u", "swarm-agent", "-o", "cat").output for manager in site.managers()
    )
    assert journal.count(f"The message {poison} in the queue is left to the dead letters") == 1
    site.settle()


@pytest.mark.fault(19)
def test_fault_19_a_record_of_somebody_else_is_refused_and_shown(site: Site) -> None:
    site.settle()
    owner = f"_swarm-aws.{RECORD}"
    mine = '"heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA"'
    _write_owner(site, owner, '"heritage=swarm.aws,cluster=other,region=eu-west-1"')
    try:
        _set_record(site, "203.0.113.9")
        run = site.playbook("playbooks/status.yml")
        assert "heritage=swarm.aws,cluster=other,region=eu-west-1" in run.output
        assert "choose another dns.record" in run.said
        assert site.addresses() == {"203.0.113.9"}
    finally:
        _write_owner(site, owner, mine)
    site.wait("the record to be the cluster's again", lambda: site.addresses() == site.public_addresses())


@pytest.mark.fault(46)
def test_fault_46_a_node_that_nobody_can_withdraw_is_not_removed(site: Site) -> None:
    before = site.settle()
    site.settle_record()
    follower, owner = site.one("follower"), f"_swarm-aws.{RECORD}"
    (mine,) = _sets(site, owner, "TXT")
    _empty(site, owner, "TXT")
    with Load(site.lab, RECORD) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={follower}")
        assert run.code != 0 and run.changed == 0
        assert f"{follower} is not removed, for it cannot be withdrawn: {RECORD} stands there already" in run.said
        assert f"create that TXT record with the value {mine['ResourceRecords'][0]['Value']}" in run.said
        assert site.nodes() == before
        # As the refusal says.
        _change(site, "CREATE", mine)
        run = site.playbook("remove_node.yml", "-e", f"id={follower}")
        assert run.code == 0, run.output[-4000:]
        site.wait("the load to have met it", lambda: load.result.sent > ENOUGH)
    say(f"the record's ownership was lost: {load.result}")
    assert load.result.failures == []
    site.settle()
    site.settle_record()


def test_a_record_that_other_hands_changed_or_emptied_is_put_right_at_once(site: Site) -> None:
    site.settle()
    site.settle_record()
    managers, owner = site.public_addresses(), f"_swarm-aws.{RECORD}"
    with site.agents_stopped():
        _set_record(site, "203.0.113.9")
        _empty(site, RECORD, "AAAA")
        _put_right(site, "203.0.113.9", *managers, *site.ipv6_addresses())
        for name, kind in ((RECORD, "A"), (RECORD, "AAAA"), (owner, "TXT")):
            _empty(site, name, kind)
        _put_right(site, "heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA", *managers)
        assert [one["ResourceRecords"] for one in _sets(site, owner, "TXT")] == [
            [{"Value": '"heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA"'}]
        ]


# What the tests ask and do


def _put_right(site: Site, *shown: str) -> None:
    """Run `dns.yml`: to show a difference with all of these, to make it, and when there is none any more."""
    before = [_sets(site, RECORD, kind) for kind in ("A", "AAAA")]
    plan = site.playbook("playbooks/dns.yml", "--check", "--diff")
    assert (plan.code, plan.changed) == (0, 1), plan.output[-4000:]
    assert [one for one in shown if one not in plan.output] == []
    assert [_sets(site, RECORD, kind) for kind in ("A", "AAAA")] == before
    run = site.playbook("playbooks/dns.yml")
    assert (run.code, run.changed) == (0, 1), run.output[-4000:]
    assert f"Done: {'update' if any(before) else 'create'} the DNS record {RECORD}" in run.said
    assert site.addresses() == site.public_addresses()
    assert site.addresses("AAAA") == site.ipv6_addresses()
    again = site.playbook("playbooks/dns.yml")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    assert "nothing to do" in again.said


def _started(site: Site, instance: str) -> str:
    return site.on(instance, "systemctl", "show", "--value", "-p", "ExecMainStartTimestamp", "swarm-agent").output


def _waiting(site: Site, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = site.aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def _foreign(site: Site, image: str, subnet: str) -> str:
    """An instance of another cluster."""
    tags = [{"Key": "swarm.aws/cluster", "Value": "another"}]
    run = site.aws("ec2").run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return str(run["Instances"][0]["InstanceId"])


def _write_owner(site: Site, name: str, value: str) -> None:
    _upsert(site, name, "TXT", 300, value)


def _set_record(site: Site, address: str) -> None:
    _upsert(site, RECORD, "A", TTL, address)


def _upsert(site: Site, name: str, kind: str, ttl: int, value: str) -> None:
    _change(site, "UPSERT", {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value}]})


def _empty(site: Site, name: str, kind: str) -> None:
    for present in _sets(site, name, kind):
        _change(site, "DELETE", present)


def _change(site: Site, action: str, record_set: dict[str, Any]) -> None:
    changes = [{"Action": action, "ResourceRecordSet": record_set}]
    site.aws("route53").change_resource_record_sets(HostedZoneId=_zone(site), ChangeBatch={"Changes": changes})


def _sets(site: Site, name: str, kind: str) -> list[dict[str, Any]]:
    """The record sets of a name and a type: one, or none."""
    found = site.aws("route53").list_resource_record_sets(HostedZoneId=_zone(site))["ResourceRecordSets"]
    return [one for one in found if (one["Name"], one["Type"]) == (f"{name}.", kind)]


def _zone(site: Site) -> str:
    zones = site.aws("route53").list_hosted_zones_by_name(DNSName=RECORD.partition(".")[2])["HostedZones"]
    return str(zones[0]["Id"])
