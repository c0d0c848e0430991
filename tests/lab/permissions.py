"""The operator's policies, ``docs/permissions/``: what the lab judges by them, and making them anew.

    python -m tests.lab.permissions [RECORD …]            what they lack, and what they have that was not asked for
    python -m tests.lab.permissions --write [RECORD …]    puts that right

A record is a lab's address, or a file with what a lab has answered at ``/_lab/judgements``. Without one, the playbooks
that need no machines are run in an account in memory, with all configurations, as somebody who may do everything, and
their record is written to :data:`RECORD`.
Statements, resources and conditions are written by hand; only their actions are made from records. An action that needs
another statement is named, and nothing is written for it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.aws.iam.conditions import wildcard
from lab.aws.iam.policy import Access, Verdict, judge, listed
from lab.state import ACCOUNT_ID, REGION
from tests.lab.configured import CONFIGURATIONS
from tests.unit.roles.account import RolesAccount, roles_account

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/permissions"
RECORD = ROOT / ".build/permissions.json"
OPERATOR = "operator"
"""The user who has them on the lab."""
VALUES = {"ACCOUNT": ACCOUNT_ID, "REGION": REGION, "CLUSTER": "example", "RECORD": "www.swarm.test"}
"""What the policies' placeholders are there."""
Policies = Mapping[str, dict[str, Any]]
EVERYTHING: Policies = {
    "everything": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
}
Judgement = Mapping[str, Any]

SESSIONS = "Session Manager is not on the lab"
MACHINES = "a playbook that needs machines: the part `permissions` has it"
AGENTS = "the agents make what is deleted"
REPAIRS = "what others changed by hand is put right"
BOUNDARY = "permissions_boundary"
# What the policies allow and a run may not have asked for, and why they allow it all the same.
REASONS = {
    "autoscaling:DeleteTags": REPAIRS,
    "autoscaling:PutLifecycleHook": REPAIRS,
    "autoscaling:ResumeProcesses": MACHINES,
    "autoscaling:SetDesiredCapacity": MACHINES,
    "autoscaling:SuspendProcesses": MACHINES,
    "autoscaling:TerminateInstanceInAutoScalingGroup": MACHINES,
    "ec2:DeleteNetworkInterface": "one that AWS or an instance left behind",
    "ec2:DeleteRoute": "private nodes whose NAT gateways give way to endpoints",
    "ec2:DeleteVolume": "one that an instance left behind",
    "ec2:ModifyVpcEndpoint": REPAIRS,
    "elasticloadbalancing:DescribeTargetGroups": "a group with target_groups",
    "elasticloadbalancing:DescribeTargetHealth": "a group with target_groups",
    "iam:DeleteRolePermissionsBoundary": BOUNDARY,
    "iam:DetachRolePolicy": "a policy that others attached to a role",
    "iam:GetPolicy": BOUNDARY,
    "iam:PutRolePermissionsBoundary": BOUNDARY,
    "iam:UpdateAssumeRolePolicy": REPAIRS,
    "route53:ChangeResourceRecordSets": AGENTS,
    "s3:AbortMultipartUpload": "an upload of the registry's that was not finished",
    "s3:DeleteObject": SESSIONS,
    "servicediscovery:DeregisterInstance": AGENTS,
    "ssm:ResumeSession": SESSIONS,
    "ssm:StartSession": SESSIONS,
    "ssm:TerminateSession": SESSIONS,
}


def policies(values: Mapping[str, str] = VALUES) -> Policies:
    """The policies by the names of their files, with these values in place of the placeholders."""
    pattern = re.compile("|".join(values))
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}
    return {name: json.loads(pattern.sub(lambda found: values[found.group()], text)) for name, text in texts.items()}


def size(policy: Mapping[str, Any]) -> int:
    """How many characters IAM counts, which are all but white space."""
    return len(re.sub(r"\s", "", json.dumps(policy)))


def asked(told: Mapping[str, Any], *callers: str) -> list[Judgement]:
    """What these asked for, of all that a lab has judged."""
    return [judgement for judgement in told["judgements"] if judgement["caller"] in callers]


def lacking(judged: Iterable[Judgement]) -> list[Judgement]:
    """What was asked for and no policy allows."""
    documents = list(policies().values())
    return [judgement for judgement in judged if judge(documents, _access(judgement)) is not Verdict.ALLOW]


def unused(judged: Iterable[Judgement]) -> set[tuple[str, str]]:
    """Statements and actions of theirs that nobody asked for, without those that have their reason."""
    statements = list(_statements(policies()))
    allowed = {(statement["Sid"], action) for statement in statements for action in listed(statement["Action"])}
    return {(sid, action) for sid, action in allowed - _used(statements, judged) if action not in REASONS}


