"""The actions and resources that a call needs access to, by service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.s3.models import FakeDeleteMarker

from lab.aws import world
from lab.aws.calls import Call
from lab.aws.iam import launches, tags
from lab.aws.iam.policy import Access
from lab.aws.launch_failures import SERVICE_ROLE, SERVICE_ROLE_ARN
from lab.state import ACCOUNT_ID, REGION

Parameters = Mapping[str, Any]
Context = dict[str, Any]


def of(call: Call, common: Context) -> list[Access] | None:
    """The accesses that must all be allowed; None for a service that the lab's IAM does not support.

    :param common: the context keys of every request.
    """
    service = _SERVICES.get(call.service or "")
    if service is None:
        return None
    return [
        Access(access.action, access.resource, {**common, **access.context})
        for access in service(call.action, call.parameters)
    ]


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
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
}
# Further actions that a parameter needs.
_S3_ALSO = {
    ("CreateBucket", "ACL"): "PutBucketAcl",
    ("CreateBucket", "ObjectOwnership"): "PutBucketOwnershipControls",
    ("PutObject", "ACL"): "PutObjectAcl",
    ("PutObject", "Tagging"): "PutObjectTagging",
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
        for deleted in parameters.get("Delete", {}).get("Objects", []):
            version = "Version" if deleted.get("VersionId") else ""
            yield Access(f"s3:DeleteObject{version}", f"{arn}/{deleted['Key']}")
        return
    context: Context = {}
    for parameter, key in (("Prefix", "s3:prefix"), ("Delimiter", "s3:delimiter"), ("MaxKeys", "s3:max-keys")):
        if parameters.get(parameter) is not None:
            context[key] = str(parameters[parameter])
    if name == "ListBucket":
        context.setdefault("s3:prefix", "")
    if parameters.get("ServerSideEncryption"):
        context["s3:x-amz-server-side-encryption"] = parameters["ServerSideEncryption"]
    also = [value for (of, parameter), value in _S3_ALSO.items() if of == action and parameters.get(parameter)]
    for resource in [f"{arn}/{key}" for key in keys] or [arn]:
        for needed in (name, *also):
            yield Access(f"s3:{needed}", resource, context)
    if action in ("CopyObject", "UploadPartCopy"):
        source = parameters.get("CopySource", "")
        text = f"{source['Bucket']}/{source['Key']}" if isinstance(source, dict) else str(source).lstrip("/")
        yield Access("s3:GetObject", f"arn:aws:s3:::{text.split('?')[0]}")
    yield from _s3_encryption(name, bucket, keys)


def _s3_encryption(name: str, bucket_name: str, keys: list[str]) -> Iterator[Access]:
    """S3's calls of KMS on the caller's behalf."""
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
                # With a bucket key, as recommended, the context is the bucket's ARN.
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket_name}",
                "kms:EncryptionContextKeys": ["aws:s3:arn"],
            }
            yield _key_access(action, encrypted_under, context)


def stored_object(bucket: Any, key: str) -> Any | None:
    """moto's object with that key; None if it does not exist or was deleted."""
    found = bucket.keys.get(key)
    return None if found is None or isinstance(found, FakeDeleteMarker) else found


