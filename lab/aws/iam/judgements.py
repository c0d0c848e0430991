"""Every judgement of IAM's, once, with all that it was made of: for another evaluator to make it again."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from lab.aws.iam.policy import Access

# They differ from call to call, and no policy of ours asks for them.
_PASSING = ("aws:CurrentTime", "aws:SourceIp", "aws:userid", "ec2:SourceInstanceARN")
Documents = Sequence[Mapping[str, Any]]


class Judgements:
    """What the instances' roles were allowed and refused since the lab is up."""

    def __init__(self) -> None:
        self._documents: dict[str, list[Mapping[str, Any]]] = {}
        self._made: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def add(self, role: str, access: Access, identity: Documents, resource: Documents, *, allowed: bool) -> None:
        """Keep a judgement, unless the same was made before.

        :param role: the name of the role that asked.
        :param identity: the policies of the role.
        :param resource: the policies of what is asked for.
        """
        what = {
            "role": role,
            "action": access.action,
            "resource": access.resource,
            "allowed": allowed,
            "identity": self._kept(identity),
            "resource_policies": self._kept(resource),
        }
        lasting = {key: value for key, value in access.context.items() if key not in _PASSING}
        key = json.dumps([what, lasting], sort_keys=True)
        with self._lock:
            self._made.setdefault(key, {**what, "context": dict(access.context)})

    def as_json(self) -> dict[str, Any]:
        """``judgements``, oldest first, whose policies are lists in ``documents``."""
        with self._lock:
            return {"documents": dict(self._documents), "judgements": list(self._made.values())}

    def _kept(self, documents: Documents) -> str:
        text = json.dumps(list(documents), sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        with self._lock:
            self._documents.setdefault(name, list(documents))
        return name
