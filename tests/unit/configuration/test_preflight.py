"""A configuration is checked against the account before anything is written there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from ansible_collections.swarm.aws.plugins.modules import preflight
from moto.ec2.models.amis import Ami

from lab.aws import account as lab_account
from lab.aws import endpoints, world
from lab.aws.launch_failures import SERVICE_ROLE_ARN
from tests.unit.account.account import Account, account
from tests.unit.configuration.configuration import group, raw, spec
from tests.unit.existing import existing_vpc
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
def aws_account() -> Iterator[Account]:
    """An account with a key pair, a hosted zone and an image, whose default VPC is elsewhere. It is only looked at."""
    with account() as made:
        made.aws.client("ec2").create_key_pair(KeyName="operator")
        made.aws.client("sns").create_topic(Name="pager")
        made.aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")
        made.aws.client("servicediscovery").create_http_namespace(Name="example.internal")
        # Put there by hand, with a disk of 15 GiB: one that is registered has no architecture in moto.
        about = {"name": "debian", "architecture": "x86_64", "root_device_name": "/dev/xvda", "root_device_type": "ebs"}
        image = Ami(world.ec2(), "ami-0123456789abcdef0", region_name="eu-west-1a", **about)
        world.ec2().amis[image.id] = image
        made.aws.client("ssm").put_parameter(Name=PARAMETERS["debian13"]["x86_64"], Value=image.id, Type="String")
        yield made


def check(
    aws_account: Account,
    inventories: dict[str, Any] | None = None,
    stack_name: Any = "",
    files: dict[str, list[str]] | None = None,
    *,
    deploys: bool = False,
    session_plugin: str = "/usr/local/bin/session-manager-plugin",
    **changed: Any,
) -> dict[str, Any]:
    """Run the check, and make sure that it writes nothing."""
    given = {"stack_name": stack_name, "config": raw(**changed), "spec": spec(), "image_parameters": PARAMETERS}
    given |= {"inventories": inventories or {}, "files": files or {}, "known": list(spec())}
    given |= {"deploys": deploys, "session_plugin": session_plugin}
    with aws_account.recording() as writes:
        try:
            return aws_account.run(preflight.ARGUMENTS, preflight.work, given)
        finally:
            assert writes == []


def refusal(aws_account: Account, inventories: dict[str, Any] | None = None, **changed: Any) -> str:
    """What is wrong."""
    with pytest.raises(ProvisionError) as raised:
        check(aws_account, inventories, **changed)
    return str(raised.value)


SERVICE = {"cloud_map": {"namespace": "example.internal", "service": "taken"}}
TAKEN = {
    "cname.example.com": (
        {"Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "shop.example.net"}]},
        "is a CNAME",
    ),
    "page.example.com": (
        {"Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.7"}]},
        "exists already, and",
    ),
    "_swarm-aws.shop.example.com": (
        {
            "Type": "TXT",
            "TTL": 60,
            "ResourceRecords": [{"Value": '"heritage=swarm.aws,cluster=other,region=eu-west-1"'}],
        },
        "belongs to 'heritage=swarm.aws,cluster=other,region=eu-west-1'",
    ),
}


@pytest.fixture(scope="module")
def taken(aws_account: Account) -> Account:
    """Records and a Cloud Map service that are not the cluster's."""
    route53, discovery = (aws_account.aws.client(service) for service in ("route53", "servicediscovery"))
    records = [{"Name": name, **record} for name, (record, _said) in TAKEN.items()]
    records.append({"Name": "ours.example.com", **TAKEN["page.example.com"][0]})
    owner = {
        "Type": "TXT",
        "TTL": 300,
        "ResourceRecords": [{"Value": '"heritage=swarm.aws,cluster=example,region=eu-west-1"'}],
    }
    records.append({"Name": "_swarm-aws.ours.example.com", **owner})
    six = {"Type": "AAAA", "TTL": 60, "ResourceRecords": [{"Value": "2001:db8::7"}]}
    records.append({"Name": "ours.example.com", **six})
    changes = [{"Action": "CREATE", "ResourceRecordSet": record} for record in records]
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    discovery.create_service(Name="taken", NamespaceId=discovery.list_namespaces()["Namespaces"][0]["Id"])
    return aws_account


