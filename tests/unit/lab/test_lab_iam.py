"""IAM judges calls with a role's credentials as on AWS."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, Network, allow, document, refused

BUCKET = f"example-swarm-{ACCOUNT_ID}-{REGION}"
OBJECTS = f"arn:aws:s3:::{BUCKET}"


def bucket_with_key(aws: LittleAws) -> str:
    """The cluster's bucket, which requires TLS and is encrypted under the key whose ARN is returned."""
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
        "Resource": [OBJECTS, f"{OBJECTS}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(denial))
    for name in ("manager/token", "worker/token"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"{}")
    return key


def test_a_worker_reads_its_own_token_but_not_the_managers(aws: LittleAws) -> None:
    via_s3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    decrypt = allow("kms:Decrypt", on=bucket_with_key(aws), when=via_s3)
    s3 = aws.acting("s3", "worker", allow("s3:GetObject", on=f"{OBJECTS}/worker/*"), decrypt)
    assert s3.get_object(Bucket=BUCKET, Key="worker/token")["Body"].read() == b"{}"
    assert refused(s3.get_object, Bucket=BUCKET, Key="manager/token") == "AccessDenied"
    assert refused(s3.put_object, Bucket=BUCKET, Key="worker/token", Body=b"") == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=BUCKET) == "AccessDenied"


def test_an_encrypted_object_needs_permission_for_the_key(aws: LittleAws) -> None:
    key = bucket_with_key(aws)
    objects = allow("s3:GetObject", "s3:PutObject", on=f"{OBJECTS}/*")
    without = aws.acting("s3", "without", objects)
    assert refused(without.get_object, Bucket=BUCKET, Key="worker/token") == "AccessDenied"
    reader = aws.acting("s3", "reader", objects, allow("kms:Decrypt", on=key))
    assert reader.get_object(Bucket=BUCKET, Key="worker/token")["ServerSideEncryption"] == "aws:kms"
    assert refused(reader.put_object, Bucket=BUCKET, Key="cluster.json", Body=b"") == "AccessDenied"
    # The key allows decryption only through S3, not directly.
    via_s3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    direct = aws.acting("kms", "direct", allow("kms:*", on=key, when=via_s3))
    assert refused(direct.describe_key, KeyId="alias/example-swarm") == "AccessDeniedException"


def test_a_multipart_upload_needs_put_and_list_permissions(aws: LittleAws) -> None:
    kms = allow("kms:Decrypt", "kms:GenerateDataKey", on=bucket_with_key(aws))
    writing, reading, listing = (
        allow(action, on=f"{OBJECTS}/registry/*")
        for action in ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts")
    )
    s3 = aws.acting("s3", "writer", writing, kms)
    where = {"Bucket": BUCKET, "Key": "registry/layer"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"layer")["ETag"]
    assert refused(s3.list_parts, **where, UploadId=upload) == "AccessDenied"
    assert refused(s3.list_multipart_uploads, Bucket=BUCKET) == "AccessDenied"
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
    # Copying also needs access to the source.
    assert refused(s3.copy_object, Bucket=BUCKET, Key="registry/copy", CopySource=where) == "AccessDenied"
    uploads = allow("s3:ListBucketMultipartUploads", on=OBJECTS)
    whole = aws.acting("s3", "whole", writing, kms, reading, listing, uploads)
    upload = whole.create_multipart_upload(**where)["UploadId"]
    whole.upload_part_copy(**where, UploadId=upload, PartNumber=1, CopySource=where)
    assert len(whole.list_parts(**where, UploadId=upload)["Parts"]) == 1
    assert [unfinished["UploadId"] for unfinished in whole.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload]


def test_a_missing_object_is_denied_without_the_list_permission(aws: LittleAws) -> None:
    bucket_with_key(aws)
    reading = allow("s3:GetObject", on=f"{OBJECTS}/*")
    blind = aws.acting("s3", "blind", reading)
    assert refused(blind.get_object, Bucket=BUCKET, Key="cluster.json") == "AccessDenied"
    seeing = aws.acting("s3", "seeing", reading, allow("s3:ListBucket", on=OBJECTS))
    assert refused(seeing.get_object, Bucket=BUCKET, Key="cluster.json") == "NoSuchKey"
    assert seeing.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2


def test_a_denying_bucket_policy_also_applies_to_the_administrator(aws: LittleAws) -> None:
    bucket_with_key(aws)
    s3 = aws.client("s3")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{OBJECTS}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(statement))
    assert refused(s3.put_object, Bucket=BUCKET, Key="new", Body=b"") == "AccessDenied"


