"""Checks a configuration against itself and against the account, before anything is written."""

from __future__ import annotations

import re
import time
from functools import cached_property, partial
from ipaddress import IPv4Network
from itertools import chain, zip_longest
from typing import Any, Callable, Iterator, Mapping, Sequence

from .._core import dns as record_rules
from .._core.cluster import MANAGER
from .._core.errors import SwarmError
from .._core.names import resource_names
from .._core.policy import Dns, Policy
from ..adapters.route53 import Zone
from ..aws import tags
from ..aws.aws_session import AWS_ERRORS, AwsSession, ClientError, code, listed, sentence, unless_missing
from ..aws.provision_error import ProvisionError
from ..stack import compose
from ..stack.stack_error import StackError
from . import (
    bucket,
    cloud_map_service,
    configuration_rules,
    disks,
    engine,
    existing_network,
    hosted_zone,
    interface_endpoints,
    inventory,
    launch_limits,
    security_group_rules,
    subnets,
)
from . import configuration_schema as configuration
from .configuration_rules import Advice
from .configuration_schema import SoundConfig, Unsound, suggestion, while_sound
from .existing_network import S3
from .name_clashes import clashes
from .nat_gateways import NONE

# Firmware and memory checks take up to 20 minutes.
BARE_METAL_LAUNCH_SECONDS = 1800
NO_TOPIC = ("NotFound", "NotFoundException")
# This host and the metadata service.
ALWAYS_DIRECT = ("localhost", "127.0.0.1", "169.254.169.254", "fd00:ec2::254")


# SSM parameters by operating system and architecture.
Images = Mapping[str, Mapping[str, str]]


