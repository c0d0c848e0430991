"""What modules have in common that run on a manager of the swarm, with that node's own credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, Tuple

from ._core.cluster import Cluster
from ._core.errors import SwarmError
from ._core.policy import Policy
from .adapters.keeping import Keeper

CONFIG = Path("/etc/swarm-agent/config.json")
ARGUMENTS = {
    "cluster": {"type": "str"},
    "region": {"type": "str"},
    "bucket": {"type": "str"},
}


def keeper(params: Mapping[str, Any]) -> Keeper:
    """The cluster of the options, or of the node's own configuration where they are not given. Raises SwarmError."""
    given = {name: params[name] for name in ARGUMENTS if params.get(name)}
    missing = [name for name in ARGUMENTS if name not in given]
    if missing:
        try:
            found = json.loads(CONFIG.read_text(encoding="utf-8"))
            given.update({name: str(found[name]) for name in missing})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SwarmError(
                f"{CONFIG} on this host does not tell {', '.join(missing)} ({error}): run this on a manager, or give "
                "them as options."
            ) from None
    return Keeper(given["cluster"], given["region"], given["bucket"])


def look(keeper_: Keeper) -> Tuple[Policy, Cluster]:
    """The policy and what there is. Raises SwarmError unless this host is a manager that can tell."""
    if keeper_.swarm.here() is None:
        raise SwarmError("This host is no manager of a swarm: run this on one.")
    policy = keeper_.policy()
    observed = keeper_.observe(policy)
    if keeper_.observer.failures:
        raise SwarmError(" ".join(failure.message for failure in keeper_.observer.failures))
    return policy, observed
