"""What must hold for a cluster's configuration, as far as that can be told without asking AWS."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Iterable, Mapping, Sequence

from .._core.dns import MOST_INSTANCES, most_values
from .._core.labels import VOLUME_PREFIX
from .._core.names import bucket as bucket_name
from ..aws.errors import ProvisionError
from . import disks, subnets
from .nat import NONE
from .schema import suggestion

CLUSTER_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
GROUP_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._/-]*[a-zA-Z0-9])?")
HOST_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REPOSITORY = re.compile(r"(arn:aws[a-z-]*:ecr:[a-z0-9-]+:\d{12}:repository/)?[a-z0-9*?][a-z0-9*?._/-]*")
TARGET_GROUP = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"
)
BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+")
MAIL_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
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
# Where the engine and the swarm put their own networks by default.
ENGINE_NETWORKS = {
    "172.17.0.0/16": "Docker's bridge network",
    "10.0.0.0/16": "the swarm's first overlay networks",
}


class Findings:
    """Sentences about what is wrong, and about what is allowed but unwise."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []


def check(config: Mapping[str, Any], regions: Sequence[str]) -> Findings:
    """Check a configuration that has its defaults and whose values are of the right types."""
    findings = Findings()
    names(config, regions, findings)
    _tags(config["cluster_tags"], findings)
    _repositories(config["ecr_repositories"], findings)
    _permissions_boundary(config["permissions_boundary"], findings)
    _addresses(config, findings)
    _dns(config, findings)
    _private_nodes(config, findings)
    _groups(config, findings)
    _managers(config, findings)
    _monitoring(config, findings)
    _scaling_period(config, findings)
    _logs(config, findings)
    return findings


def quorum(managers: int) -> int:
    """How many of so many managers must be up."""
    return managers // 2 + 1


def names(config: Mapping[str, Any], regions: Sequence[str], findings: Findings) -> None:
    """Check what says which cluster is meant: ``account_id``, ``region`` and ``cluster_name``."""
    account, region, cluster = str(config["account_id"]), config["region"], config["cluster_name"]
    if not re.fullmatch(r"\d{12}", account):
        findings.errors.append(f"account_id is '{account}', but an AWS account's ID has 12 digits: put it in quotes.")
    if region not in regions:
        hint = suggestion(region, regions) or ": give one such as eu-west-1."
        findings.errors.append(f"region '{region}' is not an AWS region{hint}")
    if not CLUSTER_NAME.fullmatch(cluster):
        findings.errors.append(
            f"cluster_name is '{cluster}', but must be 2 to 31 lower-case letters, digits and hyphens, a letter first."
        )
    bucket = bucket_name(cluster, account, region)
    if len(bucket) > BUCKET_NAME_LIMIT:
        findings.errors.append(
            f"cluster_name '{cluster}' makes the bucket's name {bucket} longer than the {BUCKET_NAME_LIMIT} characters "
            f"that S3 takes: shorten it by {len(bucket) - BUCKET_NAME_LIMIT}."
        )


def _tags(tags: Mapping[str, Any], findings: Findings) -> None:
    for key, value in tags.items():
        if str(key).startswith(("aws:", "swarm.aws/")):
            findings.errors.append(
                f"cluster_tags has the key '{key}', but keys that start with aws: or swarm.aws/ are taken."
            )
        if len(str(key)) > 128 or len(str(value)) > 256:
            findings.errors.append(
                f"cluster_tags has '{str(key)[:40]}', but AWS takes keys of up to 128 and values of up to 256 letters."
            )


def _permissions_boundary(arn: str | None, findings: Findings) -> None:
    if arn is not None and not BOUNDARY.fullmatch(arn):
        findings.errors.append(
            f"permissions_boundary is '{arn}', which is not the ARN of a managed policy: give one such as "
            "arn:aws:iam::123456789012:policy/boundary, or leave it out."
        )


