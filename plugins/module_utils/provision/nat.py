"""The NAT gateways of private subnets, and their addresses."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from . import tags
from .changes import Changes
from .errors import ProvisionError
from .owned import Owned
from .shell import awaited, code, not_found, once_visible

ONE, PER_ZONE = "one", "per_zone"
# Interface endpoints in their place.
NONE = "none"
AVAILABLE = "available"
LIVING = ("pending", AVAILABLE)
# While the gateway that had the address before is on its way out.
IN_USE = "Resource.AlreadyAssociated"
# Seconds. AWS takes a minute or two for either.
_TO_COME, _TO_GO = 420, 420


class NatGateways:
    """Keeps one for all zones, or one for each, in the zones' public subnets."""

    def __init__(self, ec2: Any, owned: Owned, changes: Changes, *, per_zone: bool) -> None:
        self._ec2, self._owned, self._changes, self._per_zone = ec2, owned, changes, per_zone
        self._surplus_gateways: dict[str, str] = {}
        self._surplus_addresses: dict[str, str] = {}

    def keep(self, public: Mapping[str, str | None]) -> dict[str, str | None]:
        """The NAT gateway of each zone; ``public`` are the public subnets by zone. Waits until they are available."""
        present, addresses = self._present(), self._addresses()
        # The one that stands serves on, whatever zones come before it.
        only = next((zone for zone in public if zone in present), next(iter(public)))
        homes = list(public) if self._per_zone else [only]
        surplus = set(public) - set(homes)
        self._surplus_gateways = {zone: one["NatGatewayId"] for zone, one in present.items() if zone in surplus}
        self._surplus_addresses = {zone: one["AllocationId"] for zone, one in addresses.items() if zone in surplus}
        made = {
            zone: self._gateway(zone, present.get(zone), self._address(zone, addresses.get(zone)), public[zone])
            for zone in homes
        }
        return {zone: made[zone if self._per_zone else only] for zone in public}

    def all(self) -> set[str]:
        """The gateways of all zones, of which none is to stay: `remove_others` deletes them then."""
        self._surplus_gateways = {zone: one["NatGatewayId"] for zone, one in self._present().items()}
        self._surplus_addresses = {zone: one["AllocationId"] for zone, one in self._addresses().items()}
        return set(self._surplus_gateways.values())

    def remove_others(self) -> None:
        """Delete those that no zone needs any more, once no route leads there. Those of zones not named stay."""
        for zone, identifier in self._surplus_gateways.items():
            self._changes.apply(
                f"NAT gateway {self._name(zone)}",
                {"id": identifier},
                None,
                lambda identifier=identifier: self._delete(identifier),  # type: ignore[misc]
            )
        for zone, identifier in self._surplus_addresses.items():
            self._changes.apply(
                f"elastic IP address {self._name(zone)}",
                {"id": identifier},
                None,
                lambda identifier=identifier: self._ec2.release_address(AllocationId=identifier),  # type: ignore[misc]
            )

    def _name(self, zone: str) -> str:
        return f"{self._owned.cluster}-{zone}-nat"

    def _tags(self, zone: str) -> dict[str, str]:
        return self._owned.tags(self._name(zone), **{tags.PRIVATE: zone})

    def _filters(self) -> list[dict[str, Any]]:
        return [*tags.of_cluster_filter(self._owned.cluster), {"Name": "tag-key", "Values": [tags.PRIVATE]}]

    def _present(self) -> dict[str, Mapping[str, Any]]:
        pages = self._ec2.get_paginator("describe_nat_gateways").paginate(
            Filters=[*self._filters(), {"Name": "state", "Values": list(LIVING)}]
        )
        found = [one for page in pages for one in page["NatGateways"]]
        return self._by_zone("NAT gateway", found, "NatGatewayId")

    def _addresses(self) -> dict[str, Mapping[str, Any]]:
        found = self._ec2.describe_addresses(Filters=self._filters())["Addresses"]
        return self._by_zone("elastic IP address", found, "AllocationId")

    def _by_zone(self, kind: str, found: Sequence[Mapping[str, Any]], key: str) -> dict[str, Mapping[str, Any]]:
        by_zone: dict[str, list[Mapping[str, Any]]] = {}
        for one in found:
            by_zone.setdefault(tags.from_list(one["Tags"])[tags.PRIVATE], []).append(one)
        return {
            zone: several[0]
            for zone, several in by_zone.items()
            if self._owned.only(f"{kind} of the zone {zone}", several, key)
        }

    def _address(self, zone: str, present: Mapping[str, Any] | None) -> str | None:
        if present is None:
            return self._changes.apply(
                f"elastic IP address {self._name(zone)}",
                None,
                {"tags": self._tags(zone)},
                lambda: self._ec2.allocate_address(
                    Domain="vpc", TagSpecifications=tags.specification("elastic-ip", self._tags(zone))
                )["AllocationId"],
            )
        identifier: str = present["AllocationId"]
        self._owned.keep_tags("elastic IP address", identifier, present["Tags"], self._tags(zone))
        return identifier

    def _gateway(
        self, zone: str, present: Mapping[str, Any] | None, address: str | None, subnet: str | None
    ) -> str | None:
        name = self._name(zone)
        if present is None:
            identifier = self._changes.apply(
                f"NAT gateway {name}",
                None,
                {
                    "subnet": subnet or f"{self._owned.cluster}-{zone}",
                    "address": address or name,
                    "tags": self._tags(zone),
                },
                lambda: self._create(zone, address, subnet),
            )
            if identifier is None:
                return None
        else:
            identifier = present["NatGatewayId"]
            self._owned.keep_tags("NAT gateway", identifier, present["Tags"], self._tags(zone))
            if present["State"] == AVAILABLE:
                return identifier
        if not self._changes.check_mode:
            awaited(lambda: self._state(identifier) == AVAILABLE or None, f"the NAT gateway {name}", _TO_COME)
        return identifier

    def _create(self, zone: str, address: str | None, subnet: str | None) -> str:
        return once_visible(
            lambda: self._ec2.create_nat_gateway(
                SubnetId=subnet,
                AllocationId=address,
                TagSpecifications=tags.specification("natgateway", self._tags(zone)),
            ),
            lambda error: not_found(error) or code(error) == IN_USE,
            _TO_GO,
        )["NatGateway"]["NatGatewayId"]

    def _state(self, identifier: str) -> str:
        """How far it is. Raises ProvisionError if it failed."""
        found = once_visible(
            lambda: self._ec2.describe_nat_gateways(NatGatewayIds=[identifier]),
            lambda error: code(error) == "NatGatewayNotFound",
        )
        gateway = found["NatGateways"][0]
        if gateway["State"] == "failed":
            raise ProvisionError(
                f"AWS could not make the NAT gateway {identifier}: {gateway.get('FailureMessage')} Run this again when "
                "that is put right."
            )
        return gateway["State"]

    def _delete(self, identifier: str) -> None:
        self._ec2.delete_nat_gateway(NatGatewayId=identifier)
        # Until then its address cannot be released.
        awaited(
            lambda: self._state(identifier) == "deleted" or None, f"the end of the NAT gateway {identifier}", _TO_GO
        )
