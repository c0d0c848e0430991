"""Planned and unplanned removals, many under hundreds of requests a second."""

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
# How many requests make a removal a test. The client sends 220 a second and more.
ENOUGH = 2000
STUBBORN = """trap "" TERM; while :; do sleep 1; done"""


# Refusals and obstacles


@pytest.mark.fault(29)
def test_fault_29_foreign_and_unknown_instances_are_refused(site: Site) -> None:
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
    assert "'i-xyz' is not an instance ID" in said
    assert "EC2 knows no instance i-0123456789abcdef0 in eu-west-1 of this account" in said
    assert f"{other} belongs to the cluster 'another', and this is 'example'" in said
    assert run.changed == 0
    assert site.nodes() == before


@pytest.mark.fault(25)
@pytest.mark.fault(26)
@pytest.mark.fault(30)
def test_fault_25_26_30_a_forced_removal_survives_kills(site: Site) -> None:
    """Without force the removal is refused; with force it is killed, and the next run completes it."""
    site.settle()
    worker, manager = site.pick("worker"), site.pick("leader")
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
        assert "no room elsewhere for 2 tasks of pinned (none of 3 other nodes meets node.role==worker)" in said
        assert run.changed == 0
        assert all(node.availability == "active" for node in site.nodes())

        asked = ["remove_node.yml", "-e", f"id={worker}", "-e", "force=true"]

        def drained() -> bool:
            return any(node.instance == worker and node.availability == "drain" for node in site.listed())

        assert site.killed_playbook(*asked, when=drained), "the containers stopped too fast for a kill"
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
def test_fault_28_an_interrupted_node_is_removed_before_its_deadline(site: Site, verb: str, seconds: int) -> None:
    site.settle()
    worker, leader = site.pick("worker"), site.pick("leader")
    site.control(verb, worker, seconds=seconds)
    site.wait("the worker to be out of the swarm", lambda: worker not in site.members(), seconds)
    # The agent's log has the deadline and the time of the removal.
    done = [line for line in site.actions(leader) if worker in line["message"]]
    (announced,) = {label for line in done if (label := (line["after"] or {}).get("swarm.aws.interruption"))}
    deadline = float(announced.partition("@")[2])
    (removed,) = [datetime.fromisoformat(line["time"]) for line in done if line["action"] == "Delete"]
    say(f"{verb}: {announced}, out of the swarm {deadline - removed.timestamp():.0f} of {seconds} s before")
    assert removed.timestamp() < deadline
    site.settle()
    (ended,) = site.aws("ec2").describe_instances(InstanceIds=[worker])["Reservations"][0]["Instances"]
    assert ended.get("StateReason", {}).get("Code") != "Server.SpotInstanceTermination", (
        "EC2 terminated it before the removal finished"
    )


# Unplanned removals


@pytest.mark.fault(12)
def test_fault_12_another_task_answers_the_requests_of_a_frozen_task(site: Site) -> None:
    """As on a failed host, connections stay open without answers."""
    site.settle()
    listing = ("docker", "ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=example_web")
    # A new node may have no task.
    host, task = next(
        (identifier, found) for identifier in sorted(site.ids()) for found in site.must(identifier, *listing).split()
    )
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        site.must(host, "docker", "kill", "--signal", "STOP", task)
        try:
            site.wait("enough requests", lambda: load.result.sent > ENOUGH)
        finally:
            site.must(host, "docker", "kill", "--signal", "CONT", task)
    say(f"a frozen task: {load.result}")
    assert load.result.failures == []


@pytest.mark.fault(12)
def test_fault_12_a_failed_host_fails_requests_only_until_dns_drops_it(site: Site) -> None:
    site.settle()
    manager, leader = site.pick("follower"), site.pick("leader")
    address = next(instance["public_ip"] for instance in site.instances() if instance["instance_id"] == manager)
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        site.kill_host(manager)
        killed, began = time.time(), datetime.now(UTC).isoformat(timespec="milliseconds")
        site.wait("the record to drop the address", lambda: address not in site.addresses())
        withdrawn_after = time.time() - killed
        site.wait("the resolver to drop the address", lambda: load.resolver.asked_at > killed + withdrawn_after)
        sent = load.result.sent
        site.wait("the load to go on", lambda: load.result.sent > sent + ENOUGH / 2)
    last = max((failure.at for failure in load.result.failures), default=killed) - killed
    say(f"hard kill: {load.result}; withdrawn after {withdrawn_after:.1f} s, the last failure after {last:.1f} s")
    misled = [
        failure
        for failure in load.result.failures
        if failure.resolved_at > killed + withdrawn_after or failure.address != address
    ]
    assert misled == [], "requests failed after the resolver dropped the host, or at another host"
    site.settle()
    done = [line for line in site.actions(leader) if line["time"] > began]
    withdrawn = [line["action"] == "SyncRecord" and address not in line["after"]["ipv4_values"] for line in done]
    replaced = [line["action"] == "CompleteLifecycle" and "launching" in line["after"]["hook"] for line in done]
    assert withdrawn.index(True) < replaced.index(True), "it was withdrawn only after its replacement"