def _repositories(repositories: Sequence[str], findings: Findings) -> None:
    for one in repositories:
        if not REPOSITORY.fullmatch(one):
            findings.errors.append(
                f"ecr_repositories has '{one}', which is neither a repository's name, such as shop/*, nor its ARN, "
                "such as arn:aws:ecr:eu-west-1:123456789012:repository/shop/*."
            )


def _network(name: str, text: str, findings: Findings) -> IPv4Network | None:
    """An IPv4 CIDR block; None, and an error, if it is not one."""
    network = _any_network(name, text, findings)
    if isinstance(network, IPv6Network):
        findings.errors.append(f"{name} has '{text}', but only IPv4 ranges are supported.")
        return None
    return network


def _any_network(name: str, text: str, findings: Findings) -> IPv4Network | IPv6Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        findings.errors.append(f"{name} has '{text}', which is not a range of addresses such as 10.20.0.0/16.")
        return None
    if "/" not in text or str(network) != text:
        findings.errors.append(f"{name} has '{text}', which is not where a range starts; did you mean '{network}'?")
        return None
    return network


def _addresses(config: Mapping[str, Any], findings: Findings) -> None:
    zones: Sequence[str] = config["zones"]
    region: str = config["region"]
    if not zones:
        findings.errors.append(f"zones is empty: name the availability zones to use, such as [{region}a, {region}b].")
    findings.errors += [f"zones has {zone} more than once." for zone in _twice(zones)]
    for cidr in config["ssh_access"]:
        network = _network("ssh_access", cidr, findings)
        if network and network.prefixlen == 0:
            findings.errors.append(
                "ssh_access has 0.0.0.0/0, which opens SSH to the whole internet: "
                "give the ranges you connect from, or none and use Session Manager."
            )
    for port in config["published_ports"]:
        if not 1 <= port["port"] <= 65535:
            findings.errors.append(f"published_ports has {port['port']}, but ports go from 1 to 65535.")
        elif port["port"] in (22, 2375, 2376, 2377, 4789, 7946):
            findings.errors.append(
                f"published_ports has {port['port']}, which is not for the public: SSH is opened by ssh_access, and "
                "the engine's and the swarm's own ports stay closed."
            )
        for cidr in port["from"]:
            where = f"published_ports[{port['port']}].from"
            if isinstance(_any_network(where, cidr, findings), IPv6Network) and not (config["dns"] or {}).get("ipv6"):
                findings.errors.append(
                    f"{where} has {cidr}, but no node has an IPv6 address: set dns.ipv6 to true, or leave it out."
                )
    vpc = _network("vpc_cidr", config["vpc_cidr"], findings)
    if vpc is None:
        return
    if not 16 <= vpc.prefixlen <= subnets.SMALLEST_PREFIX:
        findings.errors.append(f"vpc_cidr is {vpc}, but a VPC's range must be between /16 and /28 in size.")
        return
    for cidr, owner in ENGINE_NETWORKS.items():
        if vpc.overlaps(IPv4Network(cidr)):
            findings.errors.append(
                f"vpc_cidr {vpc} overlaps {cidr}, where {owner} are: choose another range, such as 10.20.0.0/16."
            )
    try:
        private = config["private_nodes"] is not None
        plots = subnets.plots(list(dict.fromkeys(zones)), private=private)
        parts = subnets.carve(vpc, [plot.key for plot in plots], {})
    except ProvisionError as error:
        findings.errors.append(str(error))
        return
    room = {plot.zone: subnets.usable(parts[plot.key]) for plot in plots if plot.private is private}
    most = sum(group["max"] for group in config["node_groups"])
    if room and most > sum(room.values()):
        findings.errors.append(
            f"vpc_cidr {vpc} is too small: it has addresses for {sum(room.values())} instances in {len(room)} zones, "
            f"but the groups may have {most} together: give a larger range."
        )


