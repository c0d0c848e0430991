"""A node's labels: its instance, its group's labels, and how far its removal is.

The removal's facts are kept here, in Raft, so that the next leader continues from there.
"""

from __future__ import annotations

import math
from typing import Dict, Mapping, Optional

from .cluster import Instance, Node
from .node_matching import INSTANCE_LABEL
from .parsing import number
from .policy import Policy

PREFIX = "swarm.aws."
GROUP_LABEL = "swarm.aws.group"
ZONE_LABEL = "swarm.aws.zone"
# The engine's label with the data volumes that its instance has mounted, and the prefix of the node label of each.
VOLUMES, VOLUME_PREFIX = "swarm.aws.volumes", "volume."
# The names of the labels from the group's configuration, so that they are removed when the configuration drops them.
CONFIGURED = "swarm.aws.labels"

# Why it is removed. The operator's request: epoch seconds, and words such as `force`. An interruption: its kind and,
# after an @, the deadline. Since when the node is down.
REQUESTED = "swarm.aws.remove-requested"
INTERRUPTION = "swarm.aws.interruption"
DOWN = "swarm.aws.down-since"
# Facts, as epoch seconds: when its removal began, and when it was cordoned, withdrawn and drained.
REMOVING = "swarm.aws.leaving-since"
CORDONED = "swarm.aws.paused-at"
WITHDRAWN = "swarm.aws.withdrawn-at"
DRAINED = "swarm.aws.drained-at"
FACTS = (REMOVING, CORDONED, WITHDRAWN, DRAINED)


def wanted(
    node: Node,
    instance: Instance,
    policy: Policy,
    *,
    removing: bool,
    interruption: Optional[str] = None,
    down_since: Optional[str] = None,
) -> Dict[str, str]:
    """All labels that the node should have. Labels that the operator set by hand stay."""
    group = policy.groups.get(instance.group)
    configured = {key: value for key, value in (group.labels if group else {}).items() if not key.startswith(PREFIX)}
    # The node's claim, as far as the configuration has the volumes: an older instance of the group may have none.
    claimed = set(node.engine_labels.get(VOLUMES, "").split(","))
    configured.update(
        {f"{VOLUME_PREFIX}{name}": "true" for name in (group.volumes if group else ()) if name in claimed}
    )
    before = set(node.labels.get(CONFIGURED, "").split(",")) - {""}
    result = {key: value for key, value in node.labels.items() if not key.startswith(PREFIX) and key not in before}
    result.update(configured)
    if configured:
        result[CONFIGURED] = ",".join(sorted(configured))
    result[INSTANCE_LABEL] = instance.id
    result[GROUP_LABEL] = instance.group
    result[ZONE_LABEL] = instance.zone
    if REQUESTED in node.labels:
        result[REQUESTED] = node.labels[REQUESTED]
    if interruption:
        result[INTERRUPTION] = interruption
    if down_since:
        result[DOWN] = down_since
    if removing:
        result.update({key: node.labels[key] for key in FACTS if key in node.labels})
    return result


def removal_began(node: Node, now: float = math.inf) -> float:
    """When its removal began, in epoch seconds; infinite if it has not, or is noted as later than ``now``."""
    since = fact(node.labels, REMOVING, now)
    return math.inf if since is None else since


def noted(at: float) -> str:
    """A time as a label's value, rounded down so that it is never in the future."""
    return f"{math.floor(at * 1000) / 1000:.3f}"


def fact(labels: Mapping[str, str], key: str, now: float) -> Optional[float]:
    """The time of a fact in epoch seconds; None if it was not noted, or is later than ``now``."""
    at = number(labels.get(key))
    return at if at is not None and at <= now else None
