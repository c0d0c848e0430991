"""The dashboard and the alert rules for Prometheus: they use metrics that the agents export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils._core import metrics

STACKS = Path(__file__).parents[3] / "stacks"
DASHBOARD = json.loads((STACKS / "grafana/swarm.json").read_text())
RULES = yaml.safe_load((STACKS / "prometheus/alerts.yml").read_text())
EXPORTED = {family.name for family in metrics.FAMILIES}


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for group in RULES["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])


@pytest.mark.parametrize(("title", "expression"), queries())
def test_a_query_uses_exported_metrics_only(title: str, expression: str) -> None:
    used = set(re.findall(r"\bswarm_\w+", expression))
    assert used and used <= EXPORTED, title
    assert expression.count("(") == expression.count(")"), title


def test_a_counter_is_queried_as_an_increase() -> None:
    counters = "|".join(family.name for family in metrics.FAMILIES if family.kind == metrics.COUNTER)
    assert [
        expression
        for _title, expression in queries()
        if re.search(counters, expression) and not re.search(rf"(increase|rate)\(({counters})\[", expression)
    ] == []


def test_every_panel_has_the_provisioned_data_source_and_its_place() -> None:
    (source,) = yaml.safe_load((STACKS / "grafana/datasource.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((STACKS / "grafana/dashboards.yml").read_text())["providers"]
    stack = yaml.safe_load((STACKS / "grafana/docker-compose.yml").read_text())["services"]
    panels = DASHBOARD["panels"]
    assert {(panel["datasource"]["type"], panel["datasource"]["uid"]) for panel in panels} == {
        (source["type"], source["uid"])
    }
    mounted = [entry["target"] for entry in stack["grafana"]["configs"]]
    assert f"{provider['options']['path']}/swarm.json" in mounted
    assert re.fullmatch(r"http://(\w+):\d+", source["url"])[1] in stack  # type: ignore[index]
    places = {
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    }
    assert len(places) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)
    assert max(x for x, _y in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("stack", ["prometheus", "grafana"])
def test_prometheus_scrapes_the_port_of_the_example(stack: str) -> None:
    example = yaml.safe_load((STACKS.parent / "inventories/example/group_vars/all.yml").read_text())
    assert str(example["monitoring"]["prometheus_port"]) in (STACKS / stack / "prometheus.yml").read_text()
