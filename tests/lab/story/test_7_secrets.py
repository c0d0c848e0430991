"""Security after the whole story: every permission was used, and no secret leaked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from parliament import analyze_policy_string

from lab.aws.iam.policy import listed
from tests.lab.iam import disagreements
from tests.lab.site import CLUSTER, Site, say

ROLES = (f"{CLUSTER}-manager", f"{CLUSTER}-worker")
# Actions that the roles may not use in the story, and why they are allowed.
SESSIONS = "the agent of Session Manager, which the lab does not have"
PULLS = "no image of the story is in ECR; tests/lab/parts/stack has some"
UNUSED = {
    "ssm:UpdateInstanceInformation": SESSIONS,
    "ssmmessages:CreateControlChannel": SESSIONS,
    "ssmmessages:CreateDataChannel": SESSIONS,
    "ssmmessages:OpenControlChannel": SESSIONS,
    "ssmmessages:OpenDataChannel": SESSIONS,
    "ecr:GetAuthorizationToken": PULLS,
    "ecr:BatchCheckLayerAvailability": PULLS,
    "ecr:BatchGetImage": PULLS,
    "ecr:GetDownloadUrlForLayer": PULLS,
    "s3:DeleteObject": "the fifteenth backup deletes the oldest, and the story has fewer",
    "autoscaling:RecordLifecycleActionHeartbeat": "a removal that takes longer than its hook's time-out",
    "autoscaling:DescribeAutoScalingInstances": "only while a command watches a removal end",
    "sqs:ChangeMessageVisibility": "an announced end of an instance, such as of a spot instance",
    "s3:ListBucket": "S3 needs it when an object does not exist",
}


# Permissions


def test_parliament_finds_nothing_in_the_policies(site: Site) -> None:
    found = {
        f"{role}: {finding.issue} {json.dumps(finding.detail, default=str)}"
        for role in ROLES
        for document in _policies(site, role)
        for finding in analyze_policy_string(json.dumps(document)).findings
    }
    assert found == set()


def test_another_evaluator_agrees_with_every_judgement_of_the_story(site: Site) -> None:
    made = site.judgements()
    # The administrator is the tests themselves, and may do everything.
    judged = made["judgements"] = [judgement for judgement in made["judgements"] if judgement["caller"] != "lab"]
    refused = sum(not judgement["allowed"] for judgement in judged)
    say(f"{len(judged)} different judgements, of which {refused} are refusals")
    assert {judgement["caller"] for judgement in judged} >= set(ROLES)
    assert disagreements(made) == []


def test_every_allowed_action_was_used_or_has_a_reason(site: Site) -> None:
    used = {
        (judgement["caller"], judgement["action"])
        for judgement in site.judgements()["judgements"]
        if judgement["allowed"]
    }
    allowed = {
        (role, action)
        for role in ROLES
        for document in _policies(site, role)
        for statement in document["Statement"]
        for action in listed(statement["Action"])
    }
    say(f"{len(allowed & used)} of {len(allowed)} allowed actions were used")
    assert {(role, action) for role, action in allowed - used if action not in UNUSED} == set()


# Secrets


def test_no_secret_was_printed_or_logged_in_the_whole_story(site: Site) -> None:
    site.settle()
    # With the most verbose output; site.yml, backup.yml and deploy.yml ran so before.
    for playbook in ("rotate", "status"):
        run = site.playbook(f"playbooks/{playbook}.yml", "-vvv")
        assert run.code == 0, run.output[-3000:]
    facts = site.command("ansible", "all", "-vvv", "--become", "--module-name", "ansible.builtin.setup")
    assert facts.code == 0, facts.output[-3000:]
    texts = {f"the output of command {number}": text for number, text in enumerate(site.printed)}
    texts["the log of the lab's AWS"] = site.lab.log_file.read_text()
    for instance in sorted(site.ids()):
        texts[f"the journal of {instance}"] = site.must(instance, "journalctl", "--no-pager", "--output=export")
        texts[f"cloud-init's log of {instance}"] = site.must(instance, "sh", "-c", "cat /var/log/cloud-init*.log")
        texts[f"the processes of {instance}"] = site.must(
            instance, "sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null; :"
        )
        userdata = site.aws("ec2").describe_instance_attribute(InstanceId=instance, Attribute="userData")
        texts[f"the user data of {instance}"] = json.dumps(userdata["UserData"])
    texts |= {f"CloudWatch's {stream}": text for stream, text in site.kept_logs().items()}
    for key in ("policy.json", "cluster.json", "manager/status.json"):
        texts[key] = site.aws("s3").get_object(Bucket=site.bucket, Key=key)["Body"].read().decode()
    secrets = set(_secrets(site))
    say(f"{len(secrets)} secrets were searched for in {len(texts)} texts, {sum(map(len, texts.values())) / 1e6:.1f} MB")
    assert len(secrets) > 10
    found = [where for where, text in texts.items() if _KINDS.search(text) or any(secret in text for secret in secrets)]
    assert found == []


_KINDS = re.compile(
    "SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}|SWMKEY-1-[A-Za-z0-9+/]{43}|PRIVATE KEY-----\\n[A-Za-z0-9+/]{40}"
)


def _secrets(site: Site) -> Iterator[str]:
    """Secrets that may appear in no text."""
    yield from site.credentials()
    manager = site.managers()[0]
    for role in ("manager", "worker"):
        yield site.must(manager, "docker", "swarm", "join-token", "--quiet", role).strip()
    web = "docker ps --quiet --filter label=com.docker.swarm.service.name=example_web"
    # Any instance with a task of the service will do.
    on = next(identifier for identifier in site.ids() if site.must(identifier, "sh", "-c", web).strip())
    yield site.must(on, "sh", "-c", f"docker exec $({web} | head -1) cat /run/secrets/store-password").strip()


def _policies(site: Site, role: str) -> list[dict[str, Any]]:
    iam = site.aws("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
