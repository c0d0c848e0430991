"""Corrects moto's answers where they differ from AWS's and the product or amazon.aws depends on them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import launch_templates, security_groups
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.responses.security_groups import SecurityGroups
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE
from moto.iam.access_control import PermissionResult
from moto.iam.responses import IamResponse
from moto.kms.models import Alias, KmsBackend
from moto.route53.models import ChangeList
from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.sqs.models import Queue
from moto.sts.models import STSBackend

from lab.aws import instances, world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts
from lab.aws.strict.launch_templates import check_launchable
from lab.state import ACCOUNT_ID

RESOURCE_TYPES = {"eipalloc": "elastic-ip", "nat": "natgateway"}
"""DescribeTags' resource types by ID prefix."""
_WITH_PORTS = ("1", "6", "17", "58")
"""Numbers of the protocols whose rules have ports, or ICMP types."""


def install(grafts: Grafts) -> None:
    """Correct moto."""
    grafts.attribute(InstanceResponse, "run_instances", _run_instances)
    for prefix, kind in RESOURCE_TYPES.items():
        grafts.item(EC2_PREFIX_TO_RESOURCE, prefix, kind)
    for direction in ("ingress", "egress"):
        name = f"update_security_group_rule_descriptions_{direction}"
        grafts.around(SecurityGroups, name, _update_descriptions)
    grafts.attribute(security_groups, "SecurityGroupRule", _Rule)
    grafts.attribute(launch_templates, "LaunchTemplateVersion", _TemplateVersion)
    for name in ("create_launch_template", "create_launch_template_version"):
        grafts.around(LaunchTemplates, name, _create_launch_template)
    # The gate has judged the bucket's policy already, with its conditions.
    grafts.attribute(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    grafts.around(S3Backend, "put_object", _put_object)
    grafts.around(SubnetBackend, "delete_subnet", _delete_subnet)
    grafts.around(VPCBackend, "delete_vpc", _delete_vpc)
    # moto compares with its change log, where the order of values matters; strict checks compare with current records.
    grafts.attribute(ChangeList, "has_insert_or_update", lambda *_: True)
    grafts.attribute(ChangeList, "__contains__", lambda *_: False)
    grafts.around(STSBackend, "get_caller_identity", _get_caller_identity)
    grafts.around(IamResponse, "create_user", _create_user)
    grafts.new(IamResponse, "put_user_permissions_boundary", _put_boundary)
    # The request has no boundary, so this deletes it.
    grafts.new(IamResponse, "delete_user_permissions_boundary", _put_boundary)
    grafts.around(Queue, "_set_attributes", _set_queue_attributes)
    grafts.around(KmsBackend, "create_alias", _create_alias)
    # moto does not accept an ARN here.
    grafts.around(
        KmsBackend, "schedule_key_deletion", lambda delete, self, key, days: delete(self, self.get_key_id(key), days)
    )


def _create_alias(create: Callable[..., Alias], self: KmsBackend, key_id: str, alias_name: str) -> Alias:
    """AWS manages and rotates the keys of its services."""
    alias = create(self, key_id, alias_name)
    if alias_name.startswith("alias/aws/"):
        key = self.keys[self.get_key_id(key_id)]
        key.key_manager, key.key_rotation_status = "AWS", True
    return alias


def _put_object(put: Callable[..., FakeKey], *arguments: Any, **named: Any) -> FakeKey:
    """The ETag of an object encrypted with KMS is not the content's MD5, and differs with each write."""
    key = put(*arguments, **named)
    if key.encryption == "aws:kms":
        _, dash, parts = key.etag.strip('"').partition("-")
        key._etag = f"{secrets.token_hex(16)}{dash}{parts}"
    return key


def _set_queue_attributes(
    set_attributes: Callable[..., None], self: Any, attributes: dict[str, Any], now: Any = None
) -> None:
    """Setting other attributes keeps a queue's policy."""
    before = getattr(self, "policy", None)
    set_attributes(self, attributes, now)
    if "Policy" not in attributes:
        self.policy = before


def _get_caller_identity(of_role: Callable[..., Any], self: Any, access_key_id: str, region: str) -> Any:
    if access_key_id == world.ADMINISTRATOR:
        return ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root", ACCOUNT_ID
    return of_role(self, access_key_id, region)


def _create_user(create: Callable[[Any], ActionResult], self: Any) -> ActionResult:
    """Store the permissions boundary, which moto supports only for roles."""
    answer = create(self)
    _put_boundary(self)
    return answer


def _put_boundary(self: Any) -> EmptyResult:
    self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = self._get_param("PermissionsBoundary")
    return EmptyResult()


def _run_instances(self: Any) -> ActionResult:
    """Use the whole launch template; moto uses only a part."""
    given = dict(self.params) if isinstance(self.params, dict) else self.params.original_dict()
    named = given.pop("LaunchTemplate", None)
    data: dict[str, Any] = given
    if named:
        version = world.ec2()._get_template_from_args(named)
        data = {**version.data, **{key: value for key, value in given.items() if value is not None}}
    self.error_on_dryrun()
    return ActionResult(instances.launch(data, count=int(given.get("MaxCount") or 1), template=named))


def _delete_subnet(delete: Callable[..., Any], self: Any, subnet_id: str) -> Any:
    """Delete the subnet's route table associations too."""
    deleted = delete(self, subnet_id)
    for table in self.route_tables.values():
        for key in [key for key, subnet in table._associations.items() if subnet == subnet_id]:
            del table._associations[key]
    return deleted


def _delete_vpc(delete: Callable[..., Any], self: Any, vpc_id: str) -> Any:
    """Delete the VPC's network ACLs too."""
    deleted = delete(self, vpc_id)
    for identifier in [acl.id for acl in self.network_acls.values() if acl.vpc_id == vpc_id]:
        del self.network_acls[identifier]
    return deleted


def _update_descriptions(update: Callable[[Any], ActionResult], self: Any) -> ActionResult:
    update(self)
    return ActionResult({"Return": True})


def _create_launch_template(create: Callable[[Any], ActionResult], self: Any) -> ActionResult:
    """Warn of a template that cannot be launched."""
    answer = create(self)
    try:
        check_launchable(self._get_param("LaunchTemplateData", {}))
    except AwsError as error:
        problem = {"Code": error.code, "Message": error.message}
        return ActionResult({**answer.result, "Warning": {"Errors": [problem]}})  # type: ignore[dict-item]
    return answer


class _TemplateVersion(LaunchTemplateVersion):
    """A version without the tags of the template itself, and without unset values."""

    def __init__(self, template: Any, number: int, data: dict[str, Any], description: str) -> None:
        own = {key: value for key, value in data.items() if value is not None}
        tags = [
            specification
            for specification in own.get("TagSpecifications", [])
            if specification.get("ResourceType") != "launch-template"
        ]
        own.pop("TagSpecifications", None)
        super().__init__(template, number, {**own, **({"TagSpecifications": tags} if tags else {})}, description)


class _Rule(SecurityGroupRule):
    """A rule for a protocol without ports has none, such as ESP's."""

    def __init__(
        self, backend: Any, protocol: str, group_id: str, from_port: Any, to_port: Any, *more: Any, **named: Any
    ) -> None:
        portless = str(protocol).isdigit() and str(protocol) not in _WITH_PORTS
        ports = (0, 0) if portless else (from_port, to_port)
        super().__init__(backend, protocol, group_id, *ports, *more, **named)
        if portless:
            self.from_port = self.to_port = None
