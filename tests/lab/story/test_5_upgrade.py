"""Two workers are upgraded to a new launch template under hundreds of requests a second."""

from __future__ import annotations

from tests.lab.configured import node_groups
from tests.lab.load import Load
from tests.lab.site import RECORD, Site, say


def test_two_nodes_are_upgraded_and_no_request_fails(site: Site) -> None:
    site.settle()
    larger = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    assert larger.code == 0, larger.output[-4000:]
    old, managers = site.ids("worker"), site.ids("manager")
    assert len(old) == 2

    template = node_groups(worker={"user_data": "#cloud-config\n# a new launch template\n"})
    built = site.playbook("site.yml", "--tags", "node_groups", *template)
    assert (built.code, built.changed) == (0, 2), built.output[-4000:]

    with Load(site.lab, RECORD) as load:
        run = site.playbook("playbooks/upgrade.yml")
    assert run.code == 0, run.output[-6000:]
    say(f"an upgrade of two nodes: {load.result}")
    assert load.result.failures == []
    site.settle(workers=2)
    assert not site.ids("worker") & old, "an old worker is left"
    assert site.ids("manager") == managers, "managers were replaced without a new template"

    smaller = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=1")
    assert smaller.code == 0, smaller.output[-4000:]
    site.settle()
