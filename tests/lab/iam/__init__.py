"""IAM users, and a second evaluator of policies besides the lab's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUILT = HERE.parents[2] / ".build/iam"


def new_user(iam: Any, name: str, managed: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """Create a user with these managed policies, and return its access key."""
    iam.create_user(UserName=name, **more)
    for title, policy in managed.items():
        made = iam.create_policy(PolicyName=f"{name}-{title}", PolicyDocument=json.dumps(policy))["Policy"]
        iam.attach_user_policy(UserName=name, PolicyArn=made["Arn"])
    return iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[no-any-return]


def disagreements(told: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The judgements of ``/_lab/judgements`` with which the second evaluator disagrees."""
    return [
        (judgement["caller"], judgement["action"], judgement["resource"], judgement["allowed"], verdict)
        for judgement, verdict in zip(told["judgements"], _verdicts(told), strict=True)
        if (verdict == "Allowed") is not judgement["allowed"] or ("Denied" not in verdict and verdict != "Allowed")
    ]


def _verdicts(told: dict[str, Any]) -> list[str]:
    BUILT.mkdir(parents=True, exist_ok=True)
    for name in ("judge.mjs", "package.json", "package-lock.json"):
        (BUILT / name).write_bytes((HERE / name).read_bytes())
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=BUILT, check=True)
    done = subprocess.run(
        ["node", "judge.mjs"], cwd=BUILT, input=json.dumps(told), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]
