"""The result of dns_sync, on a cluster in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns, Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.report import members
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.verbs import on_manager
from ansible_collections.swarm.aws.plugins.modules import dns_sync

from tests.unit.core.memory_cluster import POLICY, instance, node, observed

OLD = Record(("198.51.100.9",), 10, POLICY.owner)
NEW = {"ipv4_values": ["198.51.100.1"], "ttl": 10, "owner": POLICY.owner}


def cluster(found):
    return observed([instance(1)], [node(1, leader=True)], found)


class Bench:
    """A cluster whose record is the last applied record, and time that passes with each wait."""

    def __init__(self):
        self.applied, self.now = [], 0.0
        # How long after a change all name servers have it, and whether the next change comes too late.
        self.propagation, self.overtaken = 0.0, False
        self.since = -1000.0

    def there(self, record, policy=POLICY):
        self.record, self.policy = record, policy

    def look(self, control_plane):
        in_sync = self.now - self.since >= self.propagation
        return self.policy, cluster(replace(self.record, in_sync=in_sync))

    def apply(self, action, policy):
        if self.overtaken:
            self.overtaken = False
            raise Refused("The record has changed in the meantime.")
        self.applied.append(action)
        self.record, self.since = action.after, self.now
        return action.change

    def sleep(self, seconds):
        self.now += seconds

    def sync(self, *, check=False, timeout=60):
        return dns_sync.sync(self, check=check, timeout=timeout, now=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def bench(monkeypatch):
    bench = Bench()
    monkeypatch.setattr(dns_sync, "look", bench.look)
    return bench


@pytest.mark.parametrize("check", [True, False])
def test_the_record_is_updated_but_not_in_check_mode(bench, check):
    bench.there(OLD)
    result = bench.sync(check=check)
    assert (result["changed"], result["record"], len(bench.applied)) == (True, NEW, 0 if check else 1)
    assert result["changes"] == ["update the DNS record www.example.com: add 198.51.100.1, withdraw 198.51.100.9"]
    (diff,) = result["diff"]
    assert (diff["before"]["ipv4_values"], diff["after"]) == (["198.51.100.9"], NEW)


def test_a_change_is_waited_for_until_all_name_servers_have_it(bench):
    bench.there(OLD)
    bench.propagation = 40
    assert (bench.sync()["notes"], bench.now) == ([], 40)
    assert (bench.sync()["changed"], bench.now) == (False, 40)
    bench.there(OLD)
    (note,) = bench.sync(timeout=20)["notes"]
    assert note == "Some name servers may not have the change of www.example.com yet."


def test_a_change_that_the_agent_made_meanwhile_is_read_again(bench):
    bench.there(OLD)
    bench.overtaken = True
    assert (bench.sync()["changed"], len(bench.applied)) == (True, 1)
    bench.there(OLD)
    bench.apply = lambda action, policy: None
    with pytest.raises(SwarmError, match="After 60 s this is still to do: update the DNS record"):
        bench.sync()


def test_a_correct_record_is_not_changed(bench):
    bench.there(Record(("198.51.100.1",), 10, POLICY.owner))
    result = bench.sync()
    assert (result["changed"], result["diff"], result["record"], bench.applied) == (False, [], NEW, [])


def test_an_aaaa_record_is_shown_beside_the_a_record(bench):
    both = Record(("198.51.100.1", "2001:db8::1"), 10, f"{POLICY.owner},records=A+AAAA", ipv6_ttl=10)
    bench.there(both)
    (diff,) = bench.sync(check=True)["diff"]
    assert diff["before"] == {**NEW, "ipv6_values": ["2001:db8::1"], "ipv6_ttl": 10, "owner": both.owner}
    assert diff["after"] == NEW


def test_a_cloud_map_service_is_updated_in_the_same_way(bench):
    policy = replace(POLICY, dns=Dns("", "www.example.com", 10, service_id="srv-1"))
    bench.there(OLD, policy)
    result = bench.sync()
    assert (result["changes"], result["record"]) == (
        ["update the Cloud Map service www.example.com: add 198.51.100.1, withdraw 198.51.100.9"],
        NEW,
    )
    bench.there(Record(), policy)
    with pytest.raises(SwarmError, match=r"www\.example\.com has no tag swarm\.aws/cluster with this cluster's name"):
        bench.sync()


def test_an_impossible_update_is_refused_with_the_reason(bench):
    bench.there(Record(("203.0.113.1",), 10))
    with pytest.raises(SwarmError, match="exists already"):
        bench.sync()
    bench.there(OLD, Policy("example", {}))
    with pytest.raises(SwarmError, match="No DNS record is configured"):
        bench.sync()


def test_missing_arguments_are_taken_from_the_node(monkeypatch):
    own = Config("example", "eu-west-1", "123456789012", "bucket", "manager", "manager")
    monkeypatch.setattr(on_manager.Config, "load", lambda: own)
    monkeypatch.setattr(on_manager, "ControlPlane", lambda **given: given)
    given = on_manager.control_plane({"cluster": "other", "region": None})
    assert given == {"cluster": "other", "region": "eu-west-1", "bucket": "bucket"}


def test_a_member_joins_its_instance_node_and_address():
    (row,) = members(cluster(Record(("198.51.100.1",), 10, POLICY.owner)), "public")
    assert (row["instance"], row["node"], row["published"], row["voter"]) == ("i-001", "n001", True, True)
