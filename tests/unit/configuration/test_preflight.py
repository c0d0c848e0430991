"""A configuration is checked against the account before anything is written there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock, patch

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import preflight
from ansible_collections.swarm.aws.plugins.module_utils.aws.errors import ProvisionError
from ansible_collections.swarm.aws.plugins.module_utils.aws.session import Aws
from moto import mock_aws
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami

from lab.aws import endpoints
from lab.aws.grafts import Grafts
from tests.unit.configuration.configuration import group, raw, spec

EVERY = ("autoscaling", "ec2", "sqs")
READS = ("Describe", "Get", "Head", "List")
PARAMETERS = {"debian13": {"x86_64": "/images/debian13/amd64", "arm64": "/images/debian13/arm64"}}
INVENTORY = {
    "plugin": "amazon.aws.aws_ec2",
    "regions": ["eu-west-1"],
    "filters": {"tag:swarm.aws/cluster": "example"},
}


@pytest.fixture(scope="module")
def session() -> Iterator[boto3.session.Session]:
    """An account with a key pair, a hosted zone and an image, whose default VPC is elsewhere. It is only looked at."""
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    # moto takes longer to make up its images than all the rest takes.
    with patch.dict(os.environ, {**credentials, "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}), mock_aws():
        # A lab may be up for other tests.
        os.environ.pop("AWS_ENDPOINT_URL", None)
        session = boto3.session.Session(region_name="eu-west-1")
        ec2 = session.client("ec2")
        ec2.create_key_pair(KeyName="operator")
        session.client("sns").create_topic(Name="pager")
        session.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")
        session.client("servicediscovery").create_http_namespace(Name="example.internal")
        image = _image()
        session.client("ssm").put_parameter(Name=PARAMETERS["debian13"]["x86_64"], Value=image, Type="String")
        yield session


def _image() -> str:
    """An image whose disk takes 15 GiB, put there by hand: one that is registered has no architecture in moto."""
    backend = ec2_backends["123456789012"]["eu-west-1"]
    image = Ami(
        backend,
        "ami-0123456789abcdef0",
        name="debian",
        architecture="x86_64",
        root_device_name="/dev/xvda",
        root_device_type="ebs",
        region_name="eu-west-1a",
    )
    backend.amis[image.id] = image
    return image.id


def look(session: boto3.session.Session, inventories: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Run the check, and make sure that it writes nothing."""

    def only_reads(model: Any, **_: Any) -> None:
        assert model.name.startswith(READS), model.name

    session.events.register("before-call", only_reads, "only-reads")
    try:
        return preflight.run(Aws(session), raw(**changed), spec(), {}, [], inventories or {}, PARAMETERS)
    finally:
        session.events.unregister("before-call", unique_id="only-reads")


def test_private_nodes_without_a_nat_gateway_come_back_with_the_endpoints_that_they_need(
    session: boto3.session.Session,
) -> None:
    assert look(session)["config"]["private_nodes"] is None
    dns = {"zone": "example.com", "record": "www.example.com", "addresses": "private"}
    private = {"dns": dns, "ecr_repositories": ["shop"], "node_groups": [group(user_data="#!/bin/sh\n")]}
    by_nat = look(session, private_nodes={}, **private)
    assert by_nat["config"]["private_nodes"] == {"nat": "one", "endpoints": []}
    grafts = Grafts()
    endpoints.install(grafts)
    try:
        found = look(session, private_nodes={"nat": "none"}, **private)["config"]["private_nodes"]["endpoints"]
        assert found == sorted([*EVERY, "ecr.api", "ecr.dkr", "monitoring", "route53", "ssm", "ssmmessages"])
        grafts.attribute(endpoints, "AWS_ENDPOINT_SERVICES", ["ec2", "monitoring"])
        with pytest.raises(ProvisionError, match="no interface endpoint for autoscaling, sqs, ssm, ssmmessages"):
            look(session, private_nodes={"nat": "none"}, **private)
    finally:
        grafts.remove()


def test_bucket_key_and_secret_are_looked_at(session: boto3.session.Session) -> None:
    with patch.object(preflight.bucket, "find_key", return_value="key-1"):
        assert look(session)["config"]["key_id"] == "key-1"
    looks = {look: Mock(side_effect=ProvisionError(look)) for look in ("check_bucket", "find_key", "check_secret")}
    with patch.multiple(preflight.bucket, **looks), pytest.raises(ProvisionError) as error:
        look(session, autolock=True)
    assert [line[2:] for line in str(error.value).splitlines()[1:]] == list(looks)


