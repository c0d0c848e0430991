"""A VPC and subnets that existed before the cluster: they are read and checked, never changed."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from ipaddress import IPv4Network, ip_network
from typing import Any, Callable, Iterator, Mapping, Sequence

from .._core.counting import counted
from ..aws import tags
from ..aws.aws_session import AWS_ERRORS, AwsSession, ClientError, code, listed, sentence
from . import engine
from .configuration_schema import SoundConfig, Unsound, while_sound
from .interface_endpoints import AVAILABLE, INTERFACE, needed, service_names

Found = Mapping[str, Any]
ANYWHERE, ANYWHERE_IPV6 = "0.0.0.0/0", "::/0"
HTTPS = 443
S3 = "s3"
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
# AWS's maximum per network interface; the quota is 5 by default.
MOST_GROUPS, USUAL_GROUPS = 16, 5
# Security groups of the cluster that an instance can have.
OWN_GROUPS = 3
# The instances that have an address.
LIVING = ["pending", "running", "stopping", "stopped"]


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each error that can be found without AWS."""
    network, groups = config["network"], config["node_groups"]
    if network is None:
        for group in groups:
            if group["security_groups"]:
                yield (
                    f"node_groups[{group['name']}]: security_groups are for the VPC of network, but network is not "
                    "set: set it, or remove them."
                )
        return
    for key, owner in (
        ("vpc_cidr", "the VPC has its range"),
        ("zones", "the zones are those of the subnets"),
        ("private_nodes", "the subnets decide about public addresses and routes"),
    ):
        if config[key]:
            yield f"{key} and network exclude each other, since {owner}: remove {key}, or network."
    for one_of, other in (("vpc_id", "vpc_tags"), ("subnets", "subnet_tags")):
        if bool(network[one_of]) is bool(network[other]):
            yield f"network needs {one_of} or {other}, and not both: set one of them."
    given = {
        "network.vpc_id": ("vpc", [network["vpc_id"]] if network["vpc_id"] else []),
        "network.subnets": ("subnet", network["subnets"]),
        "network.security_groups": ("sg", network["security_groups"]),
        **{f"node_groups[{group['name']}].security_groups": ("sg", group["security_groups"]) for group in groups},
    }
    for where, (prefix, identifiers) in given.items():
        for identifier, count in Counter(identifiers).items():
            if not re.fullmatch(f"{prefix}-[0-9a-f]{{8,17}}", identifier):
                yield f"{where} has '{identifier}', which is not an ID such as {prefix}-0123456789abcdef0."
            if count > 1:
                yield f"{where} has {identifier} more than once."


def resolved(aws: AwsSession, config: SoundConfig, readable: bool = True) -> tuple[SoundConfig, list[str], list[str]]:
    """The configuration as `ExistingNetwork.resolve` returns it, errors and warnings.

    Nothing is read unless the account is ``readable``.
    """
    errors = list(while_sound(partial(problems, config)))
    if errors or not readable or not config.get("network"):
        return config, errors, []
    network = ExistingNetwork(aws, config)
    return network.resolve(), network.errors, network.warnings


