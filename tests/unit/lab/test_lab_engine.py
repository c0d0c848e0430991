"""The output of a command on an instance, in the engine's format and in the guest's."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from lab import engine
from lab.engine import KERNEL_LABEL, execute, frames, remove_instance


def framed(pieces: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([kind, 0, 0, 0]) + len(piece).to_bytes(4, "big") + piece for kind, piece in pieces)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))))
def test_only_the_headers_of_frames_are_removed(pieces: list[tuple[int, bytes]]) -> None:
    assert frames(framed(pieces)) == b"".join(piece for _, piece in pieces)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("\x000", (0, "")),
        ("one\ntwo\n\x003", (3, "one\ntwo\n")),
        ("a\0b\x00137", (137, "a\0b")),
        ("console: connect: No route to host", (255, "console: connect: No route to host")),
    ],
)
def test_a_guests_console_prints_the_exit_code_last(
    monkeypatch: pytest.MonkeyPatch, printed: str, expected: tuple[int, str]
) -> None:
    run: list[tuple[str, ...]] = []

    def fake(container: Any, *words: str, **_: bool) -> tuple[int, str]:
        run.append(words)
        return 0, printed

    monkeypatch.setattr(engine, "_run", fake)
    assert execute(Mock(labels={KERNEL_LABEL: "own"}), "cat", "it's\n", stderr=False) == expected
    assert json.loads(run[0][-1]) == [False, "cat", "it's\n"]


def test_an_instance_that_ends_slowly_is_removed_all_the_same() -> None:
    slow = APIError("Could not kill running container", response=Mock(status_code=500))
    container, volume, outer = Mock(), Mock(), Mock()
    container.remove.side_effect = [slow, None]
    outer.containers.get.return_value, outer.volumes.get.return_value = container, volume
    remove_instance(outer, "swarm-lab-i-1")
    assert container.remove.call_count == 2
    volume.remove.assert_called_once()
