"""A release that does not start is deployed under hundreds of requests a second."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.load import Load
from tests.lab.site import RECORD, ROOT, Site, say


def test_a_failed_deployment_is_rolled_back_and_no_request_fails(site: Site, tmp_path: Path) -> None:
    site.settle()
    broken = shutil.copytree(ROOT / "stacks/example", tmp_path / "example")
    (broken / "web/app.py").write_text("raise SystemExit('this release does not start')\n")
    with Load(site.lab, RECORD) as load:
        run = site.playbook("playbooks/deploy.yml", "-e", f"stack_file={broken}/docker-compose.yml", "-vvv")
    say(f"a deployment that fails: {load.result}")
    assert run.code != 0
    assert "The stack 'example' did not converge: example_web rolled back" in run.said, run.output[-4000:]
    assert "this release does not start" in run.said, "the log of the failed task is missing"
    assert load.result.failures == []

    again = site.playbook("playbooks/deploy.yml")
    assert again.code == 0, again.output[-4000:]
    assert site.replicas("example_web") == "6/6"
    assert site.page().status == 200
