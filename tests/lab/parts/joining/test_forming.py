"""A cluster that forms again: with a claim whose holder dies and a late engine, and by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord

from tests.lab.site import Site

ENGINE = ("docker.service", "docker.socket")


@pytest.fixture
def unformed(site: Site) -> Iterator[Site]:
    """The cluster's instances without a swarm; the stack is deployed again afterwards."""
    site.settle()
    for instance in site.instances():
        site.must(instance["instance_id"], "systemctl", "stop", "swarm-agent")
    for instance in site.instances():
        site.must(instance["instance_id"], "docker", "swarm", "leave", "--force")
    for key in ("cluster.json", "manager/token", "worker/token"):
        site.aws("s3").delete_object(Bucket=site.bucket, Key=key)
    yield site
    deployed = site.playbook("playbooks/deploy.yml")
    assert deployed.code == 0, deployed.output[-4000:]


@pytest.mark.fault(2)
@pytest.mark.fault(9)
def test_fault_02_09_a_dead_holders_claim_is_taken_over(unformed: Site) -> None:
    site = unformed
    before = sorted(instance["instance_id"] for instance in site.instances("manager"))
    holder = before[0]
    claim = ClusterRecord.claim(holder, "2026-01-01T00:00:00+00:00")
    site.aws("s3").put_object(Bucket=site.bucket, Key="cluster.json", Body=claim.encode())
    # Managers that were in service may be in a swarm, so only new managers form a swarm.
    site.aws("ec2").terminate_instances(InstanceIds=before[1:])
    late, ready = sorted(site.wait("new managers to boot", lambda: _booted(site, before)))
    site.wait("a new manager to see the claim", lambda: f"{holder} is initialising the swarm" in site.agent_log(ready))
    assert site.cluster_record()["phase"] == "claimed", "nobody may take over the claim of a living holder"
    site.must(late, "systemctl", "mask", "--runtime", "--now", *ENGINE)
    for instance in site.instances("worker"):
        site.must(instance["instance_id"], "systemctl", "start", "--no-block", "swarm-agent")

    site.aws("ec2").terminate_instances(InstanceIds=[holder])
    site.wait("another manager to form the swarm", lambda: site.cluster_record()["phase"] == "formed")
    assert site.cluster_record()["claimed_by"] != holder
    assert site.on(late, "docker", "info").code != 0, "the late engine is already up"

    site.must(late, "systemctl", "unmask", "--runtime", *ENGINE)
    site.must(late, "systemctl", "start", *ENGINE)
    nodes = site.settle()
    assert holder not in {node.instance for node in nodes}
    assert site.clusters() == {site.cluster_record()["cluster_id"]}
    (ours,) = {tuple(sorted(networks(site, manager))) for manager in site.managers()}
    for instance in site.instances():
        assert set(networks(site, instance["instance_id"])) <= set(ours), "the engine has a network of the former swarm"


def test_a_new_swarm_is_made_by_join_yml_and_the_others_join_it(unformed: Site) -> None:
    site = unformed
    managers = sorted(site.ids("manager"))
    for instance in site.ids():
        site.must(instance, "systemctl", "start", "--no-block", "swarm-agent")
    hindrance = "no other swarm is initialised"
    site.wait("an agent to wait", lambda: any(hindrance in site.agent_status(manager) for manager in managers))

    run = site.playbook("playbooks/join.yml", "-e", f"id={managers[0]}", "-e", "new_swarm=true")
    assert run.code == 0, run.output[-4000:]
    site.settle()
    assert site.cluster_record()["claimed_by"] == managers[0]
    assert site.clusters() == {site.cluster_record()["cluster_id"]}


def _booted(site: Site, before: list[str]) -> list[str]:
    """The two new managers once their agents wait for the claim; empty until then."""
    new = [instance["instance_id"] for instance in site.instances("manager") if instance["instance_id"] not in before]
    return (
        new if len(new) == 2 and all("is initialising the swarm" in site.agent_log(manager) for manager in new) else []
    )


def networks(site: Site, instance: str) -> list[str]:
    """The IDs of the swarm's networks that the engine knows."""
    return site.must(instance, "docker", "network", "ls", "--quiet", "--no-trunc", "--filter", "scope=swarm").split()
