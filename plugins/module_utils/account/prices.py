"""What a cluster costs a month, from a table of prices."""

from __future__ import annotations

from typing import Any, Mapping

from .._core import metrics
from .monitoring import MonitoringResources

# The queues, the rule and the few objects of a cluster cost cents.
LEFT_OUT = (
    "traffic, operations and throughput of volumes beyond gp3's own, what the nodes store and log, and cents for "
    "queues, requests and objects"
)
# What an alarm on metrics in periods below a minute costs more.
HIGH_RESOLUTION = 3


def monthly(cluster: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The cost of each node group, of what is beside them, and of the whole, in the currency's units a month.

    ``cluster`` is the configuration as the preflight leaves it, ``table`` is like ``roles/account/files/prices.yml``.
    What that has no price for is named in ``unpriced``, and the whole is then more than is said. The price of spot
    capacity moves: what is said is the most that it can be, that of the dearest of its instance types on demand.
    ``rows`` are the same as texts: a name, the costs of instances, volumes and addresses, their sum, and a note.
    """
    groups, region, private = cluster["node_groups"], cluster["region"], cluster["private_nodes"]
    zones, dns = len(cluster["zones"]), cluster["dns"]
    unpriced: list[str] = []
    lines = [_group(group, region, table, unpriced, public=not private) for group in groups]
    others = {"KMS key": table["key"]}
    gateways = {"one": 1, "per_zone": zones, "none": 0}[private["nat"]] if private else 0
    if gateways:
        hours = _by_the_hour(gateways, "NAT gateway", "nat", region, table, unpriced)
        others["NAT gateways"] = hours + gateways * table["hours"] * table["address"]
    # One address for each of them and each zone.
    endpoints = len(private["endpoints"]) * zones if private else 0
    if endpoints:
        others["interface endpoints"] = _by_the_hour(
            endpoints, "interface endpoint", "endpoint", region, table, unpriced
        )
    if dns and dns["cloud_map"]:
        others["Cloud Map"] = sum(group["desired"] for group in groups if group["dns"]) * table["registration"]
    watching = _watching(cluster, table)
    if watching:
        others["metrics and alarms"] = watching
    total = sum(line["total"] for line in lines) + sum(others.values())
    rows = [("", "instances", "volumes", "addresses", "all", "")]
    for line in lines:
        amounts = (f"{line[key]:.2f}" for key in ("instances", "volumes", "addresses", "total"))
        more = ", spot at most" if line["spot"] else f" and {line['warm']} stopped" if line["warm"] else ""
        rows.append((line["name"], *amounts, f"  {line['count']} \u00d7 {line['type']}{more}"))
    sums = {**others, "whole cluster": total}
    return {
        "groups": lines,
        "others": {name: round(amount, 2) for name, amount in others.items()},
        "total": round(total, 2),
        "rows": rows + [(name, "", "", "", f"{amount:.2f}", "") for name, amount in sums.items()],
        "currency": table["currency"],
        "as_of": str(table["as_of"]),
        "unpriced": sorted(set(unpriced)),
        "left_out": LEFT_OUT,
    }


def _watching(cluster: Mapping[str, Any], table: Mapping[str, Any]) -> float:
    """The cost of metrics and alarms, without what an account has for nothing."""
    monitoring = cluster["monitoring"]
    # A group that scales has a metric, and target tracking two alarms on it.
    scaling = sum(bool(group["scaling"]) for group in cluster["node_groups"]) * (table["metric"] + 2 * table["alarm"])
    if not monitoring or not monitoring["alarms"]:
        return float(scaling)
    sent = len({family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension})
    alarms = sum(_alarms(alarm["settings"]) for alarm in MonitoringResources(cluster).alarms())
    return scaling + (sent + len(monitoring["tls_ports"])) * table["metric"] + alarms * table["alarm"]


def _alarms(settings: Mapping[str, Any]) -> int:
    """How many plain alarms an alarm costs as much as: one for each metric, more in periods below a minute."""
    if "Metrics" in settings:
        return sum("MetricStat" in metric for metric in settings["Metrics"])
    return HIGH_RESOLUTION if settings["Period"] < 60 else 1


def _by_the_hour(count: int, what: str, key: str, region: str, table: Mapping[str, Any], unpriced: list[str]) -> float:
    """The hourly cost of resources in the region, without their traffic."""
    hourly = table["regions"].get(region, {}).get(key)
    if hourly is None:
        unpriced.append(f"{what} in {region}")
    return count * table["hours"] * (hourly or 0.0)


def _group(
    group: Mapping[str, Any], region: str, table: Mapping[str, Any], unpriced: list[str], *, public: bool
) -> dict[str, Any]:
    prices = table["regions"].get(region, {})
    # On demand the first of the types is preferred, whereas AWS chooses among all of them for spot capacity.
    kinds = group["instance_types"] if group["spot"] else group["instance_types"][:1]
    hours = {kind: hourly(kind, prices.get("families", {}), table["sizes"]) for kind in kinds}
    kind = max(hours, key=lambda hour: hours[hour] or 0)
    disks = [
        (group["volume_type"], group["volume_size"]),
        *((volume["type"], volume["size"]) for volume in group["volumes"]),
    ]
    gibs = {disk: prices.get("volumes", {}).get(disk) for disk, _size in disks}
    unpriced += [f"{name} in {region}" for name, price in [*hours.items(), *gibs.items()] if price is None]
    count, pool = group["desired"], group["warm_pool"]
    # Those beside the ones that are desired.
    warm = max(pool["min"], pool["max"] - count) if pool else 0
    instances = (hours[kind] or 0) * table["hours"] * count
    # What is stopped costs its volumes and nothing else: it has no public address either.
    volumes = sum((gibs[disk] or 0) * size for disk, size in disks) * (count + warm)
    addresses = table["address"] * table["hours"] * count if public else 0.0
    return {
        "name": group["name"],
        "count": count,
        "warm": warm,
        "type": kind,
        "spot": bool(group["spot"]),
        "instances": round(instances, 2),
        "volumes": round(volumes, 2),
        "addresses": round(addresses, 2),
        "total": round(instances + volumes + addresses, 2),
    }


def hourly(kind: str, families: Mapping[str, float], sizes: Mapping[str, float]) -> float | None:
    """The price of an hour of an instance type, such as t3.small; None if the table does not have it."""
    family, size = kind.split(".", 1) if "." in kind else (kind, "")
    if family not in families or size not in sizes:
        return None
    return families[family] * sizes[size]
