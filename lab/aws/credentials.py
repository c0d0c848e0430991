"""The temporary credentials of instance profiles, and the owners of access keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.aws import world
from lab.aws.instances import LabInstance
from lab.state import ACCOUNT_ID, REGION

LIFETIME = timedelta(hours=6)
RENEWED_BEFORE = timedelta(hours=1)


@dataclass(frozen=True)
class Administrator:
    """The account's owner, who may do everything."""

    name = world.ADMINISTRATOR
    arn = session_arn = f"arn:aws:iam::{ACCOUNT_ID}:root"
    kind = "Account"
    token = expires = None


@dataclass(frozen=True)
class Role:
    """A caller with a role's temporary credentials."""

    kind = "AssumedRole"
    name: str
    arn: str
    session: str
    token: str
    expires: datetime

    @property
    def session_arn(self) -> str:
        return f"arn:aws:sts::{self.arn.split(':')[4]}:assumed-role/{self.name}/{self.session}"

    def entity(self) -> Any | None:
        """The role in IAM, or None if it was deleted."""
        return next((role for role in world.iam().roles.values() if role.arn == self.arn), None)


@dataclass(frozen=True)
class User:
    """A caller with a user's access key, which does not expire and has no token."""

    name: str
    arn: str
    kind = "User"
    token = expires = None

    @property
    def session_arn(self) -> str:
        return self.arn

    def entity(self) -> Any | None:
        """The user in IAM."""
        return world.iam().users.get(self.name)


Caller = Administrator | Role | User


def role_of(instance: LabInstance) -> Any | None:
    """The role in the instance's profile, in IAM."""
    profile = instance.profile
    return profile.roles[0] if profile and profile.roles else None


def of_instance(instance: LabInstance) -> dict[str, str] | None:
    """The instance's credentials from its metadata, renewed before they expire; None without a role."""
    with world.LOCK:
        role = role_of(instance)
        if role is None:
            return None
        now = datetime.now(UTC)
        held: tuple[str, datetime, dict[str, str]] | None = getattr(instance, "held_credentials", None)
        if held and held[0] == role.arn and held[1] - now > RENEWED_BEFORE:
            return held[2]
        seconds = int(LIFETIME.total_seconds())
        assumed = world.sts().assume_role(REGION, instance.id, role.arn, None, seconds, None)
        fresh = {
            "Code": "Success",
            "LastUpdated": world.timestamp(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": assumed.access_key_id,
            "SecretAccessKey": assumed.secret_access_key,
            "Token": assumed.session_token,
            "Expiration": world.timestamp(now + LIFETIME),
        }
        instance.held_credentials = (role.arn, now + LIFETIME, fresh)  # type: ignore[attr-defined]
        return fresh


def caller_with_key(access_key: str) -> Caller | None:
    """The role or user with this access key; None if there is none."""
    assumed = world.sts().get_assumed_role_from_access_key(access_key)
    if assumed is not None:
        arn: str = assumed.role_arn
        expires = assumed.expiration.replace(tzinfo=UTC)
        return Role(arn.rsplit("/", 1)[-1], arn, assumed.session_name, assumed.session_token, expires)
    for user in world.iam().users.values():
        if any(key.access_key_id == access_key and key.status == "Active" for key in user.access_keys):
            return User(user.name, user.arn)
    return None


def handed_out() -> list[str]:
    """Every secret key and session token that instances have received."""
    assumed = world.sts().assumed_roles
    return [secret for session in assumed for secret in (session.secret_access_key, session.session_token)]