@pytest.mark.fault(21)
def test_fault_21_terminating_an_instance_that_never_joined_is_not_delayed(site: Site) -> None:
    site.settle()
    autoscaling, known, leader = site.aws("autoscaling"), site.ids(), site.pick("leader")
    autoscaling.set_desired_capacity(AutoScalingGroupName=f"{CLUSTER}-worker", DesiredCapacity=2)
    fresh = site.wait("another instance", lambda: [identifier for identifier in site.ids() if identifier not in known])[
        0
    ]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=fresh, ShouldDecrementDesiredCapacity=True)
    site.wait("it to be gone", lambda: fresh not in site.ids())
    done = [(line["action"], line["after"].get("result")) for line in site.actions(leader) if fresh in line["message"]]
    assert done == [("CompleteLifecycle", "CONTINUE")], "the agent did more than complete the hook"
    site.settle()


@pytest.mark.fault(31)
@pytest.mark.fault(15)
@pytest.mark.fault(22)
def test_fault_31_15_22_tidying_deletes_only_nodes_without_an_instance(site: Site) -> None:
    """With stopped agents: a terminated worker and a partitioned manager; then a hanging engine."""
    site.settle()
    run = site.playbook("playbooks/tidy.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-3000:]
    assert "No node to delete" in run.output
    worker, cut_off = site.pick("worker"), site.pick("follower")
    before = {node.instance: node.node_id for node in site.nodes()}
    with site.agents_stopped():
        site.aws("ec2").terminate_instances(InstanceIds=[worker])
        site.control("partition", cut_off)
        try:
            site.wait("both nodes to be down", lambda: site.down() >= {worker, cut_off})
            run = site.playbook("playbooks/tidy.yml")
        finally:
            site.control("heal", cut_off)
    assert run.code == 0, run.output[-3000:]
    said = run.said
    assert f"Deleted: {worker}, since its instance is terminated" in said
    assert f"{cut_off} is down, but EC2 says that it is running: it is left alone" in said
    after = {node.instance: node.node_id for node in site.settle()}
    assert after[cut_off] == before[cut_off], "the partitioned manager has another node ID"

    hanging = site.pick("worker")
    site.on(hanging, "pkill", "-STOP", "dockerd")
    try:
        site.wait("the node to be down", lambda: hanging in site.down())
        assert hanging in site.members()
    finally:
        site.on(hanging, "pkill", "-CONT", "dockerd")
    assert {node.instance for node in site.settle()} >= {hanging}


@pytest.mark.fault(13)
def test_fault_13_without_a_quorum_nothing_changes_and_status_says_so(site: Site) -> None:
    before = site.settle()
    followers = [node.instance for node in before if node.role == "manager" and node.instance != site.pick("leader")]
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
        "status.yml does not show all instances"
    )
    assert {address for address in record if f"{address}, " in run.output} == record, (
        "status.yml does not show the record"
    )
    assert site.addresses() == record
    assert {node.node_id for node in site.settle()} == {node.node_id for node in before}


@pytest.mark.fault(17)
def test_fault_17_invalid_messages_end_as_dead_letters(site: Site) -> None:
    site.settle()
    sqs = site.aws("sqs")
    queue = sqs.get_queue_url(QueueName=f"{CLUSTER}-events")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{CLUSTER}-events-dead")["QueueUrl"]
    original = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    began = [_started(site, manager) for manager in site.managers()]
    bad = ["{", '{"detail-type": "Nobody knows this", "detail": {}}']
    spot = {"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {"instance-id": "i-0123456789abcdef0"}}
    good = [json.dumps({"Event": "autoscaling:TEST_NOTIFICATION"}), json.dumps(spot)]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    try:
        for body in [*bad, *good]:
            sqs.send_message(QueueUrl=queue, MessageBody=body)
        site.wait("the invalid messages to be dead letters", lambda: _waiting(site, dead) >= len(bad))
        site.wait("the queue to be empty", lambda: not _waiting(site, queue))
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=original)
        _delete_messages(site, dead)
    assert [_started(site, manager) for manager in site.managers()] == began, "an agent was restarted"
    site.settle()


