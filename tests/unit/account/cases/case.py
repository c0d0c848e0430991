"""What a module is told, how to see what it built, and what others may do to that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.unit.account.account import Account, settled

CLUSTER = "example"
TAGS = {"team": "blue"}
Drift = Callable[[AwsSession], object]


@dataclass(frozen=True)
class Case:
    """A module with arguments that make it build all that it can."""

    module: ModuleType
    # Builds what must be there before, and returns the module's parameters.
    prepare: Callable[[Account], Mapping[str, Any]]
    # What AWS tells of what the module built.
    look: Callable[[AwsSession], Any]
    # What others may do to it, by a phrase that says what.
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    # What tells it from another case of the same module.
    what: str = ""

    @property
    def name(self) -> str:
        return f"{self.what} {self.module.__name__.rsplit('.', 1)[-1]}".strip()

    def run(self, account: Account, params: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        return account.run(self.module.ARGUMENTS, self.module.work, params, check=check)

    def state(self, account: Account) -> Any:
        """What stands, comparable with what stands in another account."""
        return settled(self.look(account.aws))