def _dns(config: Mapping[str, Any], findings: Findings) -> None:
    dns, groups = config["dns"], config["node_groups"]
    if dns is None:
        named = [group["name"] for group in groups if group["dns"]]
        if named:
            findings.warnings.append(
                f"The groups {', '.join(named)} ask for a DNS record, but dns is not set: there will be none."
            )
        return
    if dns["cloud_map"] is None:
        _record(dns, groups, findings)
    else:
        _service(dns, groups, findings)
    if not 1 <= dns["ttl"] <= 86400:
        findings.errors.append(f"dns.ttl is {dns['ttl']}, but must be between 1 and 86400 seconds.")
    if not any(group["dns"] for group in groups):
        findings.warnings.append("dns is set, but no group has dns: true, so that the record would have no addresses.")


def _record(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    missing = [f"dns.{key}" for key in ("zone", "record") if not dns[key]]
    if missing:
        findings.errors.append(
            f"{' and '.join(missing)} missing: dns needs a zone and the name of a record in it, or cloud_map instead."
        )
        return
    zone, record = dns["zone"].rstrip(".").lower(), dns["record"].rstrip(".").lower()
    for key, name in (("zone", zone), ("record", record)):
        if not HOST_NAME.fullmatch(name) or len(name) > 253:
            findings.errors.append(f"dns.{key} is '{dns[key]}', which is not a domain name.")
    if record != zone and not record.endswith(f".{zone}"):
        findings.errors.append(
            f"dns.record {dns['record']} is not in the zone {dns['zone']}: give a name that ends in .{zone}."
        )
    most, limit = sum(group["max"] for group in groups if group["dns"]), most_values(dns["ipv6"])
    if most > limit:
        findings.warnings.append(
            f"The groups with dns may have {most} nodes together, but Route 53 takes {limit} addresses"
            f"{' of each kind' if dns['ipv6'] else ''} in a record: the others would not be in it."
        )


def _service(dns: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    if dns["zone"] or dns["record"]:
        findings.errors.append(
            "dns has a record in a zone and cloud_map, and a cluster has one of them: leave out zone and record, or "
            "cloud_map."
        )
        return
    name = service_name(dns["cloud_map"])
    if not HOST_NAME.fullmatch(name) or len(name) > 253 or "." in dns["cloud_map"]["service"] or name.startswith("*"):
        findings.errors.append(f"dns.cloud_map makes the name '{name}', which is not a domain name with one more part.")
    most = sum(group["max"] for group in groups if group["dns"])
    if most > MOST_INSTANCES:
        findings.errors.append(
            f"The groups with dns may have {most} nodes together, but Cloud Map takes {MOST_INSTANCES} of a service: "
            "give dns to fewer groups, or have fewer and larger nodes in them."
        )


def service_name(service: Mapping[str, str]) -> str:
    """The name by which clients find a Cloud Map service; ``service`` is `dns.cloud_map`."""
    return f"{service['service']}.{service['namespace']}".rstrip(".").lower()


def _private_nodes(config: Mapping[str, Any], findings: Findings) -> None:
    dns, groups = config["dns"], config["node_groups"]
    if config["private_nodes"] is None:
        return
    if dns is not None and dns["addresses"] == "public":
        findings.errors.append(
            "dns.addresses is public, but with private_nodes no node has a public address: set it to private, for "
            "clients that reach the VPC, or leave dns out and give groups the target_groups of a load balancer."
        )
    if dns is not None and dns["ipv6"]:
        findings.errors.append("dns.ipv6 is true, but IPv6 addresses are public: leave it out, or private_nodes.")
    if dns is None and not any(group["target_groups"] for group in groups):
        findings.warnings.append(
            "The nodes are private, and neither dns nor target_groups of a group are set: clients find none of them."
        )
    if config["private_nodes"]["nat"] == NONE:
        _no_way_out(config, findings)
    if not config["session_manager"]:
        findings.warnings.append(
            "The nodes are private, and session_manager is false: only who is in the VPC, or connected to it, reaches "
            "them by SSH."
        )


def _no_way_out(config: Mapping[str, Any], findings: Findings) -> None:
    """What nodes cannot have that reach AWS and nothing else."""
    for group in config["node_groups"]:
        if not config["node_images"].get(group["architecture"]) and not group["user_data"]:
            findings.errors.append(
                f"node_groups[{group['name']}]: private_nodes.nat is none, so that its nodes reach no mirror of the "
                f"packages that they need: set node_images for {group['architecture']} to an image that has them, or "
                "have user_data fetch them from where nodes come to."
            )
    findings.warnings.append(
        "private_nodes.nat is none: a node never joins if one of the packages that it needs is neither in its image "
        "nor fetched by user_data."
    )
    for one in config["ecr_repositories"]:
        region = one.split(":")[3] if one.startswith("arn:") and one.count(":") >= 3 else config["region"]
        if region != config["region"]:
            findings.errors.append(
                f"ecr_repositories has {one}, but with private_nodes.nat none the nodes reach ECR in "
                f"{config['region']} alone: replicate the repository there, or set nat to one or per_zone."
            )
    if not config["ecr_repositories"]:
        findings.warnings.append(
            "private_nodes.nat is none, and ecr_repositories is empty: the nodes reach no registry, and run only "
            "images that their machine image has."
        )


def _groups(config: Mapping[str, Any], findings: Findings) -> None:
    groups = config["node_groups"]
    if not groups:
        findings.errors.append("node_groups is empty: a swarm needs at least a group of managers.")
    for name in _twice([group["name"] for group in groups]):
        findings.errors.append(f"node_groups has two groups named '{name}': give each a name of its own.")
    for group in groups:
        for problem in _group_problems(group, config["zones"]):
            findings.errors.append(f"node_groups[{group['name']}]: {problem}")
        spot = group["spot"]
        if spot is not None and len(group["instance_types"]) == 1:
            findings.warnings.append(
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
    yield from (f"instance_types has {one} more than once." for one in _twice(group["instance_types"]))
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
    for one in group["target_groups"]:
        if not TARGET_GROUP.fullmatch(one):
            yield (
                f"target_groups has '{one}', which is not the ARN of a target group, such as "
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef."
            )
    yield from (f"target_groups has {one} more than once." for one in _twice(group["target_groups"]))
    for key, value in group["labels"].items():
        if not LABEL.fullmatch(str(key)):
            yield f"label '{key}' must be of letters, digits, and . _ / - between them."
        if str(key).startswith("swarm.aws"):
            yield f"label '{key}' is taken: labels that start with swarm.aws are the agent's."
        if str(key).startswith(VOLUME_PREFIX):
            yield f"label '{key}' is taken: labels that start with {VOLUME_PREFIX} tell of the group's volumes."
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


def _managers(config: Mapping[str, Any], findings: Findings) -> None:
    groups = [group for group in config["node_groups"] if group["role"] == "manager"]
    managers = sum(group["desired"] for group in groups)
    if config["node_groups"] and managers == 0:
        findings.errors.append("node_groups has no managers: give a group the role manager and at least one instance.")
        return
    if managers > MOST_MANAGERS:
        findings.errors.append(
            f"node_groups has {managers} managers, but more than {MOST_MANAGERS} make a swarm slower and not safer: "
            f"use {MOST_MANAGERS} or fewer, and workers."
        )
    elif managers and managers % 2 == 0:
        survives = managers - quorum(managers)
        findings.warnings.append(
            f"An even number of managers, {managers}, needs {quorum(managers)} of them for a quorum and so survives "
            f"the loss of {survives}, which {managers - 1} would too: use {managers - 1} or {managers + 1}."
        )
    elif managers == 1:
        findings.warnings.append(
            "A single manager has no quorum to lose but itself: use 3 for a cluster that must last."
        )
    zones = {zone for group in groups for zone in (group["zones"] or config["zones"])}
    if managers >= 3 and 0 < len(zones) < 3:
        findings.warnings.append(
            f"{managers} managers in {len(zones)} zone{'s' if len(zones) > 1 else ''}: "
            "the loss of one zone can take the quorum; use three zones."
        )


def _monitoring(config: Mapping[str, Any], findings: Findings) -> None:
    wanted = config["monitoring"]
    if wanted is None:
        return
    period, port, topic = wanted["period_seconds"], wanted["prometheus_port"], wanted["topic_arn"]
    if period not in SHORT_PERIODS and (period < 60 or period % 60 or period > LONGEST_PERIOD):
        findings.errors.append(
            f"monitoring.period_seconds is {period}, but CloudWatch's alarms know 10, 20, 30 and multiples of 60 "
            f"up to {LONGEST_PERIOD}."
        )
    if wanted["certificate_days"] < 1:
        findings.errors.append(f"monitoring.certificate_days is {wanted['certificate_days']}, but must be 1 or more.")
    if port is not None and (not 1024 <= port <= 65535 or port in (2375, 2376, 2377, 4789, 7946, 9323)):
        findings.errors.append(
            f"monitoring.prometheus_port is {port}, but must be between 1024 and 65535, and none of the engine's and "
            "the swarm's own, such as 9324."
        )
    _tls_ports(config, findings)
    for address in wanted["emails"]:
        if not MAIL_ADDRESS.fullmatch(address):
            findings.errors.append(f"monitoring.emails has '{address}', which is not an e-mail address.")
    if topic is not None:
        prefix = f"arn:aws:sns:{config['region']}:{config['account_id']}:"
        if not re.fullmatch(r"arn:aws[a-z-]*:" + re.escape(prefix[len("arn:aws:") :]) + r"[A-Za-z0-9_-]{1,256}", topic):
            findings.errors.append(
                f"monitoring.topic_arn is '{topic}', but alarms go to topics of their own account and region only: "
                f"give one such as {prefix}alarms."
            )
        if wanted["emails"]:
            findings.errors.append(
                "monitoring has both emails and topic_arn: subscribe the addresses to that topic, or leave it out."
            )
    if wanted["alarms"] and topic is None and not wanted["emails"]:
        findings.warnings.append(
            "monitoring has neither emails nor topic_arn: alarms go off, but nobody hears of it unless they subscribe "
            f"to the topic {config['cluster_name']}-alarms."
        )


def _tls_ports(config: Mapping[str, Any], findings: Findings) -> None:
    wanted = config["monitoring"]["tls_ports"]
    open_ports = {one["port"] for one in config["published_ports"] if one["protocol"] == "tcp"}
    for port in sorted(set(wanted) - open_ports):
        findings.errors.append(
            f"monitoring.tls_ports has {port}, but no client reaches it: open it in published_ports, or leave it out."
        )
    if wanted and config["dns"] is None:
        findings.errors.append(
            "monitoring.tls_ports looks at the addresses of the cluster's record, but there is no dns: give it one, or "
            "leave tls_ports out."
        )


def _scaling_period(config: Mapping[str, Any], findings: Findings) -> None:
    period = (config["monitoring"] or {}).get("period_seconds", LONGEST_SCALING_PERIOD)
    names = [group["name"] for group in config["node_groups"] if group["scaling"] is not None]
    if names and period > LONGEST_SCALING_PERIOD:
        findings.errors.append(
            f"monitoring.period_seconds is {period}, but Auto Scaling looks every minute at what the groups "
            f"{', '.join(names)} scale by: set it to {LONGEST_SCALING_PERIOD} or less."
        )


def _logs(config: Mapping[str, Any], findings: Findings) -> None:
    wanted = config["logs"]
    if wanted is not None and wanted["mib_per_day"] < 1:
        findings.errors.append(f"logs.mib_per_day is {wanted['mib_per_day']}, but must be 1 or more.")


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
