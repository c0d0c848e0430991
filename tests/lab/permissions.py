"""Compare the operator's policies, ``docs/permissions/``, with the calls of the playbooks, and generate their actions.

    python -m tests.lab.permissions [RECORD …]            show missing and unused permissions
    python -m tests.lab.permissions --write [RECORD …]    write the policies without these differences

A record is a lab's address, or a file with a lab's answer to ``/_lab/judgements``. Without a record, the playbooks that
need no machines run in an account in memory, with all configurations and permissions, and :data:`RECORD` is written.
Statements, resources and conditions are written by hand; only their actions are generated. An action that fits no
statement is shown, but not written.
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
from tests.unit.existing import existing_vpc
from tests.unit.roles.account import RolesAccount, roles_account

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/permissions"
RECORD = ROOT / ".build/permissions.json"
OPERATOR = "operator"
"""The user with these policies on the lab."""
VALUES = {"ACCOUNT": ACCOUNT_ID, "REGION": REGION, "CLUSTER": "example", "RECORD": "www.swarm.test", "VPC": "vpc-*"}
"""The values of the policies' placeholders on the lab. A record's VPC is any."""
WITHOUT_VPC = {**VALUES, "VPC": "vpc-00000000000000000"}
"""The values for an operator whose clusters have their own VPCs."""
Policies = Mapping[str, dict[str, Any]]
EVERYTHING: Policies = {
    "everything": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
}
Judgement = Mapping[str, Any]

SESSIONS = "Session Manager is not on the lab"
MACHINES = "a playbook that needs machines: the part `permissions` runs it"
AGENTS = "the agents create what is deleted"
REPAIRS = "repairs a change by hand"
BOUNDARY = "permissions_boundary"
# Actions that a run may not use, and why the policies allow them.
REASONS = {
    "autoscaling:DeleteTags": REPAIRS,
    "autoscaling:PutLifecycleHook": REPAIRS,
    "autoscaling:ResumeProcesses": MACHINES,
    "autoscaling:SetDesiredCapacity": MACHINES,
    "autoscaling:SuspendProcesses": MACHINES,
    "autoscaling:TerminateInstanceInAutoScalingGroup": MACHINES,
    "ec2:DeleteNetworkInterface": "left behind by AWS or an instance",
    "ec2:DeleteRoute": "private nodes that change from NAT gateways to endpoints",
    "ec2:DeleteSecurityGroup": "left behind by GuardDuty",
    "ec2:DeleteVpcEndpoints": "left behind by GuardDuty",
    "ec2:DeleteVolume": "left behind by an instance",
    "ec2:ModifyVpcEndpoint": REPAIRS,
    "elasticloadbalancing:DescribeTargetGroups": "a group with target_groups",
    "elasticloadbalancing:DescribeTargetHealth": "a group with target_groups",
    "iam:DeleteRolePermissionsBoundary": BOUNDARY,
    "iam:DetachRolePolicy": "a policy that others attached to a role",
    "iam:GetPolicy": BOUNDARY,
    "iam:PutRolePermissionsBoundary": BOUNDARY,
    "iam:UpdateAssumeRolePolicy": REPAIRS,
    "route53:ChangeResourceRecordSets": AGENTS,
    "route53:GetHealthCheck": AGENTS,
    "s3:AbortMultipartUpload": "an unfinished upload of the registry",
    "s3:DeleteObject": SESSIONS,
    "servicediscovery:DeregisterInstance": AGENTS,
    "servicequotas:GetServiceQuota": "more rules in a security group than AWS's default quota",
    "ssm:ResumeSession": SESSIONS,
    "ssm:StartSession": SESSIONS,
    "ssm:TerminateSession": SESSIONS,
}


def policies(values: Mapping[str, str] = VALUES, files: Iterable[Path] | None = None) -> Policies:
    """The operator's policies, or those in ``files``, by file name, with these values for the placeholders."""
    pattern = re.compile("|".join(values))
    texts = {path.stem: path.read_text(encoding="utf-8") for path in files or sorted(FOLDER.glob("*.json"))}
    return {name: json.loads(pattern.sub(lambda found: values[found.group()], text)) for name, text in texts.items()}


