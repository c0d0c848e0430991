"""The node's status, for people."""

from __future__ import annotations

from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import decide, describe
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_joiner import joiner
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock


def status(config: Config) -> dict[str, Any]:
    """The node's view and its next step; ``error`` says what cannot be read."""
    result: dict[str, Any] = {"cluster": config.cluster, "group": config.group, "role": config.role}
    try:
        work = joiner(*config.place, SystemClock(), lambda sentence: None)
        view = work.look()
    except SwarmError as error:
        return {**result, "error": str(error)}
    result["instance"] = work.me.instance
    result["published"] = vars(view.cluster_record.value) if view.cluster_record else None
    result["engine"] = vars(view.membership)
    result["next"] = describe(decide(work.me, view))
    return result
