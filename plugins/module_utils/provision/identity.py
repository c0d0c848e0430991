"""The roles that instances act under, and the instance profiles that hand them out."""

from __future__ import annotations

import json
from typing import Any, Mapping

from . import tags
from .changes import Changes
from .shell import Aws, code, once_visible, unless_missing

POLICY_NAME = "swarm"


class Identities:
    """Brings the cluster's roles to what they should be. Policies that others attached to them stay."""

    def __init__(
        self, aws: Aws, cluster: str, trust: Mapping[str, Any], own_tags: Mapping[str, str], changes: Changes
    ) -> None:
        self._iam, self._changes = aws.iam, changes
        self._cluster, self._trust = cluster, trust
        self._tags = tags.of_cluster(cluster, own_tags, **{tags.REGION: aws.region})

    def keep(self, name: str, description: str, policy: Mapping[str, Any]) -> None:
        """Keep one role with its policy and its instance profile, all of which carry the role's name."""
        there = self._role(name, description)
        self._policy(name, policy, there=there)
        self._profile(name)

    def _role(self, name: str, description: str) -> bool:
        found = unless_missing(lambda: self._iam.get_role(RoleName=name), "NoSuchEntity")
        if found is None:
            self._changes.apply(
                f"IAM role {name}",
                None,
                {"description": description, "trust": self._trust, "tags": self._tags},
                lambda: self._iam.create_role(
                    RoleName=name,
                    Description=description,
                    AssumeRolePolicyDocument=json.dumps(self._trust),
                    Tags=tags.to_list(self._tags),
                ),
            )
            return not self._changes.check_mode
        role = found["Role"]
        if role["AssumeRolePolicyDocument"] != self._trust:
            self._changes.apply(
                f"trust of the IAM role {name}",
                role["AssumeRolePolicyDocument"],
                self._trust,
                lambda: self._iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(self._trust)),
            )
        before = tags.from_list(role.get("Tags", []))
        self._changes.add_tags(
            f"IAM role {name}",
            before,
            self._tags,
            lambda missing: self._iam.tag_role(RoleName=name, Tags=tags.to_list(missing)),
        )
        return True

    def _policy(self, name: str, policy: Mapping[str, Any], *, there: bool) -> None:
        before = None
        if there:
            found = unless_missing(
                lambda: self._iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME), "NoSuchEntity"
            )
            before = found["PolicyDocument"] if found else None
        if before != policy:
            self._changes.apply(
                f"policy of the IAM role {name}",
                before,
                policy,
                lambda: once_visible(
                    lambda: self._iam.put_role_policy(
                        RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy)
                    ),
                    _not_yet,
                ),
            )

    def _profile(self, name: str) -> None:
        found = unless_missing(lambda: self._iam.get_instance_profile(InstanceProfileName=name), "NoSuchEntity")
        if found is None:
            self._changes.apply(
                f"instance profile {name}",
                None,
                {"role": name, "tags": self._tags},
                lambda: self._create_profile(name),
            )
            return
        profile = found["InstanceProfile"]
        before = tags.from_list(profile.get("Tags", []))
        self._changes.add_tags(
            f"instance profile {name}",
            before,
            self._tags,
            lambda missing: self._iam.tag_instance_profile(InstanceProfileName=name, Tags=tags.to_list(missing)),
        )
        roles = [role["RoleName"] for role in profile["Roles"]]
        if roles != [name]:
            self._changes.apply(
                f"instance profile {name}",
                {"role": ", ".join(roles)},
                {"role": name},
                lambda: self._replace_roles(name, roles),
            )

    def _create_profile(self, name: str) -> None:
        self._iam.create_instance_profile(InstanceProfileName=name, Tags=tags.to_list(self._tags))
        self._replace_roles(name, [])

    def _replace_roles(self, name: str, present: list[str]) -> None:
        for role in present:
            self._iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        once_visible(lambda: self._iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name), _not_yet)


def _not_yet(error: Exception) -> bool:
    return code(error) == "NoSuchEntity"