def test_another_address_pool_than_the_swarm_has_is_refused(aws_account: Account) -> None:
    s3, where = aws_account.aws.client("s3"), {"Bucket": "example-swarm-123456789012-eu-west-1"}
    s3.create_bucket(**where, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    pool = {"swarm_address_pool": ["172.30.0.0/16"], "swarm_subnet_size": 26}
    try:
        check(aws_account, **pool)
        s3.put_object(**where, Key="policy.json", Body=b'{"address_pool": ["172.30.0.0/16"], "subnet_size": 26}')
        check(aws_account, **pool)
        assert refusal(aws_account, swarm_address_pool=["10.0.0.0/8"]) == (
            "swarm_address_pool is 10.0.0.0/8 with networks of the size /24, but the cluster's swarm has 172.30.0.0/16 "
            "with /26, which cannot be changed: restore the values, or create another cluster."
        )
        s3.put_object(**where, Key="policy.json", Body=b"{}")
        check(aws_account)
        assert "the cluster's swarm has 10.0.0.0/8 with /24" in refusal(aws_account, **pool)
        s3.delete_object(**where, Key="policy.json")
    finally:
        s3.delete_bucket(**where)


@pytest.mark.parametrize("name", TAKEN)
def test_a_record_that_is_somebody_elses_is_refused(taken: Account, name: str) -> None:
    record = name.removeprefix("_swarm-aws.")
    said = refusal(taken, dns={"zone": "example.com", "record": record.upper()})
    assert f"{record} {TAKEN[name][1]}" in said
    assert "choose another dns.record" in said


def test_the_clusters_own_record_and_a_free_name_are_accepted(taken: Account) -> None:
    for record in ("ours.example.com", "free.example.com"):
        assert check(taken, dns={"zone": "example.com", "record": record})["warnings"] == []


def test_a_foreign_aaaa_record_beside_the_clusters_is_a_warning(taken: Account) -> None:
    dns = {"zone": "example.com", "record": "ours.example.com", "ipv6": True}
    (said,) = check(taken, dns=dns)["warnings"]
    assert "has an AAAA record that is not this cluster's" in said


def test_a_cloud_map_service_that_is_somebody_elses_is_refused(taken: Account) -> None:
    assert "The Cloud Map service taken.example.internal already exists, but its tag" in refusal(taken, dns=SERVICE)


MANY = [f"198.51.100.{number}/32" for number in range(61)]


def test_more_rules_than_the_quota_of_a_security_group_are_refused(aws_account: Account) -> None:
    ports = [{"port": 80, "from": [*MANY[:60], "2001:db8::/32"]}]
    assert check(aws_account, published_ports=ports, ssh_access=MANY[:56], dns={**DNS, "ipv6": True})["warnings"] == []
    said = refusal(aws_account, published_ports=[{"port": 80, "from": MANY}], ssh_access=MANY[:57])
    assert "ssh_access makes 61 rules in the security group example-member, but the account allows 60: use" in said
    assert "published_ports makes 61 rules in the security group example-edge, but the account allows 60: use" in said


def test_a_quota_of_rules_that_cannot_be_read_is_a_warning(aws_account: Account) -> None:
    with aws_account.refusing("GetServiceQuota"):
        said, _ = sorted(check(aws_account, published_ports=[{"port": 80, "from": MANY}])["warnings"], reverse=True)
    assert "more than AWS's default of 60, and the account's quota could not be read: if it is lower, use" in said


def test_without_a_spec_only_the_account_and_the_inventory_are_checked(aws_account: Account) -> None:
    def check(account_id: Any, cluster_name: Any) -> dict[str, Any]:
        config = {"account_id": account_id, "cluster_name": cluster_name}
        given = {"config": config, "inventories": {"aws_ec2.yml": INVENTORY}}
        with aws_account.recording():
            found = aws_account.run(preflight.ARGUMENTS, preflight.work, given)
            assert (aws_account.writes, aws_account.reads) == ([], ["GetCallerIdentity"])
        return found

    assert check(123456789012, "example").keys() == {"changed", "changes", "diff"}
    with pytest.raises(ProvisionError, match="for the account 123456789012, but account_id is 210987654321: nothing"):
        check("210987654321", "example")
    with pytest.raises(ProvisionError, match=r"3 errors:\n- account_id is ''.*\n- cluster_name is '5'.*\n.*but"):
        check("", 5)


def test_private_nodes_without_a_nat_gateway_get_their_endpoints(
    aws_account: Account,
) -> None:
    assert check(aws_account)["config"]["private_nodes"] is None
    dns = {**DNS, "addresses": "private"}
    private = {"dns": dns, "ecr_repositories": ["shop"], "node_groups": [group(user_data="#!/bin/sh\n")]}
    by_nat = check(aws_account, private_nodes={}, **private)
    assert by_nat["config"]["private_nodes"] == {"nat": "one", "endpoints": []}
    found = check(aws_account, private_nodes={"nat": "none"}, **private)["config"]["private_nodes"]["endpoints"]
    assert found == sorted([*EVERY, "ecr.api", "ecr.dkr", "monitoring", "route53", "ssm", "ssmmessages"])
    with patch.object(endpoints, "AWS_ENDPOINT_SERVICES", ["ec2", "monitoring"]):
        error = refusal(aws_account, private_nodes={"nat": "none"}, **private)
    assert "no interface endpoint for autoscaling, sqs, ssm, ssmmessages" in error


def test_a_bucket_of_another_account_is_refused(aws_account: Account) -> None:
    with aws_account.refusing("HeadBucket"):
        assert "belongs to another account or region" in refusal(aws_account)


def test_a_key_without_an_alias_is_found_if_it_is_the_clusters(aws_account: Account) -> None:
    kms, alias = aws_account.aws.client("kms"), "alias/example-swarm"

    def key(cluster: str) -> str:
        made = kms.create_key(Tags=[{"TagKey": tags.CLUSTER, "TagValue": cluster}])
        return str(made["KeyMetadata"]["KeyId"])

    key("another")
    kms.schedule_key_deletion(KeyId=key("example"))
    assert check(aws_account)["config"]["key_id"] is None
    own = key("example")
    assert check(aws_account)["config"]["key_id"] == own
    kms.create_alias(AliasName=alias, TargetKeyId=own)
    assert check(aws_account)["config"]["key_id"] is None
    kms.schedule_key_deletion(KeyId=own)
    assert "PendingDeletion: cancel its deletion" in refusal(aws_account)
    kms.delete_alias(AliasName=alias)


def test_a_secret_that_is_being_deleted_is_refused(aws_account: Account) -> None:
    name = "example-unlock-keys"
    aws_account.aws.client("secretsmanager").create_secret(Name=name, Tags=tags.to_list({tags.CLUSTER: "example"}))
    assert check(aws_account, autolock=True)["warnings"] == []
    aws_account.aws.client("secretsmanager").delete_secret(SecretId=name)
    assert "is being deleted: restore it" in refusal(aws_account, autolock=True)


def test_the_example_is_valid_and_returned_with_its_defaults(aws_account: Account) -> None:
    volumes = [{"label": "data", "size": 50}, {"label": "logs", "size": 9, "mount": "/mnt/logs"}]
    groups = [group(labels={"edge": True, "slots": 3}, volumes=volumes)]
    found = check(aws_account, {"aws_ec2.yml": INVENTORY}, node_groups=groups)

    assert found["warnings"] == []
    assert set(found["images"]) == {"x86_64"}
    assert found["images"]["x86_64"]["id"].startswith("ami-")
    (managers,) = found["config"]["node_groups"]
    assert (managers["min"], managers["desired"], managers["max"]) == (3, 3, 3)
    assert managers["image"] == found["images"]["x86_64"]["id"]
    assert managers["security_groups"] == ["example-member", "example-manager", "example-edge"]
    assert managers["tags"]["swarm.aws/group"] == managers["name"]
    assert managers["launch_seconds"] is None
    disks = managers["block_devices"]
    assert [disk["device_name"] for disk in disks] == ["/dev/xvda", "/dev/sdf", "/dev/sdg"]
    assert all(disk["ebs"]["encrypted"] and disk["ebs"]["delete_on_termination"] for disk in disks)
    assert disks[1]["ebs"]["volume_size"] == 50
    assert managers["labels"] == {"edge": "true", "slots": "3"}
    assert [(disk["device"], disk["mount"]) for disk in managers["volumes"]] == [
        ("/dev/sdf", "/srv/data"),
        ("/dev/sdg", "/mnt/logs"),
    ]


@pytest.mark.parametrize(("own", "seconds"), [({}, 1800), ({"launch_seconds": 900}, 900)])
def test_bare_metal_has_more_time_to_join(aws_account: Account, own: dict[str, int], seconds: int) -> None:
    groups = [group(instance_types=["m5.metal"], **own)]
    (managers,) = check(aws_account, {"aws_ec2.yml": INVENTORY}, node_groups=groups)["config"]["node_groups"]
    assert managers["launch_seconds"] == seconds


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
def test_a_wrong_configuration_is_refused_before_the_first_write(
    aws_account: Account, changed: dict[str, Any], error: str
) -> None:
    assert error in refusal(aws_account, **changed)


def test_with_the_wrong_account_nothing_else_is_checked(aws_account: Account) -> None:
    assert "\n" not in refusal(aws_account, account_id="210987654321", key_name="missing", zones=["eu-west-1x"])


def test_all_errors_are_reported_at_once(aws_account: Account) -> None:
    error = refusal(aws_account, key_name="missing", zones=["eu-west-1x"])
    assert error.startswith("2 errors:\n- ")
    assert "key_name 'missing'" in error


def test_errors_of_all_kinds_are_reported_in_the_order_of_the_file(aws_account: Account) -> None:
    files = {"all.yml": ["region", "ssh_acess", "zones", "key_name", "node_groups", "node_os", "vpc_cidr"]}
    wrong = {"zones": ["eu-west-1x"], "key_name": "missing", "node_os": "plan9", "vpc_cidr": "10.20.0.0/8"}
    with pytest.raises(ProvisionError) as raised:
        check(aws_account, files=files, node_groups=[group(desired="3")], **wrong)

    title, *errors = str(raised.value).split("\n- ")
    assert (title, [error[:27] for error in errors]) == (
        "6 errors:",
        [
            "all.yml: unknown key 'ssh_a",
            "zones has eu-west-1x, but t",
            "key_name 'missing' is not a",
            "node_groups[manager].desire",
            "node_os is 'plan9', but mus",
            "vpc_cidr has '10.20.0.0/8',",
        ],
    )


@pytest.mark.parametrize("key", spec())
def test_a_refused_value_is_reported_once_and_does_not_stop_the_others(aws_account: Account, key: str) -> None:
    """With a value of a type that no key has."""
    said = refusal(aws_account, **{"key_name": "missing", key: 1.5j})

    assert said.count(f"{key} is 1.5j, but must be ") == 1
    others = said.count("key_name 'missing' is not a key pair")
    assert (said.count("\n- "), others) == ((2, 1) if key not in ("account_id", "region", "key_name") else (0, 0))


def test_an_even_number_of_managers_is_a_warning_with_its_quorum(aws_account: Account) -> None:
    (warning,) = check(aws_account, node_groups=[group(desired=4)])["warnings"]

    assert "4, needs 3 of them for a quorum" in warning


def test_the_clusters_own_vpc_does_not_overlap_but_cannot_change(aws_account: Account) -> None:
    own = tags.specification("vpc", {"swarm.aws/cluster": "example"})
    vpc = aws_account.aws.client("ec2").create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=own)["Vpc"]
    try:
        assert check(aws_account)["warnings"] == []
        assert "has 10.20.0.0/16, which cannot be changed" in refusal(aws_account, vpc_cidr="10.30.0.0/16")
    finally:
        aws_account.aws.client("ec2").delete_vpc(VpcId=vpc["VpcId"])


