"""Random clusters, as bad as they get."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Record
from hypothesis import strategies as st

from . import memory_cluster

LIFECYCLES = (
    "InService",
    "InService",
    "InService",
    "Pending:Wait",
    "Terminating:Wait",
    "Terminating:Proceed",
    "Pending",
)

# In a warm pool, and the instance's own state then.
WARM = (
    ("Pending:Wait", "running"),
    ("Stopped", "stopped"),
    ("Stopped", "stopping"),
    ("Terminating:Wait", "stopped"),
    ("Terminating:Wait", "terminated"),
)


@st.composite
def clusters(draw: st.DrawFn, quorum: bool = False) -> Cluster:
    """A cluster whose swarm has a leader. With ``quorum`` most of its managers are heard."""
    instances, nodes = [], []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        role = draw(st.sampled_from(("manager", "manager", "worker")))
        fate = draw(st.sampled_from(("fine", "fine", "fine", "gone", "unjoined", "fresh", "silent", "anew", "warm")))
        lifecycle = draw(st.sampled_from(LIFECYCLES))
        public = draw(st.sampled_from((True, True, True, False)))
        tasks = draw(st.integers(0, 3))
        if fate == "gone":
            waits = lifecycle.endswith(":Wait")
            instances.append(replace(memory_cluster.gone(number, role), lifecycle=lifecycle if waits else None))
            # It may take a while until the managers notice.
            nodes.append(
                draw(
                    st.sampled_from((memory_cluster.dead(number, role), memory_cluster.node(number, role, tasks=tasks)))
                )
            )
            continue
        if fate == "warm":
            lifecycle, state = draw(st.sampled_from(WARM))
            instances.append(memory_cluster.instance(number, role, lifecycle=f"Warmed:{lifecycle}", state=state))
            continue
        host = memory_cluster.instance(number, role, lifecycle=lifecycle)
        host = host if public else replace(host, public_address=None)
        instances.append(host if draw(st.sampled_from((True, True, False))) else replace(host, ipv6_address=None))
        if fate == "fresh":
            nodes.append(memory_cluster.joined(number, role))
        elif fate == "silent":
            nodes.append(replace(memory_cluster.dead(number, role), tasks=tasks))
        elif fate == "anew":
            nodes.append(replace(memory_cluster.dead(number, role), id=f"old{number}"))
            nodes.append(memory_cluster.joined(number, role))
        elif fate == "fine":
            nodes.append(memory_cluster.node(number, role, tasks=tasks))
    # The observer: a leader is always in its own swarm.
    instances.append(memory_cluster.instance(99))
    nodes.append(memory_cluster.node(99, leader=True))
    if quorum:
        voters = [node for node in nodes if node.voter]
        silent = [voter for voter in voters if not voter.reachable]
        for voter in silent[: max(0, len(silent) - (len(voters) - 1) // 2)]:
            nodes.remove(voter)
    some = st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True)
    found = draw(
        st.one_of(
            st.just(Record()),
            some.map(lambda numbers: memory_cluster.record(*numbers)),
            some.map(lambda numbers: memory_cluster.record(*numbers, ipv6_unowned=True)),
            some.map(lambda numbers: memory_cluster.dual_record(*numbers)),
            st.just(memory_cluster.record(3, owner="heritage=swarm.aws,cluster=other")),
            st.just(Record(obstacle="a CNAME")),
        )
    )
    stale = draw(st.sampled_from(((), ("worker",), ("manager", "worker"))))
    return replace(memory_cluster.observed(instances, nodes, found), stale_tokens=stale)
