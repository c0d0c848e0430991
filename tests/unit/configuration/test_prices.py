"""What a cluster costs, from the collection's own table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.swarm.aws.plugins.filter.monthly_cost import monthly_cost
from ansible_collections.swarm.aws.plugins.module_utils.account.prices import hourly

from tests.unit.configuration.configuration import complete

TABLE = yaml.safe_load((Path(__file__).resolve().parents[3] / "roles/account/files/prices.yml").read_text())


def group(**more: Any) -> dict[str, Any]:
    plain = {"name": "manager", "role": "manager", "desired": 3, "instance_types": ["t3.small"], "dns": True}
    disks = {"volume_size": 20, "volume_type": "gp3", "volumes": []}
    return {**plain, **disks, "spot": None, "scaling": None, "warm_pool": None, **more}


def cost(*groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The cost of the example's configuration without monitoring, with these groups and some keys changed."""
    return monthly_cost({**complete(), "node_groups": groups or [group()], "monitoring": None, **more}, TABLE)


WORKER = group(name="worker", desired=1)
MONITORING = complete()["monitoring"]


def test_the_cost_of_the_default_cluster_in_ireland() -> None:
    found = cost(group(), WORKER)
    manager, worker = found["groups"]
    # 3 of 730 h at 0.0228, 3 of 20 GiB at 0.088, 3 of 730 h at 0.005
    assert (manager["instances"], manager["volumes"], manager["addresses"]) == (49.93, 5.28, 10.95)
    assert (manager["total"], worker["total"], found["total"]) == (66.16, 22.05, 89.21)
    assert found["unpriced"] == []


def test_the_cost_of_metrics_and_alarms_of_two_groups() -> None:
    # 10 metrics at 0.30; 7 alarms on those, one on dead letters and 3 metrics of each group at 0.10
    plain = cost(group(), WORKER, monitoring=MONITORING)
    assert (plain["others"]["metrics and alarms"], plain["total"]) == (4.40, 93.61)
    # That on the managers' certificates stays with periods of minutes.
    short = cost(group(), WORKER, monitoring={**MONITORING, "period_seconds": 10})
    assert short["others"]["metrics and alarms"] == 5.60
    assert "metrics and alarms" not in cost(group(), WORKER, monitoring={**MONITORING, "alarms": False})["others"]


def test_only_existing_alarms_are_counted() -> None:
    lone = cost(group(desired=1), monitoring=MONITORING, backup_hours=0)
    assert lone["others"]["metrics and alarms"] == pytest.approx(10 * 0.30 + (5 + 1 + 3) * 0.10)


def test_a_scaling_group_costs_a_metric_and_two_alarms() -> None:
    groups = [group(), {**WORKER, "scaling": {"target": 100}}]
    assert cost(*groups)["others"]["metrics and alarms"] == 0.50
    assert cost(*groups, monitoring=MONITORING)["others"]["metrics and alarms"] == 4.90


def test_a_stopped_warm_instance_costs_its_volumes() -> None:
    pool = {"min": 1, "max": 5}
    groups = [group(desired=2), group(desired=2, warm_pool=pool), group(desired=5, warm_pool=pool)]
    plain, warm, full = cost(*groups)["groups"]
    assert (plain["warm"], warm["warm"]) == (0, 3)
    assert warm["volumes"] == pytest.approx(plain["volumes"] * 5 / 2)
    for key in ("count", "instances", "addresses"):
        assert plain[key] == warm[key]
    assert full["warm"] == 1, "what min asks for is there whatever max says"


def test_private_nodes_cost_no_addresses_but_nat_gateways() -> None:
    found = cost(private_nodes={"nat": "one", "endpoints": []}, public_addresses=False)
    assert found["groups"][0]["addresses"] == 0
    # 730 h at 0.048 and at 0.005
    assert found["others"] == {"KMS key": 1, "NAT gateways": 38.69}
    assert found["total"] == pytest.approx(49.93 + 5.28 + 1 + 38.69)
    a_zone = {"nat": "per_zone", "endpoints": []}
    assert cost(private_nodes=a_zone)["others"]["NAT gateways"] == pytest.approx(3 * 38.69)
    assert "NAT gateway in eu-south-9" in cost(region="eu-south-9", private_nodes=a_zone)["unpriced"]