class Preflight:
    """Checks the resources that a configuration names against the account, and collects the errors."""

    def __init__(self, aws: AwsSession, config: Mapping[str, Any], image_parameters: Images) -> None:
        self._aws, self._config, self._image_parameters = aws, config, image_parameters
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.images: dict[str, dict[str, Any]] = {}
        self.zone_id: str | None = None
        # ID of a key without its alias.
        self.key_id: str | None = None

    def look(self) -> None:
        """Check everything."""
        for check in (
            self._zones,
            self._key_pair,
            self._permissions_boundary,
            self._instance_types,
            partial(launch_limits.key_problems, self._aws, self._config),
            self._images,
            self._vpcs,
            self._security_group_rules,
            self._dns,
            self._clashes,
            self._bucket,
            self._key,
            self._secret,
            self._topic,
            self._target_groups,
            self._endpoints,
        ):
            try:
                for problem in while_sound(check):
                    (self.warnings if isinstance(problem, Advice) else self.errors).append(problem)
            except (ProvisionError, SwarmError) as error:
                self.errors.append(str(error))
            except AWS_ERRORS as error:
                self.errors.append(sentence(error))

    @cached_property
    def _names(self) -> dict[str, str]:
        return _names(self._config)

    @cached_property
    def _available_zones(self) -> list[str]:
        found = self._aws.client("ec2").describe_availability_zones(
            Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
        )["AvailabilityZones"]
        return sorted(zone["ZoneName"] for zone in found if zone["State"] == "available")

    def _zones(self) -> Iterator[str]:
        region, available = self._config["region"], self._available_zones
        for zone in self._config["zones"]:
            if zone not in available:
                hint = suggestion(zone, available)
                yield f"zones has {zone}, but the region {region} has {', '.join(available)}{hint or '.'}"

    def _key_pair(self) -> Iterator[str]:
        name = self._config["key_name"]
        if not name:
            return
        others = [pair["KeyName"] for pair in self._aws.client("ec2").describe_key_pairs()["KeyPairs"]]
        if name not in others:
            hint = suggestion(name, others) or ": import the key pair, or remove key_name and use Session Manager."
            yield f"key_name '{name}' is not a key pair in the region {self._config['region']}{hint}"

    def _permissions_boundary(self) -> Iterator[str]:
        arn = self._config["permissions_boundary"]
        # The rules refuse other values.
        if arn is None or not configuration_rules.BOUNDARY.fullmatch(arn):
            return
        if unless_missing(self._aws.client("iam").get_policy, "NoSuchEntity", PolicyArn=arn) is None:
            yield (
                f"permissions_boundary is '{arn}', but this policy does not exist: create it, or remove "
                "permissions_boundary."
            )

    def _dns(self) -> Iterator[str]:
        dns = self._config["dns"] or {}
        # The rules refuse both and neither.
        if dns.get("zone"):
            self.zone_id = hosted_zone.find(self._aws, dns["zone"])["id"]
            if dns["record"]:
                yield from self._record(Dns(self.zone_id, _plain_record(dns), dns["ttl"], ipv6=dns["ipv6"]))
        if dns.get("cloud_map"):
            namespace = cloud_map_service.find(self._aws, dns["cloud_map"]["namespace"])
            cloud_map_service.own(self._aws, self._config["cluster_name"], namespace["id"], dns["cloud_map"])

    def _record(self, wanted: Dns) -> Iterator[str]:
        """Say what the agents would refuse."""
        record = Zone(self._aws, time.time).read(wanted)
        foreign = record_rules.foreign(
            record, wanted, Policy(self._config["cluster_name"], {}, region=self._aws.region).owner
        )
        if foreign:
            yield foreign
        elif wanted.ipv6 and record.ipv6_unowned:
            yield Advice(record_rules.foreign_ipv6(wanted))

    def _bucket(self) -> Iterator[str]:
        yield from bucket.bucket_problems(self._aws, self._names["bucket"])
        yield from bucket.address_pool_problems(self._aws, self._names["bucket"], self._config)

    def _secret(self) -> Iterator[str]:
        if self._config["autolock"]:
            yield from bucket.secret_problems(self._aws, self._names["unlock_secret"])

    def _key(self) -> Iterator[str]:
        yield from ()
        self.key_id = bucket.find_key(self._aws, self._config["cluster_name"], self._names["key_alias"])

    def _endpoints(self) -> Iterator[str]:
        nodes = self._config["private_nodes"]
        if nodes is None or not nodes["endpoints"]:
            return
        for endpoint, offer in interface_endpoints.offers_of(self._aws, nodes["endpoints"]).items():
            if offer.zones is not None and not set(offer.zones) & set(self._config["zones"]):
                yield (
                    f"private_nodes.nat is none, but the interface endpoint for {endpoint} is not available in "
                    f"the zones {', '.join(self._config['zones'])}: add {' or '.join(offer.zones)} to zones."
                )

    def _topic(self) -> Iterator[str]:
        arn = (self._config["monitoring"] or {}).get("topic_arn")
        # SNS refuses invalid ARNs, and the rules have already reported them.
        get = self._aws.client("sns").get_topic_attributes
        if arn and unless_missing(get, *NO_TOPIC, "InvalidParameter", TopicArn=arn) is None:
            yield f"monitoring.topic_arn is '{arn}', but this topic does not exist: create it, or remove topic_arn."

    def _target_groups(self) -> Iterator[str]:
        """Check each by itself, since AWS answers nothing if one does not exist."""
        named = [
            (group["name"], target_group)
            for group in self._config["node_groups"]
            for target_group in group["target_groups"]
        ]
        for group, arn in named:
            if configuration_rules.TARGET_GROUP.fullmatch(arn):
                yield from self._target_group(f"node_groups[{group}]: target_groups has {arn}", arn)

    def _target_group(self, where: str, arn: str) -> Iterator[str]:
        describe = self._aws.client("elbv2").describe_target_groups
        found = unless_missing(describe, "TargetGroupNotFound", "ValidationError", TargetGroupArns=[arn])
        if not found:
            yield f"{where}, but this target group does not exist: create it, or remove it."
            return
        (group,) = found["TargetGroups"]
        if group.get("TargetType") != "instance":
            yield (
                f"{where}, whose target type is {group.get('TargetType')}, but must be instance: create another target "
                "group."
            )
            return
        network = self._config["network"]
        if network is not None:
            if network["vpc_id"] not in (None, group.get("VpcId")):
                yield (
                    f"{where}, which is in the VPC {group.get('VpcId')} and not in {network['vpc_id']}: create a "
                    "target group there."
                )
            return
        own = tags.of_cluster_filter(self._config["cluster_name"])
        vpcs = listed(self._aws.client("ec2"), "describe_vpcs", "Vpcs", Filters=own)
        if group.get("VpcId") not in [vpc["VpcId"] for vpc in vpcs]:
            yield (
                f"{where}, which is in the VPC {group.get('VpcId')} and not in the cluster's: create a target group "
                "there; site.yml --tags network creates the VPC first."
            )

    def _instance_types(self) -> Iterator[str]:
        wanted = sorted(
            {instance_kind for group in self._config["node_groups"] for instance_kind in group["instance_types"]}
        )
        if not wanted:
            return
        filters = [{"Name": "instance-type", "Values": wanted}]
        types = list(listed(self._aws.client("ec2"), "describe_instance_types", "InstanceTypes", Filters=filters))
        found = {kind["InstanceType"]: kind["ProcessorInfo"]["SupportedArchitectures"] for kind in types}
        for group in self._config["node_groups"]:
            for instance_kind in group["instance_types"]:
                where = f"node_groups[{group['name']}]"
                if instance_kind not in found:
                    yield (
                        f"{where}: instance type {instance_kind} does not exist in the region {self._config['region']}."
                    )
                elif group["architecture"] not in found[instance_kind]:
                    yield (
                        f"{where}: instance type {instance_kind} is {' or '.join(found[instance_kind])}, "
                        f"but the group's architecture is {group['architecture']}."
                    )
        yield from launch_limits.zone_problems(self._aws, self._config, sorted(found), self._available_zones)
        vcpus = {kind["InstanceType"]: kind["VCpuInfo"]["DefaultVCpus"] for kind in types}
        yield from launch_limits.quota_problems(self._aws, self._config, vcpus)

    def _images(self) -> Iterator[str]:
        own = self._config["node_images"]
        wanted = {group["architecture"] for group in self._config["node_groups"]}
        identifiers = {architecture: own[architecture] for architecture in sorted(wanted) if own.get(architecture)}
        parameters = self._image_parameters[self._config["node_os"]]
        names = {
            architecture: parameters[architecture] for architecture in sorted(wanted) if architecture not in identifiers
        }
        if names:
            found = self._aws.client("ssm").get_parameters(Names=sorted(names.values()))["Parameters"]
            values = {parameter["Name"]: parameter["Value"] for parameter in found}
            for architecture, name in names.items():
                if name in values:
                    identifiers[architecture] = values[name]
                else:
                    yield (
                        f"The region {self._config['region']} has no image of {self._config['node_os']} for "
                        f"{architecture} (SSM parameter {name}): choose another node_os, or set node_images."
                    )
        if identifiers:
            yield from self._read_images(identifiers)

    def _read_images(self, identifiers: Mapping[str, str]) -> Iterator[str]:
        try:
            found = self._aws.client("ec2").describe_images(ImageIds=sorted(set(identifiers.values())))["Images"]
        except ClientError as error:
            if not code(error).startswith("InvalidAMIID"):
                raise
            found = []
        by_id = {image["ImageId"]: image for image in found}
        for architecture, identifier in identifiers.items():
            image = by_id.get(identifier)
            if image is None or image.get("State") != "available":
                yield (
                    f"The image {identifier} for {architecture} does not exist in the region {self._config['region']}: "
                    "correct node_images, or share the image with this account."
                )
            elif image["Architecture"] != architecture:
                yield f"The image {identifier} is {image['Architecture']}, but is set for {architecture}."
            else:
                yield from self._read_image(architecture, image)

    def _read_image(self, architecture: str, image: Mapping[str, Any]) -> Iterator[str]:
        device = image["RootDeviceName"]
        self.images[architecture] = {"id": image["ImageId"], "root_device": device}
        sizes = [
            mapping["Ebs"].get("VolumeSize", 0)
            for mapping in image.get("BlockDeviceMappings", [])
            if mapping.get("DeviceName") == device and "Ebs" in mapping
        ]
        for group in self._config["node_groups"]:
            if group["architecture"] == architecture and sizes and group["volume_size"] < sizes[0]:
                yield (
                    f"node_groups[{group['name']}]: volume_size is {group['volume_size']}, "
                    f"but the image {image['ImageId']} needs {sizes[0]} GiB."
                )

    def _vpcs(self) -> Iterator[str]:
        network, cluster = self._config["network"], self._config["cluster_name"]
        found = list(listed(self._aws.client("ec2"), "describe_vpcs", "Vpcs"))
        owners = {vpc["VpcId"]: tags.from_list(vpc.get("Tags", [])).get(tags.CLUSTER) for vpc in found}
        own = [vpc for vpc, owner in owners.items() if owner == cluster] if network is None else [network["vpc_id"]]
        # The rules have already reported a network that is not found, and an invalid range.
        if any(own) or network is None:
            yield from existing_network.moved(self._aws, cluster, own)
        ranges = [self._config["vpc_cidr"]] if network is None else network.get("ranges", [])
        try:
            wanted = [IPv4Network(cidr) for cidr in ranges]
        except ValueError:
            return
        for vpc in found:
            if vpc["VpcId"] not in own:
                yield from self._overlaps(wanted, vpc, owners[vpc["VpcId"]])
            elif network is None and vpc["CidrBlock"] != str(wanted[0]):
                yield (
                    f"vpc_cidr is {wanted[0]}, but the cluster's VPC {vpc['VpcId']} has {vpc['CidrBlock']}, "
                    "which cannot be changed: restore the value, or create another cluster."
                )

    def _overlaps(self, wanted: Sequence[IPv4Network], vpc: Mapping[str, Any], owner: str | None) -> Iterator[str]:
        """Warn of another cluster's VPC with the same addresses, and refuse a range that another VPC has."""
        for block in existing_network.blocks(vpc):
            for cidr in (cidr for cidr in wanted if cidr.overlaps(IPv4Network(block))):
                if owner:
                    yield Advice(
                        f"The range {cidr} overlaps {block} of the cluster {owner} (VPC {vpc['VpcId']}), so the two "
                        "clusters can never be connected: choose another range if they should be."
                    )
                elif self._config["network"] is None:
                    name = tags.from_list(vpc.get("Tags", [])).get("Name")
                    name = name or ("the default VPC" if vpc.get("IsDefault") else "without a name")
                    yield (
                        f"vpc_cidr {cidr} overlaps {block} of the VPC {vpc['VpcId']} ({name}) in the same region, "
                        "so the two VPCs could never be connected: choose another range."
                    )

    def _security_group_rules(self) -> Iterator[str]:
        """Ask for the quota only if the default is not enough."""
        many = {
            group: found
            for group, found in security_group_rules.most(self._config).items()
            if found[0] > security_group_rules.DEFAULT
        }
        quota = security_group_rules.quota(self._aws) if many else None
        for group, (count, variable) in many.items():
            what = f"{variable} makes {count} rules in the security group {self._config['cluster_name']}-{group}"
            instead = (
                f"use fewer ranges, or request an increase of the quota {security_group_rules.QUOTA} of Amazon VPC."
            )
            if quota is None:
                yield Advice(
                    f"{what}, more than AWS's default of {security_group_rules.DEFAULT}, and the account's quota could "
                    f"not be read: if it is lower, {instead}"
                )
            elif count > quota:
                yield f"{what}, but the account allows {quota}: {instead}"

    def _clashes(self) -> Iterator[str]:
        cluster, region, role = self._config["cluster_name"], self._config["region"], self._names["manager_role"]
        yield from clashes(self._aws, SoundConfig(self._config, names=self._names))
        found = unless_missing(self._aws.client("iam").get_role, "NoSuchEntity", RoleName=role)
        own_tags = tags.from_list(found["Role"].get("Tags", [])) if found else {}
        elsewhere = own_tags.get(tags.REGION, region)
        path = found["Role"]["Path"] if found else self._config["iam_path"]
        if own_tags.get(tags.CLUSTER) == cluster and elsewhere == region and path != self._config["iam_path"]:
            yield (
                f"iam_path is {self._config['iam_path']}, but the IAM role {role} has the path {path}, which cannot be "
                "changed: restore the value, or create another cluster."
            )
        if own_tags.get(tags.CLUSTER) == cluster and elsewhere != region:
            yield (
                f"cluster_name {cluster} is used by the cluster in {elsewhere}, which has the IAM role {role}; "
                "IAM is global, so choose another name."
            )


