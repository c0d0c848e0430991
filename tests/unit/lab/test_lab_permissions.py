"""The operator's policies in docs/permissions: their form, what they allow on the lab, and their regeneration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import names
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from parliament import analyze_policy_string

from lab.aws.strict.checks import MOST_OF_A_MANAGED_POLICY
from tests.lab import permissions
from tests.unit.lab.fakes import ACCOUNT_ID, IMAGE, REGION, LittleAws, allow, document, refused

LONGEST = {
    **permissions.WITHOUT_VPC,
    "REGION": "ap-southeast-2",
    "CLUSTER": "c" * 31,
    "RECORD": f"{'r' * 40}.example.com",
}
# Parliament expects in a single statement what the policies split into two, by name or kind and by tag. The policies
# allow all describe actions, so that another version of an amazon.aws module may call more of them.
SPLIT = {
    ("RESOURCE_MISMATCH", "ManageTaggedResources", "ec2:RunInstances"),
    ("RESOURCE_MISMATCH", "LaunchInstances", "ec2:RunInstances"),
    ("RESOURCE_MISMATCH", "LaunchInNetwork", "ec2:RunInstances"),
    ("RESOURCE_MISMATCH", "CreateGroupsInNetwork", "ec2:CreateSecurityGroup"),
    ("RESOURCE_MISMATCH", "ManageKeyAlias", "kms:CreateAlias"),
    ("RESOURCE_MISMATCH", "ManageKeyAlias", "kms:DeleteAlias"),
    ("RESOURCE_MISMATCH", "ManageKey", "kms:CreateAlias"),
    ("RESOURCE_MISMATCH", "ManageKey", "kms:DeleteAlias"),
    ("RESOURCE_STAR", "ReadInstances", "ec2:Describe"),
}
# Names of the cluster that the operator's policies need not contain: the agents and others choose them.
INNER = {"metrics_namespace", "launching_hook", "terminating_hook"}
POLICIES = permissions.policies()
STATEMENTS = [statement for policy in POLICIES.values() for statement in policy["Statement"]]


# Their form


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_with_the_longest_names_is_within_iams_limit(name: str) -> None:
    assert permissions.size(permissions.policies(LONGEST)[name]) <= MOST_OF_A_MANAGED_POLICY


def test_parliament_finds_only_actions_split_over_two_statements() -> None:
    found = set()
    for statement in STATEMENTS:
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        for finding in analyze_policy_string(text).findings:
            for detail in finding.detail:
                action = detail["action"] if isinstance(detail, dict) else str(detail)
                found.add((finding.issue, statement["Sid"], re.sub("(?<=ec2:Describe).*", "", action)))
    assert found == SPLIT


def test_the_page_explains_each_policy_and_statement() -> None:
    page = (permissions.ROOT / "docs/permissions.md").read_text(encoding="utf-8")
    table = page.split("## What each statement is for")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == [statement["Sid"] for statement in STATEMENTS]
    assert re.findall(r"\(permissions/(\w+)\.json\)", page) == list(POLICIES)


def test_the_policies_contain_every_name_of_a_cluster() -> None:
    text = json.dumps(POLICIES)
    own = names.resource_names(permissions.VALUES["CLUSTER"], ACCOUNT_ID, REGION)
    assert [key for key, name in own.items() if key not in INNER and name not in text] == []


# What they allow


@pytest.fixture
def operator(aws: LittleAws) -> Callable[[str], Any]:
    """Clients with the credentials of a user with exactly these policies."""
    key = aws.user("operator", managed=permissions.policies(permissions.WITHOUT_VPC))
    return lambda service: aws.client(service, key)


def test_resources_of_others_cannot_be_changed(aws: LittleAws, operator: Callable[[str], Any]) -> None:
    network, ec2 = aws.network(), operator("ec2")
    tag = {"Key": "swarm.aws/cluster", "Value": "example"}
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": network.subnets[0]}
    aws.client("s3").create_bucket(Bucket="anothers", CreateBucketConfiguration={"LocationConstraint": REGION})
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    aws.client("kms").create_alias(AliasName="alias/anothers", TargetKeyId=key)
    zone = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    record = {"Name": "other.swarm.test", "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "198.51.100.9"}]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    aws.role("example-two")
    queue = aws.client("sqs").create_queue(QueueName="example-two-events", tags={"swarm.aws/cluster": "example-two"})
    secret = aws.client("secretsmanager").create_secret(Name="anothers", SecretString="x")["ARN"]
    rest = {"RoleName": "example-two", "PolicyName": "p", "PolicyDocument": "{}"}
    calls: Mapping[str, Callable[[], Any]] = {
        "a VPC without the tag": lambda: ec2.create_vpc(CidrBlock="10.9.0.0/16"),
        "a VPC that is taken over": lambda: ec2.create_tags(Resources=[network.vpc], Tags=[tag]),
        "a security group": lambda: ec2.delete_security_group(GroupId=network.group),
        "a launch in a subnet": lambda: ec2.run_instances(**launch),
        "a group in a VPC": lambda: ec2.create_security_group(GroupName="g", Description="g", VpcId=network.vpc),
        "a role": lambda: operator("iam").put_role_policy(**rest),
        "a role of another name": lambda: operator("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}"),
        "a user": lambda: operator("iam").create_user(UserName="another"),
        "a bucket": lambda: operator("s3").put_object(Bucket="anothers", Key="k", Body=b""),
        "a key": lambda: operator("kms").schedule_key_deletion(KeyId=key),
        "a key that is taken over": lambda: operator("kms").tag_resource(
            KeyId=key, Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]}]
        ),
        "a queue": lambda: operator("sqs").delete_queue(QueueUrl=queue["QueueUrl"]),
        "a record": lambda: operator("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch),
        "a secret": lambda: operator("secretsmanager").get_secret_value(SecretId=secret),
    }
    codes = {what: refused(call) for what, call in calls.items()}
    assert set(codes.values()) == {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
    # Describing them is allowed.
    assert operator("sqs").list_queue_tags(QueueUrl=queue["QueueUrl"])["Tags"]
    assert operator("kms").list_resource_tags(KeyId=key)["Tags"] == []


def test_an_operator_of_an_existing_vpc_launches_only_there(aws: LittleAws) -> None:
    network = aws.network()
    key = aws.user("guest", managed=permissions.policies({**permissions.VALUES, "VPC": network.vpc}))
    ec2 = aws.client("ec2", key)
    (default,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    own = tags.specification("security-group", {tags.CLUSTER: "example"})
    group = {"GroupName": "example-member", "Description": "members", "TagSpecifications": own}
    made = ec2.create_security_group(**group, VpcId=network.vpc)["GroupId"]
    assert refused(ec2.create_security_group, **group, VpcId=default["VpcId"]) == "UnauthorizedOperation"
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}
    assert ec2.run_instances(**launch, SubnetId=network.subnets[0], SecurityGroupIds=[made, network.group])
    others = [{"Name": "vpc-id", "Values": [default["VpcId"]]}]
    elsewhere = ec2.describe_subnets(Filters=others)["Subnets"][0]["SubnetId"]
    assert refused(ec2.run_instances, **launch, SubnetId=elsewhere) == "UnauthorizedOperation"


def test_the_policies_can_require_a_permissions_boundary(aws: LittleAws) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT_ID}:policy/boundary"
    aws.client("iam").create_policy(PolicyName="boundary", PolicyDocument=document(allow("ec2:DescribeInstances")))
    (keeping,) = (statement for statement in STATEMENTS if statement["Sid"] == "ManageRoles")
    moved = {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"}
    rest = sorted(set(keeping["Action"]) - moved - {"iam:DeleteRolePermissionsBoundary"})
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    bound = {**keeping, "Sid": "Bound", "Action": sorted(moved), "Condition": condition}
    key = aws.user("operator", {**keeping, "Action": rest}, bound)
    iam, role = aws.client("iam", key), {"RoleName": "example-manager", "AssumeRolePolicyDocument": "{}"}
    policy = {"RoleName": "example-manager", "PolicyName": "swarm", "PolicyDocument": document(allow("s3:GetObject"))}
    assert refused(lambda: iam.create_role(**role)) == "AccessDenied"
    iam.create_role(**role, PermissionsBoundary=boundary)
    iam.put_role_policy(**policy)
    assert refused(lambda: iam.delete_role_permissions_boundary(RoleName="example-manager")) == "AccessDenied"
    aws.client("iam").delete_role_permissions_boundary(RoleName="example-manager")
    assert refused(lambda: iam.put_role_policy(**policy)) == "AccessDenied"


# Regeneration


def judgement(action: str, resource: str = "*", **context: str) -> dict[str, Any]:
    return {"caller": "operator", "action": action, "resource": resource, "context": context}


def test_regenerated_policies_gain_used_and_lose_unused_actions() -> None:
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:example-events"
    other = judgement("sqs:PurgeQueue", f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:anothers")
    judged = [
        judgement("sqs:PurgeQueue", queue),
        other,
        judgement("sqs:CreateQueue", queue),
        judgement("sns:ListTopics"),
    ]
    assert permissions.lacking(judged) == [judged[0], other]
    again = judgement("sqs:DeleteQueue", queue, **{"aws:SourceIp": "198.18.0.1"})
    theirs = judgement("sqs:DeleteQueue", queue, **{"aws:ResourceTag/swarm.aws/cluster": "example-two"})
    assert permissions.lacking([again, theirs]) == [theirs]
    found, missing = permissions.regenerate(judged)
    assert missing == [other]
    allowed = {statement["Sid"]: statement["Action"] for policy in found.values() for statement in policy["Statement"]}
    assert allowed["ManageEvents"] == ["sqs:CreateQueue", "sqs:PurgeQueue"]
    assert allowed["ReadServices"] == ["sns:ListTopics"]
    assert "CreateKey" not in allowed and "StartSessions" in allowed
    assert "CLUSTER-events" in json.dumps(found)


def test_unused_actions_are_named_unless_they_have_a_reason() -> None:
    unused = permissions.unused([judgement("sns:ListTopics")])
    assert ("ReadServices", "sns:ListTopics") not in unused
    assert ("ReadServices", "sqs:ListQueues") in unused
    assert not {action for _, action in unused} & set(permissions.REASONS)


def test_a_policy_above_iams_limit_is_refused(aws: LittleAws) -> None:
    iam = aws.client("iam")
    big = document(allow("s3:" + "x" * MOST_OF_A_MANAGED_POLICY))
    assert refused(lambda: iam.create_policy(PolicyName="big", PolicyDocument=big)) == "LimitExceeded"
    iam.create_policy(PolicyName="white", PolicyDocument=document(allow("s3:*")) + " " * MOST_OF_A_MANAGED_POLICY)
