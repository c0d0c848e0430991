"""What the whole story shows of the cluster's security: permissions, secrets and open ports."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parliament import analyze_policy_string

from . import scan
from .site import CLUSTER, ROOT, Site, say

JUDGE = Path(__file__).parent / "iam"
ROLES = (f"{CLUSTER}-manager", f"{CLUSTER}-worker")
# What the roles are allowed and may not have done in the whole story, and why it is allowed all the same.
SESSIONS = "AWS's own agent for Session Manager asks for it, which the lab has not"
PULLS = "the registry asks IAM about each pull, which is no call of the API; tests/lab/test_6_stack.py has some"
UNUSED = {
    "ssm:UpdateInstanceInformation": SESSIONS,
    "ssmmessages:CreateControlChannel": SESSIONS,
    "ssmmessages:CreateDataChannel": SESSIONS,
    "ssmmessages:OpenControlChannel": SESSIONS,
    "ssmmessages:OpenDataChannel": SESSIONS,
    "ecr:BatchCheckLayerAvailability": PULLS,
    "ecr:BatchGetImage": PULLS,
    "ecr:GetDownloadUrlForLayer": PULLS,
    "s3:DeleteObject": "a backup beyond the fourteenth goes, and the story has fewer",
    "autoscaling:RecordLifecycleActionHeartbeat": "a removal that takes longer than its hook waits",
    "autoscaling:DescribeAutoScalingInstances": "asked only while a removal ends under the eyes of its command",
    "s3:ListBucket": "S3 asks for it where an object is not there, which a worker may never have met",
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
    verdicts = _judged_again(made)
    judged = made["judgements"]
    say(f"{len(judged)} different judgements, of which {sum(not one['allowed'] for one in judged)} are refusals")
    assert {one["role"] for one in judged} >= set(ROLES)
    different = [
        (one["role"], one["action"], one["resource"], one["allowed"], verdict)
        for one, verdict in zip(judged, verdicts, strict=True)
        if (verdict == "Allowed") is not one["allowed"] or ("Denied" not in verdict and verdict != "Allowed")
    ]
    assert different == []


def test_whatever_is_allowed_was_used_or_has_its_reason(site: Site) -> None:
    used = {(one["role"], one["action"]) for one in site.judgements()["judgements"] if one["allowed"]}
    allowed = {
        (role, action)
        for role in ROLES
        for document in _policies(site, role)
        for statement in document["Statement"]
        for action in _list(statement["Action"])
    }
    say(f"{len(allowed & used)} of {len(allowed)} allowed actions were used")
    assert {(role, action) for role, action in allowed - used if action not in UNUSED} == set()


# Secrets


def test_no_secret_was_printed_or_logged_in_the_whole_story(site: Site) -> None:
    site.settle()
    # All that Ansible can say, of the verbs that handle secrets.
    for words in (["site.yml"], ["playbooks/rotate.yml"], ["playbooks/backup.yml"], ["playbooks/status.yml"]):
        run = site.playbook(*words, "-vvv")
        assert run.code == 0, run.output[-3000:]
    facts = site.command("ansible", "all", "-vvv", "--become", "--module-name", "ansible.builtin.setup")
    assert facts.code == 0, facts.output[-3000:]
    texts = {f"what command {number} printed": text for number, text in enumerate(site.printed)}
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
    say(f"{len(secrets)} secrets were looked for in {len(texts)} texts of {sum(map(len, texts.values())) / 1e6:.1f} MB")
    assert len(secrets) > 10
    found = [where for where, text in texts.items() if _KINDS.search(text) or any(one in text for one in secrets)]
    assert found == []


_KINDS = re.compile(
    "SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}|SWMKEY-1-[A-Za-z0-9+/]{43}|PRIVATE KEY-----\\n[A-Za-z0-9+/]{40}"
)


def _secrets(site: Site) -> Iterator[str]:
    """Secrets of which nobody may ever read anything."""
    yield from site.credentials()
    manager = site.managers()[0]
    for role in ("manager", "worker"):
        yield site.must(manager, "docker", "swarm", "join-token", "--quiet", role).strip()
    web = "docker ps --quiet --filter label=com.docker.swarm.service.name=example_web"
    # Where it is read matters to nobody, as long as a task of it runs there.
    on = next(one for one in site.ids() if site.must(one, "sh", "-c", web).strip())
    yield site.must(on, "sh", "-c", f"docker exec $({web} | head -1) cat /run/secrets/store-password").strip()


# Ports


@pytest.mark.parametrize("kind", ["leader", "worker"])
@pytest.mark.parametrize("source", ["outside", "manager", "worker"])
def test_open_are_the_ports_that_the_security_groups_say_and_no_others(site: Site, kind: str, source: str) -> None:
    site.settle()
    target = next(one for one in site.instances() if one["instance_id"] == site.one(kind))
    others = [one for one in site.instances() if one["instance_id"] != target["instance_id"]]
    text = Path(scan.__file__).read_text()
    if source == "outside":
        found = scan.scan(target["public_ip"])
        allowed = _allowed(site, target["instance_id"], address=str(site.lab.address))
    else:
        node = next((one for one in others if one["group"] == f"{CLUSTER}-{source}"), None)
        if node is None:
            pytest.skip("the cluster has one worker")
        output = site.must(node["instance_id"], "python3", "-c", text, target["private_ip"])
        found = {int(port) for port in output.split()}
        allowed = _allowed(site, target["instance_id"], member=node["instance_id"])
    say(f"{kind} from {source}: {sorted(found)} are open of {sorted(allowed)} that may be")
    assert found == allowed & _listening(site, target["instance_id"])
    expected = {("leader", "outside"): {22, 80}, ("worker", "outside"): {22}}
    if source == "outside":
        assert found == expected[kind, source]
    else:
        assert (2377 in found) is (kind == "leader")
        assert 7946 in found


def _allowed(site: Site, instance: str, *, address: str = "", member: str = "") -> set[int]:
    """The TCP ports that the instance's security groups open to an address, or to another instance."""
    ec2 = site.aws("ec2")
    mine, theirs = _groups(ec2, instance), _groups(ec2, member) if member else set()
    return {
        rule["FromPort"]
        for group in ec2.describe_security_groups(GroupIds=sorted(mine))["SecurityGroups"]
        for rule in group["IpPermissions"]
        if rule["IpProtocol"] == "tcp"
        and (
            any(pair["GroupId"] in theirs for pair in rule["UserIdGroupPairs"])
            or any(_within(address or _private(ec2, member), one["CidrIp"]) for one in rule["IpRanges"])
        )
    }


