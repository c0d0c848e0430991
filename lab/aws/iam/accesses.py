"""Which actions on which resources a call amounts to, service by service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.s3.models import FakeDeleteMarker

from lab.aws import world
from lab.aws.calls import Call
from lab.aws.iam.policy import Access
from lab.state import ACCOUNT_ID, REGION

Parameters = Mapping[str, Any]
Context = dict[str, Any]


def of(call: Call, common: Context) -> list[Access] | None:
    """The accesses that must all be allowed; None for a service that the lab's IAM does not know.

    :param common: the context keys that every request has.
    """
    service = _SERVICES.get(call.service or "")
    if service is None:
        return None
    return [
        Access(access.action, access.resource, {**common, **access.context})
        for access in service(call.action, call.parameters)
    ]


def tag_context(tags: Mapping[str, str], *prefixes: str) -> Context:
    """Condition keys for a resource's tags, such as ``aws:ResourceTag/Name``."""
    return {f"{prefix}/{key}": value for prefix in ("aws:ResourceTag", *prefixes) for key, value in tags.items()}


# S3

_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListBuckets": "ListAllMyBuckets",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


def _s3(action: str, parameters: Parameters) -> Iterator[Access]:
    name = _S3_ACTIONS.get(action, action)
    if parameters.get("VersionId") and name in ("GetObject", "DeleteObject"):
        name += "Version"
    bucket, keys = parameters.get("Bucket"), [parameters["Key"]] if parameters.get("Key") else []
    if bucket is None:
        yield Access(f"s3:{name}")
        return
    arn = f"arn:aws:s3:::{bucket}"
    if action == "DeleteObjects":
        keys = [one["Key"] for one in parameters.get("Delete", {}).get("Objects", [])]
    context: Context = {}
    for parameter, key in (("Prefix", "s3:prefix"), ("Delimiter", "s3:delimiter"), ("MaxKeys", "s3:max-keys")):
        if parameters.get(parameter) is not None:
            context[key] = str(parameters[parameter])
    if name == "ListBucket":
        context.setdefault("s3:prefix", "")
    if parameters.get("ServerSideEncryption"):
        context["s3:x-amz-server-side-encryption"] = parameters["ServerSideEncryption"]
    for resource in [f"{arn}/{key}" for key in keys] or [arn]:
        yield Access(f"s3:{name}", resource, context)
    if action in ("CopyObject", "UploadPartCopy"):
        source = parameters.get("CopySource", "")
        text = f"{source['Bucket']}/{source['Key']}" if isinstance(source, dict) else str(source).lstrip("/")
        yield Access("s3:GetObject", f"arn:aws:s3:::{text.split('?')[0]}")
    yield from _s3_encryption(name, bucket, keys)


def _s3_encryption(name: str, bucket_name: str, keys: list[str]) -> Iterator[Access]:
    """What S3 asks of KMS in the caller's name."""
    bucket = world.s3().buckets.get(bucket_name)
    if bucket is None:
        return
    for key in keys:
        stored = stored_object(bucket, key)
        if name in ("GetObject", "GetObjectVersion") and stored is not None:
            encrypted_under = stored.kms_key_id if stored.encryption == "aws:kms" else None
            action = "kms:Decrypt"
        elif name == "PutObject":
            encrypted_under, action = _bucket_key(bucket), "kms:GenerateDataKey"
        else:
            return
        if encrypted_under:
            context = {
                "kms:ViaService": f"s3.{REGION}.amazonaws.com",
                "kms:CallerAccount": ACCOUNT_ID,
                # With a bucket key, which is the recommended way, the context is the bucket's.
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket_name}",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            }
            yield _key_access(action, encrypted_under, context)


def stored_object(bucket: Any, key: str) -> Any | None:
    """moto's object of that key, if there is one that was not deleted."""
    found = bucket.keys.get(key)
    return None if found is None or isinstance(found, FakeDeleteMarker) else found


def _bucket_key(bucket: Any) -> str | None:
    """The KMS key that the bucket encrypts new objects under."""
    rule = (bucket.encryption or {}).get("Rule", {})
    rule = rule[0] if isinstance(rule, list) else rule
    found = rule.get("ApplyServerSideEncryptionByDefault", {})
    return found.get("KMSMasterKeyID") if found.get("SSEAlgorithm") == "aws:kms" else None


# KMS


def _kms(action: str, parameters: Parameters) -> Iterator[Access]:
    context: Context = {
        f"kms:EncryptionContext:{key}": value for key, value in (parameters.get("EncryptionContext") or {}).items()
    }
    context["kms:EncryptionContextKeys"] = sorted(parameters.get("EncryptionContext") or {})
    key = parameters.get("KeyId") or parameters.get("TargetKeyId")
    if key is None and parameters.get("CiphertextBlob"):
        key = _key_of_ciphertext(parameters["CiphertextBlob"])
    yield _key_access(f"kms:{action}", key, context) if key else Access(f"kms:{action}", "*", context)


