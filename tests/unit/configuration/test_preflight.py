"""A configuration is checked against the account before anything is written there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from ansible_collections.swarm.aws.plugins.modules import preflight
from moto.ec2.models.amis import Ami

from lab.aws import endpoints, world
from tests.unit.account.account import Account, account
from tests.unit.configuration.configuration import group, raw, spec
from tests.unit.lab.fakes import allow, document

EVERY = ("autoscaling", "ec2", "sqs")
PARAMETERS = {"debian13": {"x86_64": "/images/debian13/amd64", "arm64": "/images/debian13/arm64"}}
DNS = {"zone": "example.com", "record": "www.example.com"}
INVENTORY = {
    "plugin": "amazon.aws.aws_ec2",
    "regions": ["eu-west-1"],
    "filters": {"tag:swarm.aws/cluster": "example"},
}


@pytest.fixture(scope="module")
def there() -> Iterator[Account]:
    """An account with a key pair, a hosted zone and an image, whose default VPC is elsewhere. It is only looked at."""
    with account() as made:
        made.aws.ec2.create_key_pair(KeyName="operator")
        made.aws.sns.create_topic(Name="pager")
        made.aws.route53.create_hosted_zone(Name="example.com", CallerReference="test")
        made.aws.servicediscovery.create_http_namespace(Name="example.internal")
        # Put there by hand, with a disk of 15 GiB: one that is registered has no architecture in moto.
        about = {"name": "debian", "architecture": "x86_64", "root_device_name": "/dev/xvda", "root_device_type": "ebs"}
        image = Ami(world.ec2(), "ami-0123456789abcdef0", region_name="eu-west-1a", **about)
        world.ec2().amis[image.id] = image
        made.aws.ssm.put_parameter(Name=PARAMETERS["debian13"]["x86_64"], Value=image.id, Type="String")
        yield made


def look(
    there: Account, inventories: dict[str, Any] | None = None, stack_name: Any = "", **changed: Any
) -> dict[str, Any]:
    """Run the check, and make sure that it writes nothing."""
    given = {"stack_name": stack_name, "config": raw(**changed), "spec": spec(), "image_parameters": PARAMETERS}
    given["inventories"] = inventories or {}
    with there.recording() as writes:
        try:
            return there.run(preflight.ARGUMENTS, preflight.work, given)
        finally:
            assert writes == []


def said(there: Account, inventories: dict[str, Any] | None = None, **changed: Any) -> str:
    """What is wrong."""
    with pytest.raises(ProvisionError) as raised:
        look(there, inventories, **changed)
    return str(raised.value)


def test_private_nodes_without_a_nat_gateway_come_back_with_the_endpoints_that_they_need(
    there: Account,
) -> None:
    assert look(there)["config"]["private_nodes"] is None
    dns = {**DNS, "addresses": "private"}
    private = {"dns": dns, "ecr_repositories": ["shop"], "node_groups": [group(user_data="#!/bin/sh\n")]}
    by_nat = look(there, private_nodes={}, **private)
    assert by_nat["config"]["private_nodes"] == {"nat": "one", "endpoints": []}
    found = look(there, private_nodes={"nat": "none"}, **private)["config"]["private_nodes"]["endpoints"]
    assert found == sorted([*EVERY, "ecr.api", "ecr.dkr", "monitoring", "route53", "ssm", "ssmmessages"])
    with patch.object(endpoints, "AWS_ENDPOINT_SERVICES", ["ec2", "monitoring"]):
        error = said(there, private_nodes={"nat": "none"}, **private)
    assert "no interface endpoint for autoscaling, sqs, ssm, ssmmessages" in error


def test_a_bucket_of_another_account_is_refused(there: Account) -> None:
    with there.refusing("HeadBucket"):
        assert "belongs to another account or region" in said(there)


def test_a_key_without_its_alias_is_found_unless_it_is_another_clusters_or_being_deleted(there: Account) -> None:
    kms, alias = there.aws.kms, "alias/example-swarm"

    def key(cluster: str) -> str:
        made = kms.create_key(Tags=[{"TagKey": tags.CLUSTER, "TagValue": cluster}])
        return str(made["KeyMetadata"]["KeyId"])

    key("another")
    kms.schedule_key_deletion(KeyId=key("example"))
    assert look(there)["config"]["key_id"] is None
    own = key("example")
    assert look(there)["config"]["key_id"] == own
    kms.create_alias(AliasName=alias, TargetKeyId=own)
    assert look(there)["config"]["key_id"] is None
    kms.schedule_key_deletion(KeyId=own)
    assert "PendingDeletion: cancel its deletion" in said(there)
    kms.delete_alias(AliasName=alias)


def test_a_secret_that_is_being_deleted_is_refused(there: Account) -> None:
    name = "example-unlock-keys"
    there.aws.secretsmanager.create_secret(Name=name, Tags=tags.to_list({tags.CLUSTER: "example"}))
    assert look(there, autolock=True)["warnings"] == []
    there.aws.secretsmanager.delete_secret(SecretId=name)
    assert "is being deleted: restore it" in said(there, autolock=True)


def test_the_example_is_right_and_comes_back_with_its_defaults(there: Account) -> None:
    volumes = [{"label": "data", "size": 50}, {"label": "logs", "size": 9, "mount": "/mnt/logs"}]
    groups = [group(labels={"edge": True, "slots": 3}, volumes=volumes)]
    found = look(there, {"aws_ec2.yml": INVENTORY}, node_groups=groups)

    assert found["warnings"] == []
    assert set(found["images"]) == {"x86_64"}
    assert found["images"]["x86_64"]["id"].startswith("ami-")
    (managers,) = found["config"]["node_groups"]
    assert (managers["min"], managers["desired"], managers["max"]) == (3, 3, 3)
    assert managers["image"] == found["images"]["x86_64"]["id"]
    assert managers["security_groups"] == ["example-member", "example-manager", "example-edge"]
    assert managers["tags"]["swarm.aws/group"] == managers["name"]
    disks = managers["block_devices"]
    assert [disk["device_name"] for disk in disks] == ["/dev/xvda", "/dev/sdf", "/dev/sdg"]
    assert all(disk["ebs"]["encrypted"] and disk["ebs"]["delete_on_termination"] for disk in disks)
    assert disks[1]["ebs"]["volume_size"] == 50
    assert managers["labels"] == {"edge": "true", "slots": "3"}
    assert [(disk["device"], disk["mount"]) for disk in managers["volumes"]] == [
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
        ({"region": None}, "region is missing: "),
        ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region"),
        ({"zones": ["eu-west-1a", "eu-west-1x"]}, "zones has eu-west-1x, but the region eu-west-1 has eu-west-1a"),
        (
            {"key_name": "operater"},
            "key_name 'operater' is not a key pair in the region eu-west-1; did you mean 'operator'?",
        ),
        ({"key_name": "oper*"}, "key_name 'oper*' is not a key pair in the region eu-west-1"),
        (
            {"permissions_boundary": "arn:aws:iam::123456789012:policy/bounds"},
            "permissions_boundary is 'arn:aws:iam::123456789012:policy/bounds', but this policy does not exist: "
            "create it, or remove permissions_boundary.",
        ),
        ({"vpc_cidr": "172.31.0.0/20"}, "vpc_cidr 172.31.0.0/20 overlaps 172.31.0.0/16 of the VPC vpc-"),
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
            "The image ami-00000000000000000 for x86_64 does not exist",
        ),
        ({"node_groups": [group(volume_size=8)]}, "volume_size is 8, but the image ami-"),
        ({"node_groups": [group(), group()]}, "node_groups has two groups named 'manager'"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_write(there: Account, changed: dict[str, Any], error: str) -> None:
    assert error in said(there, **changed)


def test_with_the_wrong_account_nothing_else_is_looked_at(there: Account) -> None:
    assert "\n" not in said(there, account_id="210987654321", key_name="missing", zones=["eu-west-1x"])


def test_all_that_is_wrong_is_said_at_once(there: Account) -> None:
    error = said(there, key_name="missing", zones=["eu-west-1x"])
    assert error.startswith("2 errors:\n- ")
    assert "key_name 'missing'" in error


def test_an_even_number_of_managers_is_a_warning_with_its_quorum(there: Account) -> None:
    (warning,) = look(there, node_groups=[group(desired=4)])["warnings"]

    assert "4, needs 3 of them for a quorum" in warning


def test_the_clusters_own_vpc_is_no_overlap_but_cannot_move(there: Account) -> None:
    own = tags.specification("vpc", {"swarm.aws/cluster": "example"})
    vpc = there.aws.ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=own)["Vpc"]
    try:
        assert look(there)["warnings"] == []
        assert "has 10.20.0.0/16, which cannot be changed" in said(there, vpc_cidr="10.30.0.0/16")
    finally:
        there.aws.ec2.delete_vpc(VpcId=vpc["VpcId"])


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
def test_an_inventory_of_another_cluster_is_refused(there: Account, changed: dict[str, Any], error: str) -> None:
    found = said(there, {"mine/aws_ec2.yml": {**INVENTORY, **changed}})
    assert found.startswith("mine/aws_ec2.yml: ")
    assert error in found


def test_other_inventories_are_none_of_its_business(there: Account) -> None:
    assert look(there, {"hosts.yml": {"all": {"hosts": {}}}, "empty.yml": None})["warnings"] == []


BY_SSH = {**INVENTORY, "groups": {"session_manager": "aws_public_ip_address is not defined"}}


@pytest.mark.parametrize("missing", [{"ssh_access": []}, {"key_name": None}])
def test_nodes_that_only_ssh_reaches_without_a_key_or_an_open_port_are_warned_about(
    there: Account, missing: dict[str, Any]
) -> None:
    config = {"ssh_access": ["192.0.2.7/32"], **missing}

    (warning,) = look(there, {"mine/aws_ec2.yml": BY_SSH}, **config)["warnings"]

    (name,) = missing
    assert warning == (
        f"mine/aws_ec2.yml: Ansible connects to nodes with public addresses by SSH, but {name} is not set: set it, "
        "or set the group session_manager to true there."
    )


@pytest.mark.parametrize(
    ("inventory", "changed"),
    [
        (BY_SSH, {"ssh_access": ["192.0.2.7/32"]}),
        ({**BY_SSH, "groups": {"session_manager": True}}, {}),
        ({**BY_SSH, "groups": {"session_manager": "true"}}, {}),
        (INVENTORY, {}),  # somebody's own way
        (BY_SSH, {"private_nodes": {}, "dns": {**DNS, "addresses": "private"}}),
    ],
)
def test_nodes_that_are_reached_are_not_warned_about(
    there: Account, inventory: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert look(there, {"mine/aws_ec2.yml": inventory}, **changed)["warnings"] == []


def test_a_name_that_a_cluster_in_another_region_has_is_refused(there: Account) -> None:
    iam, role = there.aws.iam, "example-manager"
    own = tags.to_list({"swarm.aws/cluster": "example", "swarm.aws/region": "eu-central-1"})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}", Tags=own)
    try:
        assert f"is used by the cluster in eu-central-1, which has the IAM role {role}" in said(there)
    finally:
        iam.delete_role(RoleName=role)


def test_target_groups_must_be_there_for_instances_in_the_clusters_vpc(there: Account) -> None:
    elb, ec2 = there.aws.elbv2, there.aws.ec2
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]

    def made(name: str, kind: str) -> str:
        answer = elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=vpc, TargetType=kind)
        return str(answer["TargetGroups"][0]["TargetGroupArn"])

    missing = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
    for arn, words in (
        (missing, f"target_groups has {missing}, but this target group does not exist: create it, or remove it"),
        (made("addresses", "ip"), "whose target type is ip, but must be instance: create another target group"),
        (
            made("elsewhere", "instance"),
            f"which is in the VPC {vpc} and not in the cluster's: create a target group there",
        ),
    ):
        assert words in said(there, node_groups=[group(target_groups=[arn])])
    arn = made("web", "instance")
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster", "Value": "example"}])
    try:
        assert look(there, vpc_cidr="172.31.0.0/16", node_groups=[group(target_groups=[arn])])["warnings"] == []
    finally:
        ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster"}])


def test_a_permissions_boundary_that_is_there_is_taken(there: Account) -> None:
    made = there.aws.iam.create_policy(PolicyName="bounds", Path="/teams/", PolicyDocument=document(allow("ec2:*")))
    assert look(there, permissions_boundary=made["Policy"]["Arn"])["warnings"] == []


@pytest.mark.parametrize("name", ["My Shop", "-shop", "x" * 42, ["shop"]])
def test_a_stack_that_docker_would_not_name_so_is_refused(there: Account, name: Any) -> None:
    with pytest.raises(ProvisionError, match=r"^The stack name .* is not valid: use lower-case letters"):
        look(there, stack_name=name)


def test_a_topic_of_the_operators_must_be_there(there: Account) -> None:
    topics = "arn:aws:sns:eu-west-1:123456789012:"
    assert look(there, monitoring={"topic_arn": f"{topics}pager"})["warnings"] == []
    error = said(there, monitoring={"topic_arn": f"{topics}page"})
    assert f"topic_arn is '{topics}page', but this topic does not exist: create it" in error