def _within(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)


def _described(ec2: Any, instance: str) -> dict[str, Any]:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]  # type: ignore[no-any-return]


def _groups(ec2: Any, instance: str) -> set[str]:
    return {one["GroupId"] for one in _described(ec2, instance)["SecurityGroups"]}


def _private(ec2: Any, instance: str) -> str:
    return str(_described(ec2, instance)["PrivateIpAddress"])


def _listening(site: Site, instance: str) -> set[int]:
    """The TCP ports on which something listens for others than the node itself."""
    lines = [line.split()[3] for line in site.must(instance, "ss", "-Hltn").splitlines() if line.strip()]
    sockets = [line.rsplit(":", 1) for line in lines]
    return {int(port) for host, port in sockets if not host.startswith(("127.", "[::1]", "169.254."))}


def _policies(site: Site, role: str) -> list[dict[str, Any]]:
    iam = site.aws("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def _judged_again(made: dict[str, Any]) -> list[str]:
    """The verdicts of an evaluator that is not the lab's own, one for each judgement."""
    cached = ROOT / ".build/iam"
    cached.mkdir(parents=True, exist_ok=True)
    for one in JUDGE.iterdir():
        (cached / one.name).write_bytes(one.read_bytes())
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=cached, check=True)
    done = subprocess.run(
        ["node", "judge.mjs"], cwd=cached, input=json.dumps(made), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