class ExistingNetwork:
    """Finds and checks the VPC and the subnets that `network` names, and collects errors and warnings."""

    def __init__(self, aws: AwsSession, config: Mapping[str, Any]) -> None:
        self._ec2, self._config, self._wanted = aws.client("ec2"), config, config["network"]
        self._where = f"in the region {config['region']} of the account {config['account_id']}"
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._isolated = False
        # The endpoints of each route table, if there is a proxy for all other calls.
        self._direct: list[set[str]] = []

    def resolve(self) -> SoundConfig:
        """The configuration with the network's zones, VPC and subnets by zone; unchanged if they are not found."""
        config = SoundConfig(self._config)
        try:
            vpc = self._vpc()
            subnets = self._subnets(vpc) if vpc else []
        except AWS_ERRORS as error:
            self.errors.append(sentence(error))
            return config
        if not vpc or self.errors:
            return config
        zones: dict[str, list[str]] = {}
        for subnet in sorted(subnets, key=lambda subnet: (subnet["AvailabilityZone"], subnet["SubnetId"])):
            zones.setdefault(subnet["AvailabilityZone"], []).append(subnet["SubnetId"])
        for unchecked, check in (
            ("DNS in the VPC", lambda: self._dns(vpc)),
            ("the security groups", lambda: self._security_groups(vpc)),
            ("routes", lambda: self._routes(vpc, subnets)),
            ("free addresses", lambda: self._free_addresses(subnets)),
            ("ranges", lambda: self._ranges(vpc, subnets)),
            ("IPv6 addresses", lambda: self._ipv6(subnets)),
        ):
            self._unless_denied(check, unchecked)
        return SoundConfig(
            config,
            zones=list(zones),
            public_addresses=all(subnet["MapPublicIpOnLaunch"] for subnet in subnets),
            network={
                "vpc_id": vpc["VpcId"],
                # Several subnets of a zone as Auto Scaling's VPCZoneIdentifier has them.
                "subnets": {zone: ",".join(identifiers) for zone, identifiers in zones.items()},
                "security_groups": self._wanted["security_groups"],
                "ranges": blocks(vpc),
                "isolated": self._isolated,
                "endpoints": sorted(set.intersection(*self._direct)) if self._direct else [],
            },
        )

    def _unless_denied(self, check: Callable[[], None], what: str) -> None:
        try:
            check()
        except Unsound:
            return
        except AWS_ERRORS as error:
            if not isinstance(error, ClientError) or code(error) not in DENIED:
                self.errors.append(sentence(error))
                return
            self.warnings.append(
                f"Your credentials have no permission for {error.operation_name}, so {what} could not be checked."
            )

    # What is named

    def _vpc(self) -> Found | None:
        identifier, wanted = self._wanted["vpc_id"], self._wanted["vpc_tags"]
        filters = [{"Name": "vpc-id", "Values": [identifier]}] if identifier else _tag_filters(wanted)
        found = list(listed(self._ec2, "describe_vpcs", "Vpcs", Filters=filters))
        if identifier and not found:
            self.errors.append(
                f"network.vpc_id is {identifier}, but this VPC does not exist {self._where}: correct it."
            )
        elif not found:
            self.errors.append(
                f"network.vpc_tags is {_shown(wanted)}, but no VPC {self._where} has these tags: correct them, or set "
                "vpc_id."
            )
        elif len(found) > 1:
            self.errors.append(
                f"network.vpc_tags is {_shown(wanted)}, but {len(found)} VPCs have these tags, {_ids(found, 'VpcId')}: "
                "set vpc_id."
            )
        else:
            (vpc,) = found
            owner = vpc.get("OwnerId", self._config["account_id"])
            if owner != self._config["account_id"]:
                self.errors.append(
                    f"The VPC {vpc['VpcId']} is shared by the account {owner}, but must be the account's own: use a "
                    "VPC of this account."
                )
            self._refuse_own("VPC", vpc["VpcId"], vpc)
            return dict(vpc)
        return None

    def _subnets(self, vpc: Found) -> list[Found]:
        identifiers, wanted = self._wanted["subnets"], self._wanted["subnet_tags"]
        inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        filters = [{"Name": "subnet-id", "Values": identifiers}] if identifiers else [*inside, *_tag_filters(wanted)]
        found = list(listed(self._ec2, "describe_subnets", "Subnets", Filters=filters))
        present = {subnet["SubnetId"]: subnet for subnet in found}
        if not identifiers and not found:
            self.errors.append(
                f"network.subnet_tags is {_shown(wanted)}, but no subnet of the VPC {vpc['VpcId']} has these tags: "
                "correct them, or set subnets."
            )
        for identifier in identifiers:
            if identifier not in present:
                self.errors.append(
                    f"network.subnets has {identifier}, but this subnet does not exist {self._where}: correct it."
                )
            elif present[identifier]["VpcId"] != vpc["VpcId"]:
                self.errors.append(
                    f"network.subnets has {identifier}, which is in the VPC {present[identifier]['VpcId']} and not in "
                    f"{vpc['VpcId']}: use subnets of that VPC."
                )
        for subnet in found:
            self._refuse_own("subnet", subnet["SubnetId"], subnet)
            if subnet.get("Ipv6Native"):
                self.errors.append(
                    f"The subnet {subnet['SubnetId']} of network has no IPv4 range, which nodes need: use "
                    "another subnet."
                )
        public = [subnet for subnet in found if subnet["MapPublicIpOnLaunch"]]
        if public and len(public) < len(found):
            private = [subnet for subnet in found if not subnet["MapPublicIpOnLaunch"]]
            self.errors.append(
                f"Of the subnets of network, {_ids(public, 'SubnetId')} assign public addresses and "
                f"{_ids(private, 'SubnetId')} do not: use subnets of one kind."
            )
        return found

    def _refuse_own(self, kind: str, identifier: str, found: Found) -> None:
        cluster = self._config["cluster_name"]
        if tags.from_list(found.get("Tags", [])).get(tags.CLUSTER) == cluster:
            self.errors.append(
                f"The {kind} {identifier} of network has the tag {tags.CLUSTER}: {cluster}, so destroy.yml would "
                "delete it: remove the tag."
            )

    def _security_groups(self, vpc: Found) -> None:
        groups = self._config["node_groups"]
        given = [*self._wanted["security_groups"], *(name for group in groups for name in group["security_groups"])]
        most = max((len({*self._wanted["security_groups"], *group["security_groups"]}) for group in groups), default=0)
        if most + OWN_GROUPS > MOST_GROUPS:
            self.errors.append(
                f"security_groups has {most} groups, but AWS allows {MOST_GROUPS} per instance, and {OWN_GROUPS} are "
                "the cluster's: use fewer groups."
            )
        elif most + OWN_GROUPS > USUAL_GROUPS:
            self.warnings.append(
                f"Instances may have {most + OWN_GROUPS} security groups, and AWS allows {USUAL_GROUPS} by default: "
                "check the quota 'Security groups per network interface'."
            )
        if not given:
            return
        found = self._groups(given)
        for identifier in dict.fromkeys(given):
            group = found.get(identifier)
            if group is None or group["VpcId"] != vpc["VpcId"]:
                self.errors.append(
                    f"security_groups has {identifier}, but the VPC {vpc['VpcId']} has no such group: correct it."
                )
            else:
                self._refuse_own("security group", identifier, group)

    def _groups(self, identifiers: Sequence[str]) -> dict[str, Found]:
        filters = [{"Name": "group-id", "Values": sorted(set(identifiers))}]
        found = listed(self._ec2, "describe_security_groups", "SecurityGroups", Filters=filters)
        return {group["GroupId"]: group for group in found}

    # What nodes need

    def _attribute(self, vpc: Found, attribute: str) -> bool:
        found = self._ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
        return bool(found[attribute[0].upper() + attribute[1:]]["Value"])

    def _dns(self, vpc: Found) -> None:
        if not self._attribute(vpc, "enableDnsSupport"):
            self.errors.append(
                f"The VPC {vpc['VpcId']} has enableDnsSupport turned off, so nodes cannot resolve AWS's names: turn it "
                "on."
            )

    def _ranges(self, vpc: Found, subnets: Sequence[Found]) -> None:
        for block, owner, setting in engine.networks(self._config):
            inside = [subnet for subnet in subnets if block.overlaps(IPv4Network(subnet["CidrBlock"]))]
            if inside:
                self.errors.append(
                    f"The subnets {_ids(inside, 'SubnetId')} overlap {block}, used by {owner}: set {setting} to other "
                    "addresses, or use subnets with other ranges."
                )
                continue
            for cidr in blocks(vpc):
                if block.overlaps(IPv4Network(cidr)):
                    self.warnings.append(
                        f"The range {cidr} of the VPC {vpc['VpcId']} overlaps {block}, used by {owner}: containers may "
                        f"not reach other hosts there, unless you set {setting} to other addresses."
                    )

    def _ipv6(self, subnets: Sequence[Found]) -> None:
        if not (self._config["dns"] or {}).get("ipv6"):
            return
        without = [
            subnet
            for subnet in subnets
            if not any(
                association["Ipv6CidrBlockState"]["State"] == "associated"
                for association in subnet.get("Ipv6CidrBlockAssociationSet", [])
            )
        ]
        if without:
            self.errors.append(
                f"dns.ipv6 is true, but the subnets {_ids(without, 'SubnetId')} have no IPv6 range: add ranges, or set "
                "it to false."
            )

    def _free_addresses(self, subnets: Sequence[Found]) -> None:
        filters = [
            *tags.of_cluster_filter(self._config["cluster_name"]),
            {"Name": "instance-state-name", "Values": LIVING},
            {"Name": "subnet-id", "Values": [subnet["SubnetId"] for subnet in subnets]},
        ]
        reservations = listed(self._ec2, "describe_instances", "Reservations", Filters=filters)
        present = Counter(
            instance["Placement"]["AvailabilityZone"]
            for reservation in reservations
            for instance in reservation["Instances"]
        )
        groups = self._config["node_groups"]
        every = {subnet["AvailabilityZone"] for subnet in subnets}
        wanted = {frozenset(every), *(frozenset(group["zones"]) & every for group in groups if group["zones"])}
        for zones in sorted(wanted, key=sorted):
            inside = [group for group in groups if set(group["zones"] or every) <= zones]
            most = sum(max(group["max"], (group["warm_pool"] or {}).get("max", 0)) for group in inside)
            usable = [subnet for subnet in subnets if subnet["AvailabilityZone"] in zones]
            free = sum(subnet["AvailableIpAddressCount"] for subnet in usable)
            more = most - sum(present[zone] for zone in zones)
            if more > free:
                self.errors.append(
                    f"The subnets of network have {counted(free, 'free address')} in {', '.join(sorted(zones))}, but "
                    f"the groups may need {more} more: use larger or more subnets, or decrease max."
                )

    # Routes

    def _routes(self, vpc: Found, subnets: Sequence[Found]) -> None:
        inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        tables = list(listed(self._ec2, "describe_route_tables", "RouteTables", Filters=inside))
        associations = [(association, table) for table in tables for association in table.get("Associations", [])]
        main = next((table for association, table in associations if association.get("Main")), None)
        own = {association.get("SubnetId"): table for association, table in associations}
        by_table: dict[str, list[Found]] = {}
        used = {}
        for subnet in subnets:
            table = own.get(subnet["SubnetId"], main)
            if table is not None:
                used[table["RouteTableId"]] = table
                by_table.setdefault(table["RouteTableId"], []).append(subnet)
        for identifier, there in by_table.items():
            self._table(vpc, used[identifier], there)

    def _table(self, vpc: Found, table: Found, subnets: Sequence[Found]) -> None:
        """Check the route out of the subnets with this route table."""
        identifier, default = table["RouteTableId"], _route(table, ANYWHERE)
        who, public = _subnets_named(subnets), subnets[0]["MapPublicIpOnLaunch"]
        target = _target(default)
        if default is not None and default.get("State") == "blackhole":
            self.errors.append(
                f"The route table {identifier} of {who} leads to {target}, which does not exist any more: correct the "
                f"route to {ANYWHERE}."
            )
            return
        if public and not target.startswith("igw-"):
            self.errors.append(
                f"{who[0].upper()}{who[1:]} assign public addresses, but their route table {identifier} has no route "
                f"from {ANYWHERE} to an internet gateway: add the route, or turn the public addresses off."
            )
            return
        if (self._config["dns"] or {}).get("ipv6") and not _target(_route(table, ANYWHERE_IPV6)).startswith("igw-"):
            self.errors.append(
                f"dns.ipv6 is true, but the route table {identifier} of {who} has no route from {ANYWHERE_IPV6} to an "
                "internet gateway: add it, or set dns.ipv6 to false."
            )
        if self._config["http_proxy"]:
            by_name = self._attribute(vpc, "enableDnsHostnames")
            found = self._endpoints(vpc, table)
            self._direct.append({name for name in found if by_name or found[name].get("VpcEndpointType") != INTERFACE})
            return
        if public or (target and not target.startswith("igw-")):
            return
        reason = (
            f"lead to the internet gateway {target}, which nodes without public addresses cannot use"
            if target
            else f"have no route to {ANYWHERE}"
        )
        self._check_endpoints(vpc, table, f"{who[0].upper()}{who[1:]} (route table {identifier}) {reason}")

    def _endpoints(self, vpc: Found, table: Found) -> dict[str, Found]:
        """The endpoints that lead nodes with this route table to the services that they call."""
        region = self._config["region"]
        inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        found = [
            endpoint
            for endpoint in listed(self._ec2, "describe_vpc_endpoints", "VpcEndpoints", Filters=inside)
            if endpoint["State"].lower() == AVAILABLE
        ]
        services = {
            name: endpoint for endpoint in (*needed(self._config), S3) for name in service_names(endpoint, region)
        }
        return {
            services[endpoint["ServiceName"]]: endpoint
            for endpoint in found
            if endpoint["ServiceName"] in services
            and (
                table["RouteTableId"] in endpoint.get("RouteTableIds", [])
                or (endpoint.get("VpcEndpointType") == INTERFACE and endpoint.get("PrivateDnsEnabled"))
            )
        }

    def _check_endpoints(self, vpc: Found, table: Found, cause: str) -> None:
        """Check that nodes without a route out have an endpoint for each service that they call."""
        found = self._endpoints(vpc, table)
        missing = [endpoint for endpoint in (*needed(self._config), S3) if endpoint not in found]
        # Through another VPC or a data centre, for example, whose routes and names are not known here.
        targets = [_target(route) for route in table.get("Routes", [])]
        if missing and any(not target.startswith(("local", "vpce-", "igw-")) for target in targets):
            self.warnings.append(
                f"{cause}, and the VPC {vpc['VpcId']} has no endpoint with private DNS names for {', '.join(missing)}: "
                "make sure that the table's other routes lead to these services."
            )
            return
        self._isolated = True
        if missing:
            self.errors.append(
                f"{cause}, and the VPC {vpc['VpcId']} has no endpoint with private DNS names for {', '.join(missing)}: "
                "add a route to a NAT gateway or the endpoints, or set http_proxy."
            )
            return
        if not self._attribute(vpc, "enableDnsHostnames"):
            self.errors.append(
                f"The VPC {vpc['VpcId']} has enableDnsHostnames turned off, so the names of its interface endpoints do "
                "not resolve to them: turn it on."
            )
        self._admissions({endpoint: found[endpoint] for endpoint in needed(self._config)}, vpc)

    def _admissions(self, endpoints: Mapping[str, Found], vpc: Found) -> None:
        """Warn of interface endpoints whose security groups seem to refuse the nodes."""
        groups = self._groups([group["GroupId"] for found in endpoints.values() for group in found.get("Groups", [])])
        ours = set(self._wanted["security_groups"])
        closed = [
            endpoint
            for endpoint, found in endpoints.items()
            if not any(
                _admits(rule, vpc["CidrBlock"], ours)
                for group in found.get("Groups", [])
                for rule in groups.get(group["GroupId"], {}).get("IpPermissions", [])
            )
        ]
        if closed:
            self.warnings.append(
                f"The endpoints for {', '.join(closed)} in the VPC {vpc['VpcId']} do not allow port {HTTPS} from "
                f"{vpc['CidrBlock']} or network.security_groups: make sure that their security groups allow the nodes."
            )


