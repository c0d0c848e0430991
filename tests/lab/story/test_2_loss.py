"""The leader's instance is terminated, and the cluster recovers by itself."""

from __future__ import annotations

import pytest

from tests.lab.site import Site


@pytest.mark.fault(12)
def test_a_terminated_leader_is_replaced_and_loses_its_vote(site: Site) -> None:
    site.settle()
    cluster, leader, managers = site.cluster_record()["cluster_id"], site.pick("leader"), site.ids("manager")
    site.aws("ec2").terminate_instances(InstanceIds=[leader])
    site.wait("another manager", lambda: site.ids("manager") - managers)
    nodes = site.settle()
    assert leader not in {node.instance for node in nodes}
    assert site.cluster_record()["cluster_id"] == cluster
    site.settle_record()
    assert site.page().status == 200
    for source, said in (("agent", "is a member of the swarm"), ("engine", "API listen on"), ("system", "systemd: ")):
        stream = f"{leader}/{source}"
        assert said in site.kept_logs(stream)[stream], "CloudWatch lacks logs of the terminated manager"
