"""What a node does that was deleted from the swarm, which its engine is not told; and what the module makes of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import (
    Finish,
    Join,
    Leave,
    Me,
    Refuse,
    Wait,
    decide,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Membership
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import DRILL, Config
from ansible_collections.swarm.aws.plugins.modules import cluster_join

from tests.unit.join.test_join_restored import FORMED, RUNS, WORKER, seen

pytestmark = pytest.mark.fault(43)
ME = replace(WORKER, deleted="n3")


@pytest.mark.parametrize("state", ["active", "pending", "error", "locked"])
def test_a_deleted_node_leaves_and_joins_again(state: str) -> None:
    action = decide(ME, seen(FORMED, replace(RUNS, state=state)))
    assert isinstance(action, Leave) and action.cluster_id == "swarm"
    assert decide(ME, seen(FORMED, Membership("inactive"))) == Join("swarm", "i-1", 0)
    assert decide(ME, seen(FORMED, replace(RUNS, node_id="n4"))) == Finish("swarm", "n4", False)


def test_a_deleted_node_stays_during_a_restore_or_in_another_swarm() -> None:
    assert isinstance(decide(ME, seen(FORMED, replace(RUNS, cluster_id="foreign"))), Refuse)
    assert isinstance(decide(ME, seen(FORMED.restoring("i-1", ""), RUNS)), Wait)
    assert isinstance(decide(replace(ME, deleted=None), seen(FORMED, RUNS)), Finish)


def previewed(me: Me, membership: Membership) -> dict[str, Any]:
    return cluster_join.preview(SimpleNamespace(me=me, look=lambda: seen(FORMED, membership)))


def test_check_mode_reports_the_node_id_of_the_engine() -> None:
    found = previewed(replace(ME, deleted=None), RUNS)
    assert (found["changed"], found["cluster_id"], found["node_id"]) == (False, "swarm", "n3")
    found = previewed(ME, RUNS)
    assert (found["changed"], found["cluster_id"], found["node_id"]) == (True, None, "n3")
    assert found["next"] == "The swarm does not have the node n3 of this host any more. Leave it."
    found = previewed(ME, Membership("inactive"))
    assert (found["changed"], found["node_id"], found["next"]) == (True, None, "Join the swarm swarm.")


def test_a_drill_instance_joins_no_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Config("demo", "eu-west-1", "123456789012", "bucket", "manager", DRILL)
    monkeypatch.setattr(cluster_join.Config, "load", lambda: own)
    with pytest.raises(SwarmError, match="joins no swarm"):
        cluster_join.place(dict.fromkeys(cluster_join.PLACE))
