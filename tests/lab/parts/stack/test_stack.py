"""The operator's own stacks: deployed, failed, rolled back, stopped, and pulled from ECR."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.state import ECR_HOST
from tests.lab.site import Run, Site

SHOP = """
services:
  page:
    image: python:3.13-slim
    command: [python3, -c, "import time; time.sleep(${SECONDS:-3600})"]
    stop_grace_period: 1s
    configs: [{source: motd, target: /motd}]
    secrets: [password]
    volumes: ["data:/data"]
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      update_config: {order: start-first, monitor: 4s, failure_action: rollback}
      restart_policy: {delay: 1s}
  migrate:
    image: python:3.13-slim
    command: [python3, -c, "print('the table is locked'); raise SystemExit(${EXIT:-0})"]
    deploy:
      mode: replicated-job
      restart_policy: {condition: none}
volumes: {data: {}}
configs: {motd: {content: "${MOTD}"}}
secrets: {password: {content: "${PASSWORD}"}}
"""
ECR = """
services:
  page:
    image: ${REPOSITORY}
    command: [python3, -c, "import time; time.sleep(3600)"]
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      placement: {max_replicas_per_node: 1}
      restart_policy: {delay: 1s}
"""
# A task ignores the stop signal, and so takes all of its grace period.
UNCHECKED = """
services:
  page:
    image: python:3.13-slim
    command: [python3, -c, "import time; time.sleep(${SECONDS})"]
    stop_grace_period: ${GRACE:-1s}
    healthcheck: {disable: true}
    networks: [front, back]
    deploy:
      replicas: ${REPLICAS:-1}
      endpoint_mode: dnsrr
      restart_policy: {delay: 1s}
networks: {front: {}, back: {}}
"""
MINUTE = 60


@pytest.fixture
def shop(site: Site, tmp_path: Path) -> Iterator[Path]:
    """The shop's compose file. The stack is stopped at the end."""
    site.settle()
    (tmp_path / "shop").mkdir()
    path = tmp_path / "shop" / "docker-compose.yml"
    path.write_text(SHOP)
    yield path
    stopped = site.playbook("playbooks/stop.yml", "-e", "stack_name=shop")
    assert stopped.code == 0, stopped.output[-3000:]


def _deploy(site: Site, path: Path, *words: str, **variables: str) -> Run:
    more = json.dumps({"stack_file": str(path), "stack_environment": variables})
    return site.playbook("playbooks/deploy.yml", "-e", more, *words)


def _swarm(site: Site, *words: str) -> Any:
    """The JSON output of a docker command on a manager."""
    return json.loads(site.must(site.managers()[0], "docker", *words))


def _names(site: Site, kind: str) -> set[str]:
    listed = site.must(site.managers()[0], "docker", kind, "ls", "--format", "{{.Name}}")
    return {name for name in listed.split() if name.startswith("shop_")}


def _motd(site: Site) -> str:
    """The content of the page's present config."""
    (page,) = _swarm(site, "service", "inspect", "shop_page")
    name = page["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"][0]["ConfigName"]
    shown = ["--format", "{{.Spec.Data | printf `%s`}}"]
    return site.must(site.managers()[0], "docker", "config", "inspect", *shown, name)


