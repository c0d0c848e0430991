"""The cluster's record in its Route 53 zone."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .._core.cluster import Record
from .._core.dns import owner_name
from .._core.policy import Dns
from .aws import Aws

OWNER_TTL = 300


class Zone:
    """The core's ``Records``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def read(self, wanted: Dns) -> Record:
        named = self._sets(wanted)
        sets = named[wanted.record]
        owners = [one for one in named[owner_name(wanted.record)] if one["Type"] == "TXT"]
        owner = _unquoted(owners[0]["ResourceRecords"][0]["Value"]) if owners else None
        obstacle = next((reason for reason in map(_obstacle, sets) if reason), None)
        plain = next((one for one in sets if one["Type"] == "A" and not _obstacle(one)), None)
        if plain is None:
            return Record(owner=owner, obstacle=obstacle)
        values = tuple(sorted(one["Value"] for one in plain["ResourceRecords"]))
        return Record(values, plain["TTL"], owner, obstacle)

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        changes = [
            # Refused by Route 53 if somebody made one since we looked.
            _change("CREATE" if before.absent else "UPSERT", wanted.record, "A", after.ttl or 0, list(after.addresses)),
            _change(
                "CREATE" if before.owner is None else "UPSERT",
                owner_name(wanted.record),
                "TXT",
                OWNER_TTL,
                [f'"{after.owner}"'],
            ),
        ]
        with self._aws.asked(f"write the DNS record {wanted.record}"):
            self._aws.client("route53").change_resource_record_sets(
                HostedZoneId=wanted.zone_id,
                ChangeBatch={"Comment": "swarm.aws: the nodes that serve", "Changes": changes},
            )

    def _sets(self, wanted: Dns) -> Dict[str, List[Mapping[str, Any]]]:
        """The record sets under the record's name and under its owner's: one of a type, unless they are weighted."""
        name, owner = wanted.record, owner_name(wanted.record)
        page = self._page(wanted, name)
        found = {wanted_name: _under(page, wanted_name) for wanted_name in (name, owner)}
        # Both are near each other in Route 53's order, which takes few requests a second, so that one is mostly enough.
        if not found[owner] and page.get("IsTruncated"):
            found[owner] = _under(self._page(wanted, owner), owner)
        return found

    def _page(self, wanted: Dns, start: str) -> Mapping[str, Any]:
        with self._aws.asked(f"read the DNS record {wanted.record}"):
            answer: Mapping[str, Any] = self._aws.client("route53").list_resource_record_sets(
                HostedZoneId=wanted.zone_id, StartRecordName=start, MaxItems="100"
            )
        return answer


def _under(page: Mapping[str, Any], name: str) -> List[Mapping[str, Any]]:
    return [one for one in page["ResourceRecordSets"] if _plain(one["Name"]) == name]


def _plain(name: str) -> str:
    """A name as Route 53 tells it, as people write it."""
    return name.rstrip(".").replace("\\052", "*").lower()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _obstacle(one: Mapping[str, Any]) -> Optional[str]:
    if one["Type"] == "CNAME":
        return "a CNAME"
    if one["Type"] != "A":
        return None
    if "AliasTarget" in one:
        return "an alias"
    return "one of several records" if "SetIdentifier" in one else None


def _change(action: str, name: str, kind: str, ttl: int, values: List[str]) -> Dict[str, Any]:
    records = [{"Value": value} for value in values]
    return {
        "Action": action,
        "ResourceRecordSet": {"Name": f"{name}.", "Type": kind, "TTL": ttl, "ResourceRecords": records},
    }