def _key_access(action: str, named: str, context: Context) -> Access:
    key = find_key(named)
    if key is None:
        return Access(action, f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{named}", context)
    kms = world.kms()
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(key.id)["Tags"]}
    return Access(action, key.arn, {**context, **tag_context(tags), "kms:ResourceAliases": sorted(key.aliases)})


def find_key(named: str) -> Any | None:
    """moto's key of that ID, ARN, alias or alias ARN."""
    kms = world.kms()
    name = named.rsplit(":", 1)[-1]
    if name.startswith("alias/"):
        return next((key for key in kms.keys.values() if name in key.aliases), None)
    return kms.keys.get(name.removeprefix("key/"))


def _key_of_ciphertext(blob: bytes) -> str | None:
    # moto's ciphertext begins with its key's ID.
    found = re.match(rb"[0-9a-f-]{36}|mrk-[0-9a-f]{32}", blob if isinstance(blob, bytes) else b"")
    return found.group().decode() if found else None


# EC2, Auto Scaling, SQS

_INSTANCE_ACTIONS = [
    "TerminateInstances",
    "RebootInstances",
    "StopInstances",
    "StartInstances",
    "ModifyInstanceAttribute",
    "ModifyInstanceMetadataOptions",
    "GetConsoleOutput",
    "CreateTags",
    "DeleteTags",
]


def _ec2(action: str, parameters: Parameters) -> Iterator[Access]:
    ids = parameters.get("InstanceIds") or parameters.get("Resources") or []
    ids = ids or ([parameters["InstanceId"]] if parameters.get("InstanceId") else [])
    if action not in _INSTANCE_ACTIONS or not ids:
        yield Access(f"ec2:{action}")
        return
    instances = {instance.id: instance for instance in world.ec2().all_instances()}
    for one in ids:
        kind = {"i": "instance", "vol": "volume", "sg": "security-group", "eni": "network-interface"}
        arn = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{kind.get(one.split('-')[0], '*')}/{one}"
        instance = instances.get(one)
        tags = {tag["key"]: tag["value"] for tag in instance.get_tags()} if instance else {}
        yield Access(f"ec2:{action}", arn, tag_context(tags, "ec2:ResourceTag"))


def _autoscaling(action: str, parameters: Parameters) -> Iterator[Access]:
    backend = world.autoscaling()
    name = parameters.get("AutoScalingGroupName")
    group = backend.groups.get(name) if name else None
    if group is None and parameters.get("InstanceId"):
        group = next((one.group for one in backend.members() if one.instance.id == parameters["InstanceId"]), None)
    if action.startswith("Describe"):
        yield Access(f"autoscaling:{action}")
    elif group is None:
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/{name or '*'}"
        yield Access(f"autoscaling:{action}", arn)
    else:
        tags = {tag["Key"]: tag["Value"] for tag in group.tags}
        yield Access(f"autoscaling:{action}", group.arn, tag_context(tags, "autoscaling:ResourceTag"))


def _sqs(action: str, parameters: Parameters) -> Iterator[Access]:
    name = parameters.get("QueueName") or str(parameters.get("QueueUrl") or "*").rsplit("/", 1)[-1]
    queue = world.sqs().queues.get(name)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"
    yield Access(f"sqs:{action.removesuffix('Batch')}", arn, tag_context(queue.tags if queue else {}))


# Route 53


def _route53(action: str, parameters: Parameters) -> Iterator[Access]:
    identifier = str(parameters.get("Id") or parameters.get("HostedZoneId") or "").rsplit("/", 1)[-1]
    if action == "GetChange":
        yield Access("route53:GetChange", f"arn:aws:route53:::change/{identifier}")
        return
    context: Context = {}
    if action == "ChangeResourceRecordSets":
        changes = parameters.get("ChangeBatch", {}).get("Changes", [])
        sets = [change["ResourceRecordSet"] for change in changes]
        names = sorted({one["Name"].rstrip(".").lower() for one in sets})
        context = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": names,
            "route53:ChangeResourceRecordSetsRecordTypes": sorted({one["Type"] for one in sets}),
            "route53:ChangeResourceRecordSetsActions": sorted({change["Action"] for change in changes}),
        }
    if action == "ListResourceRecordSets" or identifier:
        yield Access(f"route53:{action}", f"arn:aws:route53:::hostedzone/{identifier}", context)
    else:
        yield Access(f"route53:{action}")


# Cloud Map


