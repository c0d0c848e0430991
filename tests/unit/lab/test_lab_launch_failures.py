"""Launches that fail, each for AWS's reason and in AWS's words, and the calls that tell the account's limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import KIND, STRICT
from lab.aws.launch_failures import QUOTA, SERVICE_ROLE, SERVICE_ROLE_ARN
from tests.unit.lab.fakes import LittleAws, little_aws, refused, until

pytestmark = pytest.mark.real("a server: the lab's AWS is what its clients are answered over HTTP")
TAG = {"Key": "swarm.aws/group", "Value": "worker", "PropagateAtLaunch": True}
DISK = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": True}}
KMS = "arn:aws:kms:eu-west-1:123456789012:key/6ad5b1f1-0000-4000-8000-000000000001"
FAILED = "Launching EC2 instance failed."
ZONE_A = frozenset({"t3.small"})


def activities(aws: LittleAws) -> list[dict[str, Any]]:
    """The group's activities, the newest first."""
    found: list[dict[str, Any]] = aws.client("autoscaling").describe_scaling_activities(AutoScalingGroupName="example")[
        "Activities"
    ]
    return found


def failure(aws: LittleAws) -> dict[str, Any]:
    """The group's first failed activity."""
    failed = until(
        lambda: [activity for activity in activities(aws) if activity["StatusCode"] == "Failed"], "a failed launch"
    )
    return dict(failed[-1])


def start(aws: LittleAws, capacity: int = 1, template: Mapping[str, Any] | None = None, **group: Any) -> None:
    network = aws.network()
    aws.template("example", network.group, **(template or {}))
    aws.group("example", network, capacity, **group)


def key_policy(*statements: Mapping[str, Any]) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**root, "Resource": "*"}, *statements]})


ROLES_USE = {
    "Effect": "Allow",
    "Principal": {"AWS": [SERVICE_ROLE_ARN]},
    "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"],
    "Resource": "*",
}


def test_launches_beyond_the_vcpu_quota_fail_and_the_others_run() -> None:
    with little_aws(replace(KIND, vcpu_quota=5)) as aws:
        start(aws, 3)
        message = failure(aws)["StatusMessage"]
        assert message.startswith("You have requested more vCPU capacity than your current vCPU limit of 5 allows")
        assert message.endswith(FAILED)
        assert len(aws.settled("example", 2)) == 2
        quota = aws.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=QUOTA)["Quota"]
        assert quota["Value"] == 5


def test_spot_instances_do_not_count_towards_the_quota_of_on_demand() -> None:
    with little_aws(replace(KIND, vcpu_quota=2)) as aws:
        network = aws.network()
        aws.template("example", network.group)
        aws.launch("example", network.subnets[0], network.group)
        launch = {"LaunchTemplate": {"LaunchTemplateName": "example"}, "MinCount": 1, "MaxCount": 1}
        launch["SubnetId"] = network.subnets[0]
        del launch["SubnetId"]
        assert refused(lambda: aws.launch("example", network.subnets[0], network.group)) == "VcpuLimitExceeded"
        aws.client("ec2").run_instances(**launch, InstanceMarketOptions={"MarketType": "spot"})


def test_a_zone_without_the_type_fails_and_another_zone_is_tried() -> None:
    with little_aws(replace(KIND, absent_types={"eu-west-1a": ZONE_A})) as aws:
        start(aws)
        assert failure(aws)["StatusMessage"] == (
            "Your requested instance type (t3.small) is not supported in your requested Availability Zone "
            "(eu-west-1a). Please retry your request by not specifying an Availability Zone or choosing eu-west-1b, "
            f"eu-west-1c. {FAILED}"
        )
        (member,) = aws.settled("example", 1)
        assert member["AvailabilityZone"] == "eu-west-1b"
        offers = aws.client("ec2").describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.small"]}]
        )["InstanceTypeOfferings"]
        assert sorted(offer["Location"] for offer in offers) == ["eu-west-1b", "eu-west-1c"]


def test_a_group_of_several_types_takes_the_next_type_in_the_zone() -> None:
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "example", "Version": "1"},
            "Overrides": [{"InstanceType": "t3.small"}, {"InstanceType": "t3a.small"}],
        }
    }
    with little_aws(replace(KIND, absent_types={"eu-west-1a": ZONE_A})) as aws:
        start(aws, LaunchTemplate={}, MixedInstancesPolicy=policy)
        (member,) = aws.settled("example", 1)
        assert (member["AvailabilityZone"], member["InstanceType"]) == ("eu-west-1a", "t3a.small")
        assert [activity["StatusCode"] for activity in activities(aws)] == ["Successful"]