def size(policy: Mapping[str, Any]) -> int:
    """The size of a policy in IAM: its characters without white space."""
    return len(re.sub(r"\s", "", json.dumps(policy)))


def asked(told: Mapping[str, Any], *callers: str) -> list[Judgement]:
    """The judgements of these callers."""
    return [judgement for judgement in told["judgements"] if judgement["caller"] in callers]


def lacking(judged: Iterable[Judgement]) -> list[Judgement]:
    """The judgements that no policy allows, without repeated deletions, whose refusals `destroy.yml` expects."""
    documents = list(policies().values())
    return [
        judgement
        for judgement in judged
        if judge(documents, _access(judgement)) is not Verdict.ALLOW and not repeated(judgement)
    ]


def repeated(judgement: Judgement) -> bool:
    """Whether this is the deletion of a queue that is being deleted, and so has no tags any more."""
    return judgement["action"] == "sqs:DeleteQueue" and not any("ResourceTag" in key for key in judgement["context"])


def unused(judged: Iterable[Judgement]) -> set[tuple[str, str]]:
    """Statements and their actions that no judgement used, except actions with a reason."""
    statements = list(_statements(policies()))
    allowed = {(statement["Sid"], action) for statement in statements for action in listed(statement["Action"])}
    return {(sid, action) for sid, action in allowed - _used(statements, judged) if action not in REASONS}


def regenerate(judged: Sequence[Judgement]) -> tuple[Policies, list[Judgement]]:
    """The policies with placeholders and only the needed actions, and the judgements that fit no statement."""
    found, missing = policies({name: name for name in VALUES}), []
    used = _used(list(_statements(policies())), judged)
    # The same statements with and without placeholders.
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
    """Whether a statement would allow the access with its action. A plain `*` only fits actions without resources."""
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
    """Record the playbooks that need no machines: a cluster takes all configurations, and is destroyed."""
    with tempfile.TemporaryDirectory() as folder, roles_account(Path(folder)) as account:
        client = account.aws.client
        client("servicediscovery").create_http_namespace(Name="swarm.internal")
        account.become(OPERATOR, EVERYTHING)
        _play(account, "playbooks/plan.yml")
        # The first configuration comes last, so that IPv6 is added to present subnets.
        for name, changed in reversed(CONFIGURATIONS.items()):
            print(name, file=sys.stderr, flush=True)
            _play(account, "site.yml", "--skip-tags", "stack", **changed)
            if changed.get("autolock"):
                # The second run reads the secret's value.
                _play(account, "site.yml", "--skip-tags", "stack", **changed)
        _play(account, "playbooks/plan.yml")
        # Other resources with the cluster's tag are deleted too.
        tags = {"swarm.aws/cluster": VALUES["CLUSTER"]}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        client("sqs").create_queue(QueueName="more", tags=tags)
        client("logs").create_log_group(logGroupName="more", tags=tags)
        client("secretsmanager").create_secret(Name="more", SecretString="more", Tags=listed)
        client("ssm").put_parameter(Name="/more", Value="more", Type="String", Tags=listed)
        _play(account, "playbooks/destroy.yml", confirm=VALUES["CLUSTER"])
        theirs = existing_vpc(client("ec2")).variables()
        _play(account, "site.yml", "--tags", "iam,node_groups", **theirs)
        _play(account, "playbooks/destroy.yml", confirm=VALUES["CLUSTER"], **theirs)
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
    """0 if there are no differences, or the policies were written; else 1."""
    sources = [word for word in words if not word.startswith("--")]
    told = [_read(word) for word in sources] or [record()]
    judged = [judgement for call in told for judgement in asked(call, OPERATOR)]
    if "--write" in words:
        found, missing = regenerate(judged)
        for name, document in found.items():
            (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    else:
        missing = lacking(judged)
        for sid, action in sorted(unused(judged)):
            print(f"{sid} allows {action}, which no call used.")
    for judgement in missing:
        print(f"No statement fits {judgement['action']} on {judgement['resource']} with {_tags(judgement)}.")
    return 1 if missing or ("--write" not in words and unused(judged)) else 0


def _tags(judgement: Judgement) -> str:
    return json.dumps({key: value for key, value in judgement["context"].items() if "Tag/" in key or "Action" in key})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
