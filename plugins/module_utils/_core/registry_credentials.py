"""ECR's registries, whose credentials expire: when a service needs new credentials.

The managers give a service's credentials to each node that gets a task of it. Without renewal, a node that joins half a
day after the deployment could not pull the image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Mapping, Optional

from .parsing import number

# On the service: when its credentials were issued, in epoch seconds, and for how many seconds they are valid, as in
# `1764000000+43200`.
LABEL = "swarm.aws.registry-auth"
_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.(com(\.cn)?|eu)")


@dataclass(frozen=True)
class Registry:
    """An account's ECR registry in a region."""

    host: str
    account: str
    region: str

    @classmethod
    def of(cls, host: str) -> Optional[Registry]:
        """The registry at a host; None if it is not ECR's."""
        found = _HOST.fullmatch(host)
        return cls(host, found["account"], found["region"]) if found else None

    @classmethod
    def of_image(cls, image: str) -> Optional[Registry]:
        """The registry that an image is pulled from; None if it is not ECR's."""
        return cls.of(image.partition("/")[0])


@dataclass(frozen=True)
class Grant:
    """Credentials for a registry, which expire."""

    username: str
    password: str = field(repr=False)
    # When they were issued, in epoch seconds, and for how many seconds they are valid.
    since: float
    seconds: float

    @property
    def noted(self) -> str:
        """The label's value."""
        return f"{self.since:.0f}+{self.seconds:.0f}"


def due(labels: Mapping[str, str], now: float) -> bool:
    """Whether half of the credentials' time is over, or their age is unknown."""
    parts = labels.get(LABEL, "").partition("+")
    since, seconds = number(parts[0]), number(parts[2])
    return since is None or seconds is None or now - since >= seconds / 2 or now < since - seconds