def test_a_stack_is_deployed_rotated_failed_rolled_back_and_stopped(site: Site, shop: Path) -> None:
    first = _deploy(site, shop, "-vvv", MOTD="one", PASSWORD="correct-horse-one")
    assert first.code == 0, first.output[-4000:]
    assert "shop_migrate: complete, 1 of 1 task" in first.said
    assert "shop_page: converged, 2 of 2 tasks" in first.said
    assert "correct-horse" not in first.output
    again = _deploy(site, shop, MOTD="one", PASSWORD="correct-horse-one")
    assert (again.code, again.changed) == (0, 0), f"{again.output[-4000:]}\n{site.history('shop_migrate')}"

    before = _names(site, "secret")
    plan = _deploy(site, shop, "--check", "--diff", MOTD="two", PASSWORD="battery-staple-two")
    assert plan.code == 0, plan.output[-4000:]
    assert plan.changed > 0
    assert "battery-staple" not in plan.output
    assert _names(site, "secret") == before
    second = _deploy(site, shop, "--diff", MOTD="two", PASSWORD="battery-staple-two")
    assert second.code == 0, second.output[-4000:]
    assert "battery-staple" not in second.output
    # The secrets that a rollback needs stay.
    assert len(_names(site, "secret") - before) == 1
    assert before < _names(site, "secret")

    failed = _deploy(site, shop, MOTD="three", PASSWORD="battery-staple-two", SECONDS="0")
    assert failed.code != 0
    assert "The stack 'shop' did not converge: shop_page rolled back" in failed.said
    assert "the update failed and was rolled back: a task on" in failed.said
    assert "exited (exit code 0)" in failed.said
    assert _motd(site).strip() == "two"

    job = _deploy(site, shop, MOTD="two", PASSWORD="battery-staple-two", EXIT="7")
    assert job.code != 0
    assert "shop_migrate failed (0 of 1 task running): a task on" in job.said
    # Docker runs a job again after each change of leader.
    assert re.search(r"non-zero exit \(7\)(, \d+ of them so far)?; its log ends: the table is locked", job.said)

    plan = site.playbook("playbooks/rollback.yml", "-e", "stack_name=shop", "--check", "--diff")
    assert plan.code == 0, plan.output[-3000:]
    assert _motd(site).strip() == "two"
    for expected in ("two", "one"):
        back = site.playbook("playbooks/rollback.yml", "-e", "stack_name=shop")
        assert back.code == 0, back.output[-4000:]
        assert "shop_page: converged, 2 of 2 tasks" in back.said
        assert _motd(site).strip() == expected

    plan = site.playbook("playbooks/stop.yml", "-e", "stack_name=shop", "--check", "--diff")
    assert plan.code == 0, plan.output[-3000:]
    assert _names(site, "service") == {"shop_page", "shop_migrate"}
    stopped = site.playbook("playbooks/stop.yml", "-e", "stack_name=shop")
    assert stopped.code == 0, stopped.output[-3000:]
    assert "Kept: the volume shop_data on " in stopped.said
    for kind in ("service", "network", "config", "secret"):
        assert _names(site, kind) == set()
    again = site.playbook("playbooks/stop.yml", "-e", "stack_name=shop")
    assert (again.code, again.changed) == (0, 0)
    assert "The swarm has no stack 'shop', so there is nothing to remove." in again.said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["playbooks/stop.yml"], "Which stack should be stopped? Name it with -e stack_name=…."),
        (["playbooks/rollback.yml"], "Which stack should be rolled back? Name it with -e stack_name=…."),
        (["playbooks/rollback.yml", "-e", "stack_name=shopp"], "The swarm has no release of a stack 'shopp'"),
        (["playbooks/deploy.yml", "-e", "stack_file=/nowhere/compose.yml"], "/nowhere/compose.yml cannot be read"),
    ],
)
def test_an_impossible_command_is_refused_in_a_sentence(site: Site, words: list[str], sentence: str) -> None:
    run = site.playbook(*words)
    assert run.code != 0
    assert run.changed == 0
    assert sentence in run.said


def test_a_service_that_ends_after_seconds_fails_and_is_no_rollback_target(site: Site, shop: Path) -> None:
    shop.write_text(UNCHECKED)
    ended = _deploy(site, shop, "-e", "stack_timeout=45", SECONDS="4")
    assert ended.code != 0
    assert re.search(
        r"shop_page failed \([01] of 1 task running\): not within 45 s: a task on \S+ exited \(exit code 0\)",
        ended.said,
    ), ended.output[-4000:]
    repaired = _deploy(site, shop, SECONDS="3600")
    assert repaired.code == 0, f"{repaired.output[-4000:]}\n{site.history('shop_page')}"
    assert "shop_page: converged, 1 of 1 task" in repaired.said
    back = site.playbook("playbooks/rollback.yml", "-e", "stack_name=shop")
    assert back.code != 0
    assert "The stack 'shop' has no release to roll back to" in back.said


