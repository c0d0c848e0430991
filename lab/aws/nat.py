"""NAT gateways: changes take time, filters work on tags, and deletion releases the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.models import nat_gateways
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend
from moto.ec2.utils import generic_filter

from lab.aws import world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts
from lab.aws.lagging import Lagging

PENDING_SECONDS = 2.0
"""AWS takes a minute or two."""


def install(grafts: Grafts, seconds: float = 0) -> None:
    """Make the creation and deletion of NAT gateways take ``seconds``."""
    grafts.new(LabNatGateway, "seconds", seconds)
    grafts.attribute(nat_gateways, "NatGateway", LabNatGateway)
    grafts.around(NatGatewayBackend, "describe_nat_gateways", _describe)
    grafts.attribute(NatGatewayBackend, "delete_nat_gateway", _delete)


class LabNatGateway(Lagging, NatGateway):
    """A NAT gateway."""

    def __init__(self, backend: Any, subnet_id: str, *arguments: Any, **more: Any) -> None:
        super().__init__(backend, subnet_id, *arguments, **more)
        self._eni.interface_type = "nat_gateway"
        self._eni.description = f"Interface for NAT Gateway {self.id}"

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "nat-gateway-id":
            return self.id
        return super().get_filter_value(filter_name, method_name or "DescribeNatGateways")


def _describe(describe: Callable[..., Any], self: Any, filters: Any, nat_gateway_ids: list[str] | None) -> Any:
    for identifier in nat_gateway_ids or []:
        _known(self, identifier)
    return generic_filter(filters, describe(self, None, nat_gateway_ids))


def _delete(self: Any, nat_gateway_id: str) -> LabNatGateway:
    gateway = _known(self, nat_gateway_id)
    if gateway.state not in ("deleting", "deleted"):
        gateway.state = "deleted"
        for address in [candidate for candidate in world.ec2().addresses if candidate.eni is gateway._eni]:
            self.disassociate_address(association_id=address.association_id)
        self.delete_network_interface(gateway._eni.id)
    return gateway


def _known(backend: Any, identifier: str) -> LabNatGateway:
    if identifier not in backend.nat_gateways:
        raise AwsError("NatGatewayNotFound", f"The Nat Gateway {identifier} was not found")
    gateway: LabNatGateway = backend.nat_gateways[identifier]
    return gateway
