"""Patches moto with the lab's parts, and undoes it, so that a process can use plain moto afterwards."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any


class Grafts:
    """The patches to undo."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module, class or object."""
        before = owner.__dict__[name]
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def around(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Replace a function by ``wrapper``, which gets the old function and then the call's arguments."""
        before = owner.__dict__[name]
        self.attribute(owner, name, lambda *given, **named: wrapper(before, *given, **named))

    def new(self, owner: Any, name: str, value: Any) -> None:
        """Add a new attribute."""
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
        """Undo all patches, in reverse order."""
        while self._undo:
            self._undo.pop()()