def test_the_range_of_another_cluster_is_a_warning(aws_account: Account) -> None:
    ec2 = aws_account.aws.client("ec2")
    staging = tags.specification("vpc", {"swarm.aws/cluster": "staging"})
    vpc = ec2.create_vpc(CidrBlock="10.82.0.0/20", TagSpecifications=staging)["Vpc"]["VpcId"]
    try:
        theirs = existing_vpc(ec2, cidr="10.82.0.0/16")
        (warning,) = check(aws_account, **{**theirs.variables(), "dns": DNS})["warnings"]
        ec2.create_tags(Resources=[theirs.vpc], Tags=[{"Key": "swarm.aws/cluster", "Value": "production"}])
        own = check(aws_account, vpc_cidr="10.82.0.0/18")["warnings"]
    finally:
        ec2.delete_vpc(VpcId=vpc)
    assert warning == (
        f"The range 10.82.0.0/16 overlaps 10.82.0.0/20 of the cluster staging (VPC {vpc}), so the two clusters can "
        "never be connected: choose another range if they should be."
    )
    assert [found.split(",")[0] for found in own] == [
        f"The range 10.82.0.0/18 overlaps 10.82.0.0/20 of the cluster staging (VPC {vpc})",
        f"The range 10.82.0.0/18 overlaps 10.82.0.0/16 of the cluster production (VPC {theirs.vpc})",
    ]


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
def test_an_inventory_of_another_cluster_is_refused(aws_account: Account, changed: dict[str, Any], error: str) -> None:
    found = refusal(aws_account, {"mine/aws_ec2.yml": {**INVENTORY, **changed}})
    assert found.startswith("mine/aws_ec2.yml: ")
    assert error in found


