"""Compressed archives that only their owner can read."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from pathlib import Path
from typing import Dict, Mapping


def pack(files: Mapping[str, str], path: Path) -> int:
    """Write the files, by their names in the archive, to ``path`` atomically. Returns its size in bytes.

    Raises OSError.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            body = text.encode("utf-8", errors="replace")
            entry.size, entry.mode, entry.mtime = len(body), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(body))
    compressed = gzip.compress(content.getvalue())
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(compressed)
    partial.replace(path)
    return len(compressed)


def unpack(path: Path) -> Dict[str, str]:
    """The files of an archive that `pack` wrote. Raises OSError."""
    files = {}
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            for entry in archive.getmembers():
                stream = archive.extractfile(entry)
                if stream is not None:
                    files[entry.name] = stream.read().decode("utf-8", errors="replace")
    except (tarfile.TarError, EOFError) as error:
        raise OSError(f"{path} is not a complete archive: {error}") from error
    return files
