"""Plans and applies that are wrong on purpose: one or more for each invariant, which the simulator has to catch."""

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


def any_swarm_will_do(patch: pytest.MonkeyPatch) -> None:
    """It acts for whatever swarm its engine is in."""
    patch.setattr(plan, "judge", lambda observed: record_authority.Authority(True))
    patch.setattr(
        publication.Publication,
        "publish",
        lambda self, roles: token_publication.publish(self._store, self._engine.swarm_id(), self._engine.tokens),
    )


def ghosts_stay(patch: pytest.MonkeyPatch) -> None:
    """Nodes of instances that are gone are left alone."""
    patch.setattr(plan._Planner, "_dead", lambda self: None)


def down_is_gone(patch: pytest.MonkeyPatch) -> None:
    """A node that is down is taken for one whose instance is gone."""
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
    """The record only ever grows."""
    honest = dns.addresses

    def grown(membership: Any, policy: Any, going: Any, present: Any, services: Any) -> tuple[str, ...]:
        return tuple(sorted({*present.addresses, *honest(membership, policy, going, present, services)}))

    patch.setattr(dns, "addresses", grown)


def errors_tell_tokens(patch: pytest.MonkeyPatch) -> None:
    """A failure is explained with the token that was to be written."""
    honest = token_publication.write

    def write(store: Any, present: Any, cluster_id: str, secrets: Any) -> Any:
        try:
            return honest(store, present, cluster_id, secrets)
        except Unavailable as error:
            raise Unavailable(f"{error} It was to be {secrets['worker']}.") from error

    patch.setattr(token_publication, "write", write)


def facts_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What was done of a removal is not kept, so that it begins again with every pass."""
    patch.setattr(plan.node_labels, "FACTS", ())


def hooks_are_never_answered(patch: pytest.MonkeyPatch) -> None:
    """Launches wait until Auto Scaling gives them up."""
    patch.setattr(plan._Planner, "_launch", lambda self, instance, node: None)


def resolvers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A node is drained as soon as its address is not in the record any more."""
    patch.setattr(node_removal.NodeRemoval, "_remembered", lambda self, instance, node, interruption: 0.0)


def load_balancers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A node is drained whatever a target group sends to it."""
    patch.setattr(node_removal.NodeRemoval, "_balanced", lambda self, instance: iter(()))


def strangers_are_deregistered(patch: pytest.MonkeyPatch) -> None:
    """A target group is taken for the cluster's alone."""
    honest = target_groups.sync

    def every(members: Any, policy: Any, leaving: Any, present: Any, services: Any) -> Any:
        for action in honest(members, policy, leaving, present, services):
            strangers = set(present[action.target_group]) - set(members.instances)
            yield replace(action, deregister=(*action.deregister, *sorted(strangers)))

    patch.setattr(target_groups, "sync", every)
    patch.setattr(target_groups, "fit", lambda health, instance: True)


def nobody_is_deregistered(patch: pytest.MonkeyPatch) -> None:
    """Target groups only ever get more targets."""
    patch.setitem(apply.HANDLERS, act.SyncTargets, lambda action, world, policy: None)


def name_servers_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """What the API tells is taken for what all name servers answer."""
    patch.setattr(dns_propagation.Propagation, "over", lambda self, record, now: True)


def drains_at_once(patch: pytest.MonkeyPatch) -> None:
    """Tasks are stopped before there are others."""
    patch.setattr(node_removal.NodeRemoval, "_replaced", lambda self, instance, node, interruption: True)


def no_interlock(patch: pytest.MonkeyPatch) -> None:
    """Every voter may go."""
    patch.setattr(Interlock, "refusal", lambda self, node, **_: "")


def votes_of_those_that_are_up(patch: pytest.MonkeyPatch) -> None:
    """The quorum is counted from nodes that are up, not from Raft's voters."""
    honest = Interlock.__init__

    def init(self: Interlock, nodes: Any) -> None:
        honest(self, [node for node in nodes if node.state != "down"])

    patch.setattr(Interlock, "__init__", init)


# What breaks, and how the simulator tells it.
ALL: tuple[tuple[Break, str], ...] = (
    (any_swarm_will_do, "I1:"),
    (ghosts_stay, "I2:"),
    (down_is_gone, "which runs"),
    (everything_is_published, "I3:"),
    (nothing_is_withdrawn, "I3:"),
    (errors_tell_tokens, "I4:"),
    (facts_are_forgotten, "not as it should be"),
    (hooks_are_never_answered, "not as it should be"),
    (resolvers_are_not_waited_for, "I6:"),
    (load_balancers_are_not_waited_for, "I6:"),
    (strangers_are_deregistered, "somebody else's"),
    (nobody_is_deregistered, "are targets"),
    (name_servers_are_not_waited_for, "I6:"),
    (drains_at_once, "I6:"),
    (no_interlock, "I7:"),
    (votes_of_those_that_are_up, "I7:"),
)
