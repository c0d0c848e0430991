"""Every judgement of IAM's, once, with all that it was made of: for another evaluator to make it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.aws.iam.policy import Access

# They differ from call to call, and no policy of ours asks for them.
_PASSING = ("aws:CurrentTime", "aws:SourceIp", "aws:userid", "ec2:SourceInstanceARN")
Documents = Sequence[Mapping[str, Any]]


class Judgements:
    """What everybody was allowed and refused since the lab is up. Whoever looks or adds holds the world's lock."""

    def __init__(self) -> None:
        self._documents: dict[str, list[Mapping[str, Any]]] = {}
        self._made: dict[str, dict[str, Any]] = {}

    def add(
        self, caller: str, principal: str, access: Access, policies: Mapping[str, Documents], *, allowed: bool
    ) -> None:
        """Keep a judgement, unless the same was made before.

        :param caller: the name of the role or user who asked.
        :param principal: who asked, as an ARN; that of a role's session.
        :param policies: the ``identity``'s own, its ``boundary``, and the ``resource_policies`` of what is asked for.
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
        """``judgements``, oldest first, whose policies are lists in ``documents``."""
        return {"documents": dict(self._documents), "judgements": list(self._made.values())}

    def _kept(self, documents: Documents) -> str:
        text = json.dumps(list(documents), sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._documents.setdefault(name, list(documents))
        return name
