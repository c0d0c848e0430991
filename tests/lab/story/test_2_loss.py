"""The leader's instance ends without a word, and nobody does anything about it."""

from __future__ import annotations

import pytest

from tests.lab.site import Site


@pytest.mark.fault(12)
def test_a_terminated_leader_is_replaced_and_its_vote_goes_with_it(site: Site) -> None:
    site.settle()
    cluster, leader, managers = site.cluster_record()["cluster_id"], site.one("leader"), site.ids("manager")
    site.aws("ec2").terminate_instances(InstanceIds=[leader])
    site.wait("another manager", lambda: site.ids("manager") - managers)
    nodes = site.settle()
    assert leader not in {node.instance for node in nodes}
    assert site.cluster_record()["cluster_id"] == cluster
    site.settle_record()
    assert site.page().status == 200
    for source, said in (("agent", "is a member of the swarm"), ("engine", "API listen on"), ("system", "systemd: ")):
        stream = f"{leader}/{source}"
        assert said in site.kept_logs(stream)[stream], "CloudWatch has what the manager that is gone had to say"
