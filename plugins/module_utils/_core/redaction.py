"""Removing secrets from texts and documents: those that are known, and whatever looks like one.

It rather removes too much. Of what is removed the name stays, so that one sees that something was there.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterable, List, Mapping, Pattern, Sequence, Tuple, Union

REMOVED = "[removed]"
# Shorter ones would take half of a log with them; they go by their names only.
SHORTEST = 6
# Characters of a private key, at most, with what a log puts before each line.
_KEY_SIZE = 20000

_SUSPECT = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|unlock[_-]?key"
    r"|signing[_-]?key|encryption[_-]?key|authorization|cookie)"
)
_NAMED = re.compile(_SUSPECT, re.IGNORECASE)
# A value: in quotes, which JSON within JSON escapes, or up to the next space.
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
# Names of environment variables that every image sets, and whose values say nothing.
_HARMLESS = {"PATH", "HOME", "HOSTNAME", "LANG", "LC_ALL", "TZ", "TERM", "container"}
# Where documents of the engine and of AWS keep lists of NAME=value, and what is secret whatever it looks like.
_ENVIRONMENTS = {"Env", "Environment"}
_SECRET_KEYS = {"JoinTokens", "UnlockKey", "UserData", "Data", "IdentityToken", "RegistryToken", "Auth"}

Replacement = Union[str, Callable[["re.Match[str]"], str]]


def _keep_name(match: "re.Match[str]") -> str:
    return match.group("name") + REMOVED


def _if_mixed(match: "re.Match[str]") -> str:
    """Keys and tokens are a mix of all sorts; digests, IDs and paths are not."""
    text = match.group()
    sorts = (
        any(map(str.isupper, text)),
        any(map(str.islower, text)),
        any(character.isdigit() or character in "+/" for character in text),
    )
    return REMOVED if all(sorts) else text


# Secrets that one knows by their look alone. A search takes time that grows with the text's length and no faster.
_PLAIN: Sequence[Tuple[Pattern[str], Replacement]] = (
    (
        re.compile(
            # One without an end goes as far as it looks like one.
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
# What is suspect by the name before it, or by how long and mixed it is.
_SUSPECTS: Sequence[Tuple[Pattern[str], Replacement]] = (
    (_PAIR, _keep_name),
    (_OPTION, _keep_name),
    (_LONG, _if_mixed),
    (_ACCESS_SECRET, _if_mixed),
)


def without_plain_secrets(text: str) -> str:
    """The text without what is a secret by its look alone, such as join tokens; other words stay as they are."""
    return _replaced(text, _PLAIN)


def _replaced(text: str, patterns: Sequence[Tuple[Pattern[str], Replacement]]) -> str:
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text


class Redactor:
    """Removes secrets."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known`` are secrets that are removed wherever they stand, also as JSON writes them."""
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
        """A decoded JSON document without secrets; of environments the variables' names stay."""
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
        """A list, which may be the words of a command: what follows such an option as --password goes."""
        result: List[Any] = []
        before: Any = None
        for value in values:
            follows = isinstance(before, str) and _OPTION_NAME.fullmatch(before) and isinstance(value, str)
            result.append(REMOVED if follows else self.document(value, name if isinstance(value, str) else ""))
            before = value
        return result


def environment_values(document: Any) -> List[str]:
    """The values of all environments in a document of the engine, apart from those that every image sets."""
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
