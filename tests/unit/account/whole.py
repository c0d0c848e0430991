"""A whole cluster in the account in memory, as site.yml would build it, and what happens to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.account.resources import destroy as destroying
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import cluster_destroy, cluster_resources_info

from tests.unit.account.account import ACCOUNT_ID, REGION, Account
from tests.unit.account.cases import cloud_map, cloudwatch, groups, policy
from tests.unit.account.cases.case import CLUSTER
from tests.unit.account.ground import ENDPOINTS, ZONES, group_of, network, security_groups, subnet_of, vpc_of
from tests.unit.existing import Existing
from tests.unit.lab.fakes import EC2_TRUST

WHO: Mapping[str, Any] = {"cluster_name": CLUSTER, "account_id": ACCOUNT_ID}
OWNER = f"heritage=swarm.aws,cluster={CLUSTER},region={REGION}"
RECORD = "www.swarm.test"
QUEUE, TOPIC = f"{CLUSTER}-events", f"{CLUSTER}-alarms"
TAG = [{"Key": "swarm.aws/cluster", "Value": CLUSTER}]
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
TRUST = json.dumps(EC2_TRUST)
BUCKET = policy.BUCKET


def build(account: Account, theirs: Existing | None = None) -> None:
    """What the roles of site.yml run, in their order, and what the agents make afterwards.

    :param theirs: an existing network, in which only the security groups are the cluster's.
    """
    if theirs is None:
        subnets = network(account.aws).public
    else:
        subnets = dict(theirs.subnets)
        security_groups(account.aws, theirs.vpc)
    for name in (groups.MANAGER, groups.WORKER):
        groups.template(account.aws, name)
    events(account.aws)
    discovery(account)
    roles(account.aws)
    groups.CASE.run(account, groups.params(subnets))
    cloudwatch.CASE.run(account, cloudwatch.CASE.prepare(account))
    account.aws.client("sns").create_topic(Name=TOPIC, Tags=TAG)
    account.aws.client("logs").create_log_group(logGroupName=f"/swarm/{CLUSTER}", tags={"swarm.aws/cluster": CLUSTER})


def events(aws: AwsSession) -> None:
    """The queues, and the rule, which has no tags."""
    for name in (QUEUE, f"{QUEUE}-dead"):
        aws.client("sqs").create_queue(QueueName=name, tags={"swarm.aws/cluster": CLUSTER})
    aws.client("events").put_rule(Name=QUEUE, EventPattern=json.dumps({"source": ["aws.ec2"]}))
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{QUEUE}"}
    aws.client("events").put_targets(Rule=QUEUE, Targets=[target])


def roles(aws: AwsSession) -> None:
    """The IAM roles with their policies and instance profiles."""
    for name in (f"{CLUSTER}-manager", f"{CLUSTER}-worker"):
        aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=TAG)
        aws.client("iam").put_role_policy(RoleName=name, PolicyName="swarm", PolicyDocument=ALLOW)
        aws.client("iam").create_instance_profile(InstanceProfileName=name, Tags=TAG)
        aws.client("iam").add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def discovery(account: Account) -> None:
    """The bucket, its key and its objects, as the role discovery leaves them to be found."""
    aws = account.aws
    key = aws.client("kms").create_key(Tags=[{"TagKey": tags.CLUSTER, "TagValue": CLUSTER}])["KeyMetadata"]["Arn"]
    aws.client("kms").create_alias(AliasName=f"alias/{CLUSTER}-swarm", TargetKeyId=key)
    policy.CASE.run(account, policy.CASE.prepare(account))
    aws.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws.client("s3").put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    aws.client("s3").put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": TAG})
    put(aws, "agent/0.pyz", b"")


def publish(aws: AwsSession, zone: str, owner: str = OWNER) -> None:
    """What an agent writes into the hosted zone."""
    sets = [
        {"Name": RECORD, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.7"}]},
        {"Name": f"_swarm-aws.{RECORD}", "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": f'"{owner}"'}]},
    ]
    changes = [{"Action": "CREATE", "ResourceRecordSet": record} for record in sets]
    aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def register(account: Account) -> str:
    """A Cloud Map service in the operator's namespace, with an instance that an agent has registered; its ID."""
    service = cloud_map.CASE.run(account, cloud_map.PARAMS)["service_id"]
    attributes = {"AWS_INSTANCE_IPV4": "198.51.100.7"}
    account.aws.client("servicediscovery").register_instance(ServiceId=service, InstanceId="i-7", Attributes=attributes)
    return str(service)


def zone(aws: AwsSession) -> str:
    """A hosted zone, which is the user's."""
    made = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    return made.rsplit("/", 1)[-1]


def put(aws: AwsSession, key: str, *bodies: bytes) -> None:
    """Versions of an object."""
    for body in bodies:
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def destroy(account: Account, *, check: bool = False, **more: Any) -> dict[str, Any]:
    with account.passing_time(destroying):
        return account.run(cluster_destroy.ARGUMENTS, cluster_destroy.work, {**WHO, **more}, check=check)


def look(account: Account, configuration: Mapping[str, Any] | None = None) -> dict[str, Any]:
    more = {} if configuration is None else {"configuration": configuration}
    return account.run(cluster_resources_info.ARGUMENTS, cluster_resources_info.work, {**WHO, **more})


def configuration(**more: Any) -> dict[str, Any]:
    """What `build` has made, as the preflight leaves it."""
    return {
        **cloudwatch.CONFIGURATION,
        "zones": ZONES,
        "private_nodes": {"nat": "one", "endpoints": []},
        "node_groups": groups.GROUPS,
        "dns": {"record": RECORD, "cloud_map": None},
        **more,
    }


def endpoint(aws: AwsSession) -> str:
    """An interface endpoint, such as stands beside a NAT gateway when the way from one to the other was cut."""
    made = aws.client("ec2").create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=vpc_of(aws),
        ServiceName=f"com.amazonaws.{REGION}.ec2",
        SubnetIds=[subnet_of(aws, f"{ZONES[0]}-private")],
        SecurityGroupIds=[group_of(aws, ENDPOINTS)["GroupId"]],
        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": TAG}],
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def guard_duty(aws: AwsSession) -> None:
    """The endpoint and the security group that GuardDuty's runtime monitoring makes in a VPC with instances."""
    vpc, tags = vpc_of(aws), [{"Key": "GuardDutyManaged", "Value": "true"}]
    group = aws.client("ec2").create_security_group(
        GroupName=f"GuardDutyManagedSecurityGroup-{vpc}",
        Description="Associated with VPC",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )
    aws.client("ec2").create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.guardduty-data",
        SubnetIds=[subnet_of(aws, zone) for zone in ZONES],
        SecurityGroupIds=[group["GroupId"]],
        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": tags}],
    )
