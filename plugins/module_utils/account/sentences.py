"""The state of a cluster in sentences, from the status of `report`."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterator, Mapping

from .._core.counting import counted

TITLES = {"planned": "Next", "awaited": "Waits for", "refused": "Refused", "notes": "Note", "failures": "Unknown"}


def sentences(status: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about the quorum, the record, the target groups, and planned and awaited actions in ``status``."""
    quorum, record = status.get("quorum"), status.get("record")
    if quorum:
        spare = "it is lost" if quorum["margin"] < 0 else f"{quorum['margin']} may fail"
        reachable = f"{quorum['reachable']} of {counted(quorum['voters'], 'manager')} reachable"
        yield f"Quorum: {reachable}, quorum {quorum['needed']}, {spare}"
    agents = Counter(row["agent"] for row in status.get("members", ()) if row["node"])
    if len(agents) > 1:
        versions = (f"{version or 'an earlier version'} on {count}" for version, count in agents.most_common())
        yield f"Agents: {', '.join(versions)}"
    if record:
        yield from (f"DNS: {sentence}" for sentence in _record(record))
    for group in status.get("balancing", ()):
        counts = [f"{count} {state}" for state, count in (group["states"] or {}).items()]
        targets = "unknown targets" if group["states"] is None else ", ".join(counts) or "none"
        yield f"Target group: {group['name']} has {targets}"
    for key, title in TITLES.items():
        yield from (f"{title}: {sentence}" for sentence in status.get(key, ()))
    if status.get("told_by") and "planned" in status and not (status["planned"] or status["awaited"]):
        yield "In flight: nothing"


def _record(record: Mapping[str, Any]) -> Iterator[str]:
    name, addresses, wanted = record["name"], record["addresses"], record["wanted"]
    if addresses is None:
        yield f"the addresses of {name} are unknown"
    elif not addresses:
        yield f"{name} has no addresses"
    else:
        correct = ": correct" if wanted == addresses else ""
        yield f"{name} points to {', '.join(addresses)} (TTL {record['ttl'] or record['ipv6_ttl']} s){correct}"
    if wanted is not None and wanted != addresses:
        yield f"{name} should point to {', '.join(wanted)}"
    for address, instance in record["leads_to"].items():
        if instance is None:
            yield f"no instance of the cluster runs at {address}"