def _servicediscovery(action: str, parameters: Parameters) -> Iterator[Access]:
    # Whether the tagged resource is a service or a namespace, its ARN names it.
    named = parameters.get("ResourceARN")
    identifier = parameters.get("ServiceId") or (parameters.get("Id") if action.endswith("Service") else None)
    if identifier is None:
        yield Access(f"servicediscovery:{action}", named or "*")
        return
    backend = world.servicediscovery()
    service = backend.services.get(identifier)
    arn = service.arn if service else f"arn:aws:servicediscovery:{REGION}:{ACCOUNT_ID}:service/{identifier}"
    yield Access(f"servicediscovery:{action}", arn, {"servicediscovery:ServiceArn": arn})
    if service is None or action not in ("RegisterInstance", "DeregisterInstance"):
        return
    namespace = backend.namespaces[service.namespace_id]
    kinds = sorted({one["Type"] for one in (service.dns_config or {}).get("DnsRecords", [])})
    if kinds and namespace.type != "HTTP":
        # Which Cloud Map does with the caller's rights.
        context: Context = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [f"{service.name}.{namespace.name}".lower()],
            "route53:ChangeResourceRecordSetsRecordTypes": kinds,
            "route53:ChangeResourceRecordSetsActions": ["UPSERT" if action == "RegisterInstance" else "DELETE"],
        }
        zone = namespace.dns_properties["HostedZoneId"]
        yield Access("route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{zone}", context)


# The rest


def _iam(action: str, parameters: Parameters) -> Iterator[Access]:
    for parameter, kind in (("RoleName", "role"), ("InstanceProfileName", "instance-profile"), ("UserName", "user")):
        if parameters.get(parameter):
            yield Access(f"iam:{action}", f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{parameters[parameter]}")
            return
    yield Access(f"iam:{action}", parameters.get("PolicyArn") or "*")


def _sts(action: str, parameters: Parameters) -> Iterator[Access]:
    # Who one is may always be asked.
    if action != "GetCallerIdentity":
        yield Access(f"sts:{action}", parameters.get("RoleArn") or "*")


def _ssm(action: str, parameters: Parameters) -> Iterator[Access]:
    names = parameters.get("Names") or [parameters.get("Name") or parameters.get("Path")]
    if names == [None]:
        yield Access(f"ssm:{action}")
    for name in (one for one in names if one is not None):
        # Public parameters belong to no account.
        account = "" if name.startswith("/aws/") else ACCOUNT_ID
        yield Access(f"ssm:{action}", f"arn:aws:ssm:{REGION}:{account}:parameter/{name.lstrip('/')}")


def _ecr(action: str, parameters: Parameters) -> Iterator[Access]:
    name = parameters.get("repositoryName")
    yield Access(f"ecr:{action}", f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{name}" if name else "*")


def _secretsmanager(action: str, parameters: Parameters) -> Iterator[Access]:
    named = parameters.get("SecretId") or parameters.get("Name")
    if named is None:
        yield Access(f"secretsmanager:{action}")
        return
    found = next((one for one in world.secretsmanager().secrets.values() if named in (one.name, one.arn)), None)
    tags = {tag["Key"]: tag["Value"] for tag in (found.tags if found else None) or []}
    arn = found.arn if found else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{named}-??????"
    yield Access(f"secretsmanager:{action}", arn, tag_context(tags, "secretsmanager:ResourceTag"))
    uses = {"GetSecretValue": ["kms:Decrypt"], "PutSecretValue": ["kms:GenerateDataKey", "kms:Decrypt"]}
    if found and found.kms_key_id:
        context: Context = {
            "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com",
            "kms:CallerAccount": ACCOUNT_ID,
            "kms:EncryptionContext:SecretARN": arn,
            "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
        }
        for use in uses.get(action, []):
            yield _key_access(use, found.kms_key_id, context)


def _logs(action: str, parameters: Parameters) -> Iterator[Access]:
    group = parameters.get("logGroupName") or parameters.get("logGroupNamePrefix") or "*"
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}"
    stream = parameters.get("logStreamName")
    yield Access(f"logs:{action}", f"{arn}:log-stream:{stream}" if stream else f"{arn}:*")


def _cloudwatch(action: str, parameters: Parameters) -> Iterator[Access]:
    namespace = parameters.get("Namespace")
    yield Access(f"cloudwatch:{action}", "*", {"cloudwatch:namespace": namespace} if namespace else {})


def _elbv2(action: str, parameters: Parameters) -> Iterator[Access]:
    # What describes has no resources.
    named = parameters.get("TargetGroupArn") or parameters.get("LoadBalancerArn") or parameters.get("ListenerArn")
    on = None if action.startswith("Describe") else named
    yield Access(f"elasticloadbalancing:{action}", on or "*")


def _events(action: str, parameters: Parameters) -> Iterator[Access]:
    rule = parameters.get("Rule") or parameters.get("Name")
    yield Access(f"events:{action}", f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{rule}" if rule else "*")


_SERVICES: dict[str, Callable[[str, Parameters], Iterator[Access]]] = {
    "s3": _s3,
    "kms": _kms,
    "ec2": _ec2,
    "autoscaling": _autoscaling,
    "sqs": _sqs,
    "route53": _route53,
    "servicediscovery": _servicediscovery,
    "iam": _iam,
    "sts": _sts,
    "secretsmanager": _secretsmanager,
    "ssm": _ssm,
    "ecr": _ecr,
    "logs": _logs,
    "elbv2": _elbv2,
    "cloudwatch": _cloudwatch,
    "events": _events,
}
