"""Interface endpoints, for private nodes without NAT gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ..aws import tags
from ..aws.aws_session import AwsSession, listed, not_found
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.waiters import awaited, once_visible

# The endpoints of each service in the nodes' policies, by the last part of EC2's service names.
# https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
SERVICES: Mapping[str, Sequence[str]] = {
    "autoscaling": ("autoscaling",),
    "cloudwatch": ("monitoring",),
    "ec2": ("ec2",),
    "ecr": ("ecr.api", "ecr.dkr"),
    "elasticloadbalancing": ("elasticloadbalancing",),
    "logs": ("logs",),
    "route53": ("route53",),
    "secretsmanager": ("secretsmanager",),
    "servicediscovery": ("servicediscovery",),
    "sqs": ("sqs",),
    "ssm": ("ssm",),
    "ssmmessages": ("ssmmessages",),
}
# Global services, which have an endpoint service in a single region.
# https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-cross-region-privatelink-support.html
GLOBAL = {"route53": "us-east-1"}
# In China and in the European Sovereign Cloud most services have a prefix of their own, but not all.
PREFIXES = ("com.amazonaws.", "cn.com.amazonaws.", "eu.amazonaws.")
INTERFACE = "Interface"
AVAILABLE = "available"
GONE = ("deleting", "deleted", "failed")
# Seconds. AWS takes a minute or two for either.
_TO_COME, _TO_GO = 420, 420


def needed(config: Mapping[str, Any]) -> list[str]:
    """The endpoints that the nodes need for the AWS calls of this configuration."""
    dns, groups, monitoring = config["dns"], config["node_groups"], config["monitoring"]
    called = {
        "autoscaling": True,
        "ec2": True,
        "sqs": True,
        "ssm": config["session_manager"],
        "ssmmessages": config["session_manager"],
        "logs": config["logs"] is not None,
        "secretsmanager": config["autolock"],
        "cloudwatch": bool(monitoring and monitoring["alarms"]) or any(group["scaling"] for group in groups),
        "ecr": bool(config["ecr_repositories"]),
        "elasticloadbalancing": any(group["target_groups"] for group in groups),
        "route53": dns is not None and dns["cloud_map"] is None,
        "servicediscovery": dns is not None and dns["cloud_map"] is not None,
    }
    return sorted(endpoint for service, is_called in called.items() if is_called for endpoint in SERVICES[service])


def host(endpoint: str, region: str, dns_suffix: str) -> str:
    """The domain of an endpoint's service, such as ``dkr.ecr.REGION.DNS_SUFFIX``."""
    service = ".".join(reversed(endpoint.split(".")))
    return f"{service}.{dns_suffix}" if endpoint in GLOBAL else f"{service}.{region}.{dns_suffix}"


def service_names(endpoint: str, region: str) -> list[str]:
    """The names that EC2 can have for the service behind an endpoint; some partitions use several prefixes."""
    own = endpoint if endpoint in GLOBAL else f"{region}.{endpoint}"
    return [prefix + own for prefix in PREFIXES]


@dataclass(frozen=True)
class Offer:
    """A service that an endpoint can lead to."""

    service: str
    # The zones in which the endpoint can have an address; None for all, if the service is in another region.
    zones: Sequence[str] | None


def endpoint_name(cluster: str, endpoint: str) -> str:
    """Name of a cluster's interface endpoint."""
    return f"{cluster}-{endpoint}"


def offers_of(aws: AwsSession, endpoints: Sequence[str]) -> dict[str, Offer]:
    """The service behind each endpoint. Raises ProvisionError for endpoints that do not exist in the region."""
    own = {
        name: endpoint
        for endpoint in endpoints
        if GLOBAL.get(endpoint, aws.region) == aws.region
        for name in service_names(endpoint, aws.region)
    }
    found = _details(aws, list(own))
    offers = {own[detail["ServiceName"]]: Offer(detail["ServiceName"], detail["AvailabilityZones"]) for detail in found}
    for endpoint in endpoints:
        home = GLOBAL.get(endpoint, aws.region)
        # Other partitions have no such region.
        if home != aws.region and aws.partition == "aws":
            for detail in _details(aws, service_names(endpoint, home), ServiceRegions=[home]):
                offers[endpoint] = Offer(detail["ServiceName"], None)
    missing = [endpoint for endpoint in endpoints if endpoint not in offers]
    if missing:
        raise ProvisionError(
            f"private_nodes.nat is none, but in the region {aws.region} there is no interface endpoint for "
            f"{', '.join(missing)}: set it to one or per_zone, or remove the settings that need them."
        )
    return offers