def test_the_example_is_right_and_comes_back_with_its_defaults(session: boto3.session.Session) -> None:
    volumes = [{"label": "data", "size": 50}, {"label": "logs", "size": 9, "mount": "/mnt/logs"}]
    groups = [group(labels={"edge": True, "slots": 3}, volumes=volumes)]
    found = look(session, {"aws_ec2.yml": INVENTORY}, node_groups=groups)

    assert found["warnings"] == []
    assert set(found["images"]) == {"x86_64"}
    assert found["images"]["x86_64"]["id"].startswith("ami-")
    (one,) = found["config"]["node_groups"]
    assert (one["min"], one["desired"], one["max"]) == (3, 3, 3)
    assert one["image"] == found["images"]["x86_64"]["id"]
    assert one["security_groups"] == ["example-member", "example-manager", "example-edge"]
    assert one["tags"]["swarm.aws/group"] == one["name"]
    disks = one["block_devices"]
    assert [disk["device_name"] for disk in disks] == ["/dev/xvda", "/dev/sdf", "/dev/sdg"]
    assert all(disk["ebs"]["encrypted"] and disk["ebs"]["delete_on_termination"] for disk in disks)
    assert disks[1]["ebs"]["volume_size"] == 50
    assert one["labels"] == {"edge": "true", "slots": "3"}
    assert [(disk["device"], disk["mount"]) for disk in one["volumes"]] == [
        ("/dev/sdf", "/srv/data"),
        ("/dev/sdg", "/mnt/logs"),
    ]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (
            {"account_id": "210987654321"},
            "The credentials are for the account 123456789012, but account_id is 210987654321: nothing was changed",
        ),
        ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region"),
        ({"region": None}, "region is missing: "),
        ({"zones": ["eu-west-1a", "eu-west-1x"]}, "zones has eu-west-1x, but the region eu-west-1 has eu-west-1a"),
        (
            {"key_name": "operater"},
            "key_name 'operater' is no key pair in the region eu-west-1; did you mean 'operator'?",
        ),
        ({"vpc_cidr": "172.31.0.0/20"}, "vpc_cidr 172.31.0.0/20 overlaps 172.31.0.0/16 of the VPC vpc-"),
        ({"vpc_cidr": "10.20.0.0/28"}, "which is too small for the 3 that its zones need"),
        ({"dns": {"zone": "exmaple.com", "record": "exmaple.com"}}, "did you mean 'example.com'"),
        (
            {"dns": {"cloud_map": {"namespace": "exmaple.internal", "service": "www"}}},
            "dns.cloud_map.namespace exmaple.internal does not exist in this account and region; did you mean "
            "'example.internal': create a namespace of that name in Cloud Map, or set dns to null.",
        ),
        ({"node_groups": [group(instance_types=["t3.tiny"])]}, "instance type t3.tiny does not exist"),
        ({"node_groups": [group(architecture="arm64")]}, "instance type t3.small is x86_64, but the group's"),
        (
            {"node_groups": [group(architecture="arm64", instance_types=["t4g.small"])]},
            "The region eu-west-1 has no image of debian13 for arm64 (SSM parameter /images/debian13/arm64)",
        ),
        (
            {"node_images": {"x86_64": "ami-00000000000000000"}},
            "The image ami-00000000000000000 for x86_64 is not there",
        ),
        ({"node_groups": [group(volume_size=8)]}, "volume_size is 8, but the image ami-"),
        ({"node_groups": [group(desired=9)]}, "node_groups has 9 managers, but more than 7"),
        ({"node_groups": [group(), group()]}, "node_groups has two groups named 'manager'"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_write(
    session: boto3.session.Session, changed: dict[str, Any], error: str
) -> None:
    with pytest.raises(ProvisionError) as raised:
        look(session, **changed)

    assert error in str(raised.value)


def test_with_the_wrong_account_nothing_else_is_looked_at(session: boto3.session.Session) -> None:
    with pytest.raises(ProvisionError) as raised:
        look(session, account_id="210987654321", key_name="missing", zones=["eu-west-1x"])

    assert "\n" not in str(raised.value)


def test_all_that_is_wrong_is_said_at_once(session: boto3.session.Session) -> None:
    with pytest.raises(ProvisionError, match=r"^2 things are wrong:\n- ") as raised:
        look(session, key_name="missing", zones=["eu-west-1x"])

    assert "key_name 'missing'" in str(raised.value)


def test_an_even_number_of_managers_is_a_warning_with_its_quorum(session: boto3.session.Session) -> None:
    (warning,) = look(session, node_groups=[group(desired=4)])["warnings"]

    assert "4, needs 3 of them for a quorum" in warning


def test_the_clusters_own_vpc_is_no_overlap_but_cannot_move(session: boto3.session.Session) -> None:
    ec2 = session.client("ec2")
    tags = [{"Key": "swarm.aws/cluster", "Value": "example"}]
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])["Vpc"]
    try:
        assert look(session)["warnings"] == []
        with pytest.raises(ProvisionError, match=r"has 10\.20\.0\.0/16, which cannot be changed"):
            look(session, vpc_cidr="10.30.0.0/16")
    finally:
        ec2.delete_vpc(VpcId=vpc["VpcId"])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (
            {"filters": {"tag:swarm.aws/cluster": "other"}},
            "tag:swarm.aws/cluster is other, but cluster_name is example",
        ),
        ({"filters": {}}, "tag:swarm.aws/cluster is missing, but cluster_name is example"),
        ({"regions": ["eu-west-2"]}, "regions is eu-west-2, but region is eu-west-1"),
        ({"regions": []}, "regions is missing, but region is eu-west-1"),
    ],
)
def test_an_inventory_of_another_cluster_is_refused(
    session: boto3.session.Session, changed: dict[str, Any], error: str
) -> None:
    with pytest.raises(ProvisionError) as raised:
        look(session, {"mine/aws_ec2.yml": {**INVENTORY, **changed}})

    assert str(raised.value).startswith("mine/aws_ec2.yml: ")
    assert error in str(raised.value)


