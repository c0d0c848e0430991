"""The configuration's own tags, which go on all of the cluster's resources, and so must be such as all services take.

IAM is the strictest of them: its tags are of the characters below, which S3, CloudWatch Logs and Elastic Load Balancing
state too, and neither a key nor a value begins with aws:
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_S3Tag.html). In the tags of its roles upper and lower case
are the same (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html, "Rules for tagging"). EC2 takes any
character, and 50 tags of a resource (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html, "Tag
restrictions"); KMS has the lengths (https://docs.aws.amazon.com/kms/latest/APIReference/API_Tag.html).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import Any, Iterable, Mapping

from .._core.upgrade_marker import TAG as USUAL_SIZE
from ..aws import tags

# Of a resource, and of those the collection's own of an Auto Scaling group, which has the most.
LIMIT = 50
OWN = ("Name", tags.CLUSTER, tags.GROUP, tags.ROLE, tags.DESIRED, USUAL_SIZE)
KEY_LENGTH, VALUE_LENGTH = 128, 256
SYMBOLS = "_.:/=+-@"
# Whose a beginning is, in upper or lower case.
RESERVED = {"aws:": "AWS's own", "swarm.aws/": "the collection's own"}
_SHOWN = 40


def problems(given: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each thing that is wrong with the tags, whose numbers and booleans have become texts."""
    most = LIMIT - len(OWN)
    if len(given) > most:
        yield (
            f"cluster_tags has {len(given)} tags, but {most} are the most: AWS takes {LIMIT} of a resource, and "
            f"{len(OWN)} are the collection's."
        )
    spellings = defaultdict(list)
    for key, value in given.items():
        spellings[key.lower()].append(key)
        yield from _key(key)
        yield from _value(_shown(key), value)
    for same in spellings.values():
        if len(same) > 1:
            yield (
                f"cluster_tags has the keys {' and '.join(same)}, but IAM takes upper and lower case for the same in "
                "the tags of roles: leave one of them out."
            )


def _key(key: str) -> Iterable[str]:
    what = f"cluster_tags has the key {_shown(key)!r}"
    if not key:
        yield f"cluster_tags has a key without a character, but AWS takes 1 to {KEY_LENGTH}: name it."
    yield from _text(what, key, KEY_LENGTH, RESERVED, "rename it")


def _value(key: str, value: Any) -> Iterable[str]:
    if value is None:
        yield f"cluster_tags has no value of {key}: give it one, '' for an empty one, or leave the key out."
    elif isinstance(value, str):
        what = f"cluster_tags has the value {_shown(value)!r} of {key}"
        yield from _text(what, value, VALUE_LENGTH, {"aws:": RESERVED["aws:"]}, "change it")
    else:
        kind, such = ("mapping", "web") if isinstance(value, Mapping) else ("list", "web db")
        yield f"cluster_tags has a {kind} as the value of {key}, but AWS takes only a text: give one, such as '{such}'."


def _text(what: str, text: str, most: int, reserved: Mapping[str, str], remedy: str) -> Iterable[str]:
    if len(text) > most:
        yield f"{what} of {len(text)} characters, but AWS takes {most} at most: shorten it."
    wrong = [character for character in dict.fromkeys(text) if not _allowed(character)]
    if wrong:
        yield (
            f"{what} with {', '.join(map(repr, wrong))}, but AWS takes only letters, digits, spaces and "
            f"{' '.join(SYMBOLS)} in it: {remedy}."
        )
    for beginning, owner in reserved.items():
        if text.lower().startswith(beginning):
            yield f"{what}, but {beginning} at its beginning is {owner}: {remedy}."


def _allowed(character: str) -> bool:
    """Whether it is a letter, a number or a separator of Unicode, or one of the symbols."""
    return character in SYMBOLS or unicodedata.category(character)[0] in "LNZ"


def _shown(text: str) -> str:
    """Enough of it to know it again."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
