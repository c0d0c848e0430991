"""Removing known secrets, and anything that looks like a secret, from texts and documents.

It prefers to remove too much. The names of removed values stay, to show that there was a value.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterable, List, Mapping, Pattern, Sequence, Tuple, Union

REMOVED = "[removed]"
# Shorter secrets would match everywhere in a log. Only their names find them.
SHORTEST = 6
# The most characters of a private key, with a log's prefix on each line.
_KEY_SIZE = 20000

_SUSPECT = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|unlock[_-]?key"
    r"|signing[_-]?key|encryption[_-]?key|authorization|cookie)"
)
_NAMED = re.compile(_SUSPECT, re.IGNORECASE)
# A value: in quotes, which are escaped in nested JSON, or up to the next space.
_VALUE = (
    r"""(?P<quote>\\*["'])(?:(?!(?P=quote)).)*(?P=quote)"""
    r"""|(?:(?:Bearer|Basic|Token)\s+)?[^\s"',;&\\{}\[\]()]+"""
)
_PAIR = re.compile(
    rf"""(?P<name>[\w.-]*{_SUSPECT}[\w.-]*\\*["']?\s*(?:=>|[:=])\s*)(?:{_VALUE})""",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"""(?P<name>(?<!\S)--?[\w-]*{_SUSPECT}[\w-]*\s+)(?:{_VALUE})""", re.IGNORECASE)
_OPTION_NAME = re.compile(rf"--?[\w-]*{_SUSPECT}[\w-]*", re.IGNORECASE)
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{60,}")
_ACCESS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])")
# Environment variables that each image sets, whose values are harmless.
_HARMLESS = {"PATH", "HOME", "HOSTNAME", "LANG", "LC_ALL", "TZ", "TERM", "container"}
# The keys of NAME=value lists in documents of the engine and AWS, and the keys whose values are always secret.
_ENVIRONMENTS = {"Env", "Environment"}
_SECRET_KEYS = {"JoinTokens", "UnlockKey", "UserData", "Data", "IdentityToken", "RegistryToken", "Auth"}

Replacement = Union[str, Callable[["re.Match[str]"], str]]


def _keep_name(match: "re.Match[str]") -> str:
    return match.group("name") + REMOVED


def _if_mixed(match: "re.Match[str]") -> str:
    """Keys and tokens mix upper case, lower case and digits; digests, IDs and paths do not."""
    text = match.group()
    sorts = (
        any(map(str.isupper, text)),
        any(map(str.islower, text)),
        any(character.isdigit() or character in "+/" for character in text),
    )
    return REMOVED if all(sorts) else text


# Secrets that are recognised by their form alone. Each search takes linear time.
_PLAIN: Sequence[Tuple[Pattern[str], Replacement]] = (
    (
        re.compile(
            # A key without an end matches as far as it looks like a key.
            rf"-----BEGIN (?P<kind>[A-Z0-9 ]{{0,20}}PRIVATE KEY)-----"
            rf"(?:(?:(?!-----BEGIN).){{0,{_KEY_SIZE}}}?-----END (?P=kind)-----|[A-Za-z0-9+/=\s\\]*)",
            re.DOTALL,
        ),
        REMOVED,
    ),
    (re.compile(r"SWMTKN-[\w-]+"), "SWMTKN-" + REMOVED),
    (re.compile(r"SWMKEY-[\w+/=-]+"), "SWMKEY-" + REMOVED),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}"), REMOVED),
    (re.compile(r"(?P<name>[a-z][a-z0-9+.-]{0,20}://)[^\s/@\"']+@", re.IGNORECASE), rf"\g<name>{REMOVED}@"),
    (re.compile(r"(?P<name>X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE), _keep_name),
    (re.compile(r"(?P<name>\bBearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE), _keep_name),
)
# Values that are suspect by the name before them, or by their length and mix.
_SUSPECTS: Sequence[Tuple[Pattern[str], Replacement]] = (
    (_PAIR, _keep_name),
    (_OPTION, _keep_name),
    (_LONG, _if_mixed),
    (_ACCESS_SECRET, _if_mixed),
)


def without_plain_secrets(text: str) -> str:
    """The text without secrets that are recognised by their form alone, such as join tokens."""
    return _replaced(text, _PLAIN)


def _replaced(text: str, patterns: Sequence[Tuple[Pattern[str], Replacement]]) -> str:
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text


class Redactor:
    """Removes secrets."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known`` are secrets that are removed everywhere, also in JSON's spelling."""
        values = {secret.strip() for secret in known}
        values |= {json.dumps(value)[1:-1] for value in values}
        ordered = sorted((value for value in values if len(value) >= SHORTEST), key=lambda value: (-len(value), value))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known:
            text = self._known.sub(REMOVED, text)
        return _replaced(text, (*_PLAIN, *_SUSPECTS))

    def document(self, value: Any, name: str = "") -> Any:
        """A decoded JSON document without secrets. The names of environment variables stay."""
        if name in _SECRET_KEYS and value:
            return REMOVED
        if isinstance(value, Mapping):
            if name in _ENVIRONMENTS:
                return {str(key): REMOVED for key in value}
            return {self.text(str(key)): self.document(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            if name in _ENVIRONMENTS:
                return [f"{str(pair).partition('=')[0]}={REMOVED}" for pair in value]
            return self._words(value, name)
        if isinstance(value, str):
            return REMOVED if value and _NAMED.search(name) else self.text(value)
        return value

    def _words(self, values: Sequence[Any], name: str) -> List[Any]:
        """A list, perhaps the words of a command: the word after an option such as --password is removed."""
        result: List[Any] = []
        before: Any = None
        for value in values:
            follows = isinstance(before, str) and _OPTION_NAME.fullmatch(before) and isinstance(value, str)
            result.append(REMOVED if follows else self.document(value, name if isinstance(value, str) else ""))
            before = value
        return result


def environment_values(document: Any) -> List[str]:
    """The values of all environments in a document of the engine, except the harmless variables."""
    if isinstance(document, Mapping):
        found = [
            value for key, inner in document.items() if key not in _ENVIRONMENTS for value in environment_values(inner)
        ]
        for key in _ENVIRONMENTS.intersection(document):
            for pair in document[key] or ():
                variable, _dummy, value = str(pair).partition("=")
                if variable not in _HARMLESS and value:
                    found.append(value)
        return found
    if isinstance(document, (list, tuple)):
        return [value for inner in document for value in environment_values(inner)]
    return []
