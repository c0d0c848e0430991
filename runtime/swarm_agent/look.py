"""A manager's view of the cluster, a JSON document a second. Changes nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Mapping, Optional, TextIO

from ansible_collections.swarm.aws.plugins.module_utils._core import report
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.health import health
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils.adapters.control_plane import ControlPlane
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.adapters.swarm import manager_here
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import aws_time

from . import VERSION

# Seconds between two documents, for each of which the engine is asked, and between two questions to AWS.
EVERY, AWS_EVERY = 1.0, 4.0
# Documents in a row without any node, after which another manager may see more.
BLIND = 5


def run(config: Config, stream: Optional[TextIO] = None) -> int:
    """Print documents until nobody reads them (0), or until this node sees no nodes (1)."""
    stream = stream or sys.stdout
    try:
        control_plane = ControlPlane(config.cluster, config.region, config.bucket)
        view = ClusterView(control_plane, config, manager_here(control_plane.swarm))
        blind = 0
        while blind < BLIND:
            began = time.monotonic()
            document = view.look()
            blind = blind + 1 if document["quorum"] is None else 0
            stream.write(json.dumps(document, separators=(",", ":")) + "\n")
            stream.flush()
            time.sleep(max(0.1, EVERY - (time.monotonic() - began)))
    except BrokenPipeError:
        # Python would fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SwarmError as error:
        print(f"swarm-agent: {error}", file=sys.stderr)
    return 1


class ClusterView:
    """This manager's view of the cluster."""

    def __init__(
        self, control_plane: ControlPlane, config: Config, node: str, now: Callable[[], float] = aws_time.now
    ) -> None:
        """``node`` is this manager's ID in the swarm."""
        self._control_plane, self._now = control_plane, now
        self._head = {
            "cluster": config.cluster,
            "region": config.region,
            "console": control_plane.console,
            "told_by": node,
            "version": VERSION,
        }
        self._policy: Optional[Policy] = None
        self._seen: Optional[Cluster] = None
        self._looked_at: Optional[float] = None
        # The last answers of AWS, beside ``_seen``.
        self._failures: list[str] = []
        self._groups: list[Dict[str, Any]] = []
        self._outdated: list[str] = []
        self._status: Mapping[str, Any] = {}

    def look(self) -> Dict[str, Any]:
        """One document. Raises SwarmError if there is no policy."""
        now = self._now()
        if self._looked_at is None or self._policy is None or not 0 <= now - self._looked_at < AWS_EVERY:
            policy, observed = self._look_at_all()
            self._looked_at = now
        else:
            policy, observed = self._policy, self._look_at_swarm()
        self._seen = observed
        decision = decide(observed, policy, now)
        return {
            "at": datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds"),
            **self._head,
            "health": health(observed, policy, decision, now),
            **report.moment(observed, policy, decision, now),
            "groups": self._groups,
            "outdated": self._outdated,
            "agent": {name: self._status.get(name) for name in ("at", "version")},
            "last_actions": self._status.get("last_actions", []),
            "failures": self._failures,
        }

    def _look_at_all(self) -> tuple[Policy, Cluster]:
        control_plane = self._control_plane
        policy, flaw = control_plane.policy_or_last()
        self._policy = policy
        observed = control_plane.observe(policy)
        self._failures = [*filter(None, [flaw]), *(failure.message for failure in control_plane.observer.failures)]
        try:
            groups = control_plane.fleet.groups()
            self._groups, self._outdated = report.groups(groups), report.outdated(observed, groups)
            self._status = control_plane.read_status()
        except SwarmError as error:
            self._failures.append(str(error))
        return policy, observed

    def _look_at_swarm(self) -> Cluster:
        """The last observation, with nodes and services as they are now."""
        assert self._seen is not None  # noqa: S101
        try:
            return replace(
                self._seen, nodes=self._control_plane.swarm.nodes(), services=self._control_plane.swarm.services()
            )
        except SwarmError as error:
            self._failures = [str(error)]
            return replace(self._seen, nodes=None, services=None)
