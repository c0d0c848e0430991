"""The one way by which the provisioning modules change anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, TypeVar, Union

State = Union[Mapping[str, Any], str, None]
Result = TypeVar("Result")


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


class Changes:
    """Applies changes, or in check mode only notes them."""

    def __init__(self, check_mode: bool) -> None:
        self.check_mode = check_mode
        self._made: list[Change] = []

    def apply(self, resource: str, before: State, after: State, effect: Callable[[], Result]) -> Union[Result, None]:
        """Make a resource what ``after`` says by calling ``effect``, and note that.

        Returns what ``effect`` returned, or None in check mode. A change that failed is not noted.
        """
        result = None if self.check_mode else effect()
        self._made.append(Change(resource, before, after))
        return result

    def result(self) -> dict[str, Any]:
        """What a module returns of them: ``changed``, ``changes`` and ``diff``."""
        return {
            "changed": bool(self._made),
            "changes": [change.sentence for change in self._made],
            "diff": [change.diff() for change in self._made],
        }
