"""IAM judges calls with a user's access key; the accesses of an operator's calls, by service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lab.aws.launch_failures import SERVICE_ROLE
from tests.unit.lab.fakes import ACCOUNT_ID, IMAGE, REGION, VPC_CIDR, LittleAws, Network, allow, document, refused

EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}"
IAM = f"arn:aws:iam::{ACCOUNT_ID}"
OURS = {"Key": "swarm.aws/cluster", "Value": "example"}
REQUESTED = {"StringEquals": {"aws:RequestTag/swarm.aws/cluster": "example"}}
Asked = Callable[[Callable[[], Any]], list[str]]
TAGGED = {"StringEquals": {"aws:ResourceTag/swarm.aws/cluster": "example"}}


def tagged(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [OURS]}]


@pytest.fixture
def asked(aws: LittleAws) -> Asked:
    """The accesses of the administrator's calls: actions and resources without the account's IDs."""

    def ask(call: Callable[[], Any]) -> list[str]:
        aws.control("DELETE", "calls")
        call()
        found = [access for record in aws.control("GET", "calls") for access in record["accesses"]]
        return [f"{access['action']} {access['resource']}" for access in found]

    return ask


# Users


def test_a_users_permissions_come_from_inline_group_and_managed_policies(aws: LittleAws) -> None:
    iam = aws.client("iam")
    key = aws.user("operator", allow("ec2:DescribeVpcs"))
    ec2 = aws.client("ec2", key)
    assert ec2.describe_vpcs()["Vpcs"] is not None
    assert refused(ec2.describe_subnets) == "UnauthorizedOperation"
    made = iam.create_policy(PolicyName="more", PolicyDocument=document(allow("ec2:DescribeSubnets")))
    iam.attach_user_policy(UserName="operator", PolicyArn=made["Policy"]["Arn"])
    assert ec2.describe_subnets()["Subnets"] is not None
    iam.create_group(GroupName="operators")
    iam.put_group_policy(GroupName="operators", PolicyName="own", PolicyDocument=document(allow("ec2:DescribeImages")))
    assert refused(ec2.describe_images) == "UnauthorizedOperation"
    iam.add_user_to_group(GroupName="operators", UserName="operator")
    assert ec2.describe_images()["Images"]
    assert aws.client("sts", key).get_caller_identity()["Arn"] == f"{IAM}:user/operator"


def test_an_inactive_key_or_a_key_with_a_token_is_refused(aws: LittleAws) -> None:
    key = aws.user("operator", allow("ec2:*"))
    other = aws.client("ec2", {**key, "Token": "x"})
    assert refused(other.describe_vpcs) == "AuthFailure"
    aws.clients.clear()
    aws.client("iam").update_access_key(UserName="operator", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(aws.client("ec2", key).describe_vpcs) == "AuthFailure"


def test_a_boundary_limits_users_and_roles(aws: LittleAws) -> None:
    iam = aws.client("iam")
    bounds = document(allow("ec2:DescribeVpcs", "ec2:RunInstances"))
    boundary = iam.create_policy(PolicyName="bounds", PolicyDocument=bounds)["Policy"]["Arn"]
    user = aws.client("ec2", aws.user("bounded", allow("ec2:Describe*"), PermissionsBoundary=boundary))
    role = aws.acting("ec2", "node", allow("ec2:Describe*"))
    iam.put_role_permissions_boundary(RoleName="node", PermissionsBoundary=boundary)
    for client in (user, role):
        assert client.describe_vpcs()["Vpcs"] is not None
        assert refused(client.describe_subnets) == "UnauthorizedOperation"
    iam.delete_user_permissions_boundary(UserName="bounded")
    assert user.describe_subnets()["Subnets"] is not None
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=boundary)
    assert refused(user.describe_subnets) == "UnauthorizedOperation"


def test_judgements_are_recorded_with_their_policies(aws: LittleAws) -> None:
    key = aws.user("operator", allow("ec2:DescribeVpcs"))
    aws.client("ec2", key).describe_vpcs()
    refused(aws.client("ec2", key).describe_subnets)
    told = aws.control("GET", "judgements")
    judged = {(judgement["caller"], judgement["action"]): judgement for judgement in told["judgements"]}
    assert judged["operator", "ec2:DescribeVpcs"]["allowed"] is True
    assert judged["operator", "ec2:DescribeVpcs"]["principal"] == f"{IAM}:user/operator"
    assert judged["operator", "ec2:DescribeSubnets"]["allowed"] is False
    (policy,) = told["documents"][judged["operator", "ec2:DescribeVpcs"]["identity"]]
    assert policy["Statement"][0]["Action"] == ["ec2:DescribeVpcs"]
    assert judged["lab", "iam:CreateUser"]["resource"] == f"{IAM}:user/operator"


# EC2


def test_creation_is_allowed_by_requested_tags_and_the_parents_tags(aws: LittleAws) -> None:
    creating = allow("ec2:CreateVpc", "ec2:CreateSubnet", on=f"{EC2}:*/*", when=REQUESTED)
    within = allow("ec2:CreateSubnet", on=f"{EC2}:vpc/*", when=TAGGED)
    at_once = {"Null": {"ec2:CreateAction": "false"}, **REQUESTED}
    tagging = allow("ec2:CreateTags", on=f"{EC2}:*/*", when=at_once)
    ec2 = aws.client("ec2", aws.user("operator", creating, within, tagging))
    assert refused(ec2.create_vpc, CidrBlock=VPC_CIDR) == "UnauthorizedOperation"
    vpc = ec2.create_vpc(CidrBlock=VPC_CIDR, TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    where = {"CidrBlock": "127.20.1.0/24", "TagSpecifications": tagged("subnet")}
    assert ec2.create_subnet(VpcId=vpc, **where)["Subnet"]["VpcId"] == vpc
    others = aws.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    assert refused(ec2.create_subnet, VpcId=others, **where) == "UnauthorizedOperation"
    # An operator cannot take over foreign resources by tagging them.
    assert refused(ec2.create_tags, Resources=[others], Tags=[OURS]) == "UnauthorizedOperation"


def test_a_call_needs_permission_for_its_resources_not_for_its_rules(
    aws: LittleAws, network: Network, asked: Asked
) -> None:
    ec2 = aws.client("ec2")
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    both = [f"{EC2}:route-table/{table}", f"{EC2}:subnet/{network.subnets[0]}"]
    associated = asked(lambda: ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnets[0]))
    assert sorted(associated) == [f"ec2:AssociateRouteTable {arn}" for arn in both]
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    (association,) = (route["RouteTableAssociationId"] for route in found["Associations"])
    gone = asked(lambda: ec2.disassociate_route_table(AssociationId=association))
    assert sorted(gone) == [f"ec2:DisassociateRouteTable {arn}" for arn in both]
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=network.vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": other}]}
    opened = asked(lambda: ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[rule]))
    assert opened == [f"ec2:AuthorizeSecurityGroupIngress {EC2}:security-group/{network.group}"]
    removed = asked(lambda: ec2.delete_launch_template(LaunchTemplateName="example"))
    assert removed[0].startswith(f"ec2:DeleteLaunchTemplate {EC2}:launch-template/lt-")
    assert asked(ec2.describe_vpcs) == ["ec2:DescribeVpcs *"]


def test_a_launch_needs_access_to_its_templates_resources_and_pass_role(aws: LittleAws, asked: Asked) -> None:
    network, role = aws.network(), aws.role("node")
    interface = [{"DeviceIndex": 0, "Groups": [network.group], "SubnetId": network.subnets[0]}]
    more = {"IamInstanceProfile": {"Name": "node"}, "TagSpecifications": tagged("volume")}
    aws.template("example", network.group, NetworkInterfaces=interface, **more)
    named = {"LaunchTemplateName": "example", "Version": "$Latest"}
    wanted = asked(lambda: aws.client("ec2").run_instances(LaunchTemplate=named, MinCount=1, MaxCount=1))
    template = next(resource for resource in wanted if "launch-template" in resource)
    launched = ["instance/*", "network-interface/*", "volume/*", f"subnet/{network.subnets[0]}"]
    assert sorted(wanted) == sorted(
        [
            template,
            f"ec2:RunInstances arn:aws:ec2:{REGION}::image/{IMAGE}",
            f"ec2:RunInstances {EC2}:security-group/{network.group}",
            *(f"ec2:RunInstances {EC2}:{resource}" for resource in launched),
            f"ec2:CreateTags {EC2}:volume/*",
            f"iam:PassRole {role}",
        ]
    )


def test_a_group_needs_run_instances_and_the_service_linked_role(aws: LittleAws) -> None:
    aws.client("iam").delete_service_linked_role(RoleName=SERVICE_ROLE)
    network, role = aws.network(), aws.role("node")
    aws.template("example", network.group, IamInstanceProfile={"Name": "node"})
    service = "autoscaling.amazonaws.com"
    linked = f"{IAM}:role/aws-service-role/{service}/AWSServiceRoleForAutoScaling"
    statements = {
        "groups": allow("autoscaling:CreateAutoScalingGroup", when=REQUESTED),
        "launches": allow("ec2:RunInstances"),
        "roles": allow("iam:PassRole", on=role, when={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        "linked": allow(
            "iam:CreateServiceLinkedRole", on=linked, when={"StringEquals": {"iam:AWSServiceName": service}}
        ),
    }
    group = {
        "AutoScalingGroupName": "example",
        "MinSize": 0,
        "MaxSize": 1,
        "VPCZoneIdentifier": network.subnets[0],
        "LaunchTemplate": {"LaunchTemplateName": "example"},
        "Tags": [{**OURS, "PropagateAtLaunch": True}],
    }
    for missing in statements:
        has = [statement for name, statement in statements.items() if name != missing]
        lacking = aws.client("autoscaling", aws.user(f"without-{missing}", *has))
        assert refused(lacking.create_auto_scaling_group, **group) == "AccessDenied"
    aws.client("autoscaling", aws.user("operator", *statements.values())).create_auto_scaling_group(**group)
    assert aws.members("example") == []


# The others

SERVICES = ("cloudwatch", "events", "kms", "logs", "secretsmanager", "sns", "sqs")
ARN = {service: f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}" for service in SERVICES}
Calls = Mapping[str, tuple[str, Callable[[Any], Any], list[str]]]
CALLS: Calls = {
    "a queue with tags": (
        "sqs",
        lambda sqs: sqs.create_queue(QueueName="q", tags={"a": "b"}),
        [f"sqs:CreateQueue {ARN['sqs']}:q", f"sqs:TagQueue {ARN['sqs']}:q"],
    ),
    "a topic with tags": (
        "sns",
        lambda sns: sns.create_topic(Name="t", Tags=[{"Key": "a", "Value": "b"}]),
        [f"sns:CreateTopic {ARN['sns']}:t", f"sns:TagResource {ARN['sns']}:t"],
    ),
    "a rule with tags": (
        "events",
        lambda events: events.put_rule(Name="r", ScheduleExpression="rate(1 day)", Tags=[{"Key": "a", "Value": "b"}]),
        [f"events:PutRule {ARN['events']}:rule/r", f"events:TagResource {ARN['events']}:rule/r"],
    ),
    "a log group with tags": (
        "logs",
        lambda logs: logs.create_log_group(logGroupName="/g", tags={"a": "b"}),
        [f"logs:CreateLogGroup {ARN['logs']}:log-group:/g:*", f"logs:TagResource {ARN['logs']}:log-group:/g"],
    ),
    "log groups": ("logs", lambda logs: logs.describe_log_groups(), ["logs:DescribeLogGroups *"]),
    "a dashboard": (
        "cloudwatch",
        lambda cloudwatch: cloudwatch.put_dashboard(DashboardName="d", DashboardBody='{"widgets": []}'),
        [f"cloudwatch:PutDashboard arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/d"],
    ),
    "alarms": (
        "cloudwatch",
        lambda cloudwatch: cloudwatch.delete_alarms(AlarmNames=["example/a", "example/b"]),
        [f"cloudwatch:DeleteAlarms {ARN['cloudwatch']}:alarm:example/{name}" for name in "ab"],
    ),
    "a key with tags": (
        "kms",
        lambda kms: kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}]),
        ["kms:CreateKey *", f"kms:TagResource {ARN['kms']}:key/*"],
    ),
    "a role with tags": (
        "iam",
        lambda iam: iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}", Tags=[{"Key": "a", "Value": "b"}]),
        [f"iam:CreateRole {IAM}:role/r", f"iam:TagRole {IAM}:role/r"],
    ),
    "tags": ("resourcegroupstaggingapi", lambda tagging: tagging.get_resources(), ["tag:GetResources *"]),
    "zones": ("route53", lambda route53: route53.list_hosted_zones_by_name(), ["route53:ListHostedZonesByName *"]),
    "the caller": ("sts", lambda sts: sts.get_caller_identity(), []),
    "a bucket of its owner's alone": (
        "s3",
        lambda s3: s3.create_bucket(
            Bucket="bucket",
            ObjectOwnership="BucketOwnerEnforced",
            CreateBucketConfiguration={"LocationConstraint": REGION},
        ),
        ["s3:CreateBucket arn:aws:s3:::bucket", "s3:PutBucketOwnershipControls arn:aws:s3:::bucket"],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_needs_its_documented_actions(aws: LittleAws, asked: Asked, name: str) -> None:
    service, call, wanted = CALLS[name]
    assert asked(lambda: call(aws.client(service))) == wanted


def test_an_alias_needs_permission_for_itself_and_its_key(aws: LittleAws, asked: Asked) -> None:
    kms = aws.client("kms")
    key, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    alias = f"{ARN['kms']}:alias/a"
    made = asked(lambda: kms.create_alias(AliasName="alias/a", TargetKeyId=key))
    assert made == [f"kms:CreateAlias {alias}", f"kms:CreateAlias {key}"]
    moved = asked(lambda: kms.update_alias(AliasName="alias/a", TargetKeyId=other))
    assert sorted(moved) == sorted(f"kms:UpdateAlias {arn}" for arn in (alias, key, other))
    assert asked(lambda: kms.delete_alias(AliasName="alias/a")) == [f"kms:DeleteAlias {arn}" for arn in (alias, other)]


def test_an_object_version_has_its_own_delete_permission(aws: LittleAws, asked: Asked) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="bucket", Key="k", Body=b"")["VersionId"]
    doomed = {"Objects": [{"Key": "k"}, {"Key": "k", "VersionId": version}]}
    gone = asked(lambda: s3.delete_objects(Bucket="bucket", Delete=doomed))
    assert gone == ["s3:DeleteObject arn:aws:s3:::bucket/k", "s3:DeleteObjectVersion arn:aws:s3:::bucket/k"]


def test_adding_a_role_to_a_profile_needs_pass_role(aws: LittleAws, asked: Asked) -> None:
    aws.role("other")
    iam = aws.client("iam")
    iam.create_instance_profile(InstanceProfileName="node")
    added = asked(lambda: iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="other"))
    assert added == [f"iam:AddRoleToInstanceProfile {IAM}:instance-profile/node", f"iam:PassRole {IAM}:role/other"]


def test_a_secret_under_a_customer_key_needs_access_to_the_key(aws: LittleAws, asked: Asked) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    secrets = aws.client("secretsmanager")
    made = asked(lambda: secrets.create_secret(Name="s", SecretString="x", KmsKeyId=key, Tags=[OURS]))
    arn = f"{ARN['secretsmanager']}:secret:s-??????"
    actions = [f"secretsmanager:CreateSecret {arn}", f"secretsmanager:TagResource {arn}"]
    assert made == [*actions, f"kms:GenerateDataKey {key}", f"kms:Decrypt {key}"]
