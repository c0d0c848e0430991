"""The output of a command in a container, in the engine's format."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.engine import frames


def framed(pieces: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([kind, 0, 0, 0]) + len(piece).to_bytes(4, "big") + piece for kind, piece in pieces)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))))
def test_only_the_headers_of_frames_are_removed(pieces: list[tuple[int, bytes]]) -> None:
    assert frames(framed(pieces)) == b"".join(piece for _, piece in pieces)