def test_other_inventories_are_ignored(aws_account: Account) -> None:
    assert check(aws_account, {"hosts.yml": {"all": {"hosts": {}}}, "empty.yml": None})["warnings"] == []


def through(condition: Any) -> dict[str, Any]:
    """An inventory whose group session_manager has this condition."""
    return {"mine/aws_ec2.yml": {**INVENTORY, "groups": {"session_manager": condition}}}


EXAMPLE = through("aws_public_ip_address is not defined or aws_key_name is not defined")
BY_ADDRESS = through("aws_public_ip_address is not defined")
PRIVATE = {"private_nodes": {}, "dns": {**DNS, "addresses": "private"}}
MINE = {"ssh_access": ["192.0.2.7/32"]}


@pytest.mark.parametrize(
    ("inventories", "changed", "reason"),
    [
        ({}, {"session_manager": False}, "ssh_access is empty and session_manager is false, so nobody can reach"),
        (BY_ADDRESS, {}, "mine/aws_ec2.yml: Ansible connects to the nodes by SSH, but ssh_access is not set"),
        (BY_ADDRESS, {**MINE, "key_name": None}, "by SSH, but key_name is not set"),
        (BY_ADDRESS, {"key_name": None}, "by SSH, but key_name and ssh_access are not set: set them"),
        (EXAMPLE, {}, "by SSH, but ssh_access is not set"),
        (through(False), PRIVATE, "by SSH, but ssh_access is not set"),
        (through(True), {**MINE, "session_manager": False}, "through Session Manager, but session_manager is false"),
        (EXAMPLE, {"key_name": None, "session_plugin": ""}, "AWS's session-manager-plugin is not installed here"),
    ],
)
def test_a_stack_for_nodes_that_ansible_cannot_reach_is_refused(
    aws_account: Account, inventories: dict[str, Any], changed: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(aws_account, inventories, deploys=True, **changed)
    (warning,) = check(aws_account, inventories, **changed)["warnings"]
    assert reason in warning


@pytest.mark.parametrize(
    ("inventories", "changed"),
    [
        (BY_ADDRESS, MINE),
        (BY_ADDRESS, PRIVATE),
        (BY_ADDRESS, {**MINE, "key_name": None, "node_groups": [group(user_data="#!/bin/sh")]}),
        (EXAMPLE, MINE),
        (EXAMPLE, {"key_name": None}),
        (through(True), {}),
        (through("true"), {}),
        ({"mine/aws_ec2.yml": INVENTORY}, {}),  # somebody's own way
    ],
)
def test_reachable_nodes_are_no_error(
    aws_account: Account, inventories: dict[str, Any], changed: dict[str, Any]
) -> None:
    check(aws_account, inventories, deploys=True, **changed)


def test_a_name_of_a_cluster_in_another_region_is_refused(aws_account: Account) -> None:
    iam, role = aws_account.aws.client("iam"), "example-manager"
    own = tags.to_list({"swarm.aws/cluster": "example", "swarm.aws/region": "eu-central-1"})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}", Tags=own)
    try:
        assert f"is used by the cluster in eu-central-1, which has the IAM role {role}" in refusal(aws_account)
    finally:
        iam.delete_role(RoleName=role)


