"""Rules for a cluster's configuration that can be checked without AWS."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import IPv4Network, ip_network
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Sequence

from .._core.dns import MOST_INSTANCES, most_values, owner_name
from .._core.names import bucket as bucket_name
from .._core.node_labels import VOLUME_PREFIX
from ..aws.provision_error import ProvisionError
from . import cluster_tags, disks, subnets
from .configuration_schema import suggestion
from .nat_gateways import NONE

CLUSTER_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
GROUP_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._/-]*[a-zA-Z0-9])?")
HOST_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REPOSITORY = re.compile(r"(arn:aws[a-z-]*:ecr:[a-z0-9-]+:\d{12}:repository/)?[a-z0-9*?][a-z0-9*?._/-]*")
TARGET_GROUP = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"
)
BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/([!-.0-~]+/)*[A-Za-z0-9+=,.@_-]{1,128}")
# As mail servers without extensions take it (RFC 5321), which is what SNS writes to.
MAIL_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
# Of a name, as DNS has it without the final dot.
NAME_LENGTH = 253
# How no bucket's name and no security group's may begin
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html,
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html).
TAKEN = {"xn--": "bucket", "sthree-": "bucket", "amzn-s3-demo-": "bucket", "sg-": "security group"}
# Seconds. CloudWatch's alarms look back a day at most, and some look at ten periods.
SHORT_PERIODS, LONGEST_PERIOD = (10, 20, 30), 3600
# Target tracking looks at periods of a minute.
LONGEST_SCALING_PERIOD = 60
BUCKET_NAME_LIMIT = 63
MOST_MANAGERS = 7
# What a group may add to the user data, of which EC2 takes 16 KB in all.
USER_DATA_LIMIT = 7168
# Of that, what the most volumes that a group can have take.
VOLUMES_ROOM = 3072
# Default address pools of the engine and the swarm.
ENGINE_NETWORKS = {
    "172.17.0.0/16": "Docker's bridge network",
    "10.0.0.0/16": "the swarm's first overlay networks",
}


class Advice(str):
    """A sentence about what is allowed, but unwise; any other is about what is wrong."""


class Findings(NamedTuple):
    """Sentences about what is wrong, and about what is unwise."""

    errors: List[str]
    warnings: List[str]


def check(config: Mapping[str, Any], regions: Sequence[str]) -> Findings:
    """Check a configuration that has its defaults and whose values are of the right types."""
    said = list(names(config, regions))
    for rule in (
        lambda config: cluster_tags.problems(config["cluster_tags"]),
        _repositories,
        _permissions_boundary,
        _addresses,
        _dns,
        _private_nodes,
        _groups,
        _managers,
        _monitoring,
        _scaling_period,
        _logs,
    ):
        said += rule(config)
    advice = [finding for finding in said if isinstance(finding, Advice)]
    return Findings([finding for finding in said if finding not in advice], [str(finding) for finding in advice])


def quorum(managers: int) -> int:
    """How many of ``managers`` must be reachable."""
    return managers // 2 + 1


def names(config: Mapping[str, Any], regions: Sequence[str]) -> Iterator[str]:
    """Check the keys that identify the cluster: ``account_id``, ``region`` and ``cluster_name``."""
    account, region, cluster = str(config["account_id"]), config["region"], config["cluster_name"]
    if not re.fullmatch(r"\d{12}", account):
        yield f"account_id is '{account}', but an AWS account's ID has 12 digits: put it in quotes."
    if region not in regions:
        hint = suggestion(region, regions) or ": give one such as eu-west-1."
        yield f"region '{region}' is not an AWS region{hint}"
    if not CLUSTER_NAME.fullmatch(cluster):
        yield (
            f"cluster_name is '{cluster}', but must be 2 to 31 lower-case letters, digits and hyphens, a letter first."
        )
    for beginning, kind in TAKEN.items():
        if f"{cluster}-".startswith(beginning):
            service = "S3" if kind == "bucket" else "EC2"
            yield (
                f"cluster_name is '{cluster}', but {service} takes no {kind} whose name begins with {beginning}: "
                "choose another name."
            )
    bucket = bucket_name(cluster, account, region)
    if len(bucket) > BUCKET_NAME_LIMIT:
        yield (
            f"cluster_name '{cluster}' makes the bucket's name {bucket} longer than the {BUCKET_NAME_LIMIT} characters "
            f"that S3 takes: shorten it by {len(bucket) - BUCKET_NAME_LIMIT}."
        )


def _permissions_boundary(config: Mapping[str, Any]) -> Iterator[str]:
    arn = config["permissions_boundary"]
    if arn is not None and not BOUNDARY.fullmatch(arn):
        yield (
            f"permissions_boundary is '{arn}', which is not the ARN of a managed policy: give one such as "
            "arn:aws:iam::123456789012:policy/boundary, or leave it out."
        )
        return
    owner = arn.split(":")[4] if arn else "aws"
    if owner not in ("aws", str(config["account_id"])):
        yield (
            f"permissions_boundary is a policy of the account {owner}, but IAM takes only one of the cluster's own, "
            f"{config['account_id']}, or of AWS: make it there."
        )


def _repositories(config: Mapping[str, Any]) -> Iterator[str]:
    for repository in config["ecr_repositories"]:
        if not REPOSITORY.fullmatch(repository):
            yield (
                f"ecr_repositories has '{repository}', which is neither a repository's name, such as shop/*, nor its "
                "ARN, such as arn:aws:ecr:eu-west-1:123456789012:repository/shop/*."
            )


def _range(name: str, text: str, *, ipv6: bool = False) -> Iterator[str]:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        yield f"{name} has '{text}', which is not a range of addresses such as 10.20.0.0/16."
        return
    if "/" not in text or str(network) != text:
        yield f"{name} has '{text}', which is not where a range starts; did you mean '{network}'?"
    elif network.version == 6 and not ipv6:
        yield f"{name} has '{text}', but only IPv4 ranges are supported."


def _addresses(config: Mapping[str, Any]) -> Iterator[str]:
    zones: Sequence[str] = config["zones"]
    region: str = config["region"]
    if not zones:
        yield f"zones is empty: name the availability zones to use, such as [{region}a, {region}b]."
    yield from (f"zones has {zone} more than once." for zone in _twice(zones))
    for cidr in config["ssh_access"]:
        yield from _range("ssh_access", cidr)
        if cidr == "0.0.0.0/0":
            yield (
                "ssh_access has 0.0.0.0/0, which opens SSH to the whole internet: "
                "give the ranges you connect from, or none and use Session Manager."
            )
    for port in config["published_ports"]:
        if not 1 <= port["port"] <= 65535:
            yield f"published_ports has {port['port']}, but ports go from 1 to 65535."
        elif port["port"] in (22, 2375, 2376, 2377, 4789, 7946):
            yield (
                f"published_ports has {port['port']}, which is not for the public: SSH is opened by ssh_access, and "
                "the engine's and the swarm's own ports stay closed."
            )
        for cidr in port["from"]:
            where = f"published_ports[{port['port']}].from"
            wrong = list(_range(where, cidr, ipv6=True))
            yield from wrong
            if not wrong and ":" in cidr and not (config["dns"] or {}).get("ipv6"):
                yield f"{where} has {cidr}, but no node has an IPv6 address: set dns.ipv6 to true, or leave it out."
    wrong = list(_range("vpc_cidr", config["vpc_cidr"]))
    yield from wrong
    if wrong:
        return
    vpc = IPv4Network(config["vpc_cidr"])
    if not 16 <= vpc.prefixlen <= subnets.SMALLEST_PREFIX:
        yield f"vpc_cidr is {vpc}, but a VPC's range must be between /16 and /28 in size."
        return
    for cidr, owner in ENGINE_NETWORKS.items():
        if vpc.overlaps(IPv4Network(cidr)):
            yield f"vpc_cidr {vpc} overlaps {cidr}, where {owner} are: choose another range, such as 10.20.0.0/16."
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
            f"vpc_cidr {vpc} is too small: it has addresses for {sum(room.values())} instances in {len(room)} zones, "
            f"but the groups may have {most} together: give a larger range."
        )


def _dns(config: Mapping[str, Any]) -> Iterator[str]:
    dns, groups = config["dns"], config["node_groups"]
    if dns is None:
        named = [group["name"] for group in groups if group["dns"]]
        if named:
            yield Advice(f"The groups {', '.join(named)} ask for a DNS record, but dns is not set: there will be none.")
        return
    if dns["cloud_map"] is None:
        yield from _record(dns, groups)
    else:
        yield from _service(dns, groups)
    if not 1 <= dns["ttl"] <= 86400:
        yield f"dns.ttl is {dns['ttl']}, but must be between 1 and 86400 seconds."
    if not any(group["dns"] for group in groups):
        yield Advice("dns is set, but no group has dns: true, so that the record would have no addresses.")


def _record(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    missing = [f"dns.{key}" for key in ("zone", "record") if not dns[key]]
    if missing:
        yield (
            f"{' and '.join(missing)} missing: dns needs a zone and the name of a record in it, or cloud_map instead."
        )
        return
    zone, record = dns["zone"].rstrip(".").lower(), dns["record"].rstrip(".").lower()
    for key, name in (("zone", zone), ("record", record)):
        if not HOST_NAME.fullmatch(name) or len(name) > NAME_LENGTH:
            yield f"dns.{key} is '{dns[key]}', which is not a domain name."
    if record != zone and not record.endswith(f".{zone}"):
        yield f"dns.record {dns['record']} is not in the zone {dns['zone']}: give a name that ends in .{zone}."
    room = NAME_LENGTH - (len(owner_name(record)) - len(record))
    if room < len(record) <= NAME_LENGTH:
        yield (
            f"dns.record has {len(record)} characters, but {room} are the most, for the TXT record beside it is called "
            f"{owner_name(record)}: give a shorter name."
        )
    most, limit = sum(group["max"] for group in groups if group["dns"]), most_values(dns["ipv6"])
    if most > limit:
        yield Advice(
            f"The groups with dns may have {most} nodes together, but Route 53 takes {limit} addresses"
            f"{' of each kind' if dns['ipv6'] else ''} in a record: the others would not be in it."
        )


def _service(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if dns["zone"] or dns["record"]:
        yield (
            "dns has a record in a zone and cloud_map, and a cluster has one of them: leave out zone and record, or "
            "cloud_map."
        )
        return
    name = service_name(dns["cloud_map"])
    valid = HOST_NAME.fullmatch(name) and len(name) <= NAME_LENGTH and not name.startswith("*")
    if not valid or "." in dns["cloud_map"]["service"]:
        yield f"dns.cloud_map makes the name '{name}', which is not a domain name with one more part."
    most = sum(group["max"] for group in groups if group["dns"])
    if most > MOST_INSTANCES:
        yield (
            f"The groups with dns may have {most} nodes together, but Cloud Map takes {MOST_INSTANCES} of a service: "
            "give dns to fewer groups, or have fewer and larger nodes in them."
        )


def service_name(service: Mapping[str, str]) -> str:
    """The name by which clients find a Cloud Map service; ``service`` is `dns.cloud_map`."""
    return f"{service['service']}.{service['namespace']}".rstrip(".").lower()


def _private_nodes(config: Mapping[str, Any]) -> Iterator[str]:
    dns, groups = config["dns"], config["node_groups"]
    if config["private_nodes"] is None:
        return
    if dns is not None and dns["addresses"] == "public":
        yield (
            "dns.addresses is public, but with private_nodes no node has a public address: set it to private, for "
            "clients that reach the VPC, or leave dns out and give groups the target_groups of a load balancer."
        )
    if dns is not None and dns["ipv6"]:
        yield "dns.ipv6 is true, but IPv6 addresses are public: leave it out, or private_nodes."
    if dns is None and not any(group["target_groups"] for group in groups):
        yield Advice(
            "The nodes are private, and neither dns nor target_groups of a group are set: clients find none of them."
        )
    if config["private_nodes"]["nat"] == NONE:
        yield from _no_way_out(config)
    if not config["session_manager"]:
        yield Advice(
            "The nodes are private, and session_manager is false: only who is in the VPC, or connected to it, reaches "
            "them by SSH."
        )


def _no_way_out(config: Mapping[str, Any]) -> Iterator[str]:
    """Problems of nodes that reach only AWS."""
    for group in config["node_groups"]:
        if not config["node_images"].get(group["architecture"]) and not group["user_data"]:
            yield (
                f"node_groups[{group['name']}]: private_nodes.nat is none, so that its nodes reach no mirror of the "
                f"packages that they need: set node_images for {group['architecture']} to an image that has them, or "
                "have user_data fetch them from where nodes come to."
            )
    yield Advice(
        "private_nodes.nat is none: a node never joins if one of the packages that it needs is neither in its image "
        "nor fetched by user_data."
    )
    for repository in config["ecr_repositories"]:
        region = (
            repository.split(":")[3]
            if repository.startswith("arn:") and repository.count(":") >= 3
            else config["region"]
        )
        if region != config["region"]:
            yield (
                f"ecr_repositories has {repository}, but with private_nodes.nat none the nodes reach ECR in "
                f"{config['region']} alone: replicate the repository there, or set nat to one or per_zone."
            )
    if not config["ecr_repositories"]:
        yield Advice(
            "private_nodes.nat is none, and ecr_repositories is empty: the nodes reach no registry, and run only "
            "images that their machine image has."
        )


def _groups(config: Mapping[str, Any]) -> Iterator[str]:
    groups = config["node_groups"]
    if not groups:
        yield "node_groups is empty: a swarm needs at least a group of managers."
    for name in _twice([group["name"] for group in groups]):
        yield f"node_groups has two groups named '{name}': give each a name of its own."
    for group in groups:
        for problem in _group_problems(group, config["zones"]):
            yield f"node_groups[{group['name']}]: {problem}"
        spot = group["spot"]
        if spot is not None and len(group["instance_types"]) == 1:
            yield Advice(
                f"node_groups[{group['name']}]: spot capacity of a single instance type, {group['instance_types'][0]}, "
                "is often taken away or not to be had: name several types of about the same size."
            )


def _group_problems(group: Mapping[str, Any], zones: Sequence[str]) -> Iterable[str]:
    if not GROUP_NAME.fullmatch(group["name"]):
        yield "name must be 1 to 31 lower-case letters, digits and hyphens, a letter first."
    if not 0 <= group["min"] <= group["desired"] <= group["max"]:
        yield (
            f"min {group['min']}, desired {group['desired']} and max {group['max']} must be in ascending order, "
            "and none negative."
        )
    if not group["instance_types"]:
        yield "instance_types is empty: name at least one, such as t3.small."
    yield from (f"instance_types has {kind} more than once." for kind in _twice(group["instance_types"]))
    yield from disks.problems(group)
    if group["zones"] is not None:
        if not group["zones"]:
            yield "zones is empty: name some, or leave it out for all."
        yield from (f"zones has {zone} more than once." for zone in _twice(group["zones"]))
        for zone in group["zones"]:
            if zone not in zones:
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
            yield f"label '{key}' must be of letters, digits, and . _ / - between them."
        if str(key).startswith("swarm.aws"):
            yield f"label '{key}' is taken: labels that start with swarm.aws are the agent's."
        if str(key).startswith(VOLUME_PREFIX):
            yield f"label '{key}' is taken: labels that start with {VOLUME_PREFIX} tell of the group's volumes."
        if value is None:
            yield f"label '{key}' has no value: give it one, such as 'true', or leave it out."
        if isinstance(value, (list, Mapping)):
            yield f"label '{key}' must have a plain value."
    user_data = group["user_data"]
    if user_data and not user_data.startswith(("#!", "#cloud-config")):
        yield "user_data must start with #! (a script) or #cloud-config."
    room = USER_DATA_LIMIT - (VOLUMES_ROOM if group["volumes"] else 0)
    if len(user_data.encode()) > room:
        beside = " beside what mounts the volumes" if group["volumes"] else ""
        yield f"user_data has {len(user_data.encode())} bytes, but {room} is the most there is room for{beside}."


def _spot_problems(group: Mapping[str, Any]) -> Iterable[str]:
    spot = group["spot"]
    if spot is None:
        return
    if group["role"] == "manager":
        yield (
            "spot is for workers: AWS can take spot managers away together, and the quorum with them. Leave spot out."
        )
    if not 1 <= spot["share"] <= 100:
        yield f"spot.share is {spot['share']}, but must be a percentage from 1 to 100; without spot all is on demand."
    if not 0 <= spot["on_demand_base"] < max(group["max"], 1):
        yield (
            f"spot.on_demand_base is {spot['on_demand_base']}, but must be between 0 and less than max, "
            f"{group['max']}, for any to be spot."
        )


def _scaling_problems(group: Mapping[str, Any]) -> Iterable[str]:
    scaling = group["scaling"]
    if scaling is None:
        return
    if group["role"] == "manager":
        yield (
            "scaling is for workers: how many managers there are says how many may fail, which no task changes. Leave "
            "scaling out."
        )
    if not 1 <= scaling["target"] <= 100:
        yield f"scaling.target is {scaling['target']}, but must be a percentage from 1 to 100."
    if group["min"] < 1:
        yield (
            f"min is {group['min']}, but a group that scales keeps a node, from which is known what another one would "
            "have: set min to 1 or more."
        )
    if group["min"] == group["max"]:
        yield f"scaling has nothing to do between min {group['min']} and max {group['max']}: set max to more."


def _warm_pool_problems(group: Mapping[str, Any]) -> Iterable[str]:
    pool = group["warm_pool"]
    if pool is None:
        return
    if group["role"] == "manager":
        yield "warm_pool is for workers: groups of managers do not grow with the load. Leave warm_pool out."
    if group["spot"] is not None:
        yield "warm_pool and spot exclude each other, since AWS keeps no spot instances warm: leave one of them out."
    low, high = pool["min"], pool["max"]
    if low < 0 or high < 1:
        yield f"warm_pool.min is {low} and warm_pool.max is {high}, but must be 0 and 1 or more."
    elif not low and high <= group["min"]:
        yield (
            f"warm_pool would never have an instance, since the group's own {group['min']} are as many as both may "
            "have: set warm_pool.min to 1 or more, or warm_pool.max to more."
        )


def _managers(config: Mapping[str, Any]) -> Iterator[str]:
    groups = [group for group in config["node_groups"] if group["role"] == "manager"]
    managers = sum(group["desired"] for group in groups)
    if config["node_groups"] and managers == 0:
        yield "node_groups has no managers: give a group the role manager and at least one instance."
        return
    if managers > MOST_MANAGERS:
        yield (
            f"node_groups has {managers} managers, but more than {MOST_MANAGERS} make a swarm slower and not safer: "
            f"use {MOST_MANAGERS} or fewer, and workers."
        )
    elif managers and managers % 2 == 0:
        survives = managers - quorum(managers)
        yield Advice(
            f"An even number of managers, {managers}, needs {quorum(managers)} of them for a quorum and so survives "
            f"the loss of {survives}, which {managers - 1} would too: use {managers - 1} or {managers + 1}."
        )
    elif managers == 1:
        yield Advice("A single manager has no quorum to lose but itself: use 3 for a cluster that must last.")
    zones = {zone for group in groups for zone in (group["zones"] or config["zones"])}
    if managers >= 3 and 0 < len(zones) < 3:
        yield Advice(
            f"{managers} managers in {len(zones)} zone{'s' if len(zones) > 1 else ''}: "
            "the loss of one zone can take the quorum; use three zones."
        )


def _monitoring(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["monitoring"]
    if wanted is None:
        return
    period, port, topic = wanted["period_seconds"], wanted["prometheus_port"], wanted["topic_arn"]
    if period not in SHORT_PERIODS and (period < 60 or period % 60 or period > LONGEST_PERIOD):
        yield (
            f"monitoring.period_seconds is {period}, but CloudWatch's alarms know 10, 20, 30 and multiples of 60 "
            f"up to {LONGEST_PERIOD}."
        )
    if wanted["certificate_days"] < 1:
        yield f"monitoring.certificate_days is {wanted['certificate_days']}, but must be 1 or more."
    if port is not None and (not 1024 <= port <= 65535 or port in (2375, 2376, 2377, 4789, 7946, 9323)):
        yield (
            f"monitoring.prometheus_port is {port}, but must be between 1024 and 65535, and none of the engine's and "
            "the swarm's own, such as 9324."
        )
    yield from _tls_ports(config)
    for address in wanted["emails"]:
        if not MAIL_ADDRESS.fullmatch(address):
            yield (
                f"monitoring.emails has '{address}', which is not an e-mail address: give one such as "
                "operator@example.com, without a name or other signs around it."
            )
    if topic is not None:
        prefix = f"arn:aws:sns:{config['region']}:{config['account_id']}:"
        if not re.fullmatch(r"arn:aws[a-z-]*:" + re.escape(prefix[len("arn:aws:") :]) + r"[A-Za-z0-9_-]{1,256}", topic):
            yield (
                f"monitoring.topic_arn is '{topic}', but alarms go to topics of their own account and region only: "
                f"give one such as {prefix}alarms."
            )
        if wanted["emails"]:
            yield "monitoring has both emails and topic_arn: subscribe the addresses to that topic, or leave it out."
    if wanted["alarms"] and topic is None and not wanted["emails"]:
        yield Advice(
            "monitoring has neither emails nor topic_arn: alarms go off, but nobody hears of it unless they subscribe "
            f"to the topic {config['cluster_name']}-alarms."
        )


def _tls_ports(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["monitoring"]["tls_ports"]
    open_ports = {entry["port"] for entry in config["published_ports"] if entry["protocol"] == "tcp"}
    for port in sorted(set(wanted) - open_ports):
        yield (
            f"monitoring.tls_ports has {port}, but no client reaches it: open it in published_ports, or leave it out."
        )
    if wanted and config["dns"] is None:
        yield (
            "monitoring.tls_ports looks at the addresses of the cluster's record, but there is no dns: give it one, or "
            "leave tls_ports out."
        )


def _scaling_period(config: Mapping[str, Any]) -> Iterator[str]:
    period = (config["monitoring"] or {}).get("period_seconds", LONGEST_SCALING_PERIOD)
    names = [group["name"] for group in config["node_groups"] if group["scaling"] is not None]
    if names and period > LONGEST_SCALING_PERIOD:
        yield (
            f"monitoring.period_seconds is {period}, but Auto Scaling looks every minute at what the groups "
            f"{', '.join(names)} scale by: set it to {LONGEST_SCALING_PERIOD} or less."
        )


def _logs(config: Mapping[str, Any]) -> Iterator[str]:
    wanted = config["logs"]
    if wanted is not None and wanted["mib_per_day"] < 1:
        yield f"logs.mib_per_day is {wanted['mib_per_day']}, but must be 1 or more."


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
