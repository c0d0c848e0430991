"""cluster_info when not everything can be read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.modules import cluster_info

from tests.unit.core.memory_cluster import POLICY, instance, node, observed, record

SEEN = observed([instance(1)], [node(1)], record(1))


def control_plane(seen, *failures, groups=(), status=None, manager="n001"):
    def read_status():
        if status is None:
            raise Unavailable("S3 rests.")
        return status

    return SimpleNamespace(
        swarm=SimpleNamespace(here=lambda: manager),
        policy_or_last=lambda: (POLICY, ""),
        observe=lambda policy: seen,
        observer=SimpleNamespace(failures=[SimpleNamespace(message=failure) for failure in failures]),
        fleet=SimpleNamespace(groups=lambda: groups),
        read_status=read_status,
    )


def test_a_manager_reports_the_whole_cluster():
    found = cluster_info.show(
        control_plane(SEEN, status={"at": "now", "version": "1", "last_actions": [{"action": "Drain"}]})
    )
    assert (found["failures"], found["agent"], len(found["last_actions"])) == ([], {"at": "now", "version": "1"}, 1)
    assert found["quorum"]["voters"] == 1
    assert found["msg"] == "1 of 1 node ready"
    assert found["record"]["name"] == "www.example.com"


def test_an_unavailable_part_is_omitted_and_named():
    found = cluster_info.show(control_plane(replace(SEEN, record=None), "Route 53 rests."))
    assert found["failures"] == ["Route 53 rests.", "S3 rests."]
    assert (found["record"]["ipv4_values"], len(found["members"])) == (None, 1)


def test_without_the_nodes_the_report_fails():
    with pytest.raises(SwarmError, match="The engine rests"):
        cluster_info.show(control_plane(replace(SEEN, nodes=None), "The engine rests."))
    with pytest.raises(SwarmError, match="not a manager of a swarm"):
        cluster_info.show(control_plane(SEEN, manager=None))
