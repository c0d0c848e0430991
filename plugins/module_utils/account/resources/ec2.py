"""The cluster's EC2 resources, and foreign resources in its VPC or beside its security groups."""

from __future__ import annotations

from itertools import chain
from typing import Any, Iterable, Iterator, Mapping

from ...aws import tags
from ...aws.aws_session import AwsSession, listed
from ..interface_endpoints import GONE, INTERFACE
from .model import Resource

Found = Mapping[str, Any]
FOREIGN = "it is not this cluster's"
# The tag of the endpoint and the security group that GuardDuty makes in a VPC with instances, and leaves there
# (https://github.com/hashicorp/terraform-provider-aws/pull/46953).
GUARD_DUTY = "GuardDutyManaged"
# The types of the interfaces of NAT gateways and of endpoints.
THEIR_OWN = ("nat_gateway", "vpc_endpoint")


class Ec2Survey:
    """Finds resources with the cluster's tag, and all resources in its VPC."""

    def __init__(self, aws: AwsSession, cluster: str) -> None:
        self._ec2, self._cluster = aws.client("ec2"), cluster

    def find(self) -> list[Resource]:
        """All resources."""
        vpcs = list(self._tagged("describe_vpcs", "Vpcs"))
        inside = [vpc["VpcId"] for vpc in vpcs]
        ours = list(self._tagged("describe_security_groups", "SecurityGroups"))
        # The cluster's security groups in an existing network.
        guests = [group["GroupId"] for group in ours if group["VpcId"] not in inside]
        hosts = {group["VpcId"] for group in ours if group["GroupId"] in guests}
        gateways = list(self._both("describe_internet_gateways", "InternetGateways", inside, "attachment.vpc-id"))
        tables = list(self._both("describe_route_tables", "RouteTables", inside))
        reservations = list(self._both("describe_instances", "Reservations", inside))
        instances = [instance for reservation in reservations for instance in reservation["Instances"]]
        living = [instance for instance in instances if instance["State"]["Name"] != "terminated"]
        ways_out = [gateway["InternetGatewayId"] for gateway in gateways]
        return [
            *(
                self._resource("VPC", vpc, "VpcId")
                for vpc in [*vpcs, *self._by("describe_vpcs", "Vpcs", "vpc-id", hosts)]
            ),
            *self._internet_gateways(gateways),
            *self._route_tables(tables),
            *self._subnets(inside, tables),
            *self._subnets_around(living, hosts),
            *self._security_groups(inside, guests),
            *self._endpoints(inside),
            *self._nat_gateways(inside, ways_out),
            *self._addresses(ways_out),
            *self._instances(living, ways_out),
            *self._interfaces(inside, guests, {instance["InstanceId"] for instance in living}, ways_out),
            *self._volumes(
                {
                    disk["VolumeId"]
                    for instance in living
                    for disk in _disks(instance)
                    if disk.get("DeleteOnTermination")
                }
            ),
            *self._launch_templates(),
        ]

    # Requests

    def _tagged(self, operation: str, key: str) -> Iterator[Found]:
        return listed(self._ec2, operation, key, Filters=tags.of_cluster_filter(self._cluster))

    def _both(self, operation: str, key: str, vpcs: list[str], where: str = "vpc-id") -> Iterator[Found]:
        """The tagged resources, and the untagged resources in the VPC."""
        yield from self._tagged(operation, key)
        if vpcs:
            yield from listed(self._ec2, operation, key, Filters=[{"Name": where, "Values": vpcs}])

    def _by(self, operation: str, key: str, where: str, values: Iterable[str]) -> Iterator[Found]:
        """The resources with any of the values, regardless of their tags."""
        filters = [{"Name": where, "Values": sorted(values)}]
        return listed(self._ec2, operation, key, Filters=filters) if filters[0]["Values"] else iter(())

    def _resource(self, kind: str, found: Found, key: str, on: Iterable[str | None] = (), **more: Any) -> Resource:
        own = tags.from_list(found.get("Tags") or found.get("TagSet") or [])
        if own.get(GUARD_DUTY) == "true":
            more.setdefault("note", "made by GuardDuty")
        elif own.get(tags.CLUSTER) != self._cluster:
            more.setdefault("kept", FOREIGN)
        name = own.get("Name") or found.get("GroupName") or ""
        return Resource(kind, found[key], name, on=tuple(identifier for identifier in on if identifier), **more)

    # The network

    def _internet_gateways(self, found: Iterable[Found]) -> Iterator[Resource]:
        for gateway in found:
            attached = [attachment["VpcId"] for attachment in gateway.get("Attachments", [])]
            yield self._resource("internet gateway", gateway, "InternetGatewayId", attached, facts={"vpcs": attached})

    def _route_tables(self, found: Iterable[Found]) -> Iterator[Resource]:
        for table in found:
            # The VPC's own table is deleted with it.
            if not any(association.get("Main") for association in table.get("Associations", [])):
                # Routes to endpoints are deleted with the endpoints.
                targets = [route["GatewayId"] for route in table.get("Routes", []) if "GatewayId" in route]
                targets = [target for target in targets if target.startswith("igw-")]
                yield self._resource("route table", table, "RouteTableId", [table["VpcId"], *targets])

    def _subnets(self, vpcs: list[str], tables: Iterable[Found]) -> Iterator[Resource]:
        table_of = {
            association["SubnetId"]: table["RouteTableId"]
            for table in tables
            for association in table.get("Associations", [])
            if association.get("SubnetId")
        }
        for subnet in self._both("describe_subnets", "Subnets", vpcs):
            on = [subnet["VpcId"], table_of.get(subnet["SubnetId"])]
            yield self._resource("subnet", subnet, "SubnetId", on, facts={"zone": subnet["AvailabilityZone"]})

    def _subnets_around(self, instances: Iterable[Found], vpcs: Iterable[str]) -> Iterator[Resource]:
        """The subnets of an existing network in which the cluster's instances are."""
        wanted = {instance["SubnetId"] for instance in instances if instance.get("VpcId") in vpcs}
        for subnet in self._by("describe_subnets", "Subnets", "subnet-id", wanted):
            yield self._resource("subnet", subnet, "SubnetId", [subnet["VpcId"]], note=subnet["AvailabilityZone"])

    def _security_groups(self, vpcs: list[str], guests: list[str]) -> Iterator[Resource]:
        operation, key = "describe_security_groups", "SecurityGroups"
        naming_guests = (
            group
            for where in ("ip-permission.group-id", "egress.ip-permission.group-id")
            for group in self._by(operation, key, where, guests)
        )
        for group in chain(self._both(operation, key, vpcs), naming_guests):
            if group["GroupName"] == "default" and group["VpcId"] in vpcs:
                continue
            naming = [rule for rule in group.get("IpPermissions", []) if rule.get("UserIdGroupPairs")]
            others = [rule for rule in group.get("IpPermissionsEgress", []) if rule.get("UserIdGroupPairs")]
            named = {pair["GroupId"] for rule in naming for pair in rule["UserIdGroupPairs"]} - {group["GroupId"]}
            resource = self._resource("security group", group, "GroupId", [group["VpcId"]])
            if resource.kept:
                # A foreign group's rules stay, and so do the groups that they name.
                named |= {pair["GroupId"] for rule in others for pair in rule["UserIdGroupPairs"]}
                yield self._resource("security group", group, "GroupId", [group["VpcId"], *sorted(named)])
                continue
            yield resource
            if named:
                yield Resource(
                    "rules of the security group",
                    f"{resource.id}/rules",
                    resource.name,
                    on=(resource.id, *sorted(named)),
                    facts={"GroupId": resource.id, "IpPermissions": naming},
                )

    def _endpoints(self, vpcs: list[str]) -> Iterator[Resource]:
        for endpoint in self._both("describe_vpc_endpoints", "VpcEndpoints", vpcs):
            if endpoint["State"].lower() not in GONE:
                groups = [group["GroupId"] for group in endpoint.get("Groups", [])]
                on = [endpoint["VpcId"], *endpoint.get("RouteTableIds", []), *endpoint.get("SubnetIds", []), *groups]
                kind = "interface endpoint" if endpoint.get("VpcEndpointType") == INTERFACE else "gateway endpoint"
                yield self._resource(kind, endpoint, "VpcEndpointId", on)

    def _nat_gateways(self, vpcs: list[str], ways_out: list[str]) -> Iterator[Resource]:
        for gateway in self._both("describe_nat_gateways", "NatGateways", vpcs):
            # A failed gateway has no address any more, and AWS deletes it.
            if gateway["State"] not in GONE:
                addresses = [address.get("AllocationId") for address in gateway.get("NatGatewayAddresses", [])]
                yield self._resource(
                    "NAT gateway", gateway, "NatGatewayId", [gateway["SubnetId"], *addresses, *ways_out]
                )

    def _addresses(self, ways_out: list[str]) -> Iterator[Resource]:
        filters = tags.of_cluster_filter(self._cluster)
        for address in self._ec2.describe_addresses(Filters=filters)["Addresses"]:
            # A gateway cannot be detached from a VPC with public addresses.
            yield self._resource("elastic IP address", address, "AllocationId", ways_out, note=address["PublicIp"])

    # The instances

    def _instances(self, found: Iterable[Found], ways_out: list[str]) -> Iterator[Resource]:
        for instance in found:
            own = tags.from_list(instance.get("Tags", []))
            disks = [disk["VolumeId"] for disk in _disks(instance)]
            groups = [group["GroupId"] for group in instance.get("SecurityGroups", [])]
            # A gateway cannot be detached from a VPC with public addresses.
            through = ways_out if instance.get("PublicIpAddress") else []
            yield self._resource(
                "instance",
                instance,
                "InstanceId",
                [instance.get("SubnetId"), *groups, *disks, *through],
                note=f"{instance['InstanceType']}, {instance['State']['Name']}",
                facts={"group": own.get(tags.GROUP, ""), "scaled_by": _scaled_by(instance)},
            )

    def _interfaces(
        self, vpcs: list[str], guests: list[str], living: set[str], ways_out: list[str]
    ) -> Iterator[Resource]:
        operation, key = "describe_network_interfaces", "NetworkInterfaces"
        for interface in chain(self._both(operation, key, vpcs), self._by(operation, key, "group-id", guests)):
            # Interfaces of instances, NAT gateways and endpoints are deleted with them.
            free = (interface.get("Attachment") or {}).get("InstanceId") not in living
            if free and interface.get("InterfaceType") not in THEIR_OWN:
                groups = [group["GroupId"] for group in interface.get("Groups", [])]
                through = ways_out if interface.get("Association") else []
                yield self._resource(
                    "network interface",
                    interface,
                    "NetworkInterfaceId",
                    [interface["SubnetId"], *groups, *through],
                    note=interface.get("Description", ""),
                )

    def _volumes(self, going_along: set[str]) -> Iterator[Resource]:
        for volume in self._tagged("describe_volumes", "Volumes"):
            # An instance's own volume is deleted with it.
            if volume["VolumeId"] in going_along:
                continue
            attachments = volume.get("Attachments", [])
            state = "not attached" if not attachments else f"attached to {attachments[0]['InstanceId']}"
            yield self._resource(
                "volume",
                volume,
                "VolumeId",
                note=f"{volume['Size']} GiB, {state}",
                facts={"attached": bool(attachments)},
            )

    def _launch_templates(self) -> Iterator[Resource]:
        for template in self._tagged("describe_launch_templates", "LaunchTemplates"):
            facts = {"latest": template["LatestVersionNumber"]}
            yield Resource("launch template", template["LaunchTemplateId"], template["LaunchTemplateName"], facts=facts)


def _disks(instance: Found) -> list[Found]:
    return [disk["Ebs"] for disk in instance.get("BlockDeviceMappings", []) if "Ebs" in disk]


def _scaled_by(instance: Found) -> str:
    """The instance's Auto Scaling group, from AWS's tag."""
    names = [tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == "aws:autoscaling:groupName"]
    return names[0] if names else ""
