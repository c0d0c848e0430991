"""The one way by which the provisioning modules change anything."""

from __future__ import annotations

from typing import Any, Callable, Mapping, TypeVar, Union

from .._core.change import Change, State
from . import tags

Result = TypeVar("Result")


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

    def add_tags(
        self,
        resource: str,
        before: Mapping[str, str],
        wanted: Mapping[str, str],
        effect: Callable[[dict[str, str]], Any],
    ) -> None:
        """Give a resource the tags that it lacks, if any, by calling ``effect`` with those alone."""
        missing = tags.missing(before, wanted)
        if missing:
            self.apply(resource, {"tags": before}, {"tags": {**before, **missing}}, lambda: effect(missing))

    def result(self) -> dict[str, Any]:
        """What a module returns of them: ``changed``, ``changes`` and ``diff``."""
        return {
            "changed": bool(self._made),
            "changes": [change.sentence for change in self._made],
            "diff": [change.diff() for change in self._made],
        }
