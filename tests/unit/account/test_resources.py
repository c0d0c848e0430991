"""What is found of a cluster, what of it nothing asks for, and that destroying it leaves the account as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account.resources.model import Resource, batches, staying
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lab.aws import inventory
from tests.unit.account import whole
from tests.unit.account.account import ACCOUNT_ID, REGION, Account, account
from tests.unit.account.cases import cloud_map, groups
from tests.unit.account.cases.case import CLUSTER
from tests.unit.account.ground import MANAGER, MEMBER, ZONES, group_of, subnet_of, tagged, vpc_of
from tests.unit.existing import existing_vpc

THEIRS = "arn:aws:iam::123456789012:policy/theirs"


@pytest.fixture
def world() -> Iterator[Account]:
    with account() as made:
        yield made


@pytest.fixture
def zone(world: Account) -> str:
    """The account before there is a cluster: it has a hosted zone, a namespace and somebody's policy."""
    world.aws.client("iam").create_policy(PolicyName="theirs", PolicyDocument=whole.ALLOW)
    cloud_map.namespace(world.aws)
    made = whole.zone(world.aws)
    # What every account has, moto makes when it is first asked.
    whole.look(world)
    return made


def fill(world: Account, zone: str) -> None:
    """A cluster with all that agents, operators and AWS add to it."""
    aws = world.aws
    whole.build(world)
    whole.publish(aws, zone)
    whole.register(world)
    whole.put(aws, "cluster.json", b"{}", b"{ }")
    whole.put(aws, "backups/1.tar.gz", b"1", b"2")
    aws.client("s3").delete_object(Bucket=whole.BUCKET, Key="cluster.json")
    aws.client("secretsmanager").create_secret(Name=f"{CLUSTER}-unlock-key", SecretString="{}", Tags=whole.TAG)
    whole.endpoint(aws)
    aws.client("ec2").create_volume(
        AvailabilityZone=ZONES[0], Size=8, TagSpecifications=tagged("volume", f"{CLUSTER}-left-over")
    )
    aws.client("logs").create_log_group(logGroupName="/swarm/example/traces", tags={"swarm.aws/cluster": CLUSTER})
    for parameter in ("/swarm/example", "example-two"):
        aws.client("ssm").put_parameter(Name=parameter, Value="1", Type="String", Tags=whole.TAG)
    aws.client("iam").attach_role_policy(RoleName=f"{CLUSTER}-worker", PolicyArn=THEIRS)


def close(aws: AwsSession, name: str) -> None:
    """Take all rules of a security group away."""
    group = group_of(aws, name)
    aws.client("ec2").revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])


# Destroying


def test_destroying_a_cluster_leaves_the_account_as_it_was(world: Account, zone: str) -> None:
    before = inventory.resources()
    fill(world, zone)
    assert len(inventory.resources()) > len(before)
    with world.recording() as writes:
        planned = whole.destroy(world, check=True)["changes"]
    assert writes == []
    assert planned[0] == f"delete the policy of the IAM role {CLUSTER}-manager"
    assert planned[-1].startswith("delete the KMS key ")
    assert "delete the DNS record www.swarm.test" in planned
    assert "delete the Cloud Map service www.cloud.test" in " ".join(planned)
    done = whole.destroy(world)
    assert done["changes"] == planned
    assert inventory.resources() == before
    assert done["left"] == []
    assert [resource["kind"] for resource in done["going"]] == ["KMS key"]
    again = whole.destroy(world)
    assert (again["changes"], again["left"]) == ([], [])


def test_a_warm_pool_is_listed_and_deleted_with_its_group(world: Account) -> None:
    told = groups.launchable(world, groups.WARM_CASE.prepare(world))
    groups.WARM_CASE.run(world, told)
    world.scaling.step()
    notes = {
        resource["id"]: resource["note"]
        for resource in whole.look(world)["resources"]
        if resource["kind"] == "Auto Scaling group"
    }
    assert notes == {groups.MANAGER: "3 instances", groups.WORKER: "1 instance and 3 in its warm pool"}
    whole.destroy(world)
    assert world.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    there = world.aws.client("ec2").describe_instances()["Reservations"]
    assert {instance["State"]["Name"] for each in there for instance in each["Instances"]} == {"terminated"}


