"""What security groups have open, and for how long while that changes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.provision import security
from ansible_collections.swarm.aws.plugins.module_utils.provision.errors import ProvisionError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.provision_modules.account import account
from tests.unit.provision_modules.cases.security import CASE, GROUPS, MANAGER, group, prepare

rules = st.builds(
    security.Rule,
    protocol=st.sampled_from(["tcp", "udp"]),
    port=st.sampled_from([22, 80, 2377]),
    source=st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "sg-1", "sg-2"]),
    description=st.sampled_from(["", "web", "join"]),
)


@given(st.lists(rules, unique_by=lambda rule: rule.opening))
def test_rules_are_read_as_they_were_given(wanted: list[security.Rule]) -> None:
    read, foreign = security.read(rule.permission() for rule in wanted)
    assert sorted(read) == sorted(wanted)
    assert foreign == []


@given(st.lists(rules, unique_by=lambda rule: rule.opening))
def test_rules_are_read_as_ec2_tells_them_together(wanted: list[security.Rule]) -> None:
    """EC2 tells of a port once, with all who may reach it."""
    merged: dict[tuple[str, int], dict[str, Any]] = {}
    for rule in wanted:
        empty = {"IpProtocol": rule.protocol, "FromPort": rule.port, "ToPort": rule.port, "Ipv6Ranges": []}
        one = merged.setdefault((rule.protocol, rule.port), {**empty, "IpRanges": [], "UserIdGroupPairs": []})
        for key in ("IpRanges", "UserIdGroupPairs"):
            one[key] += rule.permission().get(key, [])
    assert sorted(security.read(merged.values())[0]) == sorted(wanted)


def test_what_stays_open_is_never_closed_while_something_else_changes() -> None:
    with account() as world:
        params = prepare(world)
        CASE.run(world, params)
        managers, workers = GROUPS
        more = {"port": 443, "description": "web", "cidr": "0.0.0.0/0"}
        changed = [{**managers, "rules": [*managers["rules"][:2], more]}, workers]
        with world.recording() as writes:
            CASE.run(world, {**params, "groups": changed})
        # First what is new is opened, and then only what is no longer wanted is closed.
        assert writes == ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]
        assert sorted(one["FromPort"] for one in group(world.aws, MANAGER)["IpPermissions"]) == [443, 2377]


def test_a_group_of_another_cluster_is_refused() -> None:
    with account() as world:
        params = prepare(world)
        CASE.run(world, params)
        with pytest.raises(ProvisionError, match="belongs to the cluster 'example': rename"):
            CASE.run(world, {**params, "cluster_name": "other"})


def test_the_vpc_may_only_be_missing_in_check_mode() -> None:
    with account() as world, pytest.raises(ProvisionError, match="vpc_id is missing"):
        CASE.run(world, CASE.planned)
