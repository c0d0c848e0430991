"""Every distinct judgement of IAM with its inputs, so that another evaluator can repeat it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.aws.iam.policy import Access

# Context keys that differ from call to call, and that no policy of the product uses.
_PASSING = ("aws:CurrentTime", "aws:SourceIp", "aws:userid", "ec2:SourceInstanceARN")
Documents = Sequence[Mapping[str, Any]]


class Judgements:
    """All judgements since the lab started. Callers hold the world's lock."""

    def __init__(self) -> None:
        self._documents: dict[str, list[Mapping[str, Any]]] = {}
        self._made: dict[str, dict[str, Any]] = {}

    def add(
        self, caller: str, principal: str, access: Access, policies: Mapping[str, Documents], *, allowed: bool
    ) -> None:
        """Add a judgement, unless it is known.

        :param caller: the name of the role or user.
        :param principal: the caller's ARN, or the ARN of a role's session.
        :param policies: the policies of the ``identity``, its ``boundary``, and the ``resource_policies``.
        """
        what = {
            "caller": caller,
            "action": access.action,
            "resource": access.resource,
            "allowed": allowed,
            **{name: self._kept(documents) for name, documents in policies.items()},
        }
        lasting = {key: value for key, value in access.context.items() if key not in _PASSING}
        key = json.dumps([what, lasting], sort_keys=True)
        self._made.setdefault(key, {**what, "principal": principal, "context": dict(access.context)})

    def as_json(self) -> dict[str, Any]:
        """``judgements``, oldest first; their policies are keys of ``documents``."""
        return {"documents": dict(self._documents), "judgements": list(self._made.values())}

    def _kept(self, documents: Documents) -> str:
        text = json.dumps(list(documents), sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._documents.setdefault(name, list(documents))
        return name
