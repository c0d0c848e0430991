"""Atomic writes of files."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write all of it or nothing, even if this process is killed. Raises OSError."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
