"""Changes by the provisioning modules, with check mode and diff."""

from __future__ import annotations

from typing import Any, Callable, Mapping, TypeVar, Union

from .._core.change import Change, State
from . import tags

Result = TypeVar("Result")


class Changes:
    """Applies changes, or only records them in check mode."""

    def __init__(self, check_mode: bool) -> None:
        self.check_mode = check_mode
        self._made: list[Change] = []

    def apply(self, resource: str, before: State, after: State, effect: Callable[[], Result]) -> Union[Result, None]:
        """Call ``effect``, which makes the resource what ``after`` says, and record the change.

        Returns the result of ``effect``, or None in check mode. A failed change is not recorded.
        """
        result = None if self.check_mode else effect()
        self._made.append(Change(resource, before, after))
        return result

    def add_tags(
        self,
        resource: str,
        before: Mapping[str, str],
        wanted: Mapping[str, str],
        effect: Callable[[dict[str, str]], Any],
    ) -> None:
        """Add the missing tags to a resource, if any, by calling ``effect`` with them."""
        missing = tags.missing(before, wanted)
        if missing:
            self.apply(resource, {"tags": before}, {"tags": {**before, **missing}}, lambda: effect(missing))

    def result(self) -> dict[str, Any]:
        """A module's return values ``changed``, ``changes`` and ``diff``."""
        return {
            "changed": bool(self._made),
            "changes": [change.sentence for change in self._made],
            "diff": [change.diff() for change in self._made],
        }
