"""The cluster's DNS record in its Route 53 zone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Callable, Dict, List, Mapping, Optional

from .._core.cluster import Record
from .._core.dns import owner_name, owns_ipv6
from .._core.dns_propagation import Propagation
from .._core.policy import Dns
from ..aws.aws_session import AwsSession

OWNER_TTL = 300
ADDRESSES = ("A", "AAAA")


class Zone:
    """The core's ``Records``."""

    def __init__(self, aws: AwsSession, now: Callable[[], float]) -> None:
        """``now`` gives epoch seconds."""
        self._aws, self._now = aws, now
        self._propagation = Propagation(self._in_sync)

    def read(self, wanted: Dns) -> Record:
        record = self._read(wanted)
        return replace(record, in_sync=self._propagation.over(record, self._now()))

    def _in_sync(self, change: str) -> bool:
        with self._aws.asked(f"read the state of the change {change}"):
            answer = self._aws.client("route53").get_change(Id=change)
            return bool(answer["ChangeInfo"]["Status"] == "INSYNC")

    def _read(self, wanted: Dns) -> Record:
        with self._aws.asked(f"read the DNS record {wanted.record}"):
            return self._record(wanted, self._sets(wanted))

    def _record(self, wanted: Dns, named: Mapping[str, List[Mapping[str, Any]]]) -> Record:
        sets = named[wanted.record]
        owners = [record for record in named[owner_name(wanted.record)] if record["Type"] == "TXT"]
        owner = _unquoted(owners[0]["ResourceRecords"][0]["Value"]) if owners else None
        # The owner of the record may not own an AAAA record beside it.
        unowned = owner is not None and not owns_ipv6(owner) and any(record["Type"] == "AAAA" for record in sets)
        if unowned:
            sets = [record for record in sets if record["Type"] != "AAAA"]
        obstacle = next((reason for reason in map(_obstacle, sets) if reason), None)
        plain = {record["Type"]: record for record in sets if record["Type"] in ADDRESSES and not _obstacle(record)}
        values = {_shortest(value["Value"]) for record in plain.values() for value in record["ResourceRecords"]}
        ttls = {kind: record["TTL"] for kind, record in plain.items()}
        return Record(
            tuple(sorted(values)), ttls.get("A"), owner, obstacle, ipv6_ttl=ttls.get("AAAA"), ipv6_unowned=unowned
        )

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        if before.ipv6 and not after.ipv6:
            # In a request of its own, so that nobody needs the permission to delete an A record.
            self._delete(wanted, "AAAA")
        changes = [
            # Route 53 refuses CREATE if somebody created the record meanwhile.
            _change("UPSERT" if there else "CREATE", wanted.record, kind, ttl, list(values))
            for kind, there, values, ttl in (
                ("A", before.ipv4, after.ipv4, after.ttl),
                ("AAAA", before.ipv6, after.ipv6, after.ipv6_ttl),
            )
            if ttl is not None
        ]
        owner, text = owner_name(wanted.record), [f'"{after.owner}"']
        changes.append(_change("CREATE" if before.owner is None else "UPSERT", owner, "TXT", OWNER_TTL, text))
        # Route 53 applies a zone's changes in order, so the last change tells about all of them.
        self._propagation.wrote(after, self._send(wanted, changes), self._now())

    def _delete(self, wanted: Dns, kind: str) -> None:
        """Delete a record set. Route 53 only accepts its exact present content."""
        present = [record for record in self._sets(wanted)[wanted.record] if record["Type"] == kind]
        if present:
            self._send(wanted, [{"Action": "DELETE", "ResourceRecordSet": present[0]}])

    def _send(self, wanted: Dns, changes: List[Dict[str, Any]]) -> str:
        """Apply the changes, all or none, and return the change's ID."""
        with self._aws.asked(f"write the DNS record {wanted.record}"):
            answer = self._aws.client("route53").change_resource_record_sets(
                HostedZoneId=wanted.zone_id,
                ChangeBatch={"Comment": "swarm.aws: the nodes that serve", "Changes": changes},
            )
            return str(answer["ChangeInfo"]["Id"])

    def _sets(self, wanted: Dns) -> Dict[str, List[Mapping[str, Any]]]:
        """The record sets of the record's name and of its owner's name: a set for each type, if not weighted."""
        name, owner = wanted.record, owner_name(wanted.record)
        page = self._page(wanted, name)
        found = {wanted_name: _under(page, wanted_name) for wanted_name in (name, owner)}
        # Route 53 allows few requests a second. It lists the two names close together, so one page is mostly enough.
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
    return [record_set for record_set in page["ResourceRecordSets"] if _plain(record_set["Name"]) == name]


def _plain(name: str) -> str:
    """A name from Route 53 in the form in which people write it."""
    return name.rstrip(".").replace("\\052", "*").lower()


def _shortest(address: str) -> str:
    """An address in the form in which EC2 tells it. Route 53 keeps the form in which it was written."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _obstacle(record: Mapping[str, Any]) -> Optional[str]:
    if record["Type"] == "CNAME":
        return "a CNAME"
    if record["Type"] not in ADDRESSES:
        return None
    if "AliasTarget" in record:
        return "an alias"
    return "one of several records" if "SetIdentifier" in record else None


def _change(action: str, name: str, kind: str, ttl: int, values: List[str]) -> Dict[str, Any]:
    records = [{"Value": value} for value in values]
    return {
        "Action": action,
        "ResourceRecordSet": {"Name": f"{name}.", "Type": kind, "TTL": ttl, "ResourceRecords": records},
    }
