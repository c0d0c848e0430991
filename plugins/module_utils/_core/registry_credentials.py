"""Registries of ECR, whose credentials end: what a service's tasks are pulled with is given anew in time.

The managers hand a service's credentials to every node that gets a task of it. Without new ones a node that joins half
a day after the deployment could pull nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Mapping, Optional

from .parsing import number

# On the service: since when its credentials are good, in epoch seconds, and for how many seconds, as in
# `1764000000+43200`.
LABEL = "swarm.aws.registry-auth"
_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


@dataclass(frozen=True)
class Registry:
    """An account's registry in a region."""

    host: str
    account: str
    region: str

    @classmethod
    def of(cls, host: str) -> Optional[Registry]:
        """The registry at a host; None if that is none of ECR's."""
        found = _HOST.fullmatch(host)
        return cls(host, found["account"], found["region"]) if found else None

    @classmethod
    def of_image(cls, image: str) -> Optional[Registry]:
        """The registry that an image is pulled from; None if that is none of ECR's."""
        return cls.of(image.partition("/")[0])


@dataclass(frozen=True)
class Grant:
    """Credentials for a registry, which end."""

    username: str
    password: str = field(repr=False)
    # When they were given, in epoch seconds, and for how many seconds they are good.
    since: float
    seconds: float

    @property
    def noted(self) -> str:
        """As the label says it."""
        return f"{self.since:.0f}+{self.seconds:.0f}"


def due(labels: Mapping[str, str], now: float) -> bool:
    """Whether half of the credentials' time is over, or nobody knows how old they are."""
    parts = labels.get(LABEL, "").partition("+")
    since, seconds = number(parts[0]), number(parts[2])
    return since is None or seconds is None or now - since >= seconds / 2 or now < since - seconds
