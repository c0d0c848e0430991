"""The actions and resources that an EC2 call, or a launch by Auto Scaling, needs access to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore import xform_name
from moto.core.exceptions import ServiceException

from lab.aws import world
from lab.aws.autoscaling.launching import specification, template_version
from lab.aws.iam import tags
from lab.aws.iam.policy import Access
from lab.state import ACCOUNT_ID, REGION

Parameters = Mapping[str, Any]

_KINDS = {
    "ami": "image",
    "eigw": "egress-only-internet-gateway",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
_ID = re.compile(r"([a-z]+)-[0-9a-f]+")
# The only Describe actions with a resource.
_DESCRIBING = ("DescribeInstanceAttribute", "DescribeVpcAttribute")
# These also name the route's target.
_ROUTING = ("CreateRoute", "ReplaceRoute")
# Actions that are not named after the resource type that they create.
_CREATING = {"AllocateAddress": "elastic-ip", "CreateNatGateway": "natgateway", "ImportKeyPair": "key-pair"}


def of_ec2(action: str, parameters: Parameters) -> Iterator[Access]:
    """The accesses of an EC2 call."""
    if action == "RunInstances":
        yield from _run_instances(parameters)
        return
    name, given, made = f"ec2:{action}", _given_tags(parameters), _created(action)
    # The tags of CreateTags and DeleteTags.
    request = tags.of_request(parameters.get("Tags"))
    found = [
        Access(name, _arn(identifier), {**_tags(identifier), **request})
        for identifier in _identifiers(parameters)
        if _kind(identifier) != made and _is_about(action, _kind(identifier))
    ]
    if made:
        found.append(Access(name, _arn(kind=made), tags.of_request(given.get(made))))
    yield from found or [Access(name)]
    yield from _tagging(action, given)
    if action == "CreateVpcEndpoint" and parameters.get("ServiceRegion") not in (None, REGION):
        yield Access("vpce:AllowMultiRegion", _arn(kind="vpc-endpoint"))


def _is_about(action: str, kind: str) -> bool:
    """Whether a call needs access to the resources of this kind that it names."""
    if action.startswith("Describe"):
        return action in _DESCRIBING
    return kind == "route-table" if action in _ROUTING else kind != "*"


def _created(action: str) -> str | None:
    """The kind of the resource that a call creates."""
    kind = _CREATING.get(action) or xform_name(action, "-").removeprefix("create-")
    return kind if kind in (*_KINDS.values(), "key-pair") else None


def of_group(parameters: Parameters, subnets: list[str]) -> Iterator[Access]:
    """The EC2 accesses that Auto Scaling requires of a caller who gives a group its launch template."""
    version = _version(specification(parameters))
    if version is not None:
        yield from _launch(version.data, version.template.id, subnets)


def passing(role: Any) -> Access:
    """The access to pass a role to EC2."""
    return Access("iam:PassRole", role.arn, {"iam:PassedToService": "ec2.amazonaws.com"})


def _run_instances(parameters: Parameters) -> Iterator[Access]:
    version = _version(parameters.get("LaunchTemplate"))
    own = {key: value for key, value in parameters.items() if value is not None}
    yield from _launch({**(version.data if version else {}), **own}, version.template.id if version else None, [])


def _launch(data: Parameters, template: str | None, subnets: list[str]) -> Iterator[Access]:
    interfaces = data.get("NetworkInterfaces") or []
    used = [data.get("ImageId"), template, *subnets, *(data.get("SecurityGroupIds") or [])]
    used += [] if subnets else [data.get("SubnetId"), *(interface.get("SubnetId") for interface in interfaces)]
    used += [group for interface in interfaces for group in interface.get("Groups") or []]
    context = {"ec2:LaunchTemplate": _arn(template)} if template else {}
    for identifier in dict.fromkeys(filter(None, used)):
        yield Access("ec2:RunInstances", _arn(identifier), {**_tags(identifier), **_vpc(identifier), **context})
    if data.get("KeyName"):
        yield Access("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:key-pair/{data['KeyName']}", context)
    given = _given_tags(data)
    for kind in ("instance", "network-interface", "volume"):
        yield Access("ec2:RunInstances", _arn(kind=kind), {**tags.of_request(given.get(kind)), **context})
    yield from _tagging("RunInstances", given)
    named = data.get("IamInstanceProfile") or {}
    name = named.get("Name") or str(named.get("Arn")).rsplit("/", 1)[-1]
    for profile in world.iam().instance_profiles.values():
        if profile.name == name:
            yield from map(passing, profile.roles)


def _tagging(action: str, given: Mapping[str, Any]) -> Iterator[Access]:
    """The accesses for the tags of new resources."""
    for kind, values in given.items():
        if values:
            yield Access("ec2:CreateTags", _arn(kind=kind), {**tags.of_request(values), "ec2:CreateAction": action})


def _given_tags(parameters: Parameters) -> dict[str, Any]:
    return {
        specification["ResourceType"]: specification.get("Tags")
        for specification in parameters.get("TagSpecifications") or []
    }


def _version(named: Parameters | None) -> Any | None:
    """The version of a launch template; None if it does not exist."""
    try:
        return template_version(dict(named)) if named else None
    except ServiceException:
        return None


def _identifiers(parameters: Parameters) -> Iterator[str]:
    """The resource IDs in a call's own parameters, not in nested rules or templates."""
    ec2 = world.ec2()
    for name, value in parameters.items():
        for text in value if isinstance(value, list) else [value]:
            if name == "LaunchTemplateName" and text in ec2.launch_template_name_to_ids:
                yield ec2.launch_template_name_to_ids[text]
            elif name == "AssociationId":
                yield from _associated(text)
            elif isinstance(text, str) and _ID.fullmatch(text):
                yield text


def _associated(association: str) -> Iterator[str]:
    for table in world.ec2().route_tables.values():
        if association in table._associations:
            yield from (table.id, table._associations[association])


def _kind(identifier: str) -> str:
    return _KINDS.get(identifier.split("-")[0], "*")


def _arn(identifier: str = "*", kind: str | None = None) -> str:
    kind = kind or _kind(identifier)
    account = "" if kind in ("image", "snapshot") else ACCOUNT_ID
    return f"arn:aws:ec2:{REGION}:{account}:{kind}/{identifier}"


def _vpc(identifier: str) -> dict[str, Any]:
    """The VPC of a subnet or a security group, as a condition key."""
    ec2 = world.ec2()
    found = [*ec2.subnets.values(), *ec2.groups.values()]
    return next(({"ec2:Vpc": _arn(those[identifier].vpc_id)} for those in found if identifier in those), {})


def _tags(identifier: str) -> dict[str, Any]:
    return tags.of_resource(world.ec2().tags.get(identifier, {}), "ec2:ResourceTag")