def account_errors(aws: AwsSession, config: Mapping[str, Any]) -> list[str]:
    """Errors of the credentials, such as another account's, as sentences."""
    wanted = str(config["account_id"])
    try:
        account = aws.client("sts").get_caller_identity()["Account"]
    except AWS_ERRORS as error:
        return [sentence(error)]
    if account != wanted:
        return [
            f"The credentials are for the account {account}, but account_id is {wanted}: "
            "nothing was changed; use that account's profile, or correct account_id."
        ]
    return []


def identify(aws: AwsSession, config: Mapping[str, Any], inventories: Mapping[str, Any]) -> None:
    """Check only the account, the region and the cluster's name, with a single request.

    ``config`` needs ``account_id``, ``region`` and ``cluster_name``; ``inventories`` are the contents of the inventory
    files that find the cluster's instances. Raises one ProvisionError with all errors.
    """
    errors = list(configuration_rules.names(config, aws.regions()))
    errors += [error for path, found in inventories.items() for error in inventory.check(path, found, config)]
    # Requests need a region that exists.
    errors = errors or account_errors(aws, config)
    if errors:
        raise ProvisionError(_list(errors))


def run(
    aws: AwsSession,
    raw: Mapping[str, Any],
    spec: configuration.Spec,
    files: Mapping[str, Sequence[str]],
    known: Sequence[str],
    inventories: Mapping[str, Any],
    image_parameters: Images,
    stack_name: str = "",
    *,
    deploys: bool = False,
    session_plugin: str = "",
) -> dict[str, Any]:
    """Check everything and return the results. Raises one ProvisionError with all errors.

    ``files`` are the names of the variables in each configuration file, ``known`` the names of all variables;
    ``inventories`` are the contents of the inventory files that find the cluster's instances; ``stack_name`` is the
    name of the stack to deploy, empty for the example's. ``deploys`` says whether it is deployed afterwards, so that
    Ansible must reach the nodes; ``session_plugin`` is the path of AWS's session-manager-plugin, empty for none.
    """
    errors = [
        error
        for path, keys in files.items()
        # Ansible's own variables are not the cluster's configuration.
        for error in configuration.unknown_keys(path, [key for key in keys if not key.startswith("ansible_")], known)
    ]
    wrong = {key: configuration.check(raw, {key: rule}) for key, rule in spec.items()}
    errors += chain.from_iterable(wrong.values())
    given = configuration.with_defaults(raw, spec)
    config = _settled(SoundConfig({key: value for key, value in given.items() if not wrong[key]}))
    for error in configuration_rules.names(config, aws.regions()):
        errors.append(error)
        config.pop(error.split()[0], None)
    account = list(while_sound(partial(account_errors, aws, config)))
    # Requests need a region that exists.
    readable = not account and {"account_id", "region"} <= config.keys()
    config, network_errors, warnings = existing_network.resolved(aws, config, readable)
    against_rules, advice = configuration_rules.check(config, aws.regions())
    errors += [*account, *network_errors, *against_rules]
    warnings += advice
    for path, found in inventories.items():
        errors += while_sound(partial(inventory.check, path, found, config))
    reached = partial(inventory.unreached, inventories, config, session_plugin)
    (errors if deploys else warnings).extend(while_sound(reached))
    if stack_name:
        errors += _stack_name_errors(stack_name)
    preflight = Preflight(aws, config, image_parameters)
    if readable:
        preflight.look()
    errors += preflight.errors
    if errors:
        # In the order of the configuration.
        order = list(dict.fromkeys([*chain.from_iterable(files.values()), *spec]))
        raise ProvisionError(_list(sorted(errors, key=lambda error: _position(error, order))))
    return {
        "warnings": [*warnings, *preflight.warnings],
        "images": preflight.images,
        "config": _complete(aws, config, preflight),
    }


