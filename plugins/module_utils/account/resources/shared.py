"""What the finders have in common."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Mapping

from ...aws import tags
from ...aws.session import unless_missing


def flat(pages: Iterable[Mapping[str, Any]], key: str) -> Iterator[Any]:
    """What stands under a key on all pages of an answer."""
    for page in pages:
        yield from page.get(key, [])


def named_and_tagged(
    iam: Any,
    listing: str,
    key: str,
    name: str,
    get: Callable[[str], Mapping[str, Any]],
    prefix: str,
    cluster: str,
) -> Iterator[Mapping[str, Any]]:
    """Those of IAM's entities that have names that begin so, and the cluster's tag; IAM cannot look for tags."""
    for one in flat(iam.get_paginator(listing).paginate(), key):
        if not one[name].startswith(prefix):
            continue
        # The listing leaves the tags out.
        found = unless_missing(lambda one=one: get(one[name]), "NoSuchEntity")  # type: ignore[misc]
        if found and tags.from_list(found.get("Tags", [])).get(tags.CLUSTER) == cluster:
            yield found
