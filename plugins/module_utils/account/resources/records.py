"""Record sets that say, in a TXT record beside them, that they are a cluster's."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..._core.dns import BOTH, OWNER_PREFIX, owns_ipv6
from ..._core.policy import Policy
from ...aws.session import Aws, listed, unless_missing
from .model import Resource


def owned_records(aws: Aws, cluster: str) -> Iterator[Resource]:
    """The records of the cluster in all public zones of the account, each with the TXT record that says whose it is."""
    owner = Policy(cluster, {}, region=aws.region).owner
    for zone in listed(aws.route53, "list_hosted_zones", "HostedZones"):
        if not zone.get("Config", {}).get("PrivateZone"):
            yield from _in_zone(aws, zone, owner)


def _in_zone(aws: Aws, zone: Mapping[str, Any], owner: str) -> Iterator[Resource]:
    identifier = zone["Id"].rsplit("/", 1)[-1]
    found = listed(aws.route53, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identifier)
    # Somebody may delete the zone meanwhile.
    sets = unless_missing(lambda: list(found), "NoSuchHostedZone") or []
    for mark in sets:
        if mark["Type"] != "TXT" or not mark["Name"].startswith(OWNER_PREFIX):
            continue
        texts = [one["Value"].strip('"') for one in mark.get("ResourceRecords", [])]
        if len(texts) != 1 or texts[0] not in (owner, owner + BOTH):
            continue
        name = _marked(mark["Name"])
        kinds = ("A", "AAAA") if owns_ipv6(texts[0]) else ("A",)
        # What is no plain set of addresses was not made by the agents.
        ours = [one for one in sets if one["Name"] == name and one["Type"] in kinds and "ResourceRecords" in one]
        plain = [one for one in ours if "SetIdentifier" not in one]
        values = [value["Value"] for one in plain for value in one["ResourceRecords"]]
        yield Resource(
            "DNS record",
            f"{identifier}/{name}",
            name.rstrip(".").replace("\\052", "*"),
            note=", ".join(values),
            facts={"zone": identifier, "sets": [*plain, mark]},
        )


def _marked(owner_name: str) -> str:
    """The name of the record that a TXT record of this name is about, as Route 53 writes it."""
    name = owner_name.removeprefix(OWNER_PREFIX)
    return f"\\052{name.removeprefix('wildcard')}" if name.startswith("wildcard.") else name