def test_other_inventories_are_none_of_its_business(session: boto3.session.Session) -> None:
    assert look(session, {"hosts.yml": {"all": {"hosts": {}}}, "empty.yml": None})["warnings"] == []


BY_SSH = {**INVENTORY, "groups": {"session_manager": "aws_public_ip_address is not defined"}}


@pytest.mark.parametrize("missing", [{"ssh_access": []}, {"key_name": None}])
def test_nodes_that_only_ssh_reaches_without_a_key_or_an_open_port_are_warned_about(
    session: boto3.session.Session, missing: dict[str, Any]
) -> None:
    config = {"ssh_access": ["192.0.2.7/32"], **missing}

    (warning,) = look(session, {"mine/aws_ec2.yml": BY_SSH}, **config)["warnings"]

    (name,) = missing
    assert warning == (
        f"mine/aws_ec2.yml: the nodes have public addresses and so are reached by SSH, but {name} is not set: set it, "
        "or set the group session_manager to true there."
    )


@pytest.mark.parametrize(
    ("inventory", "changed"),
    [
        (BY_SSH, {"ssh_access": ["192.0.2.7/32"]}),
        ({**BY_SSH, "groups": {"session_manager": True}}, {}),
        ({**BY_SSH, "groups": {"session_manager": "true"}}, {}),
        (INVENTORY, {}),  # somebody's own way
        (
            BY_SSH,
            {"private_nodes": {}, "dns": {"zone": "example.com", "record": "example.com", "addresses": "private"}},
        ),
    ],
)
def test_nodes_that_are_reached_are_not_warned_about(
    session: boto3.session.Session, inventory: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert look(session, {"mine/aws_ec2.yml": inventory}, **changed)["warnings"] == []


def test_a_name_that_a_cluster_in_another_region_has_is_refused(session: boto3.session.Session) -> None:
    iam = session.client("iam")
    own_tags = {"swarm.aws/cluster": raw()["cluster_name"], "swarm.aws/region": "eu-central-1"}
    role = f"{raw()['cluster_name']}-manager"
    iam.create_role(
        RoleName=role,
        AssumeRolePolicyDocument="{}",
        Tags=[{"Key": key, "Value": value} for key, value in own_tags.items()],
    )
    try:
        with pytest.raises(ProvisionError, match=f"is taken by the cluster in eu-central-1, whose IAM role {role}"):
            look(session)
    finally:
        iam.delete_role(RoleName=role)


def test_target_groups_must_be_there_for_instances_in_the_clusters_vpc(session: boto3.session.Session) -> None:
    elb, ec2 = session.client("elbv2"), session.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]

    def made(name: str, kind: str) -> str:
        answer = elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=vpc, TargetType=kind)
        arn: str = answer["TargetGroups"][0]["TargetGroupArn"]
        return arn

    missing = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
    for arn, words in (
        (missing, r"target_groups has arn:.*, but there is no such target group: make it, or leave it out"),
        (made("addresses", "ip"), r"whose target type is ip, but must be instance: make another one"),
        (made("elsewhere", "instance"), rf"which is in the VPC {vpc} and not in the cluster's: make one there"),
    ):
        with pytest.raises(ProvisionError, match=words):
            look(session, node_groups=[group(target_groups=[arn])])
    arn = made("web", "instance")
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster", "Value": "example"}])
    try:
        assert look(session, vpc_cidr="172.31.0.0/16", node_groups=[group(target_groups=[arn])])["warnings"] == []
    finally:
        ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster"}])


def test_a_topic_of_the_operators_must_be_there(session: boto3.session.Session) -> None:
    topics = "arn:aws:sns:eu-west-1:123456789012:"
    assert look(session, monitoring={"topic_arn": f"{topics}pager"})["warnings"] == []
    with pytest.raises(ProvisionError, match=r"topic_arn is '.*:page', but there is no such topic: make it"):
        look(session, monitoring={"topic_arn": f"{topics}page"})