def _details(aws: AwsSession, names: Sequence[str], **where: Any) -> list[Mapping[str, Any]]:
    # A filter, since an unknown name is an error otherwise.
    filters = [{"Name": "service-name", "Values": list(names)}]
    answer = aws.client("ec2").describe_vpc_endpoint_services(Filters=filters, **where)
    return [
        detail
        for detail in answer["ServiceDetails"]
        if any(kind["ServiceType"] == INTERFACE for kind in detail["ServiceType"])
    ]


@dataclass(frozen=True)
class Endpoints:
    """The declared endpoints."""

    cluster: str
    tags: Mapping[str, str]
    # None if it does not exist yet, as the subnets by zone and the security group.
    vpc: str | None
    subnets: Mapping[str, str | None]
    security_group: str | None
    # If empty, nodes use a NAT gateway.
    services: Sequence[str]


class EndpointPlan:
    """Creates the declared endpoints and deletes the others."""

    def __init__(self, aws: AwsSession, wanted: Endpoints, changes: Changes) -> None:
        self._aws, self._ec2, self._wanted, self._changes = aws, aws.client("ec2"), wanted, changes
        self._group_name = f"{wanted.cluster}-endpoints"

    def build(self) -> dict[str, Any]:
        """Create the missing endpoints. In check mode the IDs of missing endpoints are None."""
        present = self._present()
        offers = offers_of(self._aws, self._wanted.services) if self._wanted.services else {}
        ids = {
            endpoint: self._keep(endpoint, present.get(offer.service), offer)
            for endpoint, offer in ((endpoint, offers[endpoint]) for endpoint in self._wanted.services)
        }
        self._wait([identifier for identifier in ids.values() if identifier])
        wanted = {offer.service for offer in offers.values()}
        self._remove([endpoint for service, endpoint in present.items() if service not in wanted])
        return {"endpoint_ids": ids}

    def _name(self, service: str) -> str:
        own = service.split("amazonaws.", 1)[-1]
        return endpoint_name(self._wanted.cluster, own.removeprefix(f"{self._aws.region}."))

    def _found(self) -> list[Mapping[str, Any]]:
        """The cluster's endpoints, of any type and state."""
        ours = tags.of_cluster_filter(self._wanted.cluster)
        return list(listed(self._ec2, "describe_vpc_endpoints", "VpcEndpoints", Filters=ours))

    def _present(self) -> dict[str, Mapping[str, Any]]:
        """The cluster's interface endpoints, by their services. Raises ProvisionError if a service has two."""
        present: dict[str, Mapping[str, Any]] = {}
        for endpoint in self._found() if self._wanted.vpc else []:
            service = endpoint["ServiceName"]
            if (
                endpoint["VpcId"] != self._wanted.vpc
                or endpoint["VpcEndpointType"] != INTERFACE
                or endpoint["State"].lower() in GONE
            ):
                continue
            if service in present:
                names = ", ".join(sorted([endpoint["VpcEndpointId"], present[service]["VpcEndpointId"]]))
                raise ProvisionError(
                    f"The cluster '{self._wanted.cluster}' has more than one interface endpoint for {service} "
                    f"({names}): remove the tag {tags.CLUSTER} from those that are not in use."
                )
            present[service] = endpoint
        return present

    def _keep(self, endpoint: str, present: Mapping[str, Any] | None, offer: Offer) -> str | None:
        name, service, zones = endpoint_name(self._wanted.cluster, endpoint), offer.service, offer.zones
        # In zones without the service, nodes use addresses in other zones.
        subnets = {zone: subnet for zone, subnet in self._wanted.subnets.items() if zones is None or zone in zones}
        if not subnets:
            raise ProvisionError(
                f"The interface endpoint for {endpoint} is not available in the zones "
                f"{', '.join(self._wanted.subnets)}: add {' or '.join(zones or [])} to zones."
            )
        own_tags = tags.of_cluster(self._wanted.cluster, self._wanted.tags, Name=name)
        group = self._wanted.security_group
        if present is None:
            return self._changes.apply(
                f"interface endpoint {name}",
                None,
                {
                    "service": service,
                    "subnets": [subnet or f"{self._wanted.cluster}-{zone}-private" for zone, subnet in subnets.items()],
                    "security_groups": [group or self._group_name],
                    "private_dns": True,
                    "tags": own_tags,
                },
                lambda: self._create(endpoint, service, list(subnets.values()), own_tags),
            )
        identifier: str = present["VpcEndpointId"]
        self._changes.add_tags(
            f"interface endpoint {identifier}",
            tags.from_list(present.get("Tags", [])),
            own_tags,
            lambda missing: self._ec2.create_tags(Resources=[identifier], Tags=tags.to_list(missing)),
        )
        has, groups = (
            list(present.get("SubnetIds", [])),
            [attached["GroupId"] for attached in present.get("Groups", [])],
        )
        missing = [subnet for subnet in subnets.values() if subnet not in has]
        before = {"subnets": has, "security_groups": groups, "private_dns": bool(present.get("PrivateDnsEnabled"))}
        after = {"subnets": [*has, *missing], "security_groups": [group or self._group_name], "private_dns": True}
        differing = [key for key in after if after[key] != before[key]]
        arguments = {
            "AddSubnetIds": missing,
            "AddSecurityGroupIds": [group] if group not in groups else [],
            "RemoveSecurityGroupIds": [other for other in groups if other != group],
            "PrivateDnsEnabled": "private_dns" in differing,
        }
        if differing:
            self._changes.apply(
                f"interface endpoint {name}",
                {key: before[key] for key in differing},
                {key: after[key] for key in differing},
                lambda: self._ec2.modify_vpc_endpoint(
                    VpcEndpointId=identifier, **{key: value for key, value in arguments.items() if value}
                ),
            )
        return identifier

    def _create(self, endpoint: str, service: str, subnets: Sequence[str | None], own_tags: Mapping[str, str]) -> str:
        home = GLOBAL.get(endpoint, self._aws.region)
        return once_visible(
            lambda: self._ec2.create_vpc_endpoint(
                VpcEndpointType=INTERFACE,
                VpcId=self._wanted.vpc,
                ServiceName=service,
                SubnetIds=list(subnets),
                SecurityGroupIds=[self._wanted.security_group],
                PrivateDnsEnabled=True,
                TagSpecifications=tags.specification("vpc-endpoint", own_tags),
                **({"ServiceRegion": home} if home != self._aws.region else {}),
            ),
            not_found,
        )["VpcEndpoint"]["VpcEndpointId"]

    def _wait(self, ids: Sequence[str]) -> None:
        """Wait until all are available. Raises ProvisionError if an endpoint failed."""
        if ids and not self._changes.check_mode:
            awaited(lambda: self._all_serve(ids), "the interface endpoints", _TO_COME)

    def _all_serve(self, ids: Sequence[str]) -> bool:
        found = once_visible(lambda: self._ec2.describe_vpc_endpoints(VpcEndpointIds=list(ids)), not_found)
        for endpoint in found["VpcEndpoints"]:
            if endpoint["State"].lower() in GONE:
                reason = (endpoint.get("LastError") or {}).get("Message") or f"it is {endpoint['State']}"
                identifier, service = endpoint["VpcEndpointId"], endpoint["ServiceName"]
                raise ProvisionError(
                    f"AWS could not create the interface endpoint {identifier} for {service}: {reason} Correct it "
                    "and run this again."
                )
        return all(endpoint["State"].lower() == AVAILABLE for endpoint in found["VpcEndpoints"])

    def _remove(self, surplus: Sequence[Mapping[str, Any]]) -> None:
        for endpoint in surplus:
            self._changes.apply(
                f"interface endpoint {self._name(endpoint['ServiceName'])}",
                {"id": endpoint["VpcEndpointId"]},
                None,
                lambda endpoint=endpoint: self._ec2.delete_vpc_endpoints(  # type: ignore[misc]
                    VpcEndpointIds=[endpoint["VpcEndpointId"]]
                ),
            )
        if surplus and not self._changes.check_mode:
            gone = {endpoint["VpcEndpointId"] for endpoint in surplus}
            # Until then their interfaces use their security group.
            awaited(lambda: not (gone & self._living()), "the deletion of interface endpoints", _TO_GO)

    def _living(self) -> set[str]:
        return {
            endpoint["VpcEndpointId"]
            for endpoint in self._found()
            if endpoint["State"].lower() not in ("deleted", "failed")
        }
