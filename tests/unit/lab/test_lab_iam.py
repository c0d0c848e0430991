"""Calls with a role's credentials are judged as IAM judges them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, refused

BUCKET = f"example-swarm-{ACCOUNT_ID}-{REGION}"
CLUSTER_TAG = {"autoscaling:ResourceTag/swarm.aws/cluster": "example"}


def allow(action: str | list[str], resource: str = "*", **conditions: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": conditions} if conditions else statement


def bucket_with_key(aws: LittleAws) -> str:
    """The cluster's bucket, encrypted under the key whose ARN is returned, and closed to all but TLS."""
    key: str = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws.client("kms").create_alias(AliasName="alias/example-swarm", TargetKeyId=key)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    denial = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
    for name in ("manager/token", "worker/token"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"{}")
    return key


def test_a_worker_reads_its_own_token_and_not_the_managers(aws: LittleAws) -> None:
    key = bucket_with_key(aws)
    decrypt = allow("kms:Decrypt", key, StringEquals={"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
    role = aws.role("worker", allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/worker/*"), decrypt)
    s3 = aws.client("s3", aws.as_role(role))
    assert s3.get_object(Bucket=BUCKET, Key="worker/token")["Body"].read() == b"{}"
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="manager/token")) == "AccessDenied"
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="worker/token", Body=b"")) == "AccessDenied"
    assert refused(lambda: s3.list_objects_v2(Bucket=BUCKET)) == "AccessDenied"


def test_what_is_encrypted_takes_the_right_to_the_key(aws: LittleAws) -> None:
    key = bucket_with_key(aws)
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*")
    without = aws.client("s3", aws.as_role(aws.role("without", objects)))
    assert refused(lambda: without.get_object(Bucket=BUCKET, Key="worker/token")) == "AccessDenied"
    reader = aws.client("s3", aws.as_role(aws.role("reader", objects, allow("kms:Decrypt", key))))
    assert reader.get_object(Bucket=BUCKET, Key="worker/token")["ServerSideEncryption"] == "aws:kms"
    assert refused(lambda: reader.put_object(Bucket=BUCKET, Key="cluster.json", Body=b"")) == "AccessDenied"
    # A service of its own is not S3: the key opens nothing by itself.
    via_s3 = allow("kms:*", key, StringEquals={"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
    direct = aws.client("kms", aws.as_role(aws.role("direct", via_s3)))
    assert refused(lambda: direct.describe_key(KeyId="alias/example-swarm")) == "AccessDeniedException"


def test_an_upload_in_parts_is_writing_and_its_parts_are_listed_by_a_right_of_their_own(aws: LittleAws) -> None:
    key = bucket_with_key(aws)
    kms = allow(["kms:Decrypt", "kms:GenerateDataKey"], key)
    writing = allow("s3:PutObject", f"arn:aws:s3:::{BUCKET}/registry/*")
    s3 = aws.client("s3", aws.as_role(aws.role("writer", writing, kms)))
    where = {"Bucket": BUCKET, "Key": "registry/layer"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"layer")["ETag"]
    assert refused(lambda: s3.list_parts(**where, UploadId=upload)) == "AccessDenied"
    assert refused(lambda: s3.list_multipart_uploads(Bucket=BUCKET)) == "AccessDenied"
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
    # To copy is to read what is copied as well.
    copied = {"Bucket": BUCKET, "Key": "registry/copy", "CopySource": {"Bucket": BUCKET, "Key": "registry/layer"}}
    assert refused(lambda: s3.copy_object(**copied)) == "AccessDenied"
    listing = [allow("s3:ListMultipartUploadParts", f"arn:aws:s3:::{BUCKET}/registry/*")]
    listing += [allow(["s3:ListBucketMultipartUploads"], f"arn:aws:s3:::{BUCKET}")]
    reading = allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/registry/*")
    whole = aws.client("s3", aws.as_role(aws.role("whole", writing, kms, reading, *listing)))
    upload = whole.create_multipart_upload(**where)["UploadId"]
    source = {"Bucket": BUCKET, "Key": "registry/layer"}
    whole.upload_part_copy(**where, UploadId=upload, PartNumber=1, CopySource=source)
    assert len(whole.list_parts(**where, UploadId=upload)["Parts"]) == 1
    assert [one["UploadId"] for one in whole.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload]


def test_a_missing_object_is_denied_to_who_may_not_list(aws: LittleAws) -> None:
    bucket_with_key(aws)
    reading = allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
    blind = aws.client("s3", aws.as_role(aws.role("blind", reading)))
    assert refused(lambda: blind.get_object(Bucket=BUCKET, Key="cluster.json")) == "AccessDenied"
    seeing = aws.client(
        "s3", aws.as_role(aws.role("seeing", reading, allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")))
    )
    assert refused(lambda: seeing.get_object(Bucket=BUCKET, Key="cluster.json")) == "NoSuchKey"
    assert seeing.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2


def test_a_bucket_policy_that_denies_binds_the_administrator_too(aws: LittleAws) -> None:
    bucket_with_key(aws)
    s3 = aws.client("s3")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"")) == "AccessDenied"


def make_group(aws: LittleAws, name: str, cluster: str) -> None:
    network = aws.network()
    aws.template(name, network.group)
    tag = {"Key": "swarm.aws/cluster", "Value": cluster, "PropagateAtLaunch": True}
    aws.group(name, network, capacity=0, Tags=[tag])


def test_hooks_are_answered_in_groups_of_the_cluster_only(aws: LittleAws) -> None:
    for cluster in ("example", "other"):
        make_group(aws, cluster, cluster)
    answering = allow(
        "autoscaling:CompleteLifecycleAction",
        f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/*",
        StringEquals=CLUSTER_TAG,
    )
    autoscaling = aws.client("autoscaling", aws.as_role(aws.role("manager", answering)))

    def complete(group: str) -> str:
        return refused(
            lambda: autoscaling.complete_lifecycle_action(
                AutoScalingGroupName=group,
                LifecycleHookName="h",
                InstanceId="i-0123456789abcdef0",
                LifecycleActionResult="CONTINUE",
            )
        )

    # The one gets through, to be told that there is no such hook.
    assert complete("example") == "ValidationError"
    assert complete("other") == "AccessDenied"
    assert refused(autoscaling.describe_auto_scaling_groups) == "AccessDenied"


def test_a_queue_is_read_by_its_arn(aws: LittleAws) -> None:
    urls = {name: aws.client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in ("mine", "theirs")}
    actions = ["sqs:ReceiveMessage", "sqs:GetQueueUrl"]
    sqs = aws.client("sqs", aws.as_role(aws.role("node", allow(actions, f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:mine"))))
    assert sqs.get_queue_url(QueueName="mine")["QueueUrl"] == urls["mine"]
    assert "Messages" not in sqs.receive_message(QueueUrl=urls["mine"])
    assert refused(lambda: sqs.receive_message(QueueUrl=urls["theirs"])) == "AccessDenied"
    assert refused(lambda: sqs.delete_message(QueueUrl=urls["mine"], ReceiptHandle="x")) == "AccessDenied"


def test_records_are_changed_by_their_names(aws: LittleAws) -> None:
    zone = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    keys = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["app.swarm.test"]}
    arn = f"arn:aws:route53:::hostedzone/{zone.rsplit('/', 1)[-1]}"
    changing = allow("route53:ChangeResourceRecordSets", arn, **{"ForAllValues:StringEquals": keys})
    route53 = aws.client("route53", aws.as_role(aws.role("node", changing)))

    def change(name: str) -> Any:
        record = {"Name": name, "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "198.51.100.9"}]}
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    assert change("App.swarm.test.")["ChangeInfo"]["Status"]
    assert refused(lambda: change("www.swarm.test")) == "AccessDenied"
    assert refused(lambda: route53.list_resource_record_sets(HostedZoneId=zone)) == "AccessDenied"


def test_instances_are_terminated_by_their_tags(aws: LittleAws) -> None:
    network = aws.network()
    aws.template("example", network.group)
    aws.group("example", network, 1, Tags=[{"Key": "role", "Value": "worker", "PropagateAtLaunch": True}])
    (member,) = aws.settled("example", 1)
    wanted = {"StringEquals": {"ec2:ResourceTag/role": "manager"}}
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/*"
    ec2 = aws.client("ec2", aws.as_role(aws.role("node", allow("ec2:TerminateInstances", arn, **wanted))))
    code = refused(lambda: ec2.terminate_instances(InstanceIds=[member["InstanceId"]]))
    assert code == "UnauthorizedOperation"


Calls = Mapping[str, tuple[Callable[[LittleAws, dict[str, str]], Any], str]]
DENIALS: Calls = {
    "s3": (lambda aws, given: aws.client("s3", given).list_buckets(), "AccessDenied"),
    "kms": (lambda aws, given: aws.client("kms", given).list_keys(), "AccessDeniedException"),
    "ec2": (lambda aws, given: aws.client("ec2", given).describe_instances(), "UnauthorizedOperation"),
    "autoscaling": (lambda aws, given: aws.client("autoscaling", given).describe_tags(), "AccessDenied"),
    "sqs": (lambda aws, given: aws.client("sqs", given).list_queues(), "AccessDenied"),
    "route53": (lambda aws, given: aws.client("route53", given).list_hosted_zones(), "AccessDenied"),
    "iam": (lambda aws, given: aws.client("iam", given).list_roles(), "AccessDenied"),
    "sts": (
        lambda aws, given: aws.client("sts", given).assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/node", RoleSessionName="me"
        ),
        "AccessDenied",
    ),
    "ssm": (lambda aws, given: aws.client("ssm", given).get_parameter(Name="/a"), "AccessDeniedException"),
    "logs": (lambda aws, given: aws.client("logs", given).describe_log_groups(), "AccessDeniedException"),
    "events": (lambda aws, given: aws.client("events", given).list_rules(), "AccessDeniedException"),
    "dynamodb": (lambda aws, given: aws.client("dynamodb", given).list_tables(), "AccessDeniedException"),
}


@pytest.mark.parametrize("service", DENIALS)
def test_what_no_policy_allows_is_denied(aws: LittleAws, service: str) -> None:
    call, code = DENIALS[service]
    given = aws.as_role(aws.role("node"))
    assert refused(lambda: call(aws, given)) == code


def test_unknown_keys_and_stolen_ones_are_refused(aws: LittleAws) -> None:
    given = aws.as_role(aws.role("node"))
    for credentials in (
        {"AccessKeyId": "ASIA0123456789ABCDEF", "SecretAccessKey": "x", "Token": "x"},
        {**given, "Token": "another"},
    ):
        aws.clients.clear()
        assert (
            refused(lambda given=credentials: aws.client("sts", given).get_caller_identity()) == "InvalidClientTokenId"
        )  # type: ignore[misc]
        assert refused(lambda given=credentials: aws.client("s3", given).list_buckets()) == "InvalidAccessKeyId"  # type: ignore[misc]
        assert refused(lambda given=credentials: aws.client("ec2", given).describe_vpcs()) == "AuthFailure"  # type: ignore[misc]
        assert refused(lambda given=credentials: aws.client("kms", given).list_keys()) == "UnrecognizedClientException"  # type: ignore[misc]


def test_an_address_that_was_signed_opens_and_a_bare_one_does_not(aws: LittleAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="open", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="open", Key="key", Body=b"content")
    reader = aws.client("s3", aws.as_role(aws.role("reader", allow("s3:GetObject", "arn:aws:s3:::open/*"))))
    signed = reader.generate_presigned_url("get_object", Params={"Bucket": "open", "Key": "key"})
    with urllib.request.urlopen(signed) as answer:
        assert answer.read() == b"content"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{aws.url}/open/key")


def test_a_service_that_is_not_there_is_said_to_be_so(aws: LittleAws) -> None:
    assert refused(lambda: aws.client("chime").list_accounts()) == "NotImplemented"


def test_calls_are_recorded_for_whoever_counts_them(aws: LittleAws) -> None:
    given = aws.as_role(aws.role("node"))
    aws.control("DELETE", "calls")
    aws.client("ec2").describe_vpcs()
    refused(lambda: aws.client("s3", given).get_object(Bucket="b", Key="k"))
    first, second = aws.control("GET", "calls")
    assert (first["service"], first["action"], first["caller"], first["allowed"]) == (
        "ec2",
        "DescribeVpcs",
        "lab",
        True,
    )
    assert (second["caller"], second["allowed"], second["resources"]) == ("node", False, ["arn:aws:s3:::b/k"])
    (access,) = second["accesses"]
    assert (access["action"], access["context"]["aws:PrincipalArn"]) == (
        "s3:GetObject",
        f"arn:aws:iam::{ACCOUNT_ID}:role/node",
    )
