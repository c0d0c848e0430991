"""Route tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Mapping

from . import tags
from .changes import Changes
from .owned import Owned
from .shell import not_found, once_visible

ANYWHERE = "0.0.0.0/0"
ANYWHERE_IPV6 = "::/0"


@dataclass(frozen=True)
class Target:
    """Where a route leads."""

    # As EC2 names that kind of target.
    key: str
    # None if it is to come.
    id: str | None
    # What it is, for a plan in which it is to come.
    what: str

    @property
    def shown(self) -> str:
        """Its ID, or what it will be."""
        return self.id or self.what

    def arguments(self) -> dict[str, str | None]:
        """As EC2 wants it."""
        return {self.key: self.id}


class RouteTables:
    """Keeps route tables, their routes and the subnets that use them. Other routes in them stay."""

    def __init__(self, ec2: Any, owned: Owned, changes: Changes) -> None:
        self._ec2, self._owned, self._changes = ec2, owned, changes

    def keep(
        self,
        present: Mapping[str, Any] | None,
        own_tags: Mapping[str, str],
        vpc: str | None,
        routes: Mapping[str, Target],
        by_name: Mapping[str, str | None],
    ) -> str | None:
        """Keep a table with these routes by destination, and have the subnets use it, which are IDs by name."""
        name = own_tags["Name"]
        if present is None:
            identifier = self._changes.apply(
                f"route table {name}",
                None,
                {"routes": {to: target.shown for to, target in routes.items()}, "tags": dict(own_tags)},
                lambda: self._create(vpc, routes, own_tags),
            )
        else:
            identifier = present["RouteTableId"]
            self._owned.keep_tags("route table", identifier, present.get("Tags", []), own_tags)
            for destination, target in routes.items():
                self._keep_route(present, destination, target)
        associated = {one.get("SubnetId") for one in (present or {}).get("Associations", [])}
        for subnet_name, subnet in by_name.items():
            if subnet is None or subnet not in associated:
                self._changes.apply(
                    f"route table {name}'s association with the subnet {subnet_name}",
                    None,
                    {"route_table": identifier or name, "subnet": subnet or subnet_name},
                    lambda subnet=subnet: self._associate(identifier, subnet),  # type: ignore[misc]
                )
        return identifier

    def remove_routes(self, table: Mapping[str, Any], key: str, targets: Collection[str]) -> None:
        """Take the routes of a table away that lead to one of the targets; ``key`` is EC2's name for their kind."""
        identifier = table["RouteTableId"]
        for route in table["Routes"]:
            destination = route.get("DestinationCidrBlock")
            # One whose target has gone leads nowhere.
            if destination and (route.get(key) in targets or (route.get(key) and route.get("State") == "blackhole")):
                self._changes.apply(
                    f"route table {identifier}",
                    {"routes": {destination: route[key]}},
                    {"routes": {}},
                    lambda destination=destination: self._ec2.delete_route(  # type: ignore[misc]
                        RouteTableId=identifier, **_to(destination)
                    ),
                )

    def _create(self, vpc: str | None, routes: Mapping[str, Target], own_tags: Mapping[str, str]) -> str:
        identifier = self._ec2.create_route_table(
            VpcId=vpc, TagSpecifications=tags.specification("route-table", own_tags)
        )["RouteTable"]["RouteTableId"]
        for destination, target in routes.items():
            self._create_route(identifier, destination, target)
        return identifier

    def _create_route(self, table: str, destination: str, target: Target) -> None:
        once_visible(
            lambda: self._ec2.create_route(RouteTableId=table, **target.arguments(), **_to(destination)), not_found
        )

    def _keep_route(self, table: Mapping[str, Any], destination: str, target: Target) -> None:
        identifier = table["RouteTableId"]
        route = next((one for one in table["Routes"] if _to(destination).items() <= one.items()), None)
        if route is None:
            self._changes.apply(
                f"route table {identifier}",
                {"routes": {}},
                {"routes": {destination: target.shown}},
                lambda: self._create_route(identifier, destination, target),
            )
        elif route.get(target.key) != target.id or route.get("State") == "blackhole":
            self._changes.apply(
                f"route table {identifier}",
                {"routes": {destination: route.get(target.key)}, "state": route.get("State")},
                {"routes": {destination: target.shown}},
                lambda: self._ec2.replace_route(RouteTableId=identifier, **target.arguments(), **_to(destination)),
            )

    def _associate(self, table: str | None, subnet: str | None) -> None:
        once_visible(lambda: self._ec2.associate_route_table(RouteTableId=table, SubnetId=subnet), not_found)


def _to(destination: str) -> dict[str, str]:
    """A route's destination as EC2 names it."""
    return {"DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock": destination}
