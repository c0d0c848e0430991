"""The agent's Auto Scaling, Route 53 and SQS adapters, against moto."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Queue
from ansible_collections.swarm.aws.plugins.module_utils.adapters.load_balancing import TargetGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.route53 import Zone
from ansible_collections.swarm.aws.plugins.module_utils.adapters.s3_store import STATUS_KEY, S3Store
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import aws_time
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from tests.unit.bucket import account as in_memory

REGION = "eu-west-1"
OWNER = "heritage=swarm.aws,cluster=example,region=eu-west-1"


@pytest.fixture(autouse=True)
def account(monkeypatch):
    with in_memory(monkeypatch):
        yield boto3.session.Session(region_name=REGION)


@pytest.fixture
def aws():
    return AwsSession.on_node(REGION)


@pytest.mark.fault(45)
@pytest.mark.parametrize("status", [200, 403])
def test_fault_45_every_answer_of_aws_sets_the_time_even_an_error(aws, monkeypatch, status):
    """The error is a signature that AWS refuses because of this host's clock."""
    observed = []
    monkeypatch.setattr(aws_time, "observe", lambda date, took: observed.append((date, took)))
    answer = AWSResponse("", status, {"Date": "Mon, 30 Nov 2026 08:00:00 GMT"}, SimpleNamespace(stream=lambda: [b""]))
    client = aws.client("s3")
    client.meta.events.register("before-send.s3.*", lambda **_: answer)
    with contextlib.suppress(ClientError):
        client.list_buckets()
    ((date, took),) = observed
    assert date == 1796025600 and 0 <= took < 60


@pytest.fixture
def fleet(aws, group):
    return AutoScalingGroups(aws, "example", lambda: 0)


@pytest.fixture
def group(account):
    """A group of two workers, and resources of another cluster."""
    ec2, scaling = account.client("ec2"), account.client("autoscaling")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName="blue", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}
    )
    for cluster in ("example", "other"):
        labels = {"swarm.aws/cluster": cluster, "swarm.aws/group": "blue", "swarm.aws/role": "worker"}
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=f"{cluster}-blue",
            LaunchTemplate={"LaunchTemplateName": "blue"},
            MinSize=2,
            MaxSize=2,
            VPCZoneIdentifier=subnet,
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in labels.items()],
        )
    return SimpleNamespace(ec2=ec2, scaling=scaling)


def test_instances_have_their_group(fleet):
    first, second = fleet.instances()
    assert first.scaling_group == "example-blue"
    assert (first.group, first.role, first.lifecycle, first.state) == ("blue", "worker", "InService", "running")
    assert first.in_service
    assert first.zone.startswith(REGION)
    assert first.private_address != second.private_address


