"""The architecture picture: of an account with everything, of an empty one, and of names that look like markup."""

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


def one(kind: str, identifier: str, name: str = "", note: str = "") -> dict[str, str]:
    return {"kind": kind, "id": identifier, "name": name, "note": note, "kept": "", "going": ""}


def everything() -> list[dict[str, str]]:
    """At least one of every kind that there is."""
    found = [
        one("gateway endpoint", "vpce-1", "example-s3"),
        one("route table", "rtb-1", "example-public"),
        one("DNS record", "Z1/www.swarm.test.", "www.swarm.test", "198.51.100.1"),
        one("queue", "queue/example-events", "example-events"),
        one("queue", "queue/example-events-dead", "example-events-dead"),
        one("bucket", BUCKET),
        one("objects of the bucket", f"{BUCKET}/*", BUCKET),
        one("KMS key", "e5d0df0a-4e0a-4d0b-a50e-eb2331d52fde"),
        one("KMS alias", "alias/example-swarm"),
        one("secret", SECRET, "example-unlock-keys"),
        one("volume", "vol-1"),
        one("network interface", "eni-1"),
    ]
    for zone in ZONES:
        found += [
            one("subnet", f"subnet-{zone}", f"example-{zone}"),
            one("subnet", f"subnet-private-{zone}", f"example-{zone}-private"),
            one("route table", f"rtb-{zone}", f"example-{zone}-private"),
            one("NAT gateway", f"nat-{zone}", f"example-{zone}-nat"),
            one("elastic IP address", f"eipalloc-{zone}", f"example-{zone}-nat", "198.51.100.2"),
        ]
    for name in ("member", "manager", "edge"):
        found.append(one("security group", f"sg-{name}", f"example-{name}"))
        found.append(one("rules of the security group", f"sg-{name}/rules", f"example-{name}"))
    for group in ("manager", "worker"):
        name = f"example-{group}"
        found += [
            one("Auto Scaling group", name, note="3 instances"),
            one("lifecycle hook", f"{name}/example-launching"),
            one("launch template", f"lt-{group}", name),
            one("IAM role", f"role/{name}", name),
            one("policy of the IAM role", f"role/{name}/swarm", name),
            one("instance profile", f"instance-profile/{name}", name),
        ]
    for member in MEMBERS:
        found.append(one("instance", member["instance"], f"example-{member['role']}", "t3.small, running"))
    present = {resource["kind"] for resource in found}
    return found + [one(kind, f"{kind}/1", "example-one") for kind in KINDS if kind not in present]


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
    found = [each for each in tree.iter(f"{SVG}rect") if each.get("class") in kinds]
    return [tuple(float(each.get(key, 0)) for key in ("x", "y", "width", "height")) for each in found]  # type: ignore[misc]


def test_every_resource_is_in_it_and_says_what_it_is():
    titles = "\n".join(title.text or "" for title in drawn(everything()).iter(f"{SVG}title")).split("\n")
    missing = [
        resource
        for resource in everything()
        if f"{resource['kind']} {resource['name']} {resource['id']}".replace("  ", " ") not in titles
    ]
    assert missing == []


def test_it_is_the_same_in_whatever_order_it_is_told():
    resources = everything()
    first = draw("example", "eu-west-1", resources, MEMBERS, GROUPS, RECORD)
    for seed in range(5):
        random.Random(seed).shuffle(resources)
        assert draw("example", "eu-west-1", resources, MEMBERS[::-1], GROUPS, RECORD) == first


def test_an_instance_stands_in_its_zone():
    tree = drawn(everything())
    zones = sorted(rectangles(tree, "zone"))
    assert len(zones) == 3
    instances = sorted(rectangles(tree, "manager", "worker"))
    held = [[each for each in instances if _within(each, zone)] for zone in zones]
    assert [len(each) for each in held] == [2, 2, 1]


def test_nothing_lies_over_anything_else_or_outside():
    tree = drawn(everything())
    _, _, width, height = (float(number) for number in tree.get("viewBox", "").split())
    cards = rectangles(tree, "card", "manager", "worker")
    assert [pair for pair in combinations(cards, 2) if _overlap(*pair)] == []
    assert [card for card in cards if not _within(card, (0, 0, width, height))] == []
    for text in tree.iter(f"{SVG}text"):
        wide = len(text.text or "") * (8.3 if text.get("class") == "t" else 6.7)
        assert float(text.get("x", 0)) + (0 if text.get("text-anchor") else wide) <= width, text.text


def test_sizes_and_the_record_are_told_where_they_are_known():
    words = [text.text for text in drawn(everything()).iter(f"{SVG}text")]
    assert "2 in service of 3, 3 to 5" in words
    assert "A: 1, AAAA: 0, TTL 10 s" in words
    assert "3 instances" in words, "of the group whose sizes are not known"


def test_an_account_without_a_cluster_has_a_picture_too():
    tree = ElementTree.fromstring(draw("example", "eu-west-1", []))
    assert tree.findtext(f"{SVG}title") == "The swarm example in eu-west-1: nothing is there"


def test_names_are_kept_from_being_taken_for_markup():
    text = draw("<example>", "a&b", [one("VPC", "vpc-1", "<script>")])
    assert "<script>" not in text
    assert "VPC <script> vpc-1" in [title.text for title in ElementTree.fromstring(text).iter(f"{SVG}title")]


def test_both_schemes_name_a_colour_for_every_class():
    text = draw("example", "eu-west-1", everything(), MEMBERS, GROUPS, RECORD)
    light, _, dark = text.partition("@media (prefers-color-scheme:dark)")
    classes = {"ground", "card", "vpc", "zone", "manager", "worker", "wire", "head"}
    for scheme in (light, dark.partition("</style>")[0]):
        assert classes <= set(re.findall(r"\.(\w+)\{", scheme))


def test_the_filter_refuses_what_is_no_list_of_resources():
    with pytest.raises(AnsibleFilterError, match="cluster_resources_info"):
        picture({"resources": []}, "example", "eu-west-1")


def _within(inner, outer) -> bool:
    (x, y, width, height), (left, top, wide, high) = inner, outer
    return left <= x and top <= y and x + width <= left + wide and y + height <= top + high


def _overlap(one, other) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )
