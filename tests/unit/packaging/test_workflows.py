"""The workflows and policies of docs/ci-cd: valid, pinned, and with no more permissions than their jobs need."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.permissions import VALUES, policies, size

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs/ci-cd"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}
JOBS = {f"{name}/{key}": job for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()}
READS = {"contents": "read", "id-token": "write"}
READING = ("Describe", "Get", "List")
# Anyone who can open a pull request can read these, so only the objects that a plan compares are allowed.
SECRET = ("s3:GetObject", "s3:GetObjectTagging", "secretsmanager:GetSecretValue")


def steps() -> Iterator[dict[str, Any]]:
    for job in JOBS.values():
        yield from job["steps"]


def test_every_script_is_valid_shell_without_interpolation() -> None:
    scripts = [step["run"] for step in steps() if "run" in step]
    assert len(scripts) > 5
    for script in scripts:
        # A value in the text of a script could be a command.
        assert "${{" not in script
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_action_is_pinned_to_a_version() -> None:
    actions = {step["uses"] for step in steps() if "uses" in step}
    assert actions
    assert [name for name in actions if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", name)] == []


def test_a_job_has_only_the_permissions_that_it_needs() -> None:
    assert [workflow["permissions"] for workflow in WORKFLOWS.values()] == [{}, {}]
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "cluster/plan": {**READS, "pull-requests": "write"},
        "cluster/apply": READS,
        "deploy/deploy": READS,
    }
    assert "secrets." not in "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    assert all(step["with"]["persist-credentials"] is False for step in steps() if "/checkout@" in step.get("uses", ""))


@pytest.mark.parametrize("name", ["cluster/apply", "deploy/deploy"])
def test_two_jobs_that_change_the_cluster_never_overlap(name: str) -> None:
    job = JOBS[name]
    assert job["concurrency"] == {"group": "cluster", "cancel-in-progress": False, "queue": "max"}
    assert job["environment"] == "production"
    # The credentials are valid for an hour.
    assert job["timeout-minutes"] < 60


def test_a_pull_request_of_a_fork_gets_no_plan() -> None:
    plan = JOBS["cluster/plan"]
    assert "head.repo.full_name == github.repository" in plan["if"]
    assert "environment" not in plan
    assert WORKFLOWS["cluster"]["on"].keys() == {"pull_request", "push"}


def test_every_playbook_of_a_workflow_exists() -> None:
    named = re.findall(r"swarm\.aws\.(\w+)", "".join(step.get("run", "") for step in steps()))
    assert named == ["plan", "site", "deploy"]
    assert all((ROOT / f"playbooks/{name}.yml").is_file() for name in named)


def test_the_trust_policy_names_one_audience_and_one_subject() -> None:
    (statement,) = json.loads((FOLDER / "trust.json").read_text())["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "SUBJECT",
        }
    }
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_a_plan_may_read_what_an_operator_may_except_secrets() -> None:
    made = json.loads((FOLDER / "plan.json").read_text())
    *reading, objects, keys = made["Statement"]
    own = policies({name: name for name in VALUES})
    expected = []
    for statement in (*own["instances"]["Statement"], *own["services"]["Statement"]):
        actions = [
            name for name in statement["Action"] if name.split(":")[1].startswith(READING) and name not in SECRET
        ]
        if actions and not statement["Sid"].startswith("Delete"):
            expected.append({**statement, "Sid": statement["Sid"].replace("Manage", "Read"), "Action": actions})
    assert reading == expected
    bucket = "arn:aws:s3:::CLUSTER-swarm-ACCOUNT-REGION"
    assert objects["Resource"] == [f"{bucket}/agent/*", f"{bucket}/policy.json"]
    assert keys["Action"] == ["kms:Decrypt"]
    assert keys["Condition"]["StringEquals"]["kms:ViaService"] == "s3.REGION.amazonaws.com"
    assert size(made) <= 6144, "the limit of a managed policy"