def test_a_destroyed_cluster_can_be_built_again(world: Account, zone: str) -> None:
    fill(world, zone)
    whole.destroy(world)
    whole.build(world)
    whole.publish(world.aws, zone)
    kinds = {resource["kind"] for resource in whole.look(world)["resources"] if not resource["going"]}
    assert {"VPC", "bucket", "KMS key", "Auto Scaling group", "DNS record", "IAM role"} <= kinds


@pytest.mark.fault(33)
def test_fault_33_a_destruction_killed_after_every_third_write_completes(world: Account, zone: str) -> None:
    before = inventory.resources()
    fill(world, zone)
    planned = whole.destroy(world, check=True)["changes"]
    killed = 0
    # Three, so that it is killed between writes that belong together too, and sooner or later.
    while world.kills(lambda: whole.destroy(world), writes=3):
        killed += 1
    assert 3 * killed >= len(planned)
    assert inventory.resources() == before
    again = whole.destroy(world)
    assert (again["changes"], again["left"]) == ([], [])


BY_HAND = {
    "an Auto Scaling group": lambda aws: groups.delete_group(aws),
    "the tags that a run which was killed had not set": lambda aws: aws.client("sqs").untag_queue(
        QueueUrl=aws.client("sqs").get_queue_url(QueueName=whole.QUEUE)["QueueUrl"], TagKeys=["swarm.aws/cluster"]
    ),
    "a queue": lambda aws: aws.client("sqs").delete_queue(
        QueueUrl=aws.client("sqs").get_queue_url(QueueName="example-events")["QueueUrl"]
    ),
    "a security group's rules": lambda aws: close(aws, MANAGER),
    "the alias of the key": lambda aws: aws.client("kms").delete_alias(AliasName=f"alias/{CLUSTER}-swarm"),
    "a role's policy": lambda aws: aws.client("iam").delete_role_policy(
        RoleName=f"{CLUSTER}-manager", PolicyName="swarm"
    ),
    "the bucket's encryption": lambda aws: aws.client("s3").delete_bucket_encryption(Bucket=whole.BUCKET),
    "the bucket's tags": lambda aws: aws.client("s3").delete_bucket_tagging(Bucket=whole.BUCKET),
    "the rule's target": lambda aws: aws.client("events").remove_targets(Rule="example-events", Ids=["queue"]),
}


@pytest.mark.fault(33)
@pytest.mark.parametrize("what", BY_HAND)
def test_fault_33_a_resource_deleted_by_hand_stops_no_destruction(world: Account, zone: str, what: str) -> None:
    before = inventory.resources()
    whole.build(world)
    whole.publish(world.aws, zone)
    BY_HAND[what](world.aws)
    assert whole.destroy(world)["left"] == []
    assert inventory.resources() == before


def test_a_security_group_that_a_foreign_group_references_is_kept(world: Account, zone: str) -> None:
    whole.build(world)
    ec2 = world.aws.client("ec2")
    made = ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc_of(world.aws))["GroupId"]
    ours = group_of(world.aws, MEMBER)["GroupId"]
    pair = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": ours}]}]
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=pair)
    left = whole.destroy(world)["left"]
    assert {resource["kind"] for resource in left} == {"security group", "VPC"}
    assert {resource["id"] for resource in left} >= {made, ours}


def test_what_guard_duty_made_in_the_vpc_goes_with_it(world: Account, zone: str) -> None:
    before = inventory.resources()
    whole.build(world)
    whole.guard_duty(world.aws)
    planned = whole.destroy(world, check=True)
    assert planned["left"] == []
    made = [
        change["before"]["note"] for change in planned["diff"] if change["before"].get("note") == "made by GuardDuty"
    ]
    assert len(made) == 2
    whole.destroy(world)
    assert inventory.resources() == before