def test_a_stack_that_was_just_removed_by_hand_is_deployed_again(site: Site, shop: Path) -> None:
    shop.write_text(UNCHECKED)
    variables = {"SECONDS": "3600", "REPLICAS": "3", "GRACE": "20s"}
    first = _deploy(site, shop, **variables)
    assert first.code == 0, first.output[-4000:]
    site.must(site.managers()[0], "docker", "stack", "rm", "shop")
    again = _deploy(site, shop, **variables)
    assert again.code == 0, f"{again.output[-4000:]}\n{site.history('shop_page')}"
    assert "shop_page: converged, 3 of 3 tasks" in again.said
    assert _names(site, "network") == {"shop_front", "shop_back"}


def _tokens(site: Site, seconds: float) -> None:
    """Set the validity of all ECR tokens, also of issued tokens."""
    request = urllib.request.Request(f"{site.lab.endpoint}/_lab/ecr-tokens?seconds={seconds}", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


def _tasks(site: Site) -> dict[str, str]:
    """The page's tasks by ID, with their state and error."""
    shown = ["--no-trunc", "--format", "{{.ID}} {{.CurrentState}} {{.Error}}"]
    listed = site.must(site.managers()[0], "docker", "service", "ps", *shown, "shop_page")
    return {line.split()[0]: line.partition(" ")[2] for line in listed.splitlines()}


def _running(site: Site) -> set[str]:
    return {task for task, state in _tasks(site).items() if state.startswith("Running")}


def _granted(site: Site) -> str:
    (page,) = _swarm(site, "service", "inspect", "shop_page")
    return str(page["Spec"]["Labels"].get("swarm.aws.registry-auth", ""))


def test_a_node_pulls_from_ecr_long_after_the_deployment(site: Site, shop: Path) -> None:
    shop.write_text(ECR)
    for name in ("library/python", "valkey/valkey"):
        site.aws("ecr").create_repository(repositoryName=name)
    anyone = site.on(site.managers()[0], "docker", "pull", f"{ECR_HOST}/library/python:3.13-slim")
    assert anyone.code != 0
    assert "no basic auth credentials" in anyone.output

    # The manager's role may pull from library/*, as the lab's configuration says.
    refused = _deploy(site, shop, REPOSITORY=f"{ECR_HOST}/valkey/valkey:8.1")
    assert refused.code != 0
    assert "is not authorized to perform: ecr:BatchGetImage" in refused.said
    assert _names(site, "service") == set()

    _tokens(site, MINUTE)
    try:
        deployed = _deploy(site, shop, "-vvv", REPOSITORY=f"{ECR_HOST}/library/python:3.13-slim")
        assert deployed.code == 0, deployed.output[-4000:]
        (task,) = _running(site)
        known = _granted(site)
        assert known, "the deployment did not store the time of the credentials"
        site.wait("the agent to renew the credentials", lambda: _granted(site) != known)
        assert set(_tasks(site)) == {task}, "the renewal replaced the task"

        with site.agents_stopped():
            _tokens(site, 0)
            site.must(site.managers()[0], "docker", "service", "scale", "--detach", "shop_page=2")
            site.wait("a node to be refused the image", lambda: len(_tasks(site)) > 2)
            assert _running(site) == {task}
            _tokens(site, 12 * 3600)
        site.wait("the node to pull with new credentials", lambda: len(_running(site)) == 2)
        assert task in _running(site)
    finally:
        _tokens(site, 12 * 3600)
    logs = deployed.output + "".join(site.agent_log(manager) for manager in site.managers())
    assert '"action": "RefreshRegistryAuth"' in logs
    with urllib.request.urlopen(f"{site.lab.endpoint}/_lab/ecr-tokens", timeout=10) as answer:
        given = json.load(answer)
    assert len(given) > 3
    assert not [secret for secret in given if secret in logs]
    site.settle()