def test_an_instance_has_the_ipv6_address_of_its_first_interface(fleet, monkeypatch):
    assert [instance.ipv6_address for instance in fleet.instances()] == [None, None]
    described = fleet._described()
    for found in described.values():
        second = {**found["NetworkInterfaces"][0], "Attachment": {"DeviceIndex": 1}}
        own = {**found["NetworkInterfaces"][0], "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}
        found["NetworkInterfaces"] = [{**second, "Ipv6Addresses": [{"Ipv6Address": "2001:db8::2"}]}, own]
    monkeypatch.setattr(fleet, "_described", lambda **arguments: described)
    assert {instance.ipv6_address for instance in fleet.instances() if instance.lifecycle} == {"2001:db8::1"}


def test_warm_instances_are_described_separately(aws, fleet, monkeypatch):
    found = fleet._groups()
    hidden = found[0]["Instances"].pop()
    monkeypatch.setattr(fleet, "_groups", lambda: found)
    asked = []
    client = aws.client("autoscaling")

    def describe(**given):
        asked.append(given["InstanceIds"])
        place = {**hidden, "AutoScalingGroupName": "example-blue", "LifecycleState": "Warmed:Stopped"}
        return {"AutoScalingInstances": [{**place, "HealthStatus": "HEALTHY"}]}

    monkeypatch.setattr(client, "describe_auto_scaling_instances", describe)
    states = {instance.id: instance.lifecycle for instance in fleet.instances()}
    assert (states[hidden["InstanceId"]], asked) == (None, []), "no group has a pool, so nothing more is asked"
    found[0]["WarmPoolConfiguration"] = {"MinSize": 1}
    (warm,) = (instance for instance in fleet.instances() if instance.warmed)
    assert asked == [[hidden["InstanceId"]]]
    assert (warm.id, warm.scaling_group, warm.healthy) == (hidden["InstanceId"], "example-blue", True)
    assert not warm.in_service
    assert fleet.groups()[0].in_service == 1


def test_a_terminated_instance_is_gone_even_if_ec2_still_lists_it(fleet, group):
    first, second = fleet.instances()
    group.ec2.terminate_instances(InstanceIds=[first.id])
    states = {instance.id: instance.gone for instance in fleet.instances()}
    assert states[first.id] and not states[second.id]
    assert fleet.gone(first.id) and fleet.gone("i-0123456789abcdef0")
    assert not fleet.gone(second.id)


def test_an_instance_that_only_auto_scaling_lists_is_pending(fleet, monkeypatch):
    monkeypatch.setattr(fleet, "_described", lambda **arguments: {})
    assert [instance.state for instance in fleet.instances()] == ["pending", "pending"]


def test_an_instance_is_terminated_with_or_without_a_replacement(fleet, group):
    first, second = fleet.instances()
    group.scaling.update_auto_scaling_group(AutoScalingGroupName="example-blue", MinSize=1)
    assert fleet.sizes("example-blue") == (1, 2)
    assert not fleet.gone_or_going(first.id)
    assert fleet.terminate(first.id, replace=False)
    assert fleet.sizes("example-blue") == (1, 1)
    assert fleet.gone(first.id) and fleet.gone_or_going(first.id)
    assert fleet.instances() and fleet.desired == {"blue": 1}
    assert fleet.terminate(second.id, replace=True)
    assert fleet.sizes("example-blue") == (1, 1)
    with pytest.raises(Unavailable, match="There is no Auto Scaling group other"):
        fleet.sizes("other")


def test_a_group_with_the_tag_of_its_original_size_is_being_upgraded(aws, fleet, group):
    assert fleet.instances() and fleet.upgrading == frozenset()
    usual = {"Key": "swarm.aws/usual-size", "Value": "2", "PropagateAtLaunch": False}
    resource = {"ResourceId": "example-blue", "ResourceType": "auto-scaling-group"}
    group.scaling.create_or_update_tags(Tags=[{**usual, **resource}])
    assert fleet.instances() and fleet.upgrading == {"blue"}


@pytest.mark.fault(29)
def test_fault_29_the_tags_of_an_instance_name_its_owner(aws, fleet):
    others = AutoScalingGroups(aws, "other", lambda: 0)
    assert fleet.owner(others.instances()[0].id)["swarm.aws/cluster"] == "other"
    assert fleet.owner("i-0123456789abcdef0") is None


def test_an_instance_outside_of_its_group_is_not_terminated_again(aws, monkeypatch):
    fleet, client = AutoScalingGroups(aws, "example", lambda: 0), aws.client("autoscaling")
    message = "Instance Id not found - No managed instance found for instance ID: i-1"
    monkeypatch.setattr(client, "terminate_instance_in_auto_scaling_group", _refusing(message))
    assert not fleet.terminate("i-1", replace=True)
    monkeypatch.setattr(client, "terminate_instance_in_auto_scaling_group", _refusing("below min size"))
    with pytest.raises(Unavailable, match="below min size"):
        fleet.terminate("i-1", replace=False)


def _refusing(message):
    def call(**arguments):
        raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "CompleteLifecycleAction")

    return call


def test_a_missing_lifecycle_action_is_no_error_but_others_are(aws, monkeypatch):
    fleet, client = AutoScalingGroups(aws, "example", lambda: 7), aws.client("autoscaling")
    sent = []
    for call in ("complete_lifecycle_action", "record_lifecycle_action_heartbeat"):
        monkeypatch.setattr(client, call, lambda **arguments: sent.append(arguments))
    assert fleet.heartbeat("g", "h", "i-1") and fleet.heartbeats == {"i-1": 7}
    assert fleet.complete("g", "h", "i-1", "CONTINUE") and fleet.heartbeats == {}
    place = {"AutoScalingGroupName": "g", "LifecycleHookName": "h", "InstanceId": "i-1"}
    assert sent == [place, {**place, "LifecycleActionResult": "CONTINUE"}]
    nobody = "No active Lifecycle Action found with instance ID i-1"
    monkeypatch.setattr(client, "complete_lifecycle_action", _refusing(nobody))
    assert not fleet.complete("g", "h", "i-1", "CONTINUE")
    monkeypatch.setattr(client, "complete_lifecycle_action", _refusing("AutoScalingGroup name not found"))
    with pytest.raises(Unavailable, match="name not found"):
        fleet.complete("g", "h", "i-1", "CONTINUE")