def test_an_existing_vpc_is_listed_as_kept_and_left_as_it_was(world: Account, zone: str) -> None:
    ec2 = world.aws.client("ec2")
    theirs = existing_vpc(ec2)
    image = ec2.register_image(Name="debian")["ImageId"]
    before = theirs.described(), inventory.resources()
    whole.build(world, theirs)
    own = {"Groups": [group_of(world.aws, MEMBER)["GroupId"]], "SubnetId": theirs.subnets[ZONES[0]], "DeviceIndex": 0}
    ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[own],
        TagSpecifications=tagged("instance", f"{CLUSTER}-manager"),
    )
    kept = {(found["kind"], found["id"], found["note"]) for found in whole.look(world)["resources"] if found["kept"]}
    assert kept == {("VPC", theirs.vpc, ""), ("subnet", theirs.subnets[ZONES[0]], ZONES[0])}
    assert not [
        change for change in whole.destroy(world, check=True)["changes"] if " vpc-" in change or "subnet" in change
    ]
    assert whole.destroy(world)["left"] == []
    assert (theirs.described(), inventory.resources()) == before


def test_users_of_own_groups_in_an_existing_vpc_are_named(world: Account, zone: str) -> None:
    ec2 = world.aws.client("ec2")
    theirs = existing_vpc(ec2)
    whole.build(world, theirs)
    member, manager = (group_of(world.aws, name)["GroupId"] for name in (MEMBER, MANAGER))
    interface = ec2.create_network_interface(SubnetId=theirs.subnets[ZONES[0]], Groups=[member])["NetworkInterface"]
    out = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": manager}]}]
    ec2.authorize_security_group_egress(GroupId=theirs.group, IpPermissions=out)
    before = theirs.described()
    left = {resource["id"]: resource["why"] for resource in whole.destroy(world)["left"]}
    identifier = interface["NetworkInterfaceId"]
    assert left == {
        theirs.vpc: "it is not this cluster's",
        theirs.group: "it is not this cluster's",
        identifier: "it is not this cluster's",
        member: f"the network interface {identifier} needs it, and it is not this cluster's",
        manager: f"the security group office ({theirs.group}) needs it, and it is not this cluster's",
    }
    assert theirs.described() == before
    ec2.revoke_security_group_egress(GroupId=theirs.group, IpPermissions=out)
    ec2.delete_network_interface(NetworkInterfaceId=identifier)
    assert whole.destroy(world)["left"] == []


def test_kept_backups_keep_the_keys_that_decrypt_them(world: Account, zone: str) -> None:
    fill(world, zone)
    done = whole.destroy(world, keep_backups=True)
    assert {resource["kind"] for resource in done["left"]} == {"bucket", "KMS alias", "KMS key", "secret"}
    listed = world.aws.client("s3").list_object_versions(Bucket=whole.BUCKET)
    assert {version["Key"] for version in listed["Versions"]} == {"backups/1.tar.gz"}
    assert len(listed["Versions"]) == 2
    assert whole.destroy(world, keep_backups=True)["changes"] == []
    assert whole.destroy(world)["left"] == []


def test_a_resource_of_another_cluster_is_not_changed(world: Account, zone: str) -> None:
    whole.build(world)
    aws = world.aws
    aws.client("iam").tag_role(RoleName=f"{CLUSTER}-worker", Tags=[{"Key": "swarm.aws/cluster", "Value": "other"}])
    whole.publish(aws, zone, owner="heritage=swarm.aws,cluster=other,region=eu-west-1")
    aws.client("sqs").create_queue(QueueName=f"{CLUSTER}-else")
    aws.client("events").put_targets(
        Rule=whole.QUEUE, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:theirs"}]
    )
    whole.destroy(world)
    assert aws.client("events").describe_rule(Name=whole.QUEUE)
    assert aws.client("iam").get_role(RoleName=f"{CLUSTER}-worker")
    assert len(aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]) == 4
    assert aws.client("sqs").get_queue_url(QueueName=f"{CLUSTER}-else")


