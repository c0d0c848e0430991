"""Putting the lab's parts into moto, and taking them out again, so that a process can go on to use plain moto."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any


class Grafts:
    """What was put into moto."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module, class or object."""
        before = owner.__dict__[name]
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def around(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Replace a function by one that is given the old one, and then what it is called with."""
        before = owner.__dict__[name]
        self.attribute(owner, name, lambda *given, **named: wrapper(before, *given, **named))

    def new(self, owner: Any, name: str, value: Any) -> None:
        """Add an attribute that is not there."""
        setattr(owner, name, value)
        self._undo.append(lambda: delattr(owner, name))

    def item(self, mapping: MutableMapping[str, Any], key: str, value: Any) -> None:
        """Replace or add an item of a mapping."""
        if key in mapping:
            before = mapping[key]
            self._undo.append(lambda: mapping.__setitem__(key, before))
        else:
            self._undo.append(lambda: mapping.pop(key, None))
        mapping[key] = value

    def remove(self) -> None:
        """Take all out, the last first."""
        while self._undo:
            self._undo.pop()()