@pytest.fixture
def zone(account):
    client = account.client("route53")
    zone_id = client.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].split("/")[-1]

    def put(name, kind, **what):
        change = {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": kind, **what}}
        client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": [change]})

    return SimpleNamespace(id=zone_id, put=put)


@pytest.mark.parametrize("name", ["www.example.com", "example.com", "*.example.com"])
def test_a_record_is_written_with_its_owner_and_read_again(aws, zone, name):
    records, wanted = Zone(aws, lambda: 0.0), Dns(zone.id, name, 10)
    assert records.read(wanted) == Record()
    first = Record(("198.51.100.1", "198.51.100.2"), 10, OWNER)
    records.write(wanted, Record(), first)
    assert records.read(wanted) == first
    second = Record(("198.51.100.3",), 20, OWNER)
    records.write(wanted, first, second)
    assert records.read(wanted) == second


@pytest.mark.fault(18)
def test_fault_18_a_record_is_in_sync_when_route_53_reports_it(aws, zone, monkeypatch):
    status, answers = "PENDING", []

    def get_change(Id):  # noqa: N803
        answers.append(Id)
        return {"ChangeInfo": {"Id": Id, "Status": status}}

    monkeypatch.setattr(aws.client("route53"), "get_change", get_change)
    records, wanted = Zone(aws, lambda: 1000.0), Dns(zone.id, "www.example.com", 10)
    records.write(wanted, records.read(wanted), Record(("198.51.100.1",), 10, OWNER))
    assert not records.read(wanted).in_sync
    status = "INSYNC"
    assert [records.read(wanted).in_sync for _ in range(3)] == [True, True, True]
    assert len(answers) == 2 and len(set(answers)) == 1, "it is not asked again"


BOTH = f"{OWNER},records=A+AAAA"
DUAL = Record(("198.51.100.1", "2001:db8::1", "2001:db8::2"), 10, BOTH, ipv6_ttl=10)


def test_an_aaaa_record_is_written_with_the_a_record_and_deleted_alone(aws, zone, monkeypatch):
    records, client = Zone(aws, lambda: 0.0), aws.client("route53")
    wanted = Dns(zone.id, "www.example.com", 10, ipv6=True)
    sent, send = [], client.change_resource_record_sets

    def note(**arguments):
        changes = arguments["ChangeBatch"]["Changes"]
        sent.append([f"{change['Action']} {change['ResourceRecordSet']['Type']}" for change in changes])
        return send(**arguments)

    monkeypatch.setattr(client, "change_resource_record_sets", note)
    records.write(wanted, Record(), DUAL)
    assert records.read(wanted) == DUAL
    without = Record(("198.51.100.1",), 10, OWNER)
    records.write(wanted, DUAL, without)
    assert records.read(wanted) == without
    # The role may delete an AAAA record alone, and only by itself.
    assert sent == [["CREATE A", "CREATE AAAA", "CREATE TXT"], ["DELETE AAAA"], ["UPSERT A", "UPSERT TXT"]]


def test_ipv6_addresses_are_read_in_the_form_that_ec2_uses(aws, zone):
    """Route 53 keeps the form in which an address was first written, even after it is overwritten."""
    zone.put("www.example.com", "AAAA", TTL=10, ResourceRecords=[{"Value": "2001:0DB8:0:0::1"}])
    assert Zone(aws, lambda: 0.0).read(Dns(zone.id, "www.example.com", 10)).addresses == ("2001:db8::1",)


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("owner", "found"),
    [
        (None, Record(("198.51.100.1", "2001:db8::9"), 10, None, ipv6_ttl=60)),
        (OWNER, Record(("198.51.100.1",), 10, OWNER, ipv6_unowned=True)),
        (BOTH, Record(("198.51.100.1", "2001:db8::9"), 10, BOTH, ipv6_ttl=60)),
    ],
)
def test_fault_19_an_aaaa_record_is_only_owned_if_the_owner_names_it(aws, zone, owner, found):
    zone.put("www.example.com", "A", TTL=10, ResourceRecords=[{"Value": "198.51.100.1"}])
    zone.put("www.example.com", "AAAA", TTL=60, ResourceRecords=[{"Value": "2001:db8::9"}])
    if owner:
        zone.put("_swarm-aws.www.example.com", "TXT", TTL=300, ResourceRecords=[{"Value": f'"{owner}"'}])
    assert Zone(aws, lambda: 0.0).read(Dns(zone.id, "www.example.com", 10)) == found