def _admits(rule: Found, cidr: str, groups: set[str]) -> bool:
    if rule["IpProtocol"] != "-1" and not (rule["IpProtocol"] == "tcp" and rule["FromPort"] <= HTTPS <= rule["ToPort"]):
        return False
    vpc = ip_network(cidr)
    return (
        any(vpc.subnet_of(ip_network(block["CidrIp"])) for block in rule.get("IpRanges", []))  # type: ignore[arg-type]
        or any(pair["GroupId"] in groups for pair in rule.get("UserIdGroupPairs", []))
        or bool(rule.get("PrefixListIds"))
    )


def moved(aws: AwsSession, cluster: str, vpcs: Sequence[str]) -> Iterator[str]:
    """A sentence if the cluster's security groups, and so its nodes, are in another VPC than these."""
    filters = tags.of_cluster_filter(cluster)
    groups = listed(aws.client("ec2"), "describe_security_groups", "SecurityGroups", Filters=filters)
    elsewhere = sorted({group["VpcId"] for group in groups} - set(vpcs))
    if elsewhere:
        yield (
            f"The cluster {cluster} is in the VPC {', '.join(elsewhere)}, and cannot move to another VPC: restore "
            "network, or create another cluster."
        )


def blocks(vpc: Found) -> list[str]:
    """The CIDR blocks of a VPC."""
    return [found["CidrBlock"] for found in vpc.get("CidrBlockAssociationSet", [])] or [vpc["CidrBlock"]]


def _tag_filters(wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]


def _shown(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in wanted.items())


def _ids(found: Sequence[Found], key: str) -> str:
    return ", ".join(sorted(item[key] for item in found))


def _subnets_named(subnets: Sequence[Found]) -> str:
    return f"the subnets {_ids(subnets, 'SubnetId')}"


def _route(table: Found, destination: str) -> Found | None:
    keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock")
    routes = table.get("Routes", [])
    return next((route for route in routes if destination in [route.get(key) for key in keys]), None)


def _target(route: Found | None) -> str:
    """The ID of a route's target, such as a NAT gateway; empty without a route."""
    if route is None:
        return ""
    keys = [
        key
        for key in route
        if key.endswith(("Id", "Arn")) and key not in ("DestinationPrefixListId", "InstanceOwnerId")
    ]
    return next((str(route[key]) for key in keys if route[key]), "")
