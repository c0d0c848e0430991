"""Nodes that boot again, join late, or were led astray; each on real engines."""

from __future__ import annotations

import pytest

from tests.lab.site import Site


@pytest.mark.fault(6)
def test_fault_06_a_joined_node_reboots_and_does_nothing(site: Site) -> None:
    before = {node.instance: node.node_id for node in site.settle()}
    worker = site.instances("worker")[0]["instance_id"]
    boot = site.on(worker, "stat", "-c", "%Y", "/run/systemd").output
    site.aws("ec2").reboot_instances(InstanceIds=[worker])
    site.wait("the worker to have rebooted", lambda: _booted_again(site, worker, boot))
    # The managers may not have missed it yet.
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
    site.wait("the worker to be replaced", lambda: worker not in {one["instance_id"] for one in site.instances()})
    assert worker not in {node.instance for node in site.settle()}


@pytest.mark.fault(7)
def test_fault_07_a_member_of_another_cluster_is_told_so_and_left_alone(site: Site) -> None:
    worker = site.instances("worker")[0]["instance_id"]
    assert site.on(worker, "docker", "swarm", "leave", "--force").code == 0
    assert site.on(worker, "docker", "swarm", "init", "--advertise-addr", "127.0.0.1").code == 0
    foreign = site.cluster_of(worker)
    site.on(worker, "systemctl", "restart", "--no-block", "swarm-agent")
    site.wait("the agent to refuse", lambda: foreign in site.agent_log(worker))
    log = site.agent_log(worker)
    assert site.truth()["cluster_id"] in log
    assert site.cluster_of(worker) == foreign
    site.aws("ec2").terminate_instances(InstanceIds=[worker])
    site.settle()


@pytest.mark.fault(5)
def test_fault_05_managers_are_found_after_all_of_them_were_replaced(site: Site) -> None:
    site.settle()
    cluster = site.truth()["cluster_id"]
    first = {one["instance_id"] for one in site.instances("manager")}
    for manager in sorted(first):
        site.aws("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=manager, ShouldDecrementDesiredCapacity=False
        )
        site.wait(f"{manager} to be gone", lambda gone=manager: gone not in _ids(site))
        site.settle()
    assert not first & _ids(site)
    assert site.truth()["cluster_id"] == cluster
    assert site.addresses() == site.public_addresses()
    assert site.page().status == 200


def _ids(site: Site) -> set[str]:
    return {one["instance_id"] for one in site.instances()}


def _booted_again(site: Site, instance: str, before: str) -> bool:
    now = site.on(instance, "stat", "-c", "%Y", "/run/systemd")
    return now.code == 0 and now.output != before
