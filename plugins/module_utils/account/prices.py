"""What a cluster costs a month, from a table of prices."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._core import metrics

# The queues, the rule and the few objects of a cluster cost cents.
LEFT_OUT = (
    "traffic, operations and throughput of volumes beyond gp3's own, what the nodes store and log, and cents for "
    "queues, requests and objects"
)
# What an alarm on metrics in periods below a minute costs more.
HIGH_RESOLUTION = 3


def of_cluster(cluster: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """What `monthly` says of a cluster, whose configuration is as the preflight leaves it, and its ``rows`` as texts.

    A row has a name, what instances, volumes and addresses cost, the sum of that, and a note.
    """
    private, dns, zones = cluster["private_nodes"], cluster["dns"], len(cluster["zones"])
    nat_gateways = {"one": 1, "per_zone": zones, "none": 0}[private["nat"]] if private else None
    endpoints = len(private["endpoints"]) * zones if private else 0
    cost = monthly(
        cluster["node_groups"],
        cluster["region"],
        table,
        cluster["monitoring"],
        nat_gateways,
        cloud_map=bool(dns and dns["cloud_map"]),
        endpoints=endpoints,
    )
    rows = [("", "instances", "volumes", "addresses", "all", "")]
    for line in cost["groups"]:
        amounts = (f"{line[key]:.2f}" for key in ("instances", "volumes", "addresses", "total"))
        more = ", spot at most" if line["spot"] else f" and {line['warm']} stopped" if line["warm"] else ""
        rows.append((line["name"], *amounts, f"  {line['count']} \u00d7 {line['type']}{more}"))
    for name, key, shown in (
        ("KMS key", "key", True),
        ("NAT gateways", "nat", nat_gateways),
        ("interface endpoints", "endpoints", endpoints),
        ("Cloud Map", "cloud_map", cost["cloud_map"]),
        ("metrics and alarms", "monitoring", cost["monitoring"]),
        ("whole cluster", "total", True),
    ):
        if shown:
            rows.append((name, "", "", "", f"{cost[key]:.2f}", ""))
    return {**cost, "rows": rows}


def monthly(
    groups: Sequence[Mapping[str, Any]],
    region: str,
    table: Mapping[str, Any],
    monitoring: Mapping[str, Any] | None = None,
    nat_gateways: int | None = None,
    *,
    cloud_map: bool = False,
    endpoints: int = 0,
) -> dict[str, Any]:
    """The cost of each node group and of the whole, in the currency's units a month.

    With ``cloud_map`` the nodes of groups with ``dns`` are instances of a Cloud Map service.
    With ``nat_gateways`` the nodes have no public addresses, and each gateway has a public address. ``endpoints`` are
    the addresses of interface endpoints, for each endpoint and zone.
    ``groups`` are the configuration's, ``table`` is like the one in ``roles/account/files/prices.yml``. What it has no
    price for is named in ``unpriced``, and the whole is then more than is said. The price of spot capacity moves: what
    is said is the most that it can be, that of the dearest of its instance types on demand.
    """
    unpriced: list[str] = []
    lines = [_group(group, region, table, unpriced, public=nat_gateways is None) for group in groups]
    watching = _watching(monitoring, groups, table)
    nat = _by_the_hour(nat_gateways or 0, "NAT gateway", "nat", region, table, unpriced)
    nat += (nat_gateways or 0) * table["hours"] * table["address"]
    endpoint_hours = _by_the_hour(endpoints, "interface endpoint", "endpoint", region, table, unpriced)
    registered = sum(group["desired"] for group in groups if group["dns"]) * table["registration"] if cloud_map else 0.0
    total = sum(line["total"] for line in lines) + table["key"] + watching + nat + endpoint_hours + registered
    return {
        "groups": lines,
        "key": table["key"],
        "monitoring": round(watching, 2),
        "nat": round(nat, 2),
        "endpoints": round(endpoint_hours, 2),
        "cloud_map": round(registered, 2),
        "total": round(total, 2),
        "currency": table["currency"],
        "as_of": str(table["as_of"]),
        "unpriced": sorted(set(unpriced)),
        "left_out": LEFT_OUT,
    }


def _watching(
    monitoring: Mapping[str, Any] | None, groups: Sequence[Mapping[str, Any]], table: Mapping[str, Any]
) -> float:
    """The cost of metrics and alarms, without the free tier."""
    # A group that scales has a metric, and target tracking two alarms on it.
    scaling = sum(bool(group["scaling"]) for group in groups) * (table["metric"] + 2 * table["alarm"])
    if not monitoring or not monitoring["alarms"]:
        return float(scaling)
    sent = len({family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension})
    dearer = HIGH_RESOLUTION if monitoring["period_seconds"] < 60 else 1
    # Seven on sent metrics and an alarm on dead letters; for each group an alarm on an AWS metric and an alarm on two.
    alarms = 7 * dearer + 1 + 3 * len(groups)
    ports = len(monitoring["tls_ports"])
    return scaling + (sent + ports) * table["metric"] + (alarms + ports * dearer) * table["alarm"]


def _by_the_hour(count: int, what: str, key: str, region: str, table: Mapping[str, Any], unpriced: list[str]) -> float:
    """The cost of so many of what has a price in the region, without what passes through them."""
    hourly = table["regions"].get(region, {}).get(key)
    if count and hourly is None:
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
    # Instances beyond the desired ones.
    warm = max(pool["min"], pool["max"] - count) if pool else 0
    instances = (hours[kind] or 0) * table["hours"] * count
    # A stopped instance costs only its volumes: it has no public address either.
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