def test_hooks_are_only_answered_in_groups_of_the_cluster(aws: LittleAws, network: Network) -> None:
    for cluster in ("example", "other"):
        tag = {"Key": "swarm.aws/cluster", "Value": cluster, "PropagateAtLaunch": True}
        aws.group(cluster, network, 0, Tags=[tag], LaunchTemplate={"LaunchTemplateName": "example"})
    answering = allow(
        "autoscaling:CompleteLifecycleAction",
        on=f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/*",
        when={"StringEquals": {"autoscaling:ResourceTag/swarm.aws/cluster": "example"}},
    )
    autoscaling = aws.acting("autoscaling", "manager", answering)
    answer = {"LifecycleHookName": "h", "InstanceId": "i-0123456789abcdef0", "LifecycleActionResult": "CONTINUE"}
    # This call passes IAM and fails because the hook does not exist.
    for group, code in (("example", "ValidationError"), ("other", "AccessDenied")):
        assert refused(autoscaling.complete_lifecycle_action, AutoScalingGroupName=group, **answer) == code
    assert refused(autoscaling.describe_auto_scaling_groups) == "AccessDenied"


def test_queue_permissions_go_by_arn(aws: LittleAws) -> None:
    urls = {name: aws.client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in ("mine", "theirs")}
    reading = allow("sqs:ReceiveMessage", "sqs:GetQueueUrl", on=f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:mine")
    sqs = aws.acting("sqs", "node", reading)
    assert sqs.get_queue_url(QueueName="mine")["QueueUrl"] == urls["mine"]
    assert "Messages" not in sqs.receive_message(QueueUrl=urls["mine"])
    assert refused(sqs.receive_message, QueueUrl=urls["theirs"]) == "AccessDenied"
    assert refused(sqs.delete_message, QueueUrl=urls["mine"], ReceiptHandle="x") == "AccessDenied"


def test_record_permissions_go_by_name(aws: LittleAws) -> None:
    zone = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    keys = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["app.swarm.test"]}
    arn = f"arn:aws:route53:::hostedzone/{zone.rsplit('/', 1)[-1]}"
    changing = allow("route53:ChangeResourceRecordSets", on=arn, when={"ForAllValues:StringEquals": keys})
    route53 = aws.acting("route53", "node", changing)

    def change(name: str) -> Any:
        record = {"Name": name, "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "198.51.100.9"}]}
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    assert change("App.swarm.test.")["ChangeInfo"]["Status"]
    assert refused(change, name="www.swarm.test") == "AccessDenied"
    assert refused(route53.list_resource_record_sets, HostedZoneId=zone) == "AccessDenied"


def test_termination_permissions_go_by_tag(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, 1, Tags=[{"Key": "role", "Value": "worker", "PropagateAtLaunch": True}])
    (member,) = aws.settled("example", 1)
    managers = {"StringEquals": {"ec2:ResourceTag/role": "manager"}}
    terminating = allow("ec2:TerminateInstances", on=f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/*", when=managers)
    ec2 = aws.acting("ec2", "node", terminating)
    assert refused(ec2.terminate_instances, InstanceIds=[member["InstanceId"]]) == "UnauthorizedOperation"


ROLE = {"RoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/node", "RoleSessionName": "me"}
DENIALS: dict[str, tuple[str, dict[str, str], str]] = {
    "s3": ("list_buckets", {}, "AccessDenied"),
    "kms": ("list_keys", {}, "AccessDeniedException"),
    "ec2": ("describe_instances", {}, "UnauthorizedOperation"),
    "autoscaling": ("describe_tags", {}, "AccessDenied"),
    "sqs": ("list_queues", {}, "AccessDenied"),
    "route53": ("list_hosted_zones", {}, "AccessDenied"),
    "iam": ("list_roles", {}, "AccessDenied"),
    "sts": ("assume_role", ROLE, "AccessDenied"),
    "ssm": ("get_parameter", {"Name": "/a"}, "AccessDeniedException"),
    "logs": ("describe_log_groups", {}, "AccessDeniedException"),
    "events": ("list_rules", {}, "AccessDeniedException"),
    "dynamodb": ("list_tables", {}, "AccessDeniedException"),
}


@pytest.mark.parametrize("service", DENIALS)
def test_a_call_without_an_allowing_policy_is_denied(aws: LittleAws, service: str) -> None:
    call, arguments, code = DENIALS[service]
    assert refused(getattr(aws.acting(service, "node"), call), **arguments) == code


def test_unknown_and_stolen_keys_are_refused(aws: LittleAws) -> None:
    given = aws.as_role(aws.role("node"))
    unknown = {"AccessKeyId": "ASIA0123456789ABCDEF", "SecretAccessKey": "x", "Token": "x"}
    for credentials in (unknown, {**given, "Token": "another"}):
        aws.clients.clear()
        assert refused(aws.client("sts", credentials).get_caller_identity) == "InvalidClientTokenId"
        assert refused(aws.client("s3", credentials).list_buckets) == "InvalidAccessKeyId"
        assert refused(aws.client("ec2", credentials).describe_vpcs) == "AuthFailure"
        assert refused(aws.client("kms", credentials).list_keys) == "UnrecognizedClientException"


def test_a_presigned_url_opens_and_an_unsigned_url_does_not(aws: LittleAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="open", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="open", Key="key", Body=b"content")
    reader = aws.acting("s3", "reader", allow("s3:GetObject", on="arn:aws:s3:::open/*"))
    signed = reader.generate_presigned_url("get_object", Params={"Bucket": "open", "Key": "key"})
    with urllib.request.urlopen(signed) as answer:
        assert answer.read() == b"content"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{aws.url}/open/key")


def test_an_unknown_service_is_an_error(aws: LittleAws) -> None:
    assert refused(aws.client("chime").list_accounts) == "NotImplemented"


def test_calls_are_recorded(aws: LittleAws) -> None:
    node = aws.acting("s3", "node")
    aws.control("DELETE", "calls")
    aws.client("ec2").describe_vpcs()
    refused(node.get_object, Bucket="b", Key="k")
    first, second = aws.control("GET", "calls")
    assert [first[key] for key in ("service", "action", "caller", "allowed")] == ["ec2", "DescribeVpcs", "lab", True]
    assert [second[key] for key in ("caller", "allowed", "resources")] == ["node", False, ["arn:aws:s3:::b/k"]]
    (access,) = second["accesses"]
    assert access["action"] == "s3:GetObject"
    assert access["context"]["aws:PrincipalArn"] == f"arn:aws:iam::{ACCOUNT_ID}:role/node"
