"""The monthly cost of a cluster, from a price table."""

from __future__ import annotations

from typing import Any, Mapping

from .._core import metrics
from .monitoring import MonitoringResources

# A cluster's queues, event rule and objects cost cents.
LEFT_OUT = (
    "traffic, IOPS and throughput above gp3's free values, stored data and logs, and cents for "
    "queues, requests and objects"
)
# The price factor of an alarm with periods below a minute.
HIGH_RESOLUTION = 3


def monthly(cluster: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The monthly cost of each node group, of the other resources and in total, in units of the currency.

    ``cluster`` is the configuration as the preflight leaves it, ``table`` is like ``roles/account/files/prices.yml``.
    ``unpriced`` names the resources without a price; the actual total is then higher. The price of spot capacity
    changes, so its cost is the maximum, the on-demand price of the most expensive instance type. ``rows`` are the
    same as strings: a name, the costs of instances, volumes and addresses, their sum, and a note.
    """
    groups, region, private = cluster["node_groups"], cluster["region"], cluster["private_nodes"]
    zones, dns = len(cluster["zones"]), cluster["dns"]
    unpriced: list[str] = []
    lines = [_group(group, region, table, unpriced, public=cluster["public_addresses"]) for group in groups]
    others = {"KMS key": table["key"]}
    gateways = {"one": 1, "per_zone": zones, "none": 0}[private["nat"]] if private else 0
    if gateways:
        hours = _by_the_hour(gateways, "NAT gateway", "nat", region, table, unpriced)
        others["NAT gateways"] = hours + gateways * table["hours"] * table["address"]
    # One address per endpoint and zone.
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
    """The cost of metrics and alarms, without the account's free tier."""
    monitoring = cluster["monitoring"]
    # A group with `scaling` has a metric, with two alarms of target tracking.
    scaling = sum(bool(group["scaling"]) for group in cluster["node_groups"]) * (table["metric"] + 2 * table["alarm"])
    if not monitoring or not monitoring["alarms"]:
        return float(scaling)
    sent = len({family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension})
    alarms = sum(_alarms(alarm["settings"]) for alarm in MonitoringResources(cluster).alarms())
    return scaling + (sent + len(monitoring["tls_ports"])) * table["metric"] + alarms * table["alarm"]


def _alarms(settings: Mapping[str, Any]) -> int:
    """An alarm's price in standard alarms: one per metric, more for periods below a minute."""
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
    # On-demand groups prefer the first type; for spot capacity AWS chooses among all.
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
    # Instances in the pool, beside the desired ones.
    warm = max(pool["min"], pool["max"] - count) if pool else 0
    instances = (hours[kind] or 0) * table["hours"] * count
    # A stopped instance costs only its volumes; it has no public address.
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
    """The hourly price of an instance type, such as t3.small; None if the table has no price."""
    family, size = kind.split(".", 1) if "." in kind else (kind, "")
    if family not in families or size not in sizes:
        return None
    return families[family] * sizes[size]