def _position(error: str, keys: Sequence[str]) -> int:
    """The position of the first key that a sentence names; at the end without a key."""
    return next((keys.index(word) for word in re.findall(r"\w+", error) if word in keys), len(keys))


def _stack_name_errors(name: str) -> list[str]:
    try:
        compose.check_name(name)
    except StackError as error:
        return [str(error)]
    return []


def _settled(config: SoundConfig) -> SoundConfig:
    """The configuration with derived values, and with tags and labels as strings. Changes ``config``."""
    derived: Mapping[str, Callable[[], Any]] = {
        "account_id": lambda: str(config["account_id"]),
        "cluster_tags": lambda: configuration.texts(config["cluster_tags"]),
        "zones": lambda: config["zones"] or [],
        # The network's subnets decide about both.
        "vpc_cidr": lambda: config["vpc_cidr"] or (None if config["network"] else subnets.DEFAULT_RANGE),
        "public_addresses": lambda: config["private_nodes"] is None,
        "network": lambda: config["network"] and {**config["network"], **_tag_texts(config["network"])},
        "node_groups": lambda: [_settled_group(group) for group in config["node_groups"]],
        "private_nodes": lambda: config["private_nodes"] and _settled_private(config),
    }
    for key, value in derived.items():
        try:
            config[key] = value()
        except Unsound:
            config.pop(key, None)
    return config