def test_a_service_of_another_cluster_keeps_its_instances(world: Account, zone: str) -> None:
    service = whole.register(world)
    client = world.aws.client("servicediscovery")
    arn = client.get_service(Id=service)["Service"]["Arn"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "swarm.aws/cluster", "Value": "other"}])
    assert whole.destroy(world)["changes"] == []
    assert len(client.list_instances(ServiceId=service)["Instances"]) == 1
    with pytest.raises(ProvisionError, match=r"its tag swarm\.aws/cluster is not example"):
        cloud_map.CASE.run(world, cloud_map.PARAMS)


def test_a_service_with_other_record_types_is_refused(world: Account, zone: str) -> None:
    whole.register(world)
    with pytest.raises(
        ProvisionError, match="has A records, which cannot be changed, but the configuration needs A and AAAA"
    ):
        cloud_map.CASE.run(world, {**cloud_map.PARAMS, "ipv6": True})


@pytest.mark.parametrize(("more", "left"), [("", {"AAAA"}), (",records=A+AAAA", set())])
def test_an_aaaa_record_is_only_deleted_if_the_cluster_owns_it(
    world: Account, zone: str, more: str, left: set[str]
) -> None:
    whole.publish(world.aws, zone, owner=whole.OWNER + more)
    theirs = {"Name": whole.RECORD, "Type": "AAAA", "TTL": 60, "ResourceRecords": [{"Value": "2001:db8::1"}]}
    changes = [{"Action": "CREATE", "ResourceRecordSet": theirs}]
    world.aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    whole.destroy(world)
    found = world.aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert {record["Type"] for record in found} - {"NS", "SOA"} == left


def test_a_tagged_resource_of_an_unknown_kind_is_named(world: Account) -> None:
    whole.build(world)
    topic = world.aws.client("sns").create_topic(Name="theirs", Tags=[{"Key": "swarm.aws/cluster", "Value": CLUSTER}])[
        "TopicArn"
    ]
    (left,) = whole.destroy(world)["left"]
    assert left["id"] == topic
    assert "cannot delete it" in left["why"]


def test_a_denied_read_is_never_taken_for_a_missing_resource(
    world: Account, zone: str, subtests: pytest.Subtests
) -> None:
    fill(world, zone)
    with world.recording():
        whole.look(world)
        reads = sorted(set(world.reads))
    for read in reads:
        with subtests.test(read), world.recording() as writes:
            with world.refusing(read), pytest.raises((ClientError, ProvisionError)):
                whole.destroy(world)
            assert writes == []


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ("ReleaseAddress", "InvalidIPAddress.InUse", "The address is in use."),
        ("DeleteNetworkInterface", "InvalidParameterValue", "Network interface eni-1 is currently in use."),
        ("DeleteNetworkInterface", "InvalidNetworkInterface.InUse", ""),
        ("DeleteVolume", "VolumeInUse", "Volume vol-1 is currently attached to i-1"),
    ],
)
def test_a_resource_that_is_in_use_for_a_moment_is_deleted(
    world: Account, operation: str, code: str, message: str
) -> None:
    whole.build(world)
    world.aws.client("ec2").create_volume(
        AvailabilityZone=ZONES[0], Size=8, TagSpecifications=tagged("volume", CLUSTER)
    )
    world.aws.client("ec2").create_network_interface(
        SubnetId=subnet_of(world.aws, ZONES[0]), TagSpecifications=tagged("network-interface", CLUSTER)
    )
    with world.refusing(operation, code, message, times=3):
        assert whole.destroy(world)["left"] == []


def test_a_resource_that_stays_in_use_is_named_with_the_reason(world: Account) -> None:
    whole.build(world)
    with (
        world.refusing("DeleteVpc", "DependencyViolation"),
        pytest.raises(ProvisionError, match="Timed out after 900 s"),
    ):
        whole.destroy(world)
    assert whole.destroy(world)["left"] == []


# What is left over


