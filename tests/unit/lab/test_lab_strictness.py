"""The lab refuses what AWS refuses."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.lab.fakes import IMAGE, REGION, LittleAws, Network, allow, refused


@pytest.fixture
def zone(aws: LittleAws) -> str:
    found: str = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    return found


def change(aws: LittleAws, zone: str, action: str, values: list[str], **more: Any) -> Any:
    records = [{"Value": value} for value in values]
    record = {"Name": "app.swarm.test", "Type": "A", "TTL": 10, "ResourceRecords": records, **more}
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    return aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


@pytest.mark.parametrize(
    ("action", "values", "more", "said"),
    [
        ("UPSERT", ["198.51.100.1", "198.51.100.1"], {}, "Duplicate"),
        ("UPSERT", ["not an address"], {}, "IPv4"),
        ("UPSERT", [f"10.0.{n // 250}.{n % 250}" for n in range(401)], {}, "400"),
        ("UPSERT", ["no quotes"], {"Type": "TXT"}, "quotation"),
        ("UPSERT", ["198.51.100.1"], {"Name": "app.other.test"}, "not permitted in zone"),
        ("DELETE", ["198.51.100.1"], {}, "not found"),
    ],
)
def test_an_invalid_record_is_refused(
    aws: LittleAws, zone: str, action: str, values: list[str], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said) as error:
        change(aws, zone, action, values, **more)
    assert error.value.response["Error"]["Code"] == "InvalidChangeBatch"


def test_a_record_is_created_once_and_deleted_by_its_exact_values(aws: LittleAws, zone: str) -> None:
    change(aws, zone, "CREATE", ["198.51.100.1"])
    assert refused(lambda: change(aws, zone, "CREATE", ["198.51.100.2"])) == "InvalidChangeBatch"
    change(aws, zone, "UPSERT", ["198.51.100.2", "198.51.100.3"])
    assert refused(lambda: change(aws, zone, "DELETE", ["198.51.100.1"])) == "InvalidChangeBatch"
    change(aws, zone, "DELETE", ["198.51.100.3", "198.51.100.2"])
    found = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert "A" not in {record["Type"] for record in found}


def make_template(aws: LittleAws, name: str = "example", **data: Any) -> Any:
    return aws.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)


def test_user_data_above_the_limit_is_refused(aws: LittleAws) -> None:
    def sized(count: int) -> str:
        return base64.b64encode(b"x" * count).decode()

    assert refused(lambda: make_template(aws, UserData=sized(16385))) == "InvalidParameterValue"
    assert refused(lambda: make_template(aws, UserData="not base64!")) == "InvalidUserData.Malformed"
    make_template(aws, UserData=sized(16384))
    version = {"LaunchTemplateName": "example", "LaunchTemplateData": {"UserData": sized(16385)}}
    assert refused(aws.client("ec2").create_launch_template_version, **version) == "InvalidParameterValue"


def test_a_template_name_must_be_unique(aws: LittleAws) -> None:
    make_template(aws, InstanceType="t3.small")
    code = "InvalidLaunchTemplateName.AlreadyExistsException"
    assert refused(lambda: make_template(aws, InstanceType="t3.small")) == code


@pytest.mark.parametrize(
    "data",
    [
        {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.small"},
        {"ImageId": IMAGE, "InstanceType": "t9.colossal"},
        {"ImageId": IMAGE, "InstanceType": "t4g.small"},
        {"ImageId": IMAGE, "InstanceType": "t3.small", "KeyName": "lost"},
    ],
    ids=["image", "type", "architecture", "key"],
)
def test_an_invalid_template_gives_a_warning_and_cannot_launch(aws: LittleAws, data: dict[str, Any]) -> None:
    assert make_template(aws, **data)["Warning"]["Errors"]
    network = aws.network()
    assert refused(lambda: aws.group("example", network)) == "ValidationError"
    launch = {"LaunchTemplate": {"LaunchTemplateName": "example"}, "MinCount": 1, "MaxCount": 1}
    assert refused(aws.client("ec2").run_instances, **launch).startswith("Invalid")


def test_a_templates_own_tags_are_not_on_its_instances(aws: LittleAws) -> None:
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    ec2, data = aws.client("ec2"), {"InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="example", LaunchTemplateData=data, TagSpecifications=tags)
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    assert template["Tags"] == [{"Key": "a", "Value": "b"}]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="example")["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == data


def test_a_single_claim_of_an_object_wins(aws: LittleAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="discovery", CreateBucketConfiguration={"LocationConstraint": REGION})

    cluster_record = {"Bucket": "discovery", "Key": "cluster.json"}

    def claim(number: int) -> str | None:
        try:
            s3.put_object(**cluster_record, Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(claim, range(8)))
    assert outcomes.count(None) == 1
    assert set(outcomes) == {None, "PreconditionFailed"}
    etag = s3.head_object(**cluster_record)["ETag"]
    s3.put_object(**cluster_record, Body=b"new", IfMatch=etag)
    assert refused(s3.put_object, **cluster_record, Body=b"old", IfMatch=etag) == "PreconditionFailed"
    assert refused(s3.put_object, Bucket="discovery", Key="other", Body=b"", IfMatch=etag) == "NoSuchKey"


@pytest.mark.parametrize("encryption", ["AES256", "aws:kms"])
def test_an_etag_is_the_md5_unless_kms_encrypts_the_object(aws: LittleAws, encryption: str) -> None:
    s3, bucket = aws.client("s3"), encryption.replace(":", "-").lower()
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": encryption}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    first, second = (s3.put_object(Bucket=bucket, Key="policy.json", Body=b"{}")["ETag"] for _ in range(2))
    md5 = f'"{hashlib.md5(b"{}").hexdigest()}"'
    assert (first == md5, first == second) == (encryption == "AES256", encryption == "AES256")
    assert s3.head_object(Bucket=bucket, Key="policy.json")["ETag"] == second


def test_resources_in_use_cannot_be_deleted(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc)
    aws.group("example", network)
    aws.settled("example", 3)
    deletions = (
        lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=network.vpc),
        lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway),
        lambda: ec2.delete_security_group(GroupId=network.group),
        lambda: ec2.delete_subnet(SubnetId=network.subnets[0]),
        lambda: ec2.delete_vpc(VpcId=network.vpc),
    )
    for delete in deletions:
        assert refused(delete) == "DependencyViolation"
    aws.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="example", ForceDelete=True)
    ids = [spec.instance_id for spec in aws.machines.launched]
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids)
    for subnet in network.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    for delete in deletions[:3]:
        delete()
    ec2.delete_vpc(VpcId=network.vpc)
    assert network.vpc not in aws.machines.vpcs


def test_a_security_group_has_no_name_like_an_id_and_few_rules(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    made = {"Description": "sg", "VpcId": network.vpc}
    assert refused(ec2.create_security_group, GroupName="sg-member", **made) == "InvalidParameterValue"
    ranges = [{"CidrIp": f"198.51.100.{number}/32"} for number in range(61)]
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": ranges}
    authorize = ec2.authorize_security_group_ingress
    assert refused(authorize, GroupId=network.group, IpPermissions=[rule]) == "RulesPerSecurityGroupLimitExceeded"


def test_a_role_in_use_cannot_be_deleted(aws: LittleAws) -> None:
    aws.role("node", allow("s3:*"))
    iam = aws.client("iam")
    assert refused(lambda: iam.delete_role(RoleName="node")) == "DeleteConflict"
    assert refused(lambda: iam.delete_instance_profile(InstanceProfileName="node")) == "DeleteConflict"
    iam.delete_role_policy(RoleName="node", PolicyName="swarm")
    assert refused(lambda: iam.delete_role(RoleName="node")) == "DeleteConflict"
    iam.remove_role_from_instance_profile(InstanceProfileName="node", RoleName="node")
    iam.delete_role(RoleName="node")
    iam.delete_instance_profile(InstanceProfileName="node")


def test_the_default_key_for_volumes_is_managed_by_aws(aws: LittleAws) -> None:
    kms = aws.client("kms")
    aws.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=True)
    of_aws = kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    own = kms.create_key()["KeyMetadata"]
    rotated = [kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] for key in (of_aws, own)]
    assert (of_aws["KeyManager"], own["KeyManager"], rotated) == ("AWS", "CUSTOMER", [True, False])
