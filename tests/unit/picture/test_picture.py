"""The architecture picture of a full account, of an empty account, and with names that look like markup."""

from __future__ import annotations

import random
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.swarm.aws.plugins.filter.picture import picture
from ansible_collections.swarm.aws.plugins.module_utils.account.picture import draw
from ansible_collections.swarm.aws.plugins.module_utils.account.resources.model import KINDS

SVG = "{http://www.w3.org/2000/svg}"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")


BUCKET = "example-swarm-123456789012-eu-west-1"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:example-unlock-keys-abcdef"


def resource(kind: str, identifier: str, name: str = "", note: str = "") -> dict[str, str]:
    return {"kind": kind, "id": identifier, "name": name, "note": note, "kept": "", "going": ""}


def everything() -> list[dict[str, str]]:
    """Resources of every kind."""
    found = [
        resource("gateway endpoint", "vpce-1", "example-s3"),
        resource("route table", "rtb-1", "example-public"),
        resource("DNS record", "Z1/www.swarm.test.", "www.swarm.test", "198.51.100.1"),
        resource("queue", "queue/example-events", "example-events"),
        resource("queue", "queue/example-events-dead", "example-events-dead"),
        resource("bucket", BUCKET),
        resource("objects of the bucket", f"{BUCKET}/*", BUCKET),
        resource("KMS key", "e5d0df0a-4e0a-4d0b-a50e-eb2331d52fde"),
        resource("KMS alias", "alias/example-swarm"),
        resource("secret", SECRET, "example-unlock-keys"),
        resource("volume", "vol-1"),
        resource("network interface", "eni-1"),
    ]
    for zone in ZONES:
        found += [
            resource("subnet", f"subnet-{zone}", f"example-{zone}"),
            resource("subnet", f"subnet-private-{zone}", f"example-{zone}-private"),
            resource("route table", f"rtb-{zone}", f"example-{zone}-private"),
            resource("NAT gateway", f"nat-{zone}", f"example-{zone}-nat"),
            resource("elastic IP address", f"eipalloc-{zone}", f"example-{zone}-nat", "198.51.100.2"),
        ]
    for name in ("member", "manager", "edge"):
        found.append(resource("security group", f"sg-{name}", f"example-{name}"))
        found.append(resource("rules of the security group", f"sg-{name}/rules", f"example-{name}"))
    for group in ("manager", "worker"):
        name = f"example-{group}"
        found += [
            resource("Auto Scaling group", name, note="3 instances"),
            resource("lifecycle hook", f"{name}/example-launching"),
            resource("launch template", f"lt-{group}", name),
            resource("IAM role", f"role/{name}", name),
            resource("policy of the IAM role", f"role/{name}/swarm", name),
            resource("instance profile", f"instance-profile/{name}", name),
        ]
    for member in MEMBERS:
        found.append(resource("instance", member["instance"], f"example-{member['role']}", "t3.small, running"))
    present = {resource["kind"] for resource in found}
    return found + [resource(kind, f"{kind}/1", "example-first") for kind in KINDS if kind not in present]


MEMBERS = [
    {
        "instance": f"i-{number:017x}",
        "zone": ZONES[number % 3],
        "role": "manager" if number < 3 else "worker",
        "published": number < 3,
    }
    for number in range(5)
]
GROUPS = [{"scaling_group": "example-manager", "in_service": 2, "desired": 3, "min": 3, "max": 5}]
RECORD = {"name": "www.swarm.test", "ipv4_values": ["198.51.100.1"], "ttl": 10}


def drawn(resources: list[dict[str, str]]) -> ElementTree.Element:
    return ElementTree.fromstring(draw("example", "eu-west-1", resources, MEMBERS, GROUPS, RECORD))


def rectangles(tree: ElementTree.Element, *kinds: str) -> list[tuple[float, float, float, float]]:
    return [
        tuple(float(shape.get(key, 0)) for key in ("x", "y", "width", "height"))  # type: ignore[misc]
        for shape in tree.iter(f"{SVG}rect")
        if shape.get("class") in kinds
    ]