def _bucket_key(bucket: Any) -> str | None:
    """The KMS key for the bucket's new objects."""
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
    context |= tags.of_request(parameters.get("Tags"))
    alias, key = parameters.get("AliasName"), parameters.get("KeyId") or parameters.get("TargetKeyId")
    if key is None and parameters.get("CiphertextBlob"):
        key = _key_of_ciphertext(parameters["CiphertextBlob"])
    keys = {key} if key else set()
    if alias:
        # Access to the alias's present key is needed too.
        yield Access(f"kms:{action}", f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:{alias}", context)
        before = find_key(alias)
        keys |= {before.id} if before else set()
    for named in sorted(keys):
        yield _key_access(f"kms:{action}", named, context)
    if not keys and not alias:
        yield Access(f"kms:{action}", "*", context)
    if action == "CreateKey" and parameters.get("Tags"):
        yield Access("kms:TagResource", f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/*", context)


def _key_access(action: str, named: str, context: Context) -> Access:
    key = find_key(named)
    if key is None:
        return Access(action, f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{named}", context)
    kms = world.kms()
    own = tags.of_resource(kms.list_resource_tags(key.id)["Tags"])
    # Without an alias the condition key is absent.
    aliases = {"kms:ResourceAliases": sorted(key.aliases)} if key.aliases else {}
    return Access(action, key.arn, {**context, **own, **aliases})


def find_key(named: str) -> Any | None:
    """moto's key with that ID, ARN, alias or alias ARN."""
    kms = world.kms()
    name = named.rsplit(":", 1)[-1]
    if name.startswith("alias/"):
        return next((key for key in kms.keys.values() if name in key.aliases), None)
    return kms.keys.get(name.removeprefix("key/"))


def _key_of_ciphertext(blob: bytes) -> str | None:
    # moto's ciphertext begins with its key's ID.
    found = re.match(rb"[0-9a-f-]{36}|mrk-[0-9a-f]{32}", blob if isinstance(blob, bytes) else b"")
    return found.group().decode() if found else None


# Auto Scaling, SQS, SNS

AUTO_SCALING = "autoscaling.amazonaws.com"


def _autoscaling(action: str, parameters: Parameters) -> Iterator[Access]:
    backend = world.autoscaling()
    given = tags.of_request(parameters.get("Tags"))
    names = {tag.get("ResourceId") for tag in parameters.get("Tags") or []} if action.endswith("Tags") else set()
    names |= {parameters["AutoScalingGroupName"]} if parameters.get("AutoScalingGroupName") else set()
    if not names and parameters.get("InstanceId"):
        names = {member.group.name for member in backend.members() if member.instance.id == parameters["InstanceId"]}
    if action.startswith("Describe"):
        yield Access(f"autoscaling:{action}")
        return
    for name in sorted(names) or ["*"]:
        group = backend.groups.get(name)
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/{name}"
        own = tags.of_resource(group.tags, "autoscaling:ResourceTag") if group else {}
        yield Access(f"autoscaling:{action}", group.arn if group else arn, {**own, **given})
    if action in ("CreateAutoScalingGroup", "UpdateAutoScalingGroup"):
        group = backend.groups.get(parameters.get("AutoScalingGroupName"))
        subnets = parameters.get("VPCZoneIdentifier") or (group.settings.get("VPCZoneIdentifier") if group else "")
        yield from launches.of_group(parameters, list(filter(None, str(subnets or "").split(","))))
    roles = {role.name for role in world.iam().roles.values()}
    if action == "CreateAutoScalingGroup" and SERVICE_ROLE not in roles:
        # An account's first group creates Auto Scaling's service-linked role.
        yield Access("iam:CreateServiceLinkedRole", SERVICE_ROLE_ARN, {"iam:AWSServiceName": AUTO_SCALING})


def _sqs(action: str, parameters: Parameters) -> Iterator[Access]:
    name = parameters.get("QueueName") or str(parameters.get("QueueUrl") or "*").rsplit("/", 1)[-1]
    queue = world.sqs().queues.get(name)
    given = tags.of_request(parameters.get("tags") or parameters.get("Tags"))
    arn = "*" if action == "ListQueues" else f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"
    context = {**tags.of_resource(queue.tags if queue else {}), **given}
    yield Access(f"sqs:{action.removesuffix('Batch')}", arn, context)
    if action == "CreateQueue" and given:
        yield Access("sqs:TagQueue", arn, context)


def _sns(action: str, parameters: Parameters) -> Iterator[Access]:
    arn = parameters.get("TopicArn") or parameters.get("TargetArn") or parameters.get("ResourceArn") or "*"
    if action == "CreateTopic":
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{parameters.get('Name')}"
    topic = world.sns().topics.get(arn)
    context = {**tags.of_resource(topic._tags if topic else {}), **tags.of_request(parameters.get("Tags"))}
    yield Access(f"sns:{action}", arn, context)
    if action == "CreateTopic" and parameters.get("Tags"):
        yield Access("sns:TagResource", arn, context)


# Route 53


def _route53(action: str, parameters: Parameters) -> Iterator[Access]:
    named = parameters.get("Id") or parameters.get("HostedZoneId") or parameters.get("ResourceId") or ""
    identifier = str(named).rsplit("/", 1)[-1]
    if action == "GetChange":
        yield Access("route53:GetChange", f"arn:aws:route53:::change/{identifier}")
        return
    context: Context = {}
    if action == "ChangeResourceRecordSets":
        changes = parameters.get("ChangeBatch", {}).get("Changes", [])
        sets = [change["ResourceRecordSet"] for change in changes]
        names = sorted({record["Name"].rstrip(".").lower() for record in sets})
        context = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": names,
            "route53:ChangeResourceRecordSetsRecordTypes": sorted({record["Type"] for record in sets}),
            "route53:ChangeResourceRecordSetsActions": sorted({change["Action"] for change in changes}),
        }
    if (action == "ListResourceRecordSets" or identifier) and action != "ListHostedZonesByName":
        yield Access(f"route53:{action}", f"arn:aws:route53:::hostedzone/{identifier}", context)
    else:
        yield Access(f"route53:{action}")


# Cloud Map


def _servicediscovery(action: str, parameters: Parameters) -> Iterator[Access]:
    identifier = parameters.get("ServiceId") or (parameters.get("Id") if action.endswith("Service") else None)
    backend, prefix = world.servicediscovery(), f"arn:aws:servicediscovery:{REGION}:{ACCOUNT_ID}"
    namespace = parameters.get("NamespaceId") or (parameters.get("Id") if action == "GetNamespace" else None)
    given = tags.of_request(parameters.get("Tags"))
    if namespace:
        found = backend.namespaces.get(namespace)
        arn = found.arn if found else f"{prefix}:namespace/{namespace}"
        yield Access(f"servicediscovery:{action}", arn, {"servicediscovery:NamespaceArn": arn, **given})
    if action == "CreateService":
        yield Access("servicediscovery:CreateService", f"{prefix}:service/*", given)
        if given:
            yield Access("servicediscovery:TagResource", "*", given)
    if identifier is None:
        if not namespace:
            yield Access(f"servicediscovery:{action}", "*", given)
        return
    service = backend.services.get(identifier)
    arn = service.arn if service else f"{prefix}:service/{identifier}"
    own = tags.of_resource(backend.tagger.get_tag_dict_for_resource(arn))
    yield Access(f"servicediscovery:{action}", arn, {"servicediscovery:ServiceArn": arn, **own})
    if service is None or action not in ("RegisterInstance", "DeregisterInstance"):
        return
    # https://docs.aws.amazon.com/cloud-map/latest/dg/cloud-map-api-permissions-ref.html
    yield Access("route53:GetHealthCheck", "arn:aws:route53:::healthcheck/*")
    namespace = backend.namespaces[service.namespace_id]
    kinds = sorted({dns_record["Type"] for dns_record in (service.dns_config or {}).get("DnsRecords", [])})
    if kinds and namespace.type != "HTTP":
        # Cloud Map changes records with the caller's permissions.
        context: Context = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": [f"{service.name}.{namespace.name}".lower()],
            "route53:ChangeResourceRecordSetsRecordTypes": kinds,
            "route53:ChangeResourceRecordSetsActions": ["UPSERT" if action == "RegisterInstance" else "DELETE"],
        }
        zone = namespace.dns_properties["HostedZoneId"]
        yield Access("route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{zone}", context)


# Other services


_IAM_TAGGING = {"CreateRole": "TagRole", "CreateInstanceProfile": "TagInstanceProfile"}


def _iam(action: str, parameters: Parameters) -> Iterator[Access]:
    account, name = f"arn:aws:iam::{ACCOUNT_ID}", parameters.get("RoleName")
    role = next((candidate for candidate in world.iam().roles.values() if candidate.name == name), None)
    path = parameters.get("Path") or "/"
    context, boundary = tags.of_request(parameters.get("Tags")), parameters.get("PermissionsBoundary")
    if parameters.get("InstanceProfileName"):
        profile = parameters["InstanceProfileName"]
        found = (known.arn for known in world.iam().instance_profiles.values() if known.name == profile)
        resource = next(found, f"{account}:instance-profile{path}{profile}")
    elif name:
        resource = role.arn if role else f"{account}:role{path}{name}"
        context |= tags.of_resource(role.tags if role else [], "iam:ResourceTag")
        boundary = boundary or (role.permissions_boundary_arn if role else None)
    elif action == "CreateServiceLinkedRole":
        service = parameters["AWSServiceName"]
        resource = SERVICE_ROLE_ARN if service == AUTO_SCALING else f"{account}:role/aws-service-role/{service}/*"
        context |= {"iam:AWSServiceName": service}
    elif parameters.get("UserName"):
        resource = f"{account}:user/{parameters['UserName']}"
    else:
        resource = parameters.get("PolicyArn") or "*"
    if boundary:
        context["iam:PermissionsBoundary"] = boundary
    if parameters.get("PolicyArn"):
        context["iam:PolicyARN"] = parameters["PolicyArn"]
    yield Access(f"iam:{action}", resource, context)
    if action == "AddRoleToInstanceProfile" and role is not None:
        yield launches.passing(role)
    if action in _IAM_TAGGING and parameters.get("Tags"):
        yield Access(f"iam:{_IAM_TAGGING[action]}", resource, context)


def _sts(action: str, parameters: Parameters) -> Iterator[Access]:
    # GetCallerIdentity is always allowed.
    if action != "GetCallerIdentity":
        yield Access(f"sts:{action}", parameters.get("RoleArn") or "*")


def _ssm(action: str, parameters: Parameters) -> Iterator[Access]:
    names = parameters.get("Names") or [parameters.get("Name") or parameters.get("Path")]
    if names == [None]:
        yield Access(f"ssm:{action}")
    for name in filter(None, names):
        # The ARN of a public parameter has no account.
        account = "" if name.startswith("/aws/") else ACCOUNT_ID
        own = tags.of_resource(world.ssm()._resource_tags["Parameter"].get(name))
        yield Access(f"ssm:{action}", f"arn:aws:ssm:{REGION}:{account}:parameter/{name.lstrip('/')}", own)


def _ecr(action: str, parameters: Parameters) -> Iterator[Access]:
    name = parameters.get("repositoryName")
    yield Access(f"ecr:{action}", f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{name}" if name else "*")


_SECRET_KEY_USES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("CreateSecret", "PutSecretValue", "UpdateSecret"), ("kms:GenerateDataKey", "kms:Decrypt")),
    "GetSecretValue": ("kms:Decrypt",),
}


def _secretsmanager(action: str, parameters: Parameters) -> Iterator[Access]:
    named = parameters.get("SecretId") or parameters.get("Name")
    if named is None:
        yield Access(f"secretsmanager:{action}")
        return
    found = next(
        (secret for secret in world.secretsmanager().secrets.values() if named in (secret.name, secret.arn)), None
    )
    own = tags.of_resource((found.tags if found else None) or [], "secretsmanager:ResourceTag")
    arn = found.arn if found else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{named}-??????"
    given = tags.of_request(parameters.get("Tags"))
    yield Access(f"secretsmanager:{action}", arn, {**own, **given})
    if action == "CreateSecret" and given:
        yield Access("secretsmanager:TagResource", arn, given)
    key = parameters.get("KmsKeyId") or (found.kms_key_id if found else None)
    if key:
        context: Context = {
            "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com",
            "kms:CallerAccount": ACCOUNT_ID,
            "kms:EncryptionContext:SecretARN": arn,
            "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
        }
        for use in _SECRET_KEY_USES.get(action, ()):
            yield _key_access(use, key, context)


def _logs(action: str, parameters: Parameters) -> Iterator[Access]:
    if action == "DescribeLogGroups":
        yield Access("logs:DescribeLogGroups")
        return
    named = str(parameters.get("resourceArn") or "").removesuffix(":*")
    arn = named or f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{parameters.get('logGroupName') or '*'}"
    stream = parameters.get("logStreamName")
    given = tags.of_request(parameters.get("tags"))
    own = tags.of_resource(world.logs().list_tags_for_resource(arn))
    # Tagging uses the group's ARN, all other actions the ARN of its streams.
    tagging = named or action in ("ListTagsLogGroup", "TagLogGroup", "UntagLogGroup")
    resource = arn if tagging else f"{arn}:log-stream:{stream}" if stream else f"{arn}:*"
    yield Access(f"logs:{action}", resource, {**own, **given})
    if action == "CreateLogGroup" and given:
        yield Access("logs:TagResource", arn, given)


def _cloudwatch(action: str, parameters: Parameters) -> Iterator[Access]:
    alarm, dashboard = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm", f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard"
    given = tags.of_request(parameters.get("Tags"))
    arns = [f"{alarm}:{name}" for name in [parameters.get("AlarmName"), *(parameters.get("AlarmNames") or [])] if name]
    names = [parameters.get("DashboardName"), *(parameters.get("DashboardNames") or [])]
    arns += [f"{dashboard}/{name}" for name in names if name]
    arns += [parameters["ResourceARN"]] if parameters.get("ResourceARN") else []
    if action == "DescribeAlarms":
        # Even with a name, it needs access to all alarms.
        arns = [f"{alarm}:*"]
    namespace = parameters.get("Namespace") if action == "PutMetricData" else None
    context = {"cloudwatch:namespace": namespace} if namespace else given
    for arn in arns or ["*"]:
        yield Access(f"cloudwatch:{action}", arn, context)
    if action == "PutMetricAlarm" and given:
        yield Access("cloudwatch:TagResource", arns[0], given)


def _elbv2(action: str, parameters: Parameters) -> Iterator[Access]:
    # Describe actions have no resource.
    named = parameters.get("TargetGroupArn") or parameters.get("LoadBalancerArn") or parameters.get("ListenerArn")
    on = None if action.startswith("Describe") else named
    yield Access(f"elasticloadbalancing:{action}", on or "*")


def _events(action: str, parameters: Parameters) -> Iterator[Access]:
    rule = parameters.get("Rule") or parameters.get("Name")
    arn = parameters.get("ResourceARN") or (f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{rule}" if rule else "*")
    given = tags.of_request(parameters.get("Tags"))
    yield Access(f"events:{action}", arn, given)
    if action == "PutRule" and given:
        yield Access("events:TagResource", arn, given)


def _servicequotas(action: str, parameters: Parameters) -> Iterator[Access]:
    quota = f"{parameters.get('ServiceCode')}/{parameters.get('QuotaCode')}"
    arn = f"arn:aws:servicequotas:{REGION}:{ACCOUNT_ID}:{quota}"
    yield Access(f"servicequotas:{action}", arn if action == "GetServiceQuota" else "*")


def _tagging(action: str, parameters: Parameters) -> Iterator[Access]:
    yield Access(f"tag:{action}")


_SERVICES: dict[str, Callable[[str, Parameters], Iterator[Access]]] = {
    "s3": _s3,
    "kms": _kms,
    "ec2": launches.of_ec2,
    "autoscaling": _autoscaling,
    "sqs": _sqs,
    "sns": _sns,
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
    "service-quotas": _servicequotas,
    "resourcegroupstaggingapi": _tagging,
}
