"""fleet_info, on an account in memory."""

from __future__ import annotations

import json

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from ansible_collections.swarm.aws.plugins.modules import fleet_info
from moto.ec2.models import ec2_backends

from tests.unit.account.account import ACCOUNT_ID, REGION, Account, account

BUCKET = f"example-swarm-{ACCOUNT_ID}-{REGION}"
GIVEN = {"cluster_name": "example", "account_id": ACCOUNT_ID}


@pytest.fixture
def aws_account():
    """An account with an instance of the cluster and an instance of another cluster."""
    with account() as found:
        image = found.aws.client("ec2").register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
        # moto accepts no architecture for an image.
        ec2_backends[ACCOUNT_ID][REGION].amis[image].architecture = "x86_64"
        for cluster in ("example", "other"):
            tags = [{"Key": "swarm.aws/cluster", "Value": cluster}, {"Key": "swarm.aws/role", "Value": "manager"}]
            found.aws.client("ec2").run_instances(
                ImageId=image,
                InstanceType="t3.small",
                MinCount=1,
                MaxCount=1,
                UserData="password=hidden",
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
        yield found


def fleet(aws_account: Account, **more):
    return aws_account.run(fleet_info.ARGUMENTS, fleet_info.work, {**GIVEN, **more})


def write(aws_account: Account, key: str, document: object) -> None:
    aws_account.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())


def test_without_a_bucket_instances_are_listed_and_failures_named(aws_account):
    found = fleet(aws_account)
    (row,) = found["members"]
    assert (row["role"], row["state"], row["kind"], row["node"]) == ("manager", "running", "t3.small", None)
    assert (found["record"], found["last_actions"], found["agent"]["at"]) == (None, [], None)
    assert all("NoSuchBucket" in failure for failure in found["failures"]) and found["failures"]
    assert not found["changed"]
    assert found["msg"] == "no instances running"


def test_the_record_and_the_agents_status_are_reported(aws_account):
    aws_account.aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    zone = aws_account.aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"][
        "Id"
    ]
    dns = {"zone_id": zone.rsplit("/", 1)[-1], "record": "www.example.com", "ttl": 60}
    write(aws_account, "policy.json", {"cluster": "example", "groups": {"manager": {"role": "manager"}}, "dns": dns})
    write(aws_account, "manager/status.json", {"at": "then", "version": "1", "last_actions": [{"action": "Drain"}]})
    found = fleet(aws_account)
    assert found["record"]["name"] == "www.example.com"
    assert (found["record"]["ipv4_values"], found["record"]["wanted"]) == ([], None)
    assert (found["agent"], found["last_actions"]) == ({"at": "then", "version": "1"}, [{"action": "Drain"}])
    assert found["failures"] == []


def test_raw_answers_are_of_this_cluster_and_without_user_data(aws_account):
    found = fleet(aws_account, answers=True)["answers"]
    told = json.dumps(found, default=str)
    assert "hidden" not in told and '"other"' not in told
    assert len(found["ec2 describe_instances"][0]["Reservations"]) == 1
    assert "NoSuchBucket" in found["s3 list_objects_v2"][0]


def test_another_account_is_refused(aws_account):
    with pytest.raises(ProvisionError, match=f"for the account {ACCOUNT_ID}, but account_id is 999999999999"):
        fleet(aws_account, account_id="999999999999")


def test_a_refusal_by_ec2_is_an_error(aws_account):
    with aws_account.refusing("DescribeInstances"), pytest.raises(ProvisionError, match="AWS refused to describe"):
        fleet(aws_account)
