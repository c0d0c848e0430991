"""All managers are terminated at once, and the latest backup restores the swarm."""

from __future__ import annotations

import pytest

from tests.lab.site import Site

SECRET = "kept-over-everything"


@pytest.mark.fault(36)
def test_the_latest_backup_restores_a_swarm_without_managers(site: Site) -> None:
    before = site.settle()
    site.must(site.managers()[0], "sh", "-c", f"echo {SECRET} | docker secret create {SECRET} -")
    backup = site.playbook("playbooks/backup.yml", "-vvv")
    assert backup.code == 0, backup.output[-4000:]
    cluster, kept, newest = site.cluster_record()["cluster_id"], site.kept(), site.backups()[0]
    managers = {node.instance for node in before if node.role == "manager"}
    site.aws("ec2").terminate_instances(InstanceIds=sorted(managers))

    def replaced() -> bool:
        new = {node["instance_id"] for node in site.instances("manager") if node["state"] == "running"} - managers
        return len(new) == 3 and all("restore.yml" in site.agent_log(node) for node in new)

    site.wait("three new managers to wait for the swarm", replaced)
    plan = site.playbook("playbooks/restore.yml", "--check")
    assert plan.code == 0, plan.output[-4000:]
    assert newest in plan.output
    assert site.cluster_record()["cluster_id"] == cluster and not site.managers()

    run = site.playbook("playbooks/restore.yml")
    assert run.code == 0, run.output[-6000:]
    assert f"The backup {newest}, the newest, is restored on" in run.said
    assert "The swarm is restored as it was backed up." in run.said
    after = site.settle()
    assert not {node.node_id for node in before} & {node.node_id for node in after}, "a node has its old ID"
    assert site.cluster_record()["cluster_id"] == cluster
    assert site.kept() == kept
    site.settle_record()
    site.wait("the page", lambda: site.page().status == 200)
    again = site.playbook("playbooks/restore.yml")
    assert again.code != 0
    assert "The swarm works" in again.output
