"""Nodes that reboot, join late or left the swarm, on real engines."""

from __future__ import annotations

import pytest

from tests.lab.site import Node, Site


@pytest.mark.fault(6)
def test_fault_06_a_joined_node_that_reboots_keeps_its_place(site: Site) -> None:
    before = {node.instance: node.node_id for node in site.settle()}
    worker = site.instances("worker")[0]["instance_id"]
    boot = site.on(worker, "stat", "-c", "%Y", "/run/systemd").output
    site.aws("ec2").reboot_instances(InstanceIds=[worker])
    site.wait("the worker to have rebooted", lambda: _booted_again(site, worker, boot))
    # The managers may not have noticed the reboot.
    site.wait("its engine to be up", lambda: site.on(worker, "docker", "info").code == 0)
    after = {node.instance: node.node_id for node in site.settle()}
    assert after == before


@pytest.mark.fault(8)
def test_fault_08_a_node_joins_after_the_tokens_were_rotated(site: Site) -> None:
    manager = site.managers()[0]
    assert site.on(manager, "docker", "swarm", "join-token", "--rotate", "--quiet", "worker").code == 0
    worker = site.instances("worker")[0]["instance_id"]
    site.aws("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=worker, ShouldDecrementDesiredCapacity=False
    )
    site.wait(
        "the worker to be replaced", lambda: worker not in {instance["instance_id"] for instance in site.instances()}
    )
    assert worker not in {node.instance for node in site.settle()}


@pytest.mark.fault(7)
def test_fault_07_a_member_of_another_swarm_is_reported_but_not_changed(site: Site) -> None:
    worker = site.instances("worker")[0]["instance_id"]
    assert site.on(worker, "docker", "swarm", "leave", "--force").code == 0
    assert site.on(worker, "docker", "swarm", "init", "--advertise-addr", "127.0.0.1").code == 0
    foreign = site.cluster_of(worker)
    site.on(worker, "systemctl", "restart", "--no-block", "swarm-agent")
    site.wait("the agent to refuse", lambda: foreign in site.agent_log(worker))
    log = site.agent_log(worker)
    assert site.cluster_record()["cluster_id"] in log
    assert site.cluster_of(worker) == foreign
    site.aws("ec2").terminate_instances(InstanceIds=[worker])
    site.settle()


@pytest.mark.fault(5)
def test_fault_05_replacing_all_managers_keeps_the_swarm(site: Site) -> None:
    site.settle()
    cluster = site.cluster_record()["cluster_id"]
    first = {instance["instance_id"] for instance in site.instances("manager")}
    for manager in sorted(first):
        site.aws("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=manager, ShouldDecrementDesiredCapacity=False
        )
        site.wait(f"{manager} to be gone", lambda manager=manager: manager not in _ids(site))
        site.settle()
    assert not first & _ids(site)
    assert site.cluster_record()["cluster_id"] == cluster
    assert site.addresses() == site.public_addresses()
    assert site.page().status == 200


@pytest.mark.fault(43)
def test_fault_43_nodes_that_left_or_were_deleted_or_demoted_return(site: Site) -> None:
    before = {node.instance: node for node in site.settle()}
    cluster, leader = site.cluster_record()["cluster_id"], site.pick("leader")
    worker, follower = site.pick("worker"), site.pick("follower")
    site.must(worker, "docker", "swarm", "leave")
    site.wait("the worker to be back", lambda: _moved(site, before[worker]))
    deleted = _engine(site, worker, "NodeID")
    _delete(site, leader, deleted)
    assert [_engine(site, worker, key) for key in ("LocalNodeState", "NodeID")] == ["active", deleted]
    site.must(follower, "docker", "swarm", "leave", "--force")
    site.wait("the follower to be back", lambda: _moved(site, before[follower]))
    site.wait("the worker to be back", lambda: _engine(site, worker, "NodeID") != deleted)
    after = {node.instance: node for node in site.settle()}
    site.must(leader, "docker", "node", "demote", after[follower].node_id)
    boot = site.on(follower, "stat", "-c", "%Y", "/run/systemd").output
    site.aws("ec2").reboot_instances(InstanceIds=[follower])
    site.wait("the follower to have rebooted", lambda: _booted_again(site, follower, boot))
    site.wait("its engine to be up", lambda: site.on(follower, "docker", "info").code == 0)
    site.wait("the follower to be a manager again", lambda: _role(site, leader, after[follower].node_id) == "manager")
    assert {node.instance for node in site.settle()} == set(before)
    assert site.cluster_record()["cluster_id"] == cluster
    site.settle_record()