def test_capacity_that_ran_out_everywhere_is_told_by_zone() -> None:
    nowhere = dict.fromkeys(("eu-west-1a", "eu-west-1b", "eu-west-1c"), ZONE_A)
    with little_aws(replace(KIND, exhausted_types=nowhere)) as aws:
        start(aws)
        assert failure(aws)["StatusMessage"].startswith(
            "We currently do not have sufficient t3.small capacity in the Availability Zone you requested (eu-west-1a)"
        )
        assert len({activity["StatusMessage"] for activity in activities(aws)}) == 3


@pytest.mark.parametrize("said", ["disabled", None])
def test_metadata_tags_of_the_account_refuse_slashes_unless_disabled(said: str | None) -> None:
    options = {"HttpTokens": "required", **({"InstanceMetadataTags": said} if said else {})}
    with little_aws(replace(KIND, metadata_tags_default="enabled")) as aws:
        start(aws, template={"MetadataOptions": options}, Tags=[TAG])
        ec2 = aws.client("ec2")
        assert ec2.get_instance_metadata_defaults()["AccountLevel"]["InstanceMetadataTags"] == "enabled"
        if said:
            assert aws.settled("example", 1)
            return
        assert failure(aws)["StatusMessage"] == (
            "'swarm.aws/group' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\\\-_+=,.@:]{1,255}), "
            f"and must not be a reserved name ('.', '..', '_index'). {FAILED}"
        )
        ec2.modify_instance_metadata_defaults(InstanceMetadataTags="disabled")
        aws.settled("example", 1)


def test_a_key_that_the_service_linked_role_may_not_use_ends_instances() -> None:
    with little_aws(replace(KIND, ebs_default_key=KMS)) as aws:
        assert aws.client("ec2").get_ebs_default_kms_key_id()["KmsKeyId"] == KMS
        start(aws, template={"BlockDeviceMappings": [DISK]})
        activity = failure(aws)
        assert activity["StatusMessage"] == (
            "Instance became unhealthy while waiting for instance to be in InService state. "
            "Termination Reason: Client.InternalError: Client error on launch"
        )
        assert activity["Description"].startswith("Launching a new EC2 instance: i-")
        assert aws.machines.launched == []
        aws.client("kms").put_key_policy(KeyId=KMS, PolicyName="default", Policy=key_policy(ROLES_USE))
        aws.settled("example", 1)


def test_a_grant_lets_the_service_linked_role_use_a_key() -> None:
    with little_aws(replace(KIND, ebs_default_key=KMS)) as aws:
        aws.client("kms").create_grant(KeyId=KMS, GranteePrincipal=SERVICE_ROLE_ARN, Operations=["Decrypt"])
        start(aws, template={"BlockDeviceMappings": [DISK]})
        aws.settled("example", 1)


def test_a_disabled_key_ends_instances() -> None:
    with little_aws(replace(KIND, ebs_default_key=KMS)) as aws:
        aws.client("kms").disable_key(KeyId=KMS.rsplit("/", 1)[1])
        start(aws, template={"BlockDeviceMappings": [DISK]})
        assert "Client.InvalidKMSKey.InvalidState" in failure(aws)["StatusMessage"]


@pytest.mark.parametrize("key", [None, "alias/aws/ebs"])
def test_aws_own_key_needs_no_permission(key: str | None) -> None:
    with little_aws() as aws:
        disk = {**DISK, "Ebs": {**DISK["Ebs"], **({"KmsKeyId": key} if key else {})}}
        start(aws, template={"BlockDeviceMappings": [disk]})
        aws.settled("example", 1)


def test_a_deleted_key_pair_fails_launches() -> None:
    with little_aws() as aws:
        aws.client("ec2").create_key_pair(KeyName="operator")
        start(aws, 0, template={"KeyName": "operator"})
        aws.client("ec2").delete_key_pair(KeyName="operator")
        aws.desire("example", 1)
        assert failure(aws)["StatusMessage"] == f"The key pair 'operator' does not exist. {FAILED}"


def test_first_launches_of_an_account_wait_for_the_service_linked_role() -> None:
    with little_aws(replace(STRICT, metadata_tags_default="disabled", throttled=0, visible_seconds=0.3)) as aws:
        iam = aws.client("iam")
        with pytest.raises(ClientError, match="NoSuchEntity"):
            iam.get_role(RoleName=SERVICE_ROLE)
        start(aws)
        assert failure(aws)["StatusMessage"].startswith("Access denied when attempting to assume role arn:aws:iam::")
        assert iam.get_role(RoleName=SERVICE_ROLE)["Role"]["Arn"] == SERVICE_ROLE_ARN
        aws.settled("example", 1)
