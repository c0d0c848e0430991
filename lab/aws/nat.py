"""NAT gateways that take a while to come and go, are found by their tags, and let go of their address in the end."""

from __future__ import annotations

import time
from typing import Any

from moto.ec2.models import nat_gateways
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend
from moto.ec2.utils import generic_filter

from lab.aws import world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts

PENDING_SECONDS = 2.0
"""AWS takes a minute or two."""
_ON_THE_WAY = {"available": "pending", "deleted": "deleting"}


def install(grafts: Grafts, seconds: float = 0) -> None:
    """Make moto's take so many seconds to come or go."""

    class Gateway(LabNatGateway):
        lag = seconds

    grafts.attribute(nat_gateways, "NatGateway", Gateway)
    grafts.attribute(NatGatewayBackend, "describe_nat_gateways", _describe)
    grafts.attribute(NatGatewayBackend, "delete_nat_gateway", _delete)


class LabNatGateway(NatGateway):
    """A NAT gateway."""

    lag = 0.0

    def __init__(self, backend: Any, subnet_id: str, *arguments: Any, **more: Any) -> None:
        super().__init__(backend, subnet_id, *arguments, **more)
        self._eni.interface_type = "nat_gateway"
        self._eni.description = f"Interface for NAT Gateway {self.id}"

    @property
    def state(self) -> str:
        """As AWS words it."""
        return self._state if time.monotonic() >= self._settled else _ON_THE_WAY[self._state]

    @state.setter
    def state(self, state: str) -> None:
        self._state, self._settled = state, time.monotonic() + self.lag

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        own = {"state": self.state, "nat-gateway-id": self.id, "vpc-id": self.vpc_id, "subnet-id": self.subnet_id}
        if filter_name in own:
            return own[filter_name]
        return super().get_filter_value(filter_name, method_name or "DescribeNatGateways")

    def let_go(self) -> None:
        """Be deleted."""
        self.state = "deleted"
        for address in [one for one in world.ec2().addresses if one.eni is self._eni]:
            self.ec2_backend.disassociate_address(association_id=address.association_id)
        self.ec2_backend.delete_network_interface(self._eni.id)


def _describe(self: Any, filters: dict[str, Any], nat_gateway_ids: list[str] | None) -> list[LabNatGateway]:
    known: dict[str, LabNatGateway] = self.nat_gateways
    for identifier in nat_gateway_ids or []:
        _known(known, identifier)
    found = [one for one in known.values() if not nat_gateway_ids or one.id in nat_gateway_ids]
    return generic_filter(filters, found)


def _delete(self: Any, nat_gateway_id: str) -> LabNatGateway:
    gateway = _known(self.nat_gateways, nat_gateway_id)
    if gateway.state not in ("deleting", "deleted"):
        gateway.let_go()
    return gateway


def _known(gateways: dict[str, LabNatGateway], identifier: str) -> LabNatGateway:
    if identifier not in gateways:
        raise AwsError("NatGatewayNotFound", f"The Nat Gateway {identifier} was not found")
    return gateways[identifier]
