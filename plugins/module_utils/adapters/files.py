"""Files that are never half written."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write all of it or nothing, whatever ends this process. Raises OSError."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
