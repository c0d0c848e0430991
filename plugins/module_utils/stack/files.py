"""The files that a compose file names."""

from __future__ import annotations

from pathlib import Path
from typing import Callable


def beside(compose_file: Path) -> Callable[[str], bytes]:
    """What reads a file by the name that a compose file gives it: from the compose file's folder, or from ``~``.

    Reading raises OSError.
    """
    return lambda name: (compose_file.parent / Path(name).expanduser()).read_bytes()
