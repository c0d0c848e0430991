"""The node's agent as a single executable file: a zip archive of the agent and of the modules that it shares."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Iterator, Tuple

from .._core.names import NODE_PYTHON

PACKAGE = "ansible_collections/swarm/aws"
# The archive has the collection's own layout, so that the same imports work in it.
SOURCES = ("runtime/swarm_agent", "plugins/module_utils/_core", "plugins/module_utils/adapters")
FILES = tuple(
    f"plugins/module_utils/aws/{name}.py" for name in ("__init__", "aws_session", "clock", "scaling_groups", "tags")
)
MAIN = f"from {PACKAGE.replace('/', '.')}.runtime.swarm_agent.cli import main\n\nmain()\n"
# On a node: Python of the agent's virtual environment.
SHEBANG = f"#!{NODE_PYTHON}\n".encode()
# The earliest time that a zip archive can have. Only the content determines the archive's bytes.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


class BundleError(Exception):
    """The agent's source is missing."""


def pack(root: Path) -> bytes:
    """The bundle of the collection at ``root``: the same bytes for the same sources. Raises BundleError."""
    content = io.BytesIO()
    content.write(SHEBANG)
    with zipfile.ZipFile(content, "a") as archive:
        for name, text in sorted(_entries(root)):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.external_attr = _MODE << 16
            # Stored as it is, since versions of zlib compress differently.
            archive.writestr(entry, text, zipfile.ZIP_STORED)
    return content.getvalue()


def _entries(root: Path) -> Iterator[Tuple[str, bytes]]:
    paths = [root / name for name in FILES]
    for source in SOURCES:
        paths += (root / source).rglob("*.py")
    names = {path.relative_to(root).as_posix(): path for path in paths}
    for source in SOURCES:
        if f"{source}/__init__.py" not in names:
            raise BundleError(f"There is no agent in {root}: {source}/__init__.py is missing.")
    packages = {"__main__.py": MAIN.encode()}
    for name, path in names.items():
        try:
            packages[f"{PACKAGE}/{name}"] = path.read_bytes()
        except OSError as error:
            raise BundleError(f"The agent's source {path} cannot be read: {error.strerror}") from error
    # In a zip archive, older versions of Python find packages only by this file.
    for name in list(packages):
        for parent in Path(name).parents:
            if parent.name:
                packages.setdefault(f"{parent.as_posix()}/__init__.py", b"")
    yield from packages.items()
