"""Condition keys for the tags of requests and of resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Context = dict[str, Any]


def plain(tags: Any) -> dict[str, str]:
    """Tags in any format of an AWS service, as a dictionary."""
    if isinstance(tags, Mapping):
        return dict(tags)
    named = [{key.lower().removeprefix("tag"): value for key, value in tag.items()} for tag in tags or []]
    return {tag["key"]: tag.get("value") or "" for tag in named}


def of_resource(tags: Any, *prefixes: str) -> Context:
    """Condition keys for a resource's tags, such as ``aws:ResourceTag/Name``."""
    return {f"{prefix}/{key}": value for prefix in ("aws:ResourceTag", *prefixes) for key, value in plain(tags).items()}


def of_request(tags: Any) -> Context:
    """Condition keys for a request's tags, such as ``aws:RequestTag/Name``."""
    given = plain(tags)
    keys = {"aws:TagKeys": sorted(given)} if given else {}
    return {f"aws:RequestTag/{key}": value for key, value in given.items()} | keys