def _settled_private(config: Mapping[str, Any]) -> dict[str, Any]:
    nodes = config["private_nodes"]
    return {**nodes, "endpoints": interface_endpoints.needed(config) if nodes["nat"] == NONE else []}


def _settled_group(group: Mapping[str, Any]) -> dict[str, Any]:
    """By default a group's size is fixed, and the group and its warm pool together have at most the group's max."""
    most = group["desired"] if group["max"] is None else group["max"]
    pool, volumes = group["warm_pool"], group["volumes"]
    return {
        **group,
        "min": group["desired"] if group["min"] is None else group["min"],
        "max": most,
        "labels": configuration.texts(group["labels"]),
        "warm_pool": pool and {"min": pool["min"], "max": most if pool["max"] is None else pool["max"]},
        # The rules refuse a volume without a device.
        "volumes": [
            {**volume, "mount": disks.mount(volume), "device": device}
            for volume, device in zip_longest(volumes, disks.NAMES[: len(volumes)])
        ],
    }


def _names(config: Mapping[str, Any]) -> dict[str, str]:
    return resource_names(config["cluster_name"], config["account_id"], config["region"])


def _plain_record(dns: Mapping[str, Any]) -> str:
    return str(dns["record"]).lower().rstrip(".")


def _complete(aws: AwsSession, config: Mapping[str, Any], found: Preflight) -> dict[str, Any]:
    """The configuration with what roles also need: names, tags, images, and the hosted zone or Cloud Map name."""
    dns = config["dns"]
    if dns is not None:
        record = configuration_rules.service_name(dns["cloud_map"]) if dns["cloud_map"] else _plain_record(dns)
        dns = {**dns, "record": record, "zone_id": found.zone_id}
    return {
        **config,
        "dns": dns,
        "daemon": engine.daemon(config),
        "http_proxy": _proxy(config, aws.dns_suffix),
        "key_id": found.key_id,
        "partition": aws.partition,
        "dns_suffix": aws.dns_suffix,
        "names": _names(config),
        "tags": tags.of_cluster(config["cluster_name"], config["cluster_tags"]),
        "node_groups": [_complete_group(config, group, found.images) for group in config["node_groups"]],
    }


