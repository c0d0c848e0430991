"""The node's configuration, which the instance's user data writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from .._core.errors import SwarmError
from .._core.join.ports import ROLES
from .._core.parsing import SHAPE_ERRORS, decoded

# The role of an instance in no swarm, which tests a backup.
DRILL = "drill"
PATH = Path("/etc/swarm-agent/config.json")


TEXTS = ("cluster", "region", "account_id", "bucket", "group", "role")


@dataclass(frozen=True)
class Logs:
    """The log group of the node's journal, and its limits."""

    group: str
    mib_per_day: int


@dataclass(frozen=True)
class Config:
    """The file ``/etc/swarm-agent/config.json``."""

    cluster: str
    region: str
    account_id: str
    bucket: str
    group: str
    role: str
    """``manager`` or ``worker``, or ``drill`` for an instance that tests a backup."""
    logs: Optional[Logs] = None
    """Where the journal is sent; None if it stays on the node."""

    @property
    def place(self) -> Tuple[str, str, str, str]:
        """A joiner's arguments, in that order."""
        return self.cluster, self.region, self.bucket, self.role

    @classmethod
    def load(cls, path: Path = PATH) -> Config:
        """Raises SwarmError, which names the file and what is wrong with it."""
        try:
            found = decoded(path.read_bytes())
            config = cls(**{name: found[name] for name in TEXTS}, logs=_logs(found.get("logs")))
        except OSError as error:
            raise SwarmError(f"{path} cannot be read: {error.strerror}") from error
        except KeyError as error:
            raise SwarmError(f"{path} does not say {error.args[0]!r}.") from error
        except SHAPE_ERRORS as error:
            raise SwarmError(f"{path} is not a JSON object: {error}") from error
        for name in TEXTS:
            value = getattr(config, name)
            if not isinstance(value, str) or not value:
                raise SwarmError(f"{path} says {name} is {value!r}, but it must be a non-empty string.")
        roles = (*ROLES, DRILL)
        if config.role not in roles:
            raise SwarmError(f"{path} says role is {config.role!r}, but it must be one of {', '.join(roles)}.")
        return config


def _logs(found: Optional[Mapping[str, Any]]) -> Optional[Logs]:
    return Logs(str(found["group"]), int(found["mib_per_day"])) if found else None