def test_target_groups_must_exist_in_the_clusters_vpc_for_instances(aws_account: Account) -> None:
    elb, ec2 = aws_account.aws.client("elbv2"), aws_account.aws.client("ec2")
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
        assert words in refusal(aws_account, node_groups=[group(target_groups=[arn])])
    arn = made("web", "instance")
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster", "Value": "example"}])
    try:
        assert check(aws_account, vpc_cidr="172.31.0.0/16", node_groups=[group(target_groups=[arn])])["warnings"] == []
    finally:
        ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "swarm.aws/cluster"}])


def test_an_existing_network_sets_the_zones_and_the_security_groups(aws_account: Account) -> None:
    theirs = existing_vpc(aws_account.aws.client("ec2"), public=False)
    dns = {**DNS, "addresses": "private"}
    given = {**theirs.variables(), "dns": dns, "node_groups": [group(zones=["eu-west-1a"], desired=1)]}
    with pytest.raises(ProvisionError, match="zone eu-west-1d is not one of the cluster's zones"):
        check(aws_account, **{**given, "node_groups": [group(zones=["eu-west-1d"])]})
    assert "dns.addresses is public, but the subnets of network assign none: set it to private" in refusal(
        aws_account, **{**given, "dns": DNS}
    )
    assert "dns.ipv6 is true, but IPv6 addresses are public: remove dns.ipv6, or use subnets with" in refusal(
        aws_account, **{**given, "dns": {**dns, "ipv6": True}}
    )
    found = check(aws_account, BY_ADDRESS, **given)["config"]
    assert (found["zones"], found["public_addresses"]) == (list(theirs.subnets), False)
    assert found["node_groups"][0]["security_groups"] == [
        "example-member",
        "example-manager",
        "example-edge",
        theirs.group,
    ]