def _proxy(config: Mapping[str, Any], dns_suffix: str) -> dict[str, str] | None:
    """The proxy's URL, and the hosts that nodes reach without it as the environment variable `no_proxy` has them."""
    proxy, nodes, network = config["http_proxy"], config["private_nodes"], config["network"]
    if proxy is None:
        return None
    # A VPC of the cluster's always has a gateway endpoint for S3.
    endpoints = network["endpoints"] if network else [S3, *(nodes["endpoints"] if nodes else [])]
    direct = [interface_endpoints.host(endpoint, config["region"], dns_suffix) for endpoint in endpoints]
    if S3 in endpoints:
        direct.append(interface_endpoints.host(f"dualstack.{S3}", config["region"], dns_suffix))
    ranges = network["ranges"] if network else [config["vpc_cidr"]]
    return {
        "url": proxy["url"].rstrip("/"),
        "no_proxy": ",".join(dict.fromkeys([*ALWAYS_DIRECT, *ranges, *direct, *proxy["no_proxy"]])),
    }


def _complete_group(config: Mapping[str, Any], group: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """A node group with its image, time to join, block devices, tags and security groups (names, IDs of others)."""
    cluster, image, network = config["cluster_name"], images[group["architecture"]], config["network"]
    serves = group["dns"] or group["target_groups"]
    bare_metal = any(".metal" in kind for kind in group["instance_types"])
    groups = ["member", *(["manager"] if group["role"] == MANAGER else []), *(["edge"] if serves else [])]
    return {
        **group,
        "image": image["id"],
        "launch_seconds": group["launch_seconds"] or (BARE_METAL_LAUNCH_SECONDS if bare_metal else None),
        "block_devices": disks.block_devices(image["root_device"], group, config["ebs_kms_key"]),
        "security_groups": list(
            dict.fromkeys(
                [
                    *(f"{cluster}-{name}" for name in groups),
                    *(network["security_groups"] if network else []),
                    *group["security_groups"],
                ]
            )
        ),
        "tags": {
            **tags.of_cluster(cluster, config["cluster_tags"], Name=f"{cluster}-{group['name']}"),
            tags.GROUP: group["name"],
            tags.ROLE: group["role"],
        },
    }


def _tag_texts(network: Mapping[str, Any]) -> dict[str, Any]:
    return {key: configuration.texts(network[key]) for key in ("vpc_tags", "subnet_tags")}


def _list(errors: Sequence[str]) -> str:
    if len(errors) == 1:
        return errors[0]
    return "\n".join([f"{len(errors)} errors:", *(f"- {error}" for error in errors)])
