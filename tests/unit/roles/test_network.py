"""The role network, run in an account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.aws import view
from lab.network import Wiring, ruleset
from tests.lab.configured import private_nodes
from tests.unit.roles.account import REASON, RolesAccount, roles_account

pytestmark = pytest.mark.real(REASON)
MEMBER = "example-member"
ESP = "50"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolesAccount]:
    with roles_account(tmp_path_factory.mktemp("network")) as account:
        done = account.run("network")
        assert done.code == 0, done.output
        yield account


def test_a_route_made_by_hand_stays_without_nat_gateways(tmp_path: Path) -> None:
    with roles_account(tmp_path) as account:
        variables = private_nodes("none")
        built = account.run("network", **variables)
        assert built.code == 0, built.output
        ec2 = account.aws.client("ec2")
        filters = [{"Name": "tag:Name", "Values": ["example-eu-west-1a-private"]}]
        (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
        (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
        ec2.create_route(
            RouteTableId=table["RouteTableId"],
            DestinationCidrBlock="192.0.2.0/24",
            GatewayId=gateway["InternetGatewayId"],
        )
        done = account.run("network", **variables)
        assert (done.code, done.changed) == (0, {}), done.output
        (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
        assert "192.0.2.0/24" in {route.get("DestinationCidrBlock") for route in table["Routes"]}


def member(account: RolesAccount) -> dict[str, Any]:
    found = account.aws.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [MEMBER]}])
    group: dict[str, Any] = found["SecurityGroups"][0]
    return group


def test_members_reach_each_other_over_encrypted_overlays(account: RolesAccount) -> None:
    group = member(account)
    (rule,) = [rule for rule in group["IpPermissions"] if rule["IpProtocol"] == ESP]
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    assert not {"FromPort", "ToPort"} & rule.keys()
    firewall, name = view.firewall(), group["GroupId"].replace("-", "_")
    rules = ruleset(Wiring(rules=firewall.rules, members=firewall.members))
    assert f"ip daddr @{name} ip saddr @{name} meta l4proto 50 accept;" in rules


def test_a_rule_for_esp_made_by_hand_stays_open(account: RolesAccount) -> None:
    ec2, group = account.aws.client("ec2"), member(account)
    identifier = group["GroupId"]
    by_hand = {"IpProtocol": ESP, "UserIdGroupPairs": [{"GroupId": identifier, "Description": "by hand"}]}
    own = [rule for rule in group["IpPermissions"] if rule["IpProtocol"] == ESP]
    ec2.revoke_security_group_ingress(GroupId=identifier, IpPermissions=own)
    ec2.authorize_security_group_ingress(GroupId=identifier, IpPermissions=[by_hand])
    done = account.run("network")
    assert done.code == 0, done.output
    assert not {"ec2:RevokeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupIngress"} & set(done.writes)
    assert [rule["IpProtocol"] for rule in member(account)["IpPermissions"]].count(ESP) == 1
