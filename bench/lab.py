"""A separate lab for a measurement."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab import lifecycle
from tests.lab.site import Site


@contextmanager
def fresh(name: str) -> Iterator[Site]:
    """A new lab with an empty account, removed when the context ends."""
    lab = lifecycle.up(name, lambda line: print(f"lab: {line}", file=sys.stderr))
    try:
        yield Site(lab)
    finally:
        lifecycle.down(lab, lambda line: None)