@pytest.mark.fault(47)
def test_fault_47_an_invalid_message_does_not_block_a_spot_warning(site: Site) -> None:
    site.settle()
    worker = site.pick("worker")
    sqs = site.aws("sqs")
    queue = sqs.get_queue_url(QueueName=f"{CLUSTER}-events")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{CLUSTER}-events-dead")["QueueUrl"]
    original = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5"})
    try:
        # Both are in the queue before an agent looks, so that they are in the same batch.
        with site.agents_stopped():
            invalid = sqs.send_message(QueueUrl=queue, MessageBody="[" * 100_000)["MessageId"]
            site.control("spot-interrupt", worker, seconds=120)
            site.wait("both to be in the queue", lambda: _waiting(site, queue) >= 2)
        site.wait("the worker to be out of the swarm", lambda: worker not in site.members(), 120)
        site.wait("the invalid message to be a dead letter", lambda: _waiting(site, dead) >= 1)
        site.wait("the queue to be empty", lambda: not _waiting(site, queue))
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=original)
        _delete_messages(site, dead)
    (ended,) = site.aws("ec2").describe_instances(InstanceIds=[worker])["Reservations"][0]["Instances"]
    assert ended.get("StateReason", {}).get("Code") != "Server.SpotInstanceTermination", (
        "EC2 terminated it before the removal finished"
    )
    journal = "".join(
        site.on(manager, "journalctl", "-u", "swarm-agent", "-o", "cat").output for manager in site.managers()
    )
    assert journal.count(f"The message {invalid} in the queue is left for the dead-letter queue") == 1
    site.settle()


@pytest.mark.fault(19)
def test_fault_19_a_foreign_record_is_not_changed_but_reported(site: Site) -> None:
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
def test_fault_46_a_node_that_cannot_be_withdrawn_is_not_removed(site: Site) -> None:
    before = site.settle()
    site.settle_record()
    follower, owner = site.pick("follower"), f"_swarm-aws.{RECORD}"
    (mine,) = _sets(site, owner, "TXT")
    _empty(site, owner, "TXT")
    with Load(site.lab, RECORD) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={follower}")
        assert run.code != 0 and run.changed == 0
        assert f"{follower} is not removed, since it cannot be withdrawn: {RECORD} exists already" in run.said
        assert f"create that TXT record with the value {mine['ResourceRecords'][0]['Value']}" in run.said
        assert site.nodes() == before
        _change(site, "CREATE", mine)
        run = site.playbook("remove_node.yml", "-e", f"id={follower}")
        assert run.code == 0, run.output[-4000:]
        site.wait("enough requests", lambda: load.result.sent > ENOUGH)
    say(f"the record's ownership was lost: {load.result}")
    assert load.result.failures == []
    site.settle()
    site.settle_record()


def test_dns_yml_repairs_a_changed_or_deleted_record(site: Site) -> None:
    site.settle()
    site.settle_record()
    managers, owner = site.public_addresses(), f"_swarm-aws.{RECORD}"
    with site.agents_stopped():
        _set_record(site, "203.0.113.9")
        _empty(site, RECORD, "AAAA")
        _repair(site, "203.0.113.9", *managers, *site.ipv6_addresses())
        for name, kind in ((RECORD, "A"), (RECORD, "AAAA"), (owner, "TXT")):
            _empty(site, name, kind)
        _repair(site, "heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA", *managers)
        assert [record_set["ResourceRecords"] for record_set in _sets(site, owner, "TXT")] == [
            [{"Value": '"heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA"'}]
        ]


# Helpers


def _repair(site: Site, *shown: str) -> None:
    """Run `dns.yml`: the plan must show all of ``shown``, the first run repairs, the second run has nothing to do."""
    before = [_sets(site, RECORD, kind) for kind in ("A", "AAAA")]
    plan = site.playbook("playbooks/dns.yml", "--check", "--diff")
    assert (plan.code, plan.changed) == (0, 1), plan.output[-4000:]
    assert [line for line in shown if line not in plan.output] == []
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


def _delete_messages(site: Site, queue: str) -> None:
    """Delete the messages of a queue. SQS purges a queue only once a minute."""
    sqs = site.aws("sqs")
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _foreign(site: Site, image: str, subnet: str) -> str:
    """An instance of another cluster."""
    tags = [{"Key": "swarm.aws/cluster", "Value": "another"}]
    run = site.aws("ec2").run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        # The metadata service shows no tag with a slash, and the account's default is to show all.
        MetadataOptions={"InstanceMetadataTags": "disabled"},
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
    """The record sets of a name and a type, at most a single set."""
    found = site.aws("route53").list_resource_record_sets(HostedZoneId=_zone(site))["ResourceRecordSets"]
    return [record_set for record_set in found if (record_set["Name"], record_set["Type"]) == (f"{name}.", kind)]


def _zone(site: Site) -> str:
    zones = site.aws("route53").list_hosted_zones_by_name(DNSName=RECORD.partition(".")[2])["HostedZones"]
    return str(zones[0]["Id"])
