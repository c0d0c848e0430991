"""A change: the source of Ansible's ``changed``, its diff, and the agent's log line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Union

State = Union[Mapping[str, Any], str, None]


@dataclass(frozen=True)
class Change:
    """A resource's state before and after, also in check mode; None is 'not there'."""

    resource: str
    before: State
    after: State
    # Better words than the usual ones; empty for these.
    words: str = ""

    @property
    def sentence(self) -> str:
        """Such as ``create the bucket example``."""
        if self.words:
            return self.words
        verb = "create" if self.before is None else "delete" if self.after is None else "update"
        return f"{verb} the {self.resource}"

    def diff(self) -> dict[str, Any]:
        """The difference in Ansible's form."""
        return {
            "before_header": self.resource,
            "after_header": self.resource,
            "before": "" if self.before is None else self.before,
            "after": "" if self.after is None else self.after,
        }
