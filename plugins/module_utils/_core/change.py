"""A change: what Ansible's ``changed`` and diff, and the agent's log line, all come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Union

State = Union[Mapping[str, Any], str, None]


@dataclass(frozen=True)
class Change:
    """A resource that went, or in check mode would go, from one state to another; None is 'not there'."""

    resource: str
    before: State
    after: State

    @property
    def sentence(self) -> str:
        """What happens to the resource, such as ``create the bucket example``."""
        verb = "create" if self.before is None else "delete" if self.after is None else "update"
        return f"{verb} the {self.resource}"

    def diff(self) -> dict[str, Any]:
        """As Ansible shows differences."""
        return {
            "before_header": self.resource,
            "after_header": self.resource,
            "before": "" if self.before is None else self.before,
            "after": "" if self.after is None else self.after,
        }
