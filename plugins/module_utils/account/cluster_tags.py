"""Rules for `cluster_tags`: all services must accept the tags, since all of the cluster's resources get them.

IAM is the strictest: it accepts only the characters below, which S3, CloudWatch Logs and Elastic Load Balancing
state too, and neither keys nor values that start with aws:
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_S3Tag.html). In the tags of its roles upper and lower case
are equal (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html, "Rules for tagging"). EC2 accepts any
character, and 50 tags per resource (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html, "Tag
restrictions"); KMS has the lengths (https://docs.aws.amazon.com/kms/latest/APIReference/API_Tag.html).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import Any, Iterable, Mapping

from .._core.upgrade_marker import TAG as ORIGINAL_SIZE
from ..aws import tags

# Tags of a resource, and the collection's own tags of an Auto Scaling group, which has the most.
LIMIT = 50
OWN = ("Name", tags.CLUSTER, tags.GROUP, tags.ROLE, tags.DESIRED, ORIGINAL_SIZE)
KEY_LENGTH, VALUE_LENGTH = 128, 256
SYMBOLS = "_.:/=+-@"
# The owner of each reserved prefix, in upper or lower case.
RESERVED = {"aws:": "AWS's own", "swarm.aws/": "the collection's own"}
_SHOWN = 40


def problems(given: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each error in the tags. Numbers and booleans are already strings."""
    most = LIMIT - len(OWN)
    if len(given) > most:
        yield (
            f"cluster_tags has {len(given)} tags, but the maximum is {most}: AWS accepts {LIMIT} per resource, and "
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
                f"cluster_tags has the keys {' and '.join(same)}, but in the tags of roles IAM ignores case: remove "
                "one of them."
            )


def _key(key: str) -> Iterable[str]:
    what = f"cluster_tags has the key {_shown(key)!r}"
    if not key:
        yield f"cluster_tags has an empty key, but AWS accepts 1 to {KEY_LENGTH} characters: name it."
    yield from _text(what, key, KEY_LENGTH, RESERVED, "rename it")


def _value(key: str, value: Any) -> Iterable[str]:
    if value is None:
        yield f"cluster_tags has no value for {key}: set a value, '' for an empty value, or remove the key."
    elif isinstance(value, str):
        what = f"cluster_tags has the value {_shown(value)!r} for {key}"
        yield from _text(what, value, VALUE_LENGTH, {"aws:": RESERVED["aws:"]}, "change it")
    else:
        kind, such = ("mapping", "web") if isinstance(value, Mapping) else ("list", "web db")
        yield f"cluster_tags has a {kind} as the value of {key}, but AWS accepts only strings, such as '{such}'."


def _text(what: str, text: str, most: int, reserved: Mapping[str, str], remedy: str) -> Iterable[str]:
    if len(text) > most:
        yield f"{what} with {len(text)} characters, but AWS accepts at most {most}: shorten it."
    wrong = [character for character in dict.fromkeys(text) if not _allowed(character)]
    if wrong:
        yield (
            f"{what} with {', '.join(map(repr, wrong))}, but AWS accepts only letters, digits, spaces and "
            f"{' '.join(SYMBOLS)}: {remedy}."
        )
    for prefix, owner in reserved.items():
        if text.lower().startswith(prefix):
            yield f"{what}, but the prefix {prefix} is {owner}: {remedy}."


def _allowed(character: str) -> bool:
    """Whether the character is a Unicode letter, number or separator, or an allowed symbol."""
    return character in SYMBOLS or unicodedata.category(character)[0] in "LNZ"


def _shown(text: str) -> str:
    """The text, shortened to be recognisable."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
