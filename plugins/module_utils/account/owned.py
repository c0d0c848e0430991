"""What a cluster owns of EC2's network: how it is named, and told from what is others'."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..aws import tags
from ..aws.changes import Changes
from ..aws.errors import ProvisionError


class Owned:
    """The tags of one cluster's resources."""

    def __init__(self, ec2: Any, cluster: str, own_tags: Mapping[str, str], changes: Changes) -> None:
        self._ec2, self._own_tags, self._changes = ec2, own_tags, changes
        self.cluster = cluster

    def tags(self, name: str, **more: str) -> dict[str, str]:
        """All tags of the resource of that name."""
        return {**tags.of_cluster(self.cluster, self._own_tags, Name=name), **more}

    def only(self, kind: str, found: Sequence[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
        """The one of them, if there is one. Raises ProvisionError if there are more."""
        if len(found) > 1:
            names = ", ".join(sorted(one[key] for one in found))
            raise ProvisionError(
                f"The cluster '{self.cluster}' has more than one {kind} ({names}): "
                f"remove the tag {tags.CLUSTER} from those that are not in use."
            )
        return found[0] if found else None

    def keep_tags(
        self, resource: str, identifier: str, present: Sequence[Mapping[str, str]], wanted: Mapping[str, str]
    ) -> None:
        """Give it the tags that it does not have."""
        before = tags.from_list(present)
        self._changes.add_tags(
            f"{resource} {identifier}",
            before,
            wanted,
            lambda missing: self._ec2.create_tags(Resources=[identifier], Tags=tags.to_list(missing)),
        )
