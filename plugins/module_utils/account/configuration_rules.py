"""Rules for a cluster's configuration that can be checked without AWS."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from ipaddress import IPv4Network
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Sequence

from .._core.counting import counted
from .._core.dns import MOST_INSTANCES, most_values, owner_name
from .._core.names import bucket as bucket_name
from .._core.node_labels import VOLUME_PREFIX
from ..aws.provision_error import ProvisionError
from . import cluster_tags, disks, engine, subnets
from .configuration_schema import Advice, suggestion, while_sound
from .nat_gateways import NONE

CLUSTER_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
GROUP_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._/-]*[a-zA-Z0-9])?")
HOST_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REPOSITORY = re.compile(r"(arn:aws[a-z-]*:ecr:[a-z0-9-]+:\d{12}:repository/)?[a-z0-9*?][a-z0-9*?._/-]*")
PROXY = re.compile(r"http://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:\d{1,5})?/?")
TARGET_GROUP = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"
)
BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/([!-.0-~]+/)*[A-Za-z0-9+=,.@_-]{1,128}")
# An alias, an ID or the ARN of either; multi-region keys have an ID of their own form.
KEY = re.compile(
    r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:)?(alias/[A-Za-z0-9/_-]{1,250}|(key/)?(mrk-)?[0-9a-f-]{32,36})"
)
IAM_PATH = re.compile(r"(?=.{1,512}$)/([!-.0-~]+/)*")
# As RFC 5321 defines addresses without extensions, which SNS requires.
MAIL_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
# Maximum length of a DNS name without the final dot.
NAME_LENGTH = 253
# Prefixes that the names of buckets and security groups must not have
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html,
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html).
TAKEN = {"xn--": "bucket", "sthree-": "bucket", "amzn-s3-demo-": "bucket", "sg-": "security group"}
# Seconds. CloudWatch's alarms evaluate at most a day, and some of them ten periods.
SHORT_PERIODS, LONGEST_PERIOD = (10, 20, 30), 3600
# Target tracking evaluates periods of a minute.
LONGEST_SCALING_PERIOD = 60
BUCKET_NAME_LIMIT = 63
# A lifecycle hook waits for 7200 seconds at most, and 300 longer than the agents.
LONGEST_LAUNCH = 6900
MOST_MANAGERS = 7
# Maximum size of a group's own user data; EC2 accepts 16 KB in all.
USER_DATA_LIMIT = 6144
# The part of it that the maximum number of volumes needs.
VOLUMES_ROOM = 2048
# Maximum size of http_proxy.no_proxy, which is in the user data three times, and what it leaves to a group's own.
NO_PROXY_LIMIT = 250
PROXY_ROOM = 2048


class Findings(NamedTuple):
    """Errors and warnings, as sentences."""

    errors: List[str]
    warnings: List[str]


def check(config: Mapping[str, Any], regions: Sequence[str]) -> Findings:
    """Check a configuration with defaults, as far as its values are of the right types."""
    said = list(names(config, regions))
    for rule in (
        lambda config: cluster_tags.problems(config["cluster_tags"]),
        _repositories,
        _permissions_boundary,
        _ebs_kms_key,
        _iam_path,
        _addresses,
        _dns,
        _private_nodes,
        engine.problems,
        _http_proxy,
        _groups,
        _managers,
        _monitoring,
        _scaling_period,
        _logs,
    ):
        said += while_sound(partial(rule, config))
    advice = [finding for finding in said if isinstance(finding, Advice)]
    return Findings([finding for finding in said if finding not in advice], [str(finding) for finding in advice])


def quorum(managers: int) -> int:
    """The number of ``managers`` that must be reachable."""
    return managers // 2 + 1


def names(config: Mapping[str, Any], regions: Sequence[str]) -> Iterator[str]:
    """Check the keys that identify the cluster: ``account_id``, ``region`` and ``cluster_name``."""
    for rule in (_account_id, partial(_region, regions=regions), _cluster_name):
        yield from while_sound(partial(rule, config))


def _account_id(config: Mapping[str, Any]) -> Iterator[str]:
    account = str(config["account_id"])
    if not re.fullmatch(r"\d{12}", account):
        yield f"account_id is '{account}', but an account ID has 12 digits: put it in quotes."


def _region(config: Mapping[str, Any], regions: Sequence[str]) -> Iterator[str]:
    region = config["region"]
    if region not in regions:
        hint = suggestion(region, regions) or ": use a region such as eu-west-1."
        yield f"region '{region}' is not an AWS region{hint}"


def _cluster_name(config: Mapping[str, Any]) -> Iterator[str]:
    cluster = config["cluster_name"]
    if not CLUSTER_NAME.fullmatch(cluster):
        yield (
            f"cluster_name is '{cluster}', but must be 2 to 31 lower-case letters, digits and hyphens, starting with "
            "a letter."
        )
    for prefix, kind in TAKEN.items():
        if f"{cluster}-".startswith(prefix):
            service = "S3" if kind == "bucket" else "EC2"
            yield (
                f"cluster_name is '{cluster}', but the names of {service} {kind}s cannot start with {prefix}: "
                "choose another name."
            )
    bucket = bucket_name(cluster, str(config["account_id"]), config["region"])
    if len(bucket) > BUCKET_NAME_LIMIT:
        yield (
            f"cluster_name '{cluster}' makes the bucket's name {bucket} longer than the {BUCKET_NAME_LIMIT} characters "
            f"that S3 allows: shorten it by {len(bucket) - BUCKET_NAME_LIMIT}."
        )


def _ebs_kms_key(config: Mapping[str, Any]) -> Iterator[str]:
    key = config["ebs_kms_key"]
    if key is not None and not KEY.fullmatch(key):
        yield (
            f"ebs_kms_key is '{key}', which cannot be a KMS key: use alias/aws/ebs, another alias such as "
            "alias/volumes, or the key's ID or ARN."
        )


def _permissions_boundary(config: Mapping[str, Any]) -> Iterator[str]:
    arn = config["permissions_boundary"]
    if arn is not None and not BOUNDARY.fullmatch(arn):
        yield (
            f"permissions_boundary is '{arn}', which is not the ARN of a managed policy: use an ARN such as "
            "arn:aws:iam::123456789012:policy/boundary, or remove permissions_boundary."
        )
        return
    owner = arn.split(":")[4] if arn else "aws"
    if owner not in ("aws", str(config["account_id"])):
        yield (
            f"permissions_boundary is a policy of the account {owner}, but must be a policy of the cluster's account, "
            f"{config['account_id']}, or of AWS: create the policy there."
        )


def _iam_path(config: Mapping[str, Any]) -> Iterator[str]:
    if not IAM_PATH.fullmatch(config["iam_path"]):
        yield (
            f"iam_path is '{config['iam_path']}', but must begin and end with /, such as /teams/blue/, and have at "
            "most 512 characters, without spaces."
        )


def _repositories(config: Mapping[str, Any]) -> Iterator[str]:
    for repository in config["ecr_repositories"]:
        if not REPOSITORY.fullmatch(repository):
            yield (
                f"ecr_repositories has '{repository}', which is neither the name of a repository, such as shop/*, nor "
                "an ARN, such as arn:aws:ecr:eu-west-1:123456789012:repository/shop/*."
            )


def _addresses(config: Mapping[str, Any]) -> Iterator[str]:
    zones: Sequence[str] = config["zones"]
    region: str = config["region"]
    network = config["network"]
    if not zones and network is None:
        yield f"zones is empty: list the availability zones to use, such as [{region}a, {region}b], or set network."
    yield from (f"zones has {zone} more than once." for zone in _twice(zones))
    for cidr in config["ssh_access"]:
        yield from subnets.cidr_problems("ssh_access", cidr)
        if cidr == "0.0.0.0/0":
            yield (
                "ssh_access has 0.0.0.0/0, which opens SSH to the whole internet: "
                "list only the ranges that you connect from, or none and use Session Manager."
            )
    for port in config["published_ports"]:
        if not 1 <= port["port"] <= 65535:
            yield f"published_ports has {port['port']}, but must be between 1 and 65535."
        elif port["port"] in (22, 2375, 2376, 2377, 4789, 7946):
            yield (
                f"published_ports has {port['port']}, which is not for the public: ssh_access opens SSH, and "
                "the ports of the engine and the swarm stay closed."
            )
        for cidr in port["from"]:
            where = f"published_ports[{port['port']}].from"
            wrong = list(subnets.cidr_problems(where, cidr, ipv6=True))
            yield from wrong
            if not wrong and ":" in cidr and not (config["dns"] or {}).get("ipv6"):
                yield f"{where} has {cidr}, but no node has an IPv6 address: set dns.ipv6 to true, or remove the range."
    if network is not None:
        return
    wrong = list(subnets.cidr_problems("vpc_cidr", config["vpc_cidr"]))
    yield from wrong
    if wrong:
        return
    vpc = IPv4Network(config["vpc_cidr"])
    if not 16 <= vpc.prefixlen <= subnets.SMALLEST_PREFIX:
        yield f"vpc_cidr is {vpc}, but the size of a VPC must be between /16 and /28."
        return
    for network in engine.networks(config):
        if vpc.overlaps(network.block):
            yield (
                f"vpc_cidr {vpc} overlaps {network.block}, used by {network.owner}: choose another range, such as "
                f"10.20.0.0/16, or set {network.setting} to other addresses."
            )
    try:
        private = config["private_nodes"] is not None
        plots = subnets.plots(list(dict.fromkeys(zones)), private=private)
        parts = subnets.carve(vpc, [plot.key for plot in plots], {})
    except ProvisionError as error:
        yield str(error)
        return
    room = {plot.zone: subnets.usable(parts[plot.key]) for plot in plots if plot.private is private}
    most = sum(group["max"] for group in config["node_groups"])
    if room and most > sum(room.values()):
        yield (
            f"vpc_cidr {vpc} is too small: it has addresses for {counted(sum(room.values()), 'instance')} in "
            f"{counted(len(room), 'zone')}, but the groups may have {most} together: use a larger range."
        )


def _dns(config: Mapping[str, Any]) -> Iterator[str]:
    dns, groups = config["dns"], config["node_groups"]
    if dns is None:
        named = [group["name"] for group in groups if group["dns"]]
        if named:
            yield Advice(f"The groups {', '.join(named)} have dns: true, but dns of the cluster is not set: no record.")
        return
    if dns["cloud_map"] is None:
        yield from _record(dns, groups)
    else:
        yield from _service(dns, groups)
    if not 1 <= dns["ttl"] <= 86400:
        yield f"dns.ttl is {dns['ttl']}, but must be between 1 and 86400 seconds."
    if not any(group["dns"] for group in groups):
        yield Advice("dns is set, but no group has dns: true: the record will have no addresses.")


def _record(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    missing = [f"dns.{key}" for key in ("zone", "record") if not dns[key]]
    if missing:
        yield (f"{' and '.join(missing)} missing: dns needs zone and record, or cloud_map.")
        return
    zone, record = dns["zone"].rstrip(".").lower(), dns["record"].rstrip(".").lower()
    for key, name in (("zone", zone), ("record", record)):
        if not HOST_NAME.fullmatch(name) or len(name) > NAME_LENGTH:
            yield f"dns.{key} is '{dns[key]}', which is not a domain name."
    if record != zone and not record.endswith(f".{zone}"):
        yield f"dns.record {dns['record']} is not in the zone {dns['zone']}: use a name that ends in .{zone}."
    room = NAME_LENGTH - (len(owner_name(record)) - len(record))
    if room < len(record) <= NAME_LENGTH:
        yield (
            f"dns.record has {len(record)} characters, but the maximum is {room}, because of its TXT record "
            f"{owner_name(record)}: use a shorter name."
        )
    most, limit = sum(group["max"] for group in groups if group["dns"]), most_values(dns["ipv6"])
    if most > limit:
        yield Advice(
            f"The groups with dns may have {most} nodes together, but Route 53 allows {limit} addresses"
            f"{' of each kind' if dns['ipv6'] else ''} in a record: the others will not be in it."
        )


def _service(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if dns["zone"] or dns["record"]:
        yield (
            "dns has both a record and cloud_map, but a cluster can have only one of them: remove zone and record, or "
            "cloud_map."
        )
        return
    name = service_name(dns["cloud_map"])
    valid = HOST_NAME.fullmatch(name) and len(name) <= NAME_LENGTH and not name.startswith("*")
    if not valid or "." in dns["cloud_map"]["service"]:
        yield f"dns.cloud_map makes the name '{name}', which is not a domain name one level below the namespace."
    most = sum(group["max"] for group in groups if group["dns"])
    if most > MOST_INSTANCES:
        yield (
            f"The groups with dns may have {most} nodes together, but Cloud Map allows {MOST_INSTANCES} per service: "
            "set dns in fewer groups, or use fewer and larger nodes."
        )


def service_name(service: Mapping[str, str]) -> str:
    """The name by which clients find a Cloud Map service; ``service`` is `dns.cloud_map`."""
    return f"{service['service']}.{service['namespace']}".rstrip(".").lower()


def _private_nodes(config: Mapping[str, Any]) -> Iterator[str]:
    dns, groups, nodes, network = (config[key] for key in ("dns", "node_groups", "private_nodes", "network"))
    if config["public_addresses"]:
        return
    if dns is not None and dns["addresses"] == "public":
        where = "with private_nodes no node has a public address" if nodes else "the subnets of network assign none"
        yield (
            f"dns.addresses is public, but {where}: set it to private for "
            "clients that reach the VPC, or remove dns and set target_groups of a load balancer."
        )
    if dns is not None and dns["ipv6"]:
        remedy = "private_nodes" if nodes else "use subnets with public addresses"
        yield f"dns.ipv6 is true, but IPv6 addresses are public: remove dns.ipv6, or {remedy}."
    if dns is None and not any(group["target_groups"] for group in groups):
        yield Advice(
            "The nodes are private, and neither dns nor target_groups of a group are set: clients cannot find them."
        )
    if nodes and nodes["nat"] == NONE and not config["http_proxy"]:
        yield from _no_way_out(config, "private_nodes.nat is none", "set nat to one or per_zone")
    if network and network["isolated"]:
        yield from _no_way_out(config, "the subnets of network have no route out", "add a route to a NAT gateway")
    if not config["session_manager"]:
        yield Advice(
            "The nodes are private, and session_manager is false: only hosts in the VPC, or connected to it, reach "
            "them by SSH."
        )


def _no_way_out(config: Mapping[str, Any], cause: str, remedy: str) -> Iterator[str]:
    """Errors and warnings about nodes that reach only AWS."""
    for group in config["node_groups"]:
        if not config["node_images"].get(group["architecture"]) and not group["user_data"]:
            yield (
                f"node_groups[{group['name']}]: {cause}, so its nodes reach no mirror of the "
                f"packages that they need: set node_images for {group['architecture']} to an image with the packages, "
                "or fetch them in user_data from a place that the nodes reach."
            )
    if config["engine"] == engine.DOCKER_CE:
        yield (
            f"engine is {engine.DOCKER_CE}, but {cause}, so its nodes do not reach download.docker.com: remove engine, "
            "and use an image that has the engine."
        )
    yield Advice(
        f"Since {cause}, a node never joins if a package that it needs is neither in its image nor fetched by "
        "user_data."
    )
    for repository in config["ecr_repositories"]:
        region = (
            repository.split(":")[3]
            if repository.startswith("arn:") and repository.count(":") >= 3
            else config["region"]
        )
        if region != config["region"]:
            yield (
                f"ecr_repositories has {repository}, but {cause}, so the nodes reach only ECR in "
                f"{config['region']}: replicate the repository there, or {remedy}."
            )
    if not config["ecr_repositories"]:
        yield Advice(
            f"ecr_repositories is empty, and {cause}: the nodes reach no registry, and can run only "
            "container images that are in their machine image."
        )


def _http_proxy(config: Mapping[str, Any]) -> Iterator[str]:
    proxy = config["http_proxy"]
    if proxy is None:
        return
    url = proxy["url"]
    # The value is a secret then.
    if "@" in url:
        yield (
            "http_proxy.url has a user name or a password, which every process on the nodes could read: use a proxy "
            "that allows the nodes by their addresses."
        )
    elif not PROXY.fullmatch(url):
        yield f"http_proxy.url is '{url}', but must be an address such as http://proxy.example.com:3128."
    for target in proxy["no_proxy"]:
        if "/" in target:
            yield from subnets.cidr_problems("http_proxy.no_proxy", target)
        elif not HOST_NAME.fullmatch(target.removeprefix(".")) or target.startswith("*"):
            yield (
                f"http_proxy.no_proxy has '{target}', but must have hosts, domains such as .example.com, and CIDR "
                "blocks."
            )
    if len(",".join(proxy["no_proxy"])) > NO_PROXY_LIMIT:
        yield (
            f"http_proxy.no_proxy has more than {NO_PROXY_LIMIT} characters, and EC2 limits an instance's user data: "
            "use domains instead of hosts."
        )


def _groups(config: Mapping[str, Any]) -> Iterator[str]:
    groups = config["node_groups"]
    if not groups:
        yield "node_groups is empty: a swarm needs at least one group of managers."
    for name in _twice([group["name"] for group in groups]):
        yield f"node_groups has two groups named '{name}': use unique names."
    for group in groups:
        # The network is checked first; without it, its zones are not known.
        zones = None if config["network"] and not config["zones"] else config["zones"]
        for problem in (*_group_problems(group, zones), *_user_data_problems(group, config)):
            yield f"node_groups[{group['name']}]: {problem}"
        spot = group["spot"]
        if spot is not None and len(group["instance_types"]) == 1:
            yield Advice(
                f"node_groups[{group['name']}]: spot capacity of a single instance type, {group['instance_types'][0]}, "
                "is often reclaimed or not available: list several types of about the same size."
            )


def _group_problems(group: Mapping[str, Any], zones: Sequence[str] | None) -> Iterable[str]:
    if not GROUP_NAME.fullmatch(group["name"]):
        yield "name must be 1 to 31 lower-case letters, digits and hyphens, starting with a letter."
    if not 0 <= group["min"] <= group["desired"] <= group["max"]:
        yield (
            f"min {group['min']}, desired {group['desired']} and max {group['max']} must be in ascending order, "
            "and none negative."
        )
    if not group["instance_types"]:
        yield "instance_types is empty: list at least one type, such as t3.small."
    yield from (f"instance_types has {kind} more than once." for kind in _twice(group["instance_types"]))
    yield from disks.problems(group)
    if group["launch_seconds"] is not None and not 60 <= group["launch_seconds"] <= LONGEST_LAUNCH:
        yield (
            f"launch_seconds is {group['launch_seconds']}, but must be between 60 and {LONGEST_LAUNCH}: correct it, or "
            "remove it for the default."
        )
    if group["zones"] is not None:
        if not group["zones"]:
            yield "zones is empty: list some zones, or remove it for all."
        yield from (f"zones has {zone} more than once." for zone in _twice(group["zones"]))
        for zone in group["zones"]:
            if zones is not None and zone not in zones:
                yield f"zone {zone} is not one of the cluster's zones{suggestion(zone, zones) or '.'}"
    yield from _spot_problems(group)
    yield from _scaling_problems(group)
    yield from _warm_pool_problems(group)
    for target_group in group["target_groups"]:
        if not TARGET_GROUP.fullmatch(target_group):
            yield (
                f"target_groups has '{target_group}', which is not the ARN of a target group, such as "
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef."
            )
    yield from (f"target_groups has {arn} more than once." for arn in _twice(group["target_groups"]))
    for key, value in group["labels"].items():
        if not LABEL.fullmatch(str(key)):
            yield f"label '{key}' must consist of letters and digits, with . _ / - between them."
        if str(key).startswith("swarm.aws"):
            yield f"label '{key}' is reserved: labels that start with swarm.aws belong to the agent."
        if str(key).startswith(VOLUME_PREFIX):
            yield f"label '{key}' is reserved: labels that start with {VOLUME_PREFIX} belong to the group's volumes."
        if value is None:
            yield f"label '{key}' has no value: set a value such as 'true', or remove the label."
        if isinstance(value, (list, Mapping)):
            yield f"label '{key}' must have a string, a number or a boolean as its value."


def _user_data_problems(group: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    user_data = group["user_data"]
    if user_data and not user_data.startswith(("#!", "#cloud-config")):
        yield "user_data must start with #! (a script) or #cloud-config."
    taken = {
        "volumes": VOLUMES_ROOM if group["volumes"] else 0,
        "http_proxy": PROXY_ROOM if config["http_proxy"] else 0,
        "engine or daemon_options": engine.room(config),
    }
    room = USER_DATA_LIMIT - sum(taken.values())
    if len(user_data.encode()) > room:
        beside = "".join(f" with {key}" for key, size in taken.items() if size)
        yield f"user_data has {len(user_data.encode())} bytes, but the maximum{beside} is {room}."


def _spot_problems(group: Mapping[str, Any]) -> Iterable[str]:
    spot = group["spot"]
    if spot is None:
        return
    if group["role"] == "manager":
        yield (
            "spot is for workers: AWS could reclaim several managers at once, and the quorum with them. Remove spot."
        )
    if not 1 <= spot["share"] <= 100:
        yield f"spot.share is {spot['share']}, but must be a percentage from 1 to 100: correct it, or remove spot."
    if not 0 <= spot["on_demand_base"] < max(group["max"], 1):
        yield (
            f"spot.on_demand_base is {spot['on_demand_base']}, but must be at least 0 and less than max, "
            f"{group['max']}; otherwise no instance is spot."
        )


def _scaling_problems(group: Mapping[str, Any]) -> Iterable[str]:
    scaling = group["scaling"]
    if scaling is None:
        return
    if group["role"] == "manager":
        yield (
            "scaling is for workers: the number of managers depends on how many may fail, not on the load. Remove "
            "scaling."
        )
    if not 1 <= scaling["target"] <= 100:
        yield f"scaling.target is {scaling['target']}, but must be a percentage from 1 to 100."
    if group["min"] < 1:
        yield (
            f"min is {group['min']}, but a group that scales needs a node, since the capacity of new nodes is only "
            "known from a node: set min to 1 or more."
        )
    if group["min"] == group["max"]:
        yield f"scaling has no effect between min {group['min']} and max {group['max']}: increase max."


def _warm_pool_problems(group: Mapping[str, Any]) -> Iterable[str]:
    pool = group["warm_pool"]
    if pool is None:
        return
    if group["role"] == "manager":
        yield "warm_pool is for workers: groups of managers do not grow with the load. Remove warm_pool."
    if group["spot"] is not None:
        yield "warm_pool and spot exclude each other, since AWS keeps no spot instances warm: remove one of them."
    low, high = pool["min"], pool["max"]
    if low < 0 or high < 1:
        yield f"warm_pool.min is {low} and warm_pool.max is {high}, but they must be at least 0 and at least 1."
    elif not low and high <= group["min"]:
        yield (
            f"warm_pool would always be empty, since the group's min, {group['min']}, is already the maximum of both "
            "together: set warm_pool.min to 1 or more, or increase warm_pool.max."
        )


def _managers(config: Mapping[str, Any]) -> Iterator[str]:
    groups = [group for group in config["node_groups"] if group["role"] == "manager"]
    managers = sum(group["desired"] for group in groups)
    if config["node_groups"] and managers == 0:
        yield "node_groups has no managers: add a group with the role manager and at least one instance."
        return
    if managers > MOST_MANAGERS:
        yield (
            f"node_groups has {managers} managers, but more than {MOST_MANAGERS} make a swarm slower, not safer: "
            f"use at most {MOST_MANAGERS}, and workers."
        )
    elif managers and managers % 2 == 0:
        survives = managers - quorum(managers)
        yield Advice(
            f"An even number of managers, {managers}, needs {quorum(managers)} of them for a quorum and survives "
            f"the loss of {survives}, like {counted(managers - 1, 'manager')}: use {managers - 1} or {managers + 1}."
        )
    elif managers == 1:
        yield Advice("A single manager has no redundancy: use 3 managers for a cluster that should survive a failure.")
    zones = {zone for group in groups for zone in (group["zones"] or config["zones"])}
    if managers >= 3 and 0 < len(zones) < 3:
        yield Advice(
            f"{managers} managers in {counted(len(zones), 'zone')}: "
            "the loss of a zone can cost the quorum; use three zones."
        )


def _monitoring(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["monitoring"]
    if wanted is None:
        return
    period, port, topic = wanted["period_seconds"], wanted["prometheus_port"], wanted["topic_arn"]
    if period not in SHORT_PERIODS and (period < 60 or period % 60 or period > LONGEST_PERIOD):
        yield (
            f"monitoring.period_seconds is {period}, but CloudWatch's alarms support only 10, 20, 30 and multiples of "
            f"60 up to {LONGEST_PERIOD}."
        )
    if wanted["certificate_days"] < 1:
        yield f"monitoring.certificate_days is {wanted['certificate_days']}, but must be 1 or more."
    if port is not None and (not 1024 <= port <= 65535 or port in (2375, 2376, 2377, 4789, 7946, 9323)):
        yield (
            f"monitoring.prometheus_port is {port}, but must be between 1024 and 65535, and not a port of the engine "
            "or the swarm, such as 9324."
        )
    yield from _tls_ports(config)
    for address in wanted["emails"]:
        if not MAIL_ADDRESS.fullmatch(address):
            yield (
                f"monitoring.emails has '{address}', which is not an email address: use an address such as "
                "operator@example.com, without a name or other characters around it."
            )
    if topic is not None:
        owner = f":sns:{config['region']}:{config['account_id']}:"
        if not re.fullmatch(r"arn:aws[a-z-]*" + re.escape(owner) + r"[A-Za-z0-9_-]{1,256}", topic):
            yield (
                f"monitoring.topic_arn is '{topic}', but alarms can use only topics of their own account and region: "
                f"use an ARN that ends with {owner} and the topic's name."
            )
        if wanted["emails"]:
            yield "monitoring has both emails and topic_arn: subscribe the addresses to the topic, or remove topic_arn."
    if wanted["alarms"] and topic is None and not wanted["emails"]:
        yield Advice(
            "monitoring has neither emails nor topic_arn: alarms notify nobody until somebody subscribes "
            f"to the topic {config['cluster_name']}-alarms."
        )


def _tls_ports(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["monitoring"]["tls_ports"]
    open_ports = {entry["port"] for entry in config["published_ports"] if entry["protocol"] == "tcp"}
    for port in sorted(set(wanted) - open_ports):
        yield (f"monitoring.tls_ports has {port}, but no client reaches it: open it in published_ports, or remove it.")
    if wanted and config["dns"] is None:
        yield (
            "monitoring.tls_ports checks the addresses of the cluster's record, but dns is not set: set it, or "
            "remove tls_ports."
        )


def _scaling_period(config: Mapping[str, Any]) -> Iterator[str]:
    period = (config["monitoring"] or {}).get("period_seconds", LONGEST_SCALING_PERIOD)
    names = [group["name"] for group in config["node_groups"] if group["scaling"] is not None]
    if names and period > LONGEST_SCALING_PERIOD:
        yield (
            f"monitoring.period_seconds is {period}, but Auto Scaling evaluates the metrics of the groups "
            f"{', '.join(names)} every minute: set it to {LONGEST_SCALING_PERIOD} or less."
        )


def _logs(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["logs"]
    if wanted is not None and wanted["mib_per_day"] < 1:
        yield f"logs.mib_per_day is {wanted['mib_per_day']}, but must be 1 or more."


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