def test_interface_endpoints_cost_by_hour_and_zone() -> None:
    nine_in_three = {"nat": "none", "endpoints": list("abcdefghi")}
    found = cost(private_nodes=nine_in_three, public_addresses=False)
    # 27 of 730 h at 0.011
    assert found["others"] == {"KMS key": 1, "interface endpoints": 216.81}
    assert found["groups"][0]["addresses"] == 0
    assert found["total"] == pytest.approx(49.93 + 5.28 + 1 + 216.81)
    assert "interface endpoint in eu-south-9" in cost(region="eu-south-9", private_nodes=nine_in_three)["unpriced"]


def test_an_instance_in_cloud_map_costs_by_month() -> None:
    groups = [group(), {**WORKER, "dns": False}]
    found = cost(*groups, dns={"cloud_map": {"namespace": "internal", "service": "www"}})
    assert found["others"]["Cloud Map"] == 0.30
    assert found["total"] == pytest.approx(cost(*groups)["total"] + 0.30)


@pytest.mark.parametrize(
    ("region", "kind", "price"),
    [("us-east-1", "t3.micro", 0.0104), ("us-east-1", "m5.xlarge", 0.192), ("eu-central-1", "t4g.small", 0.0192)],
)
def test_instance_types_of_a_family_cost_in_proportion_to_their_size(region: str, kind: str, price: float) -> None:
    assert hourly(kind, TABLE["regions"][region]["families"], TABLE["sizes"]) == pytest.approx(price)


def test_a_resource_without_a_price_is_named() -> None:
    found = cost(group(instance_types=["x9.small"]), group(name="a", desired=0), region="eu-south-9")
    assert found["unpriced"] == ["gp3 in eu-south-9", "t3.small in eu-south-9", "x9.small in eu-south-9"]
    assert found["groups"][0]["instances"] == 0


def test_data_volumes_cost_the_same_as_root_volumes() -> None:
    volumes = [{"type": "gp3", "size": 50}, {"type": "gp2", "size": 10}]
    plain, more = cost(group(), group(volumes=volumes))["groups"]
    prices = TABLE["regions"]["eu-west-1"]["volumes"]
    assert more["volumes"] - plain["volumes"] == pytest.approx(3 * (50 * prices["gp3"] + 10 * prices["gp2"]), abs=0.01)


def test_spot_costs_at_most_the_on_demand_price_of_its_dearest_type() -> None:
    types, all_spot = ["t3.small", "t3.medium"], {"share": 100, "on_demand_base": 0}
    on_demand, spot = cost(group(instance_types=types), group(instance_types=types, spot=all_spot))["groups"]
    assert (on_demand["type"], spot["type"]) == ("t3.small", "t3.medium")
    assert spot["instances"] == pytest.approx(2 * on_demand["instances"], abs=0.01)


def test_a_plan_has_rows_only_for_resources_of_the_cluster() -> None:
    spot = group(name="spot", desired=1, spot={"share": 100})
    rows = cost(group(), group(name="warm", warm_pool={"min": 2, "max": 2}), spot, monitoring=MONITORING)["rows"]
    assert rows[0] == ("", "instances", "volumes", "addresses", "all", "")
    assert rows[1] == ("manager", "49.93", "5.28", "10.95", "66.16", "  3 \u00d7 t3.small")
    assert rows[2][5].endswith(" and 2 stopped") and rows[3][5].endswith(", spot at most")
    assert [row[0] for row in rows[4:]] == ["KMS key", "metrics and alarms", "whole cluster"]
    assert rows[-2] == ("metrics and alarms", "", "", "", "4.70", "")


def test_an_invalid_price_table_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="does not match roles"):
        monthly_cost(complete(), {"as_of": "today"})
    with pytest.raises(AnsibleFilterError, match="does not match roles"):
        monthly_cost(complete(), "no table")


def test_every_price_in_the_table_is_plausible() -> None:
    for region, prices in TABLE["regions"].items():
        assert all(0.03 < price < 0.3 for price in prices["families"].values()), region
        assert all(0.05 < price < 0.2 for price in prices["volumes"].values()), region
        assert 0.005 < prices["endpoint"] < prices.get("nat", 0.05), region