@pytest.mark.fault(19)
def test_fault_19_a_missing_record_is_created_and_never_overwritten(aws, monkeypatch):
    """Route 53 refuses to create an existing record; moto does not."""
    sent, client = [], aws.client("route53")

    def change(**arguments):
        sent.append(arguments)
        return {"ChangeInfo": {"Id": "/change/C1"}}

    monkeypatch.setattr(client, "change_resource_record_sets", change)
    records, wanted = Zone(aws, lambda: 0.0), Dns("Z1", "www.example.com", 10)
    after = Record(("198.51.100.1",), 10, OWNER)
    for before in (Record(), Record(owner=OWNER), after):
        records.write(wanted, before, after)
    records.write(wanted, after, DUAL)
    actions = [[change["Action"] for change in arguments["ChangeBatch"]["Changes"]] for arguments in sent]
    assert actions == [["CREATE", "CREATE"], ["CREATE", "UPSERT"], ["UPSERT", "UPSERT"], ["UPSERT", "CREATE", "UPSERT"]]


@pytest.mark.parametrize(
    ("kind", "what", "obstacle"),
    [
        ("CNAME", {"TTL": 1, "ResourceRecords": [{"Value": "other.example.com"}]}, "a CNAME"),
        (
            "A",
            {"TTL": 1, "SetIdentifier": "x", "Weight": 1, "ResourceRecords": [{"Value": "203.0.113.1"}]},
            "one of several records",
        ),
        (
            "A",
            {"AliasTarget": {"HostedZoneId": "Z2", "DNSName": "lb.example.com", "EvaluateTargetHealth": False}},
            "an alias",
        ),
    ],
)
def test_a_record_that_is_not_plain_is_an_obstacle(aws, zone, kind, what, obstacle):
    zone.put("www.example.com", kind, **what)
    assert Zone(aws, lambda: 0.0).read(Dns(zone.id, "www.example.com", 10)).obstacle == obstacle


@pytest.mark.fault(18)
def test_fault_18_a_missing_zone_is_reported(aws):
    with pytest.raises(Unavailable, match="NoSuchHostedZone"):
        Zone(aws, lambda: 0.0).read(Dns("Z0", "www.example.com", 10))


def test_a_message_is_received_until_it_is_deleted(aws, account):
    client = account.client("sqs")
    url = client.create_queue(QueueName="example-events", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="hello")
    queue = Queue(aws, "example-events")
    (message,) = queue.receive(0)
    assert message.body == "hello"
    queue.send("more")
    assert {received.body for received in queue.receive(0)} == {"hello", "more"}
    received = queue.receive(0)
    queue.hold(received)
    assert queue.receive(0) == []
    assert queue.depth() == 0
    queue.delete(received)
    assert queue.receive(0) == []
    with pytest.raises(Unavailable, match="other-events"):
        Queue(aws, "other-events").receive(0)


def test_the_status_is_written_under_the_managers_prefix(aws, account):
    account.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    store = S3Store(aws, "bucket")
    assert store.status() == {}
    store.write_status({"awaited": []})
    assert store.status() == {"awaited": []}
    found = account.client("s3").get_object(Bucket="bucket", Key=STATUS_KEY)["Body"].read()
    assert (STATUS_KEY, json.loads(found)) == ("manager/status.json", {"awaited": []})


def test_targets_are_registered_and_deregistered(account, aws):
    elb, ec2 = account.client("elbv2"), account.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = elb.create_target_group(Name="web", Protocol="TCP", Port=80, VpcId=vpc, TargetType="instance")
    web = made["TargetGroups"][0]["TargetGroupArn"]
    started = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=2, MaxCount=2)["Instances"]
    first, second = (instance["InstanceId"] for instance in started)
    groups = TargetGroups(aws)
    groups.register(web, [first, second])
    assert groups.health(web) == {first: "healthy", second: "healthy"}
    groups.deregister(web, [first])
    assert groups.health(web) == {second: "healthy"}
    elb.delete_target_group(TargetGroupArn=web)
    # It does not block a removal, and a registration reports the error.
    assert groups.health(web) == {}
    with pytest.raises(Unavailable, match=r"AWS refused to register targets in .* with TargetGroupNotFound"):
        groups.register(web, [first])
