"""A separate lab for a measurement, and what the measurements share."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import lifecycle
from tests.lab.site import Run, Site


@contextmanager
def fresh(name: str, kernel: str | None = None) -> Iterator[Site]:
    """A new lab with an empty account, removed when the context ends.

    The account is `kind`: what the strict account delays and refuses at random would be measured too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = lifecycle.up(name, lambda line: print(f"lab: {line}", file=sys.stderr), account="kind", kernel=kernel)
    try:
        yield Site(lab)
    finally:
        lifecycle.down(lab, lambda line: None)


def seconds(work: Callable[[], object]) -> float:
    """How many seconds the work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def done(run: Run) -> Run:
    """The run, which must have succeeded. Ends the program with its output otherwise."""
    if run.code:
        raise SystemExit(run.output[-3000:])
    return run


def with_task(site: Site, service: str) -> str:
    """An instance that runs a task of a service."""
    manager = site.managers()[0]
    shown = ("docker", "service", "ps", "--filter", "desired-state=running", "--format", "{{.Node}}", service)
    name = site.must(manager, *shown).split()[0]
    node = site.must(manager, "docker", "node", "inspect", "--format", "{{.ID}}", name).strip()
    return next(found.instance for found in site.nodes() if found.node_id == node)