def test_a_resource_that_the_configuration_does_not_need_is_an_orphan(world: Account, zone: str) -> None:
    fill(world, zone)
    world.aws.client("ec2").create_network_interface(SubnetId=subnet_of(world.aws, ZONES[0]), Description="a printer")
    groups.new_version(world.aws)
    dns = {"record": "new.swarm.test", "cloud_map": None}
    found = whole.look(world, whole.configuration(node_groups=groups.GROUPS[:1], zones=ZONES[:1], dns=dns))
    shown = re.compile(f" ({CLUSTER}|vol-|[(]srv-).*")
    kinds = {shown.sub("", orphan["resource"]): orphan["why"] for orphan in found["orphans"]}
    assert kinds == {
        "Auto Scaling group": "node_groups has no worker",
        "launch template": "the configuration declares no launch template of this name",
        "subnet": "zones has no eu-west-1b",
        "volume": "it is not attached",
        "DNS record www.swarm.test": "dns.record is new.swarm.test",
        "Cloud Map service www.cloud.test": "dns.cloud_map is not set",
    }
    assert found["old_versions"] == {groups.MANAGER: 1}


def test_the_plan_reads_only_the_declared_zone(world: Account, zone: str) -> None:
    whole.build(world)
    whole.publish(world.aws, zone)
    for number in range(3):
        world.aws.client("route53").create_hosted_zone(Name=f"other{number}.test", CallerReference=str(number))
    dns = {"record": "new.swarm.test", "cloud_map": None, "zone_id": zone}
    with world.recording():
        found = whole.look(world, whole.configuration(dns=dns))
        assert world.reads.count("ListResourceRecordSets") == 1
    assert f"DNS record {whole.RECORD}" in {orphan["resource"].split(" (")[0] for orphan in found["orphans"]}


def test_in_an_existing_vpc_no_network_is_missing_or_an_orphan(world: Account, zone: str) -> None:
    theirs = existing_vpc(world.aws.client("ec2"))
    network = {"vpc_id": theirs.vpc, "subnets": dict(theirs.subnets), "security_groups": []}
    configuration = whole.configuration(zones=list(theirs.subnets), private_nodes=None, network=network)
    missing = {
        name for name in whole.look(world, configuration)["missing"] if name.startswith(("VPC", "subnet", "sec"))
    }
    assert missing == {f"security group {CLUSTER}-{name}" for name in ("member", "manager", "edge", "drill")}
    whole.build(world, theirs)
    found = whole.look(world, configuration)
    assert {name for name in found["missing"] if name.startswith(("VPC", "subnet", "route", "internet"))} == set()
    assert found["orphans"] == []


# What stands on what


@st.composite
def estates(draw: st.DrawFn) -> list[Resource]:
    """Things of which each stands on some that come before it, some of them foreign."""
    kinds = st.sampled_from(["VPC", "subnet", "instance", "volume", "security group", "something else"])
    made: list[Resource] = []
    for number in range(draw(st.integers(0, 12))):
        on = draw(st.lists(st.sampled_from([resource.id for resource in made]), max_size=3)) if made else []
        kept = draw(st.sampled_from(["", "", "", "it is not this cluster's"]))
        made.append(Resource(draw(kinds), str(number), on=tuple(on), kept=kept))
    return draw(st.permutations(made))


@given(estates())
def test_resources_are_deleted_before_their_dependencies(estate: list[Resource]) -> None:
    gone = [resource for batch in batches(estate) for resource in batch]
    order = {resource.id: number for number, resource in enumerate(gone)}
    stays = staying(estate)
    assert set(order) | set(stays) == {resource.id for resource in estate}
    assert not set(order) & set(stays)
    for resource in estate:
        for under in resource.on:
            if resource.id in stays:
                assert under in stays
            elif under in order:
                assert order[resource.id] < order[under]
    needed = {under for resource in estate if resource.id in stays for under in resource.on}
    assert all(resource.kept or resource.id in needed for resource in estate if resource.id in stays)