def test_every_resource_is_drawn_with_its_kind_and_name():
    titles = "\n".join(title.text or "" for title in drawn(everything()).iter(f"{SVG}title")).split("\n")
    missing = [
        resource
        for resource in everything()
        if f"{resource['kind']} {resource['name']} {resource['id']}".replace("  ", " ") not in titles
    ]
    assert missing == []


def test_the_order_of_the_resources_does_not_matter():
    resources = everything()
    first = draw("example", "eu-west-1", resources, MEMBERS, GROUPS, RECORD)
    for seed in range(5):
        random.Random(seed).shuffle(resources)
        assert draw("example", "eu-west-1", resources, MEMBERS[::-1], GROUPS, RECORD) == first


def test_an_instance_is_drawn_in_its_zone():
    tree = drawn(everything())
    zones = sorted(rectangles(tree, "zone"))
    assert len(zones) == 3
    instances = sorted(rectangles(tree, "manager", "worker"))
    assert [sum(_within(instance, zone) for instance in instances) for zone in zones] == [2, 2, 1]


def test_no_shape_overlaps_another_or_the_border():
    tree = drawn(everything())
    _, _, width, height = (float(number) for number in tree.get("viewBox", "").split())
    cards = rectangles(tree, "card", "manager", "worker")
    assert [pair for pair in combinations(cards, 2) if _overlap(*pair)] == []
    assert [card for card in cards if not _within(card, (0, 0, width, height))] == []
    for text in tree.iter(f"{SVG}text"):
        wide = len(text.text or "") * (8.3 if text.get("class") == "t" else 6.7)
        assert float(text.get("x", 0)) + (0 if text.get("text-anchor") else wide) <= width, text.text


def test_known_sizes_and_the_record_are_drawn():
    words = [text.text for text in drawn(everything()).iter(f"{SVG}text")]
    assert "2 in service of 3, 3 to 5" in words
    assert "A: 1, AAAA: 0, TTL 10 s" in words
    assert "3 instances" in words, "of the group whose sizes are not known"


def test_subnets_of_an_existing_vpc_are_drawn_with_their_zones():
    network = [resource("VPC", "vpc-1"), resource("subnet", "subnet-1", "nodes", "eu-west-1a")]
    instances = [entry for entry in everything() if entry["kind"] == "instance"]
    words = [text.text for text in drawn([*network, *instances]).iter(f"{SVG}text")]
    assert "VPC (vpc-1)" in words
    assert [word for word in words if word in (*ZONES, "nodes")] == list(ZONES)


def test_an_account_without_a_cluster_has_a_picture():
    tree = ElementTree.fromstring(draw("example", "eu-west-1", []))
    assert tree.findtext(f"{SVG}title") == "The swarm example in eu-west-1: no resources"


def test_names_are_escaped():
    text = draw("<example>", "a&b", [resource("VPC", "vpc-1", "<script>")])
    assert "<script>" not in text
    assert "VPC <script> vpc-1" in [title.text for title in ElementTree.fromstring(text).iter(f"{SVG}title")]


def test_both_colour_schemes_define_every_class():
    text = draw("example", "eu-west-1", everything(), MEMBERS, GROUPS, RECORD)
    light, _, dark = text.partition("@media (prefers-color-scheme:dark)")
    classes = {"ground", "card", "vpc", "zone", "manager", "worker", "wire", "head"}
    for scheme in (light, dark.partition("</style>")[0]):
        assert classes <= set(re.findall(r"\.(\w+)\{", scheme))


def test_the_filter_refuses_an_invalid_list_of_resources():
    with pytest.raises(AnsibleFilterError, match="cluster_resources_info"):
        picture({"resources": []}, "example", "eu-west-1")


def _within(inner, outer) -> bool:
    (x, y, width, height), (left, top, wide, high) = inner, outer
    return left <= x and top <= y and x + width <= left + wide and y + height <= top + high


def _overlap(first, second) -> bool:
    return (
        first[0] < second[0] + second[2]
        and second[0] < first[0] + first[2]
        and first[1] < second[1] + second[3]
        and second[1] < first[1] + first[3]
    )