def made_anew(judged: Sequence[Judgement]) -> tuple[Policies, list[Judgement]]:
    """The policies as files have them, with just the actions that are needed, and what no statement is for."""
    found, missing = policies({name: name for name in VALUES}), []
    used = _used(list(_statements(policies())), judged)
    # The same statements, with their placeholders and without.
    pairs = list(zip(_statements(found), _statements(policies()), strict=True))
    services = {
        statement["Sid"]: {action.split(":")[0] for action in listed(statement["Action"])} for statement, _ in pairs
    }
    for statement, _ in pairs:
        actions = listed(statement["Action"])
        statement["Action"] = [action for action in actions if (statement["Sid"], action) in used or action in REASONS]
    for judgement in lacking(judged):
        access = _access(judgement)
        for statement, filled in pairs:
            if access.action.split(":")[0] in services[statement["Sid"]] and _fits(filled, access):
                statement["Action"] = sorted({*statement["Action"], access.action})
                break
        else:
            missing.append(judgement)
    for document in found.values():
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    return found, missing


def _fits(statement: Mapping[str, Any], access: Access) -> bool:
    """Whether a statement would allow it with its action; one about everything is for what is about nothing."""
    if statement["Resource"] == "*" and "Condition" not in statement and access.resource != "*":
        return False
    return judge([{"Statement": {**statement, "Action": access.action}}], access) is Verdict.ALLOW


def _used(statements: list[Mapping[str, Any]], judged: Iterable[Judgement]) -> set[tuple[str, str]]:
    used = set()
    for access in map(_access, judged):
        for statement in statements:
            if judge([{"Statement": statement}], access) is Verdict.ALLOW:
                matching = (
                    pattern
                    for pattern in listed(statement["Action"])
                    if wildcard(pattern.lower(), access.action.lower())
                )
                used |= {(statement["Sid"], action) for action in matching}
    return used


def _statements(found: Policies) -> Iterator[dict[str, Any]]:
    for document in found.values():
        yield from document["Statement"]


def _access(judgement: Judgement) -> Access:
    return Access(judgement["action"], judgement["resource"], judgement["context"])


# The command


def record() -> dict[str, Any]:
    """What the playbooks ask for that need no machines, as one cluster becomes each of the configurations and ends."""
    with tempfile.TemporaryDirectory() as folder, roles_account(Path(folder)) as account:
        client = account.aws.client
        client("servicediscovery").create_http_namespace(Name="swarm.internal")
        account.become(OPERATOR, EVERYTHING)
        _play(account, "playbooks/plan.yml")
        # The usual one last, whose IPv6 then comes to subnets that are there.
        for name, changed in reversed(CONFIGURATIONS.items()):
            print(name, file=sys.stderr, flush=True)
            _play(account, "site.yml", "--skip-tags", "stack", **changed)
            if changed.get("autolock"):
                # The secret's value is read once it is there.
                _play(account, "site.yml", "--skip-tags", "stack", **changed)
        _play(account, "playbooks/plan.yml")
        # What else carries the tag goes with it.
        tags = {"swarm.aws/cluster": VALUES["CLUSTER"]}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        client("sqs").create_queue(QueueName="more", tags=tags)
        client("logs").create_log_group(logGroupName="more", tags=tags)
        client("secretsmanager").create_secret(Name="more", SecretString="more", Tags=listed)
        client("ssm").put_parameter(Name="/more", Value="more", Type="String", Tags=listed)
        _play(account, "playbooks/destroy.yml", confirm=VALUES["CLUSTER"])
        told: dict[str, Any] = account.aws.control("GET", "judgements")
        return keep(told)


def keep(told: dict[str, Any]) -> dict[str, Any]:
    """Write a record to :data:`RECORD`, and return it."""
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(told))
    return told


def _play(account: RolesAccount, *words: str, **variables: Any) -> None:
    run = account.playbook(*words, **variables)
    if run.code:
        sys.exit(f"{' '.join(words)} failed:\n{run.output[-6000:]}")


def _read(source: str) -> dict[str, Any]:
    if source.startswith("http"):
        with urllib.request.urlopen(f"{source.rstrip('/')}/_lab/judgements", timeout=60) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
    return json.loads(Path(source).read_text())  # type: ignore[no-any-return]


def main(words: list[str]) -> int:
    """0 if the policies are as they should be, or were written."""
    sources = [word for word in words if not word.startswith("--")]
    told = [_read(word) for word in sources] or [record()]
    judged = [judgement for call in told for judgement in asked(call, OPERATOR)]
    if "--write" in words:
        found, missing = made_anew(judged)
        for name, document in found.items():
            (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    else:
        missing = lacking(judged)
        for sid, action in sorted(unused(judged)):
            print(f"{sid} allows {action}, which nobody asked for.")
    for judgement in missing:
        print(f"No statement is for {judgement['action']} on {judgement['resource']} with {_tags(judgement)}.")
    return 1 if missing or ("--write" not in words and unused(judged)) else 0


def _tags(judgement: Judgement) -> str:
    return json.dumps({key: value for key, value in judgement["context"].items() if "Tag/" in key or "Action" in key})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