def test_target_groups_must_be_in_the_existing_network(aws_account: Account) -> None:
    elb, ec2 = aws_account.aws.client("elbv2"), aws_account.aws.client("ec2")
    theirs = existing_vpc(ec2, cidr="10.81.0.0/16")
    default = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    arns = [
        elb.create_target_group(Name=f"of-{vpc}", Protocol="TCP", Port=80, VpcId=vpc, TargetType="instance")[
            "TargetGroups"
        ][0]["TargetGroupArn"]
        for vpc in (theirs.vpc, default)
    ]
    given = {**theirs.variables(), "dns": DNS}
    assert check(aws_account, **given, node_groups=[group(target_groups=arns[:1])])["config"]
    assert f"which is in the VPC {default} and not in {theirs.vpc}: create a target group there." in refusal(
        aws_account, **given, node_groups=[group(target_groups=arns)]
    )


def test_an_existing_permissions_boundary_is_accepted(aws_account: Account) -> None:
    made = aws_account.aws.client("iam").create_policy(
        PolicyName="bounds", Path="/teams/", PolicyDocument=document(allow("ec2:*"))
    )
    assert check(aws_account, permissions_boundary=made["Policy"]["Arn"])["warnings"] == []


@pytest.mark.parametrize("name", ["My Shop", "-shop", "x" * 42, ["shop"]])
def test_an_invalid_stack_name_is_refused(aws_account: Account, name: Any) -> None:
    with pytest.raises(ProvisionError, match=r"^The stack name .* is not valid: use lower-case letters"):
        check(aws_account, stack_name=name)


def test_a_missing_topic_of_the_operator_is_refused(aws_account: Account) -> None:
    topics = "arn:aws:sns:eu-west-1:123456789012:"
    assert check(aws_account, monitoring={"topic_arn": f"{topics}pager"})["warnings"] == []
    error = refusal(aws_account, monitoring={"topic_arn": f"{topics}page"})
    assert f"topic_arn is '{topics}page', but this topic does not exist: create it" in error


# What the account lets Auto Scaling launch


@contextmanager
def profile(**changed: Any) -> Iterator[None]:
    """The lab's account with other numbers."""
    with patch.object(lab_account, "current", replace(lab_account.KIND, **changed)):
        yield


def test_a_quota_below_the_desired_sizes_is_refused(aws_account: Account) -> None:
    with profile(vcpu_quota=5):
        assert refusal(aws_account) == (
            "The account's quota of on-demand vCPUs (EC2, L-1216C47A) in eu-west-1 is 5, but node_groups needs at "
            "least 8: request an increase in Service Quotas, or use fewer or smaller instances."
        )


def test_a_quota_below_the_largest_sizes_is_a_warning(aws_account: Account) -> None:
    with profile(vcpu_quota=8):
        (warning,) = check(aws_account)["warnings"]
    assert "is 8, but node_groups can grow to 18: request an increase" in warning
    with profile(vcpu_quota=18):
        assert check(aws_account)["warnings"] == []


def test_spot_instances_and_other_families_do_not_count_towards_the_quota(aws_account: Account) -> None:
    spot = group(name="worker", role="worker", dns=False, desired=4, spot={"on_demand_base": 1, "share": 50})
    graphics = group(name="gpu", role="worker", dns=False, desired=9, instance_types=["g4dn.xlarge"])
    with profile(vcpu_quota=11):
        # Three managers, and 1 + 1.5 of four workers, with two vCPUs each.
        assert "needs at least 12" in refusal(aws_account, node_groups=[group(), spot, graphics])


