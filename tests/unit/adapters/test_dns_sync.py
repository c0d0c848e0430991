"""The module's result, over a cluster in memory."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Instance, Node, Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns, Group, Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.report import members
from ansible_collections.swarm.aws.plugins.module_utils.adapters.config import Config
from ansible_collections.swarm.aws.plugins.module_utils.verbs import on_manager
from ansible_collections.swarm.aws.plugins.modules import dns_sync

POLICY = Policy("example", {"manager": Group("manager", dns=True)}, Dns("Z1", "www.example.com", 10))
OLD = Record(("198.51.100.9",), 10, POLICY.owner)
NEW = {"ipv4_values": ["198.51.100.1"], "ttl": 10, "owner": POLICY.owner}


def cluster(record):
    node = Node("n1", "manager", "ready", voter=True, reachable=True, labels={"swarm.aws.instance": "i-1"})
    one = Instance("i-1", "manager", "manager", "a", "running", None, "198.51.100.1", lifecycle="InService")
    return Cluster("swarm", "swarm", (node,), (one,), record, ())


@pytest.fixture
def bench(monkeypatch):
    """Says what there is, and notes what is applied."""
    applied = []
    keeper = SimpleNamespace(apply=lambda action, policy: applied.append(action) or action.change)

    def there(record, policy=POLICY):
        monkeypatch.setattr(dns_sync, "look", lambda keeper: (policy, cluster(record)))

    return SimpleNamespace(there=there, applied=applied, keeper=keeper)


@pytest.mark.parametrize("check", [True, False])
def test_the_record_is_brought_up_to_date_or_only_said_to_be(bench, check):
    bench.there(OLD)
    result = dns_sync.sync(bench.keeper, check=check)
    assert (result["changed"], result["record"], len(bench.applied)) == (True, NEW, 0 if check else 1)
    assert result["changes"] == ["update the DNS record www.example.com"]
    (diff,) = result["diff"]
    assert (diff["before"]["ipv4_values"], diff["after"]) == (["198.51.100.9"], NEW)


def test_a_record_that_is_right_is_left_alone(bench):
    bench.there(Record(("198.51.100.1",), 10, POLICY.owner))
    result = dns_sync.sync(bench.keeper, check=False)
    assert (result["changed"], result["diff"], result["record"], bench.applied) == (False, [], NEW, [])


def test_an_aaaa_record_is_shown_beside_the_a_record(bench):
    both = Record(("198.51.100.1", "2001:db8::1"), 10, f"{POLICY.owner},records=A+AAAA", ipv6_ttl=10)
    bench.there(both)
    (diff,) = dns_sync.sync({}, check=True)["diff"]
    assert diff["before"] == {**NEW, "ipv6_values": ["2001:db8::1"], "ipv6_ttl": 10, "owner": both.owner}
    assert diff["after"] == NEW


def test_a_service_in_cloud_map_is_brought_up_to_date_in_the_same_way(bench):
    policy = replace(POLICY, dns=Dns("", "www.example.com", 10, service_id="srv-1"))
    bench.there(OLD, policy)
    result = dns_sync.sync(bench.keeper, check=False)
    assert (result["changes"], result["record"]) == (["update the Cloud Map service www.example.com"], NEW)
    bench.there(Record(), policy)
    with pytest.raises(SwarmError, match=r"www\.example\.com has no tag swarm\.aws/cluster that says that it is this"):
        dns_sync.sync(bench.keeper, check=False)


def test_what_cannot_be_done_is_said(bench):
    bench.there(Record(("203.0.113.1",), 10))
    with pytest.raises(SwarmError, match="stands there already"):
        dns_sync.sync(bench.keeper, check=False)
    bench.there(OLD, Policy("example", {}))
    with pytest.raises(SwarmError, match="No DNS record is configured"):
        dns_sync.sync(bench.keeper, check=False)


def test_what_is_not_given_is_the_nodes_own(monkeypatch):
    own = Config("example", "eu-west-1", "123456789012", "bucket", "manager", "manager")
    monkeypatch.setattr(on_manager.Config, "load", lambda: own)
    monkeypatch.setattr(on_manager, "Keeper", lambda **given: given)
    given = on_manager.keeper({"cluster": "other", "region": None})
    assert given == {"cluster": "other", "region": "eu-west-1", "bucket": "bucket"}


def test_members_are_instances_nodes_and_addresses_joined():
    (row,) = members(cluster(Record(("198.51.100.1",), 10, POLICY.owner)), "public")
    assert (row["instance"], row["node"], row["published"], row["voter"]) == ("i-1", "n1", True, True)