@pytest.mark.fault(43)
def test_fault_43_join_yml_joins_nodes_without_an_agent(site: Site) -> None:
    before = {node.instance: node.node_id for node in site.settle()}
    cluster, leader = site.cluster_record()["cluster_id"], site.pick("leader")
    worker, manager = site.pick("worker"), site.pick("follower")
    for instance in (worker, manager):
        site.must(instance, "systemctl", "stop", "swarm-agent")
    site.must(worker, "docker", "swarm", "leave")
    site.must(leader, "docker", "node", "demote", before[manager])
    _delete(site, leader, before[manager])
    site.must(manager, "docker", "swarm", "leave", "--force")

    plan = site.playbook("playbooks/join.yml", "-e", f"id={worker}", "--check")
    assert (plan.code, plan.changed) == (0, 1), plan.output[-4000:]
    assert f"{worker} would join again. First: Join the swarm {cluster}." in plan.said
    assert [_engine(site, instance, "LocalNodeState") for instance in (worker, manager)] == ["inactive", "inactive"]

    # Without an ID both are found.
    run = site.playbook("playbooks/join.yml")
    assert (run.code, run.changed) == (0, 2), run.output[-4000:]
    after = {node.instance: node for node in site.settle()}
    for instance in (worker, manager):
        assert f"{instance} is in the swarm again, as the node {after[instance].node_id}." in run.said
        assert after[instance].node_id != before[instance]
    assert (after[manager].role, after[manager].labels["edge"]) == ("manager", "true"), "its role or labels are missing"
    assert {instance: node.node_id for instance, node in after.items() if instance not in (worker, manager)} == {
        instance: node_id for instance, node_id in before.items() if instance not in (worker, manager)
    }
    again = site.playbook("playbooks/join.yml")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    for instance in (worker, manager):
        site.must(instance, "systemctl", "start", "swarm-agent")
    site.settle_record()


@pytest.mark.fault(43)
def test_fault_43_join_yml_joins_a_deleted_node_again(site: Site) -> None:
    site.settle()
    cluster, worker = site.cluster_record()["cluster_id"], site.pick("worker")
    site.must(worker, "systemctl", "stop", "swarm-agent")
    deleted = _engine(site, worker, "NodeID")
    _delete(site, site.pick("leader"), deleted)
    assert [_engine(site, worker, key) for key in ("LocalNodeState", "NodeID")] == ["active", deleted]

    plan = site.playbook("playbooks/join.yml", "-e", f"id={worker}", "--check")
    assert (plan.code, plan.changed) == (0, 1), plan.output[-4000:]
    assert f"The swarm does not have the node {deleted} of this host any more. Leave it." in plan.said
    assert _engine(site, worker, "NodeID") == deleted

    run = site.playbook("playbooks/join.yml", "-e", f"id={worker}")
    assert (run.code, run.changed) == (0, 1), run.output[-4000:]
    (back,) = [node for node in site.settle() if node.instance == worker]
    assert back.node_id != deleted
    assert site.cluster_record()["cluster_id"] == cluster
    again = site.playbook("playbooks/join.yml", "-e", f"id={worker}")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    site.must(worker, "systemctl", "start", "swarm-agent")


def _moved(site: Site, before: Node) -> bool:
    """Whether an instance is ready in the swarm as another node."""
    return any(node.instance == before.instance and node.node_id != before.node_id for node in site.nodes())


def _role(site: Site, manager: str, node_id: str) -> str:
    return site.on(manager, "docker", "node", "inspect", "--format", "{{.Spec.Role}}", node_id).output.strip()


def _delete(site: Site, manager: str, node_id: str) -> None:
    """Delete a node from the swarm, not in its engine; waits until a demoted manager has lost its vote."""
    words = ("docker", "node", "rm", "--force", node_id)
    site.wait("the node to be deleted", lambda: site.on(manager, *words).code == 0)


def _engine(site: Site, instance: str, key: str) -> str:
    """A value of `docker info` on an instance about its swarm."""
    return site.must(instance, "docker", "info", "--format", f"{{{{.Swarm.{key}}}}}").strip()


def _ids(site: Site) -> set[str]:
    return {instance["instance_id"] for instance in site.instances()}


def _booted_again(site: Site, instance: str, before: str) -> bool:
    now = site.on(instance, "stat", "-c", "%Y", "/run/systemd")
    return now.code == 0 and now.output != before
