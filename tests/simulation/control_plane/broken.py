"""Deliberate mistakes in plan and apply, at least one for each invariant, which the simulator must catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import (
    apply,
    dns,
    dns_propagation,
    node_matching,
    node_removal,
    plan,
    publication,
    record_authority,
    target_groups,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join import token_publication
from ansible_collections.swarm.aws.plugins.module_utils._core.quorum import Interlock

Break = Callable[[pytest.MonkeyPatch], None]


def any_swarm_is_accepted(patch: pytest.MonkeyPatch) -> None:
    """The agent acts for any swarm that its engine is in."""
    patch.setattr(plan, "judge", lambda observed: record_authority.Authority(True))
    patch.setattr(
        publication.Publication,
        "publish",
        lambda self, roles: token_publication.publish(self._store, self._engine.swarm_id(), self._engine.tokens),
    )


def dead_nodes_are_kept(patch: pytest.MonkeyPatch) -> None:
    """Nodes of terminated instances are not removed."""
    patch.setattr(plan._Planner, "_dead", lambda self: None)


def down_nodes_count_as_gone(patch: pytest.MonkeyPatch) -> None:
    """A node that is down counts as a node without an instance."""
    honest = node_matching._proven

    def proven(node: Any, at_address: Any) -> Any:
        return None if node.state == "down" else honest(node, at_address)

    patch.setattr(node_matching, "_proven", proven)
    patch.setattr(node_matching, "_gone", lambda identifier, instances: True)
    patch.setattr(apply, "_still_dead", lambda node, reason, instance, world: None)


def everything_is_published(patch: pytest.MonkeyPatch) -> None:
    """The record has every instance that EC2 shows, in the swarm or not."""

    def every(membership: Any, *_: Any) -> tuple[str, ...]:
        found = (instance.public_address for instance in membership.instances.values())
        return tuple(sorted(filter(None, found)))

    patch.setattr(dns, "addresses", every)


def nothing_is_withdrawn(patch: pytest.MonkeyPatch) -> None:
    """No address is withdrawn from the record."""
    honest = dns.addresses

    def grown(membership: Any, policy: Any, going: Any, present: Any, services: Any) -> tuple[str, ...]:
        return tuple(sorted({*present.addresses, *honest(membership, policy, going, present, services)}))

    patch.setattr(dns, "addresses", grown)


def errors_contain_tokens(patch: pytest.MonkeyPatch) -> None:
    """An error message has the token that could not be written."""
    honest = token_publication.write

    def write(store: Any, present: Any, cluster_id: str, secrets: Any) -> Any:
        try:
            return honest(store, present, cluster_id, secrets)
        except Unavailable as error:
            raise Unavailable(f"{error} The token is {secrets['worker']}.") from error

    patch.setattr(token_publication, "write", write)


def facts_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A removal's progress is not stored, so that it starts again with every pass."""
    patch.setattr(plan.node_labels, "FACTS", ())


def hooks_are_never_answered(patch: pytest.MonkeyPatch) -> None:
    """Launches wait until Auto Scaling abandons them."""
    patch.setattr(plan._Planner, "_launch", lambda self, instance, node: None)


def resolvers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A node is drained as soon as its address is withdrawn."""
    patch.setattr(node_removal.NodeRemoval, "_remembered", lambda self, instance, node, interruption: 0.0)


def load_balancers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A node is drained while a target group sends requests to it."""
    patch.setattr(node_removal.NodeRemoval, "_balanced", lambda self, instance: iter(()))


def strangers_are_deregistered(patch: pytest.MonkeyPatch) -> None:
    """Foreign targets in a shared target group are deregistered."""
    honest = target_groups.sync

    def every(members: Any, policy: Any, leaving: Any, present: Any, services: Any) -> Any:
        for action in honest(members, policy, leaving, present, services):
            strangers = set(present[action.target_group]) - set(members.instances)
            yield replace(action, deregister=(*action.deregister, *sorted(strangers)))

    patch.setattr(target_groups, "sync", every)
    patch.setattr(target_groups, "fit", lambda health, instance: True)


def no_target_is_deregistered(patch: pytest.MonkeyPatch) -> None:
    """No target is deregistered."""
    patch.setitem(apply.HANDLERS, act.SyncTargets, lambda action, world, policy: None)


def name_servers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A change counts as known to all name servers at once."""
    patch.setattr(dns_propagation.Propagation, "over", lambda self, record, now: True)


def nodes_are_drained_at_once(patch: pytest.MonkeyPatch) -> None:
    """Tasks are stopped before their replacements are healthy."""
    patch.setattr(node_removal.NodeRemoval, "_replaced", lambda *_: True)


def no_interlock(patch: pytest.MonkeyPatch) -> None:
    """Every voter may be removed."""
    patch.setattr(Interlock, "refusal", lambda self, node, **_: "")


def only_nodes_that_are_up_vote(patch: pytest.MonkeyPatch) -> None:
    """The quorum counts the nodes that are up, not all voters."""
    honest = Interlock.__init__

    def init(self: Interlock, nodes: Any) -> None:
        honest(self, [node for node in nodes if node.state != "down"])

    patch.setattr(Interlock, "__init__", init)


# Each mistake, and a part of the simulator's message.
ALL: tuple[tuple[Break, str], ...] = (
    (any_swarm_is_accepted, "I1:"),
    (dead_nodes_are_kept, "I2:"),
    (down_nodes_count_as_gone, "which runs"),
    (everything_is_published, "I3:"),
    (nothing_is_withdrawn, "I3:"),
    (errors_contain_tokens, "I4:"),
    (facts_are_forgotten, "not converged"),
    (hooks_are_never_answered, "not converged"),
    (resolvers_are_not_waited_for, "I6:"),
    (load_balancers_are_not_waited_for, "I6:"),
    (strangers_are_deregistered, "a foreign target"),
    (no_target_is_deregistered, "are targets"),
    (name_servers_are_not_waited_for, "I6:"),
    (nodes_are_drained_at_once, "I6:"),
    (no_interlock, "I7:"),
    (only_nodes_that_are_up_vote, "I7:"),
)
