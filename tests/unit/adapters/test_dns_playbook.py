"""The playbook that updates the record, with fake modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.playbooks import Bench

pytestmark = pytest.mark.real("ansible-playbook: the texts of playbooks are made by Ansible alone")

RECORD = {"ipv4_values": ["198.51.100.1"], "ttl": 10, "ipv6_values": ["2001:db8::1"], "ipv6_ttl": 10, "owner": "me"}
POINTS = "www.example.com points to 198.51.100.1, 2001:db8::1 (TTL 10 s)"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ["dns_sync"], {"manager": ["i-m1", "i-m2"]})


def synced(*changes: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "www.example.com",
        "record": RECORD,
        "changes": list(changes),
        "changed": bool(changes),
        "notes": [],
        **more,
    }


@pytest.mark.parametrize(
    ("answer", "words", "sentences"),
    [
        (synced(), (), [f"{POINTS}: nothing to do"]),
        (synced("update the DNS record www.example.com"), (), ["Done: update the DNS record www.example.com", POINTS]),
        (
            synced("update the DNS record www.example.com"),
            ("--check",),
            ["To do: update the DNS record www.example.com", "would point to 198.51.100.1, 2001:db8::1 (TTL 10 s)"],
        ),
        (
            synced(record=None, notes=["No node can serve."]),
            (),
            ["www.example.com has no addresses", "Note: No node can"],
        ),
    ],
)
def test_the_playbook_shows_the_record(
    bench: Bench, answer: dict[str, Any], words: tuple[str, ...], sentences: list[str]
) -> None:
    bench.answers["dns_sync"] = [answer]
    code, said, asked = bench.run("dns.yml", *words)
    assert code == 0, said[-3000:]
    assert [sentence for sentence in sentences if sentence not in said] == []
    assert [told["check"] for _, told in asked] == [bool(words)], "one manager is enough"
