"""Permissions boundaries of users, which moto has for roles alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.responses import IamResponse

from lab.aws.grafts import Grafts


def install(grafts: Grafts) -> None:
    """Have IAM take them."""
    grafts.around(IamResponse, "create_user", _create_user)
    grafts.new(IamResponse, "put_user_permissions_boundary", _put)
    # Which names none.
    grafts.new(IamResponse, "delete_user_permissions_boundary", _put)


def _create_user(create: Callable[[Any], ActionResult], self: Any) -> ActionResult:
    answer = create(self)
    _put(self)
    return answer


def _put(self: Any) -> EmptyResult:
    self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = self._get_param("PermissionsBoundary")
    return EmptyResult()
