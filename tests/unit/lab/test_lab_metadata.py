"""The metadata service answers only instances, each about itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from lab.aws import credentials
from tests.unit.lab.fakes import ACCOUNT_ID, LittleAws, allow, refused, until

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvDESHALF4fvspa8SAXNLVYsxyh9dIkh1T5WRGp5REK me"
ID, TOKEN = "/latest/meta-data/instance-id", "/latest/api/token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


@pytest.fixture
def address(aws: LittleAws) -> str:
    """The private address of an instance in a group."""
    network = aws.network()
    aws.role("node", allow("ec2:DescribeInstances"))
    aws.client("ec2").import_key_pair(KeyName="mine", PublicKeyMaterial=KEY.encode())
    aws.template("example", network.group, IamInstanceProfile={"Name": "node"}, KeyName="mine")
    aws.group("example", network, capacity=1)
    (member,) = aws.settled("example", 1)
    return aws.machines.running[member["InstanceId"]].private_ip


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", ID, {}, 401),
        ("GET", ID, {"X-aws-ec2-metadata-token": "x"}, 401),
        ("PUT", TOKEN, {}, 400),
        ("PUT", TOKEN, {TTL: "0"}, 400),
        ("PUT", TOKEN, {TTL: "21601"}, 400),
        ("PUT", TOKEN, {TTL: "60", "X-Forwarded-For": "10.0.0.1"}, 403),
    ],
)
def test_metadata_needs_a_token_and_a_valid_request(
    aws: LittleAws, address: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    assert aws.ask(method, path, address, headers)[0] == status
    assert aws.ask("PUT", TOKEN, "127.0.0.1", {TTL: "60"})[0] == 404, "the address belongs to no instance"


def test_a_token_expires(aws: LittleAws, address: str) -> None:
    token = aws.token(address, seconds=1)
    assert aws.ask("GET", ID, address, token)[0] == 200
    until(lambda: aws.ask("GET", ID, address, token)[0] == 401, "the token's end")


def test_a_token_is_only_valid_on_its_instance(aws: LittleAws, address: str) -> None:
    token = aws.token(address)
    aws.desire("example", 2)
    aws.settled("example", 2)
    other = next(spec.private_ip for spec in aws.machines.running.values() if spec.private_ip != address)
    assert aws.ask("GET", ID, other, token)[0] == 401


def test_cloud_init_can_crawl_the_metadata_tree(aws: LittleAws, address: str) -> None:
    token = aws.token(address)

    def get(path: str) -> str:
        status, content = aws.ask("GET", path, address, token)
        assert status == 200, path
        return content

    def crawl(path: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for entry in get(path).splitlines():
            if entry.endswith("/"):
                if entry != "security-credentials/":
                    found[entry[:-1]] = crawl(path + entry)
            else:
                number, equals, _ = entry.partition("=")
                found[entry] = get(f"{path}{number}/openssh-key" if equals else path + entry)
        return found

    tree = crawl("/2021-03-23/meta-data/")
    (instance_id,) = aws.machines.running
    assert tree["instance-id"] == instance_id
    assert tree["local-ipv4"] == address
    assert tree["public-ipv4"] == aws.machines.running[instance_id].public_ip
    assert tree["placement"]["availability-zone"] == "eu-west-1a"  # type: ignore[index]
    assert tree["public-keys"] == {"0=mine": f"{KEY}\n"}
    assert tree["autoscaling"] == {"target-lifecycle-state": "InService"}
    assert "tags" not in tree
    assert get("/2021-03-23/user-data") == "#cloud-config\n"
    identity = json.loads(get("/latest/dynamic/instance-identity/document"))
    assert (identity["instanceId"], identity["accountId"]) == (instance_id, ACCOUNT_ID)
    assert "latest" in get("/").splitlines()
    assert aws.ask("GET", "/latest/meta-data/spot/instance-action", address, token)[0] == 404
    assert aws.ask("GET", "/2000-01-01/meta-data/", address, token)[0] == 404


def test_the_profile_gives_credentials_of_its_role(aws: LittleAws, address: str) -> None:
    token = aws.token(address)
    path = "/latest/meta-data/iam/security-credentials/"
    assert aws.ask("GET", path, address, token) == (200, "node")
    given = json.loads(aws.ask("GET", f"{path}node", address, token)[1])
    (instance_id,) = aws.machines.running
    caller = aws.client("sts", given).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/node/{instance_id}"
    assert aws.client("ec2", given).describe_instances()["Reservations"]
    assert refused(lambda: aws.client("ec2", given).describe_vpcs()) == "UnauthorizedOperation"


def test_credentials_are_renewed_before_they_expire(
    aws: LittleAws, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        path = "/latest/meta-data/iam/security-credentials/node"
        return str(json.loads(aws.ask("GET", path, address, aws.token(address))[1])["AccessKeyId"])

    first = key()
    assert key() == first
    monkeypatch.setattr(credentials, "RENEWED_BEFORE", timedelta(hours=7))
    assert key() != first


def test_expired_credentials_are_refused(aws: LittleAws, monkeypatch: pytest.MonkeyPatch) -> None:
    given = aws.as_role(aws.role("node"))
    role = credentials.caller_with_key(given["AccessKeyId"])
    assert role is not None and role.expires > datetime.now(UTC)
    found = credentials.world.sts().get_assumed_role_from_access_key(given["AccessKeyId"])
    monkeypatch.setattr(found, "expiration", found.expiration - timedelta(days=1))
    assert refused(lambda: aws.client("sts", given).get_caller_identity()) == "ExpiredToken"
    assert refused(lambda: aws.client("s3", given).list_buckets()) == "ExpiredToken"
    assert refused(lambda: aws.client("ec2", given).describe_vpcs()) == "RequestExpired"
    assert refused(lambda: aws.client("kms", given).list_keys()) == "ExpiredTokenException"


def test_a_spot_instance_is_warned_before_its_termination(aws: LittleAws, address: str) -> None:
    token = aws.token(address)
    (instance_id,) = aws.machines.running
    aws.control("POST", f"spot-interrupt?instance={instance_id}&seconds=1")
    action = json.loads(aws.ask("GET", "/latest/meta-data/spot/instance-action", address, token)[1])
    assert action["action"] == "terminate"
    until(lambda: instance_id not in aws.machines.running, "EC2 to take it back")
    assert datetime.now(UTC) >= datetime.fromisoformat(action["time"]), "not before it said"
    aws.settled("example", 1)