def test_a_quota_that_cannot_be_read_is_a_warning(aws_account: Account) -> None:
    with aws_account.refusing("GetServiceQuota", "AccessDeniedException"):
        (warning,) = check(aws_account)["warnings"]
    assert warning.startswith("The quota of on-demand vCPUs (EC2, L-1216C47A) is not known (")
    assert warning.endswith("make sure that it is at least 8, and 18 for the max of all node_groups.")


def test_a_type_that_a_zone_lacks_is_refused_with_the_zones_that_have_it(aws_account: Account) -> None:
    groups = [group(), group(name="worker", role="worker", dns=False, desired=1, instance_types=["t3.micro"])]
    with profile(absent_types={"eu-west-1c": frozenset({"t3.micro"})}):
        assert refusal(aws_account, node_groups=groups) == (
            "node_groups[worker]: the zone eu-west-1c has no t3.micro, but eu-west-1a, eu-west-1b have: choose another "
            "type, or set the group's zones."
        )
        groups[1]["instance_types"] = ["t3.micro", "t3a.micro"]
        assert check(aws_account, node_groups=groups)["warnings"] == []
        groups[1] |= {"instance_types": ["t3.micro"], "zones": ["eu-west-1a", "eu-west-1b"]}
        assert check(aws_account, node_groups=groups)["warnings"] == []


@pytest.fixture
def key(aws_account: Account) -> Iterator[str]:
    """A customer's key, the account's default for volumes: its ARN."""
    made = aws_account.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws_account.aws.client("ec2").modify_ebs_default_kms_key_id(KmsKeyId=made)
    yield str(made)
    world.ec2().default_kms_key_id = ""


def test_a_default_key_that_auto_scaling_may_not_use_is_refused(aws_account: Account, key: str) -> None:
    assert refusal(aws_account) == (
        f"The account's default key for volumes is {key}, but neither its policy nor a grant lets Auto Scaling use it, "
        f"so no instance would launch: allow it for {SERVICE_ROLE_ARN}, or set ebs_kms_key to alias/aws/ebs."
    )
    found = check(aws_account, ebs_kms_key="alias/aws/ebs")
    assert found["warnings"] == []
    (disk,) = found["config"]["node_groups"][0]["block_devices"]
    assert disk["ebs"]["kms_key_id"] == "alias/aws/ebs"


@pytest.mark.parametrize("way", ["policy", "grant"])
def test_a_key_that_auto_scaling_may_use_is_accepted(aws_account: Account, key: str, way: str) -> None:
    kms, use = aws_account.aws.client("kms"), allow("kms:*")
    if way == "policy":
        policy = document({**use, "Principal": {"AWS": [SERVICE_ROLE_ARN]}})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    else:
        kms.create_grant(KeyId=key, GranteePrincipal=SERVICE_ROLE_ARN, Operations=["Decrypt"])
    assert check(aws_account)["warnings"] == []
    found = check(aws_account, ebs_kms_key=key)["config"]["node_groups"][0]["block_devices"]
    assert [disk["ebs"]["kms_key_id"] for disk in found] == [key]


def test_a_key_that_cannot_be_used_is_refused(aws_account: Account, key: str) -> None:
    kms = aws_account.aws.client("kms")
    missing = "1234abcd-12ab-34cd-56ef-1234567890ab"
    assert f"ebs_kms_key is {missing}, but this key does not exist in eu-west-1: correct it, or set" in refusal(
        aws_account, ebs_kms_key=missing
    )
    assert "ebs_kms_key is 'volumes', which cannot be a KMS key" in refusal(aws_account, ebs_kms_key="volumes")
    kms.schedule_key_deletion(KeyId=key.rsplit("/", 1)[1])
    assert "but this key is in the state PendingDeletion" in refusal(aws_account)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("GetEbsDefaultKmsKeyId", "The account's default key for volumes is not known ("),
        ("GetKeyPolicy", "whose policy cannot be read ("),
    ],
)
def test_a_key_that_cannot_be_read_is_a_warning(aws_account: Account, key: str, operation: str, words: str) -> None:
    with aws_account.refusing(operation, "AccessDeniedException"):
        (warning,) = check(aws_account)["warnings"]
    assert words in warning
