"""Draws the cluster's resources as an architecture diagram in SVG."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._core.counting import counted
from .subnets import PRIVATE

Row = Mapping[str, Any]

# Pixels. A zone is wide enough for an instance's ID.
MARGIN, GAP, PAD = 24, 14, 12
ZONE, SIDE = 214, 324
LINE, TITLE, CHIP = 15, 18, 26
# Character widths of the two font sizes, rounded up.
SMALL, BOLD = 6.7, 8.3
STYLE = """
text{font-family:system-ui,sans-serif;fill:#18212b;font-size:11px}
.t{font-size:13px;font-weight:600}
.m{font-family:ui-monospace,monospace;font-size:10px}
.ground{fill:#fff}
.card{fill:#fff;stroke:#4a5866}
.vpc{fill:#f3f6fa;stroke:#4a5866;stroke-dasharray:6 3}
.zone{fill:#fff;stroke:#8c9aa8;stroke-dasharray:3 3}
.manager{fill:#dcebff;stroke:#1558a6}
.worker{fill:#e2f3e8;stroke:#176639}
.wire{fill:none;stroke:#4a5866;stroke-width:1.4}
.head{fill:#4a5866}
@media (prefers-color-scheme:dark){
text{fill:#e8edf2}
.ground{fill:#10151b}
.card{fill:#19212a;stroke:#a9b6c3}
.vpc{fill:#151c24;stroke:#a9b6c3}
.zone{fill:#10151b;stroke:#6f7d8a}
.manager{fill:#16304f;stroke:#8fc1ff}
.worker{fill:#173425;stroke:#86d9a5}
.wire{stroke:#a9b6c3}
.head{fill:#a9b6c3}
}
""".strip()
# Kinds that are shown within another kind's card.
WITHIN = {
    "policy of the IAM role": "IAM role",
    "instance profile": "IAM role",
    "rules of the security group": "security group",
    "objects of the bucket": "bucket",
    "KMS alias": "KMS key",
    "lifecycle hook": "Auto Scaling group",
    "scaling policy": "Auto Scaling group",
    "launch template": "Auto Scaling group",
}


def draw(
    cluster: str,
    region: str,
    resources: Sequence[Row],
    members: Sequence[Row] = (),
    groups: Sequence[Row] = (),
    record: Optional[Row] = None,
) -> str:
    """The diagram; the same resources always give the same SVG.

    ``resources`` are the result of the module ``cluster_resources_info``, the others of ``fleet_info``.
    """
    return _Picture(cluster, region, resources, members, groups, record).svg()


def shortened(text: str, width: float, character: float) -> str:
    """The text, cut at a width in pixels."""
    most = max(1, int(width / character))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


class _Picture:
    def __init__(
        self,
        cluster: str,
        region: str,
        resources: Sequence[Row],
        members: Sequence[Row],
        groups: Sequence[Row],
        record: Optional[Row],
    ) -> None:
        self._title = f"{cluster} in {region}"
        self._cluster, self._record = cluster, record
        self._all = sorted(
            resources, key=lambda resource: (resource["kind"], resource["name"] or resource["id"], resource["id"])
        )
        self._members = {member["instance"]: member for member in members if member.get("instance")}
        self._groups = {group["scaling_group"]: group for group in groups}
        self._drawn: List[str] = []
        self._told: set = set()

    def svg(self) -> str:
        zones = self._zones()
        inner = max(3, len(zones)) * (ZONE + GAP) - GAP
        vpc_x, vpc_y, vpc_width = MARGIN, 128, inner + 2 * PAD
        side_x = vpc_x + vpc_width + 5 * GAP
        gateway = self._entrance(vpc_x, vpc_y)
        bottom = self._vpc(zones, vpc_x, vpc_y, vpc_width)
        side_bottom = self._side(side_x, 24, vpc_x + vpc_width, vpc_y, bottom)
        self._users(gateway)
        height = max(bottom, side_bottom)
        height = self._rest(MARGIN, height + GAP, side_x + SIDE - MARGIN) + MARGIN
        width = side_x + SIDE + 2 * GAP + MARGIN
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title">\n'
            f'<title id="title">{escape(self._summary())}</title>\n<style>\n{STYLE}\n</style>\n'
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>\n'
            f'<rect class="ground" width="{width}" height="{height}"/>\n'
        )
        return head + "\n".join(self._drawn) + "\n</svg>\n"

    def _summary(self) -> str:
        counts: Dict[str, int] = {}
        for row in self._all:
            counts[row["kind"]] = counts.get(row["kind"], 0) + 1
        shown = [kind if count == 1 else counted(count, kind) for kind, count in counts.items() if kind not in WITHIN]
        return f"The swarm {self._title}: {', '.join(shown) or 'no resources'}"

    # Resources

    def _of(self, *kinds: str) -> List[Row]:
        return [row for row in self._all if row["kind"] in kinds]

    def _tables(self, *, private: bool) -> List[Row]:
        return [row for row in self._of("route table") if row["name"].endswith(PRIVATE) is private]

    def _zones(self) -> List[Tuple[str, List[Row], List[Row]]]:
        """Zones with their subnets and instances; the last is for instances without a known zone."""
        found: Dict[str, Tuple[List[Row], List[Row]]] = {}
        for subnet in self._of("subnet"):
            zone = (
                subnet["name"][len(self._cluster) + 1 :]
                if subnet["name"].startswith(f"{self._cluster}-")
                else subnet["name"]
            )
            # The name of a subnet of an existing network is somebody else's.
            zone = subnet["note"] or (zone[: -len(PRIVATE)] if zone.endswith(PRIVATE) else zone)
            found.setdefault(zone or subnet["id"], ([], []))[0].append(subnet)
        for instance in self._of("instance"):
            zone = (self._members.get(instance["id"]) or {}).get("zone") or "zone unknown"
            found.setdefault(zone, ([], []))[1].append(instance)
        return [(zone, *found[zone]) for zone in sorted(found)]

    # Parts

    def _entrance(self, x: int, y: int) -> Tuple[int, int]:
        """The internet gateway; returns its upper edge."""
        # The gateway comes last, so that its wire does not cross the VPC's name.
        chips = [*self._of("gateway endpoint"), *self._tables(private=False), *self._of("internet gateway")]
        at = x + PAD
        middle = x + 80
        for chip in chips:
            label = f"{chip['kind']} {chip['name']}"
            width = int(len(label) * SMALL) + 2 * PAD
            if chip["kind"] == "internet gateway":
                middle = at + width // 2
            self._card(at, y + 30, width, "", [label], "card", [chip], CHIP)
            at += width + GAP
        return middle, y + 30

    def _vpc(self, zones: List[Tuple[str, List[Row], List[Row]]], x: int, y: int, width: int) -> int:
        vpcs = self._of("VPC")
        at = len(self._drawn)
        top = y + 30 + CHIP + GAP
        heights = [10]
        for number, (zone, subnets, instances) in enumerate(zones):
            left = x + PAD + number * (ZONE + GAP)
            heights.append(self._zone(left, top, zone, subnets, instances))
        bottom = top + max(heights) + GAP
        bottom = self._chips(x + PAD, bottom, width - 2 * PAD, "Security groups", self._of("security group")) + PAD
        ways_out = [*self._tables(private=True), *self._of("NAT gateway", "elastic IP address", "interface endpoint")]
        if ways_out:
            bottom = self._chips(x + PAD, bottom, width - 2 * PAD, "Outbound", ways_out, kinds=True) + PAD
        title = "; ".join(" ".join(filter(None, ["VPC", vpc["name"], f"({vpc['id']})"])) for vpc in vpcs) or "no VPC"
        # Below its contents.
        entrance = self._drawn[:at]
        inside = self._drawn[at:]
        self._drawn = []
        self._box(x, y, width, bottom - y, "vpc", vpcs)
        self._text(x + PAD, y + 20, shortened(title, width - 2 * PAD, BOLD), "t")
        self._drawn += entrance + inside
        return bottom

    def _zone(self, x: int, y: int, zone: str, subnets: List[Row], instances: List[Row]) -> int:
        card = TITLE + 2 * LINE + 2 * PAD
        height = 3 * PAD + TITLE + max(1, len(subnets)) * LINE + len(instances) * (card + GAP // 2)
        self._box(x, y, ZONE, height, "zone", subnets)
        self._text(x + PAD, y + 20, zone, "t")
        for number, subnet in enumerate(subnets, start=1):
            kind = "private subnet" if subnet["name"].endswith(PRIVATE) else "subnet"
            self._text(x + PAD, y + 20 + number * LINE, f"{kind} {subnet['id']}", "m")
        at = y + 20 + max(1, len(subnets)) * LINE + PAD
        for instance in sorted(instances, key=self._rank):
            member = self._members.get(instance["id"]) or {}
            role = member.get("role") or ("manager" if "manager" in instance["name"] else "worker")
            words = [
                "" if role in instance["name"] else role,
                instance["note"],
                "in DNS" if member.get("published") else "",
            ]
            lines = [instance["id"], ", ".join(filter(None, words))]
            self._card(x + PAD, at, ZONE - 2 * PAD, instance["name"] or "instance", lines, role, [instance], card)
            at += card + GAP // 2
        return height

    def _rank(self, row: Row) -> Tuple[bool, str, str]:
        return "manager" not in row["name"], row["name"], row["id"]

    def _side(self, x: int, y: int, vpc_right: int, vpc_top: int, vpc_bottom: int) -> int:
        """The resources beside the VPC, in a column."""
        edge, at = x + SIDE + GAP, y
        hooks: List[int] = []

        def card(title: str, lines: Iterable[str], rows: Sequence[Row]) -> int:
            """The next card; returns the height of its middle."""
            nonlocal at
            height = self._card(x, at, SIDE, title, lines, "card", rows)
            middle, at = at + height // 2, at + height + GAP
            return middle

        def within(kind: str, whole: Row) -> List[Row]:
            return [row for row in self._of(kind) if row["id"].startswith(f"{whole['id']}/")]

        for group in self._of("Auto Scaling group"):
            known = self._groups.get(group["id"])
            own, followed = within("lifecycle hook", group), within("scaling policy", group)
            lines = [group["note"]]
            if known:
                lines = [f"{known['in_service']} in service of {known['desired']}, {known['min']} to {known['max']}"]
            made_from = [template for template in self._of("launch template") if template["name"] == group["id"]]
            lines += [f"launch template {template['id']}" for template in made_from]
            lines += [f"hooks: {', '.join(hook['id'].rpartition('-')[2] for hook in own)}"] if own else []
            lines += ["scales with the swarm's tasks"] if followed else []
            middle = card(f"Auto Scaling group {group['id']}", lines, [group, *own, *followed, *made_from])
            hooks += [middle] if own else []
        for rule in self._of("event rule"):
            hooks.append(card(f"Event rule {rule['name']}", ["spot, rebalance and health events"], [rule]))
        queues = self._of("queue")
        dead = [queue for queue in queues if queue["name"].endswith("-dead")]
        for queue in [queue for queue in queues if queue not in dead]:
            lines = [f"dead letters: {other['name']}" for other in dead]
            middle = card(f"Queue {queue['name']}", lines, [queue, *dead])
            for hook in hooks:
                self._wire(f"M{x + SIDE} {hook} H{edge} V{middle - 4} H{x + SIDE + 2}")
            self._reach(x, middle, vpc_right, vpc_top, vpc_bottom, "wakes")
        for bucket in self._of("bucket"):
            held = [some for some in self._of("objects of the bucket") if some["id"].startswith(bucket["id"])]
            middle = card("Bucket", [bucket["id"], "cluster record, join tokens, agent, backups"], [bucket, *held])
            self._reach(x, middle, vpc_right, vpc_top, vpc_bottom, "joins by", both=True)
        aliases = self._of("KMS alias")
        for key in self._of("KMS key"):
            card("KMS key", [", ".join(alias["id"] for alias in aliases), key["id"]], [key, *aliases])
        for role in self._of("IAM role"):
            own = within("policy of the IAM role", role)
            own += [other for other in self._of("instance profile") if other["name"] == role["name"]]
            lines = ["its policy and its instance profile"] if len(own) > 1 else []
            card(f"IAM role {role['name']}", lines, [role, *own])
        return at

    def _reach(self, x: int, y: int, right: int, top: int, bottom: int, label: str, *, both: bool = False) -> None:
        """A wire from the column to the VPC, at that height or the nearest of the VPC."""
        to = min(max(y, top + GAP), bottom - GAP)
        turn = (right + x) // 2
        path = f"M{x} {y} H{right + 2}" if to == y else f"M{x} {y} H{turn} V{to} H{right + 2}"
        self._wire(path, both=both)
        self._text(right + 6, to - 5, label)

    def _users(self, gateway: Tuple[int, int]) -> None:
        x, y = gateway
        records = self._of("DNS record")
        left = MARGIN + 118
        self._drawn.append(f'<circle class="head" cx="{MARGIN + 26}" cy="40" r="11"/>')
        self._text(MARGIN + 26, 70, "users", "t", "middle")
        for record in records[:1]:
            counts = []
            if self._record:
                counts = [
                    f"{kind}: {len(self._record.get(key) or ())}"
                    for kind, key in (("A", "ipv4_values"), ("AAAA", "ipv6_values"))
                ]
                counts += [f"TTL {self._record['ttl']} s"] if self._record.get("ttl") else []
            text = ", ".join(counts) or record["note"]
            self._card(left, 20, 300, f"DNS record {record['name']}", [text], "card", records, 50)
            self._wire(f"M{MARGIN + 44} 40 H{left - 2}")
            self._text((MARGIN + 44 + left) // 2, 34, "asks", "", "middle")
        self._wire(f"M{MARGIN + 26} 76 V100 H{x} V{y - 2}")
        self._text(MARGIN + 34, 95, "requests to the record's addresses")

    def _rest(self, x: int, y: int, width: int) -> int:
        """All resources that have not been drawn yet."""
        left = [row for row in self._all if row["id"] not in self._told]
        return self._chips(x, y, width, "Also", left, kinds=True) if left else y - GAP

    # Shapes

    def _chips(self, x: int, y: int, width: int, title: str, rows: List[Row], *, kinds: bool = False) -> int:
        """Names in rows; returns their lower edge."""
        if not rows:
            return y
        self._text(x, y + 17, title, "t")
        start = at = x + int(len(title) * BOLD) + PAD
        for row in rows:
            label = f"{row['kind']} {row['name'] or row['id']}" if kinds else row["name"] or row["id"]
            label = shortened(label, width / 2, SMALL)
            wide = int(len(label) * SMALL) + 2 * PAD
            if at + wide > x + width and at > start:
                at, y = start, y + CHIP + GAP // 2
            within = [
                other
                for other in self._all
                if WITHIN.get(other["kind"]) == row["kind"] and other["name"] == row["name"]
            ]
            self._card(at, y, wide, "", [label], "card", [row, *within], CHIP)
            at += wide + GAP // 2
        return y + CHIP

    def _card(
        self,
        x: int,
        y: int,
        width: int,
        title: str,
        lines: Iterable[str],
        kind: str,
        rows: Sequence[Row],
        height: int = 0,
    ) -> int:
        """A box with text; returns its height."""
        lines = [line for line in lines if line]
        needed = LINE * len(lines) + (TITLE + PAD if title else CHIP - LINE)
        height = height or needed
        self._box(x, y, width, height, kind, rows)
        at = y + (height - needed) // 2 + (6 if title else 5)
        room = width - 2 * PAD + 4
        if title:
            at += TITLE
            self._text(x + PAD, at - 5, shortened(title, room, BOLD), "t")
        for text in lines:
            at += LINE
            self._text(x + PAD, at - 3, shortened(text, room, SMALL))
        return height

    def _box(self, x: int, y: int, width: int, height: int, kind: str, rows: Sequence[Row]) -> None:
        """A rectangle with a tooltip."""
        self._told.update(row["id"] for row in rows)
        whole = "\n".join(f"{row['kind']} {row['name']} {row['id']}".replace("  ", " ") for row in rows)
        title = f"<title>{escape(whole)}</title>" if whole else ""
        self._drawn.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6">{title}</rect>'
        )

    def _text(self, x: int, y: int, text: str, kind: str = "", anchor: str = "") -> None:
        more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
        self._drawn.append(f'<text x="{x}" y="{y}"{more}>{escape(text)}</text>')

    def _wire(self, path: str, *, both: bool = False) -> None:
        start = ' marker-start="url(#head)"' if both else ""
        self._drawn.append(f'<path class="wire" d="{path}"{start} marker-end="url(#head)"/>')
