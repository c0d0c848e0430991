"""The lab's registry: Debian's docker-registry with a folder that outlives the labs, so that images are pushed once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import packages
from lab.state import HOME
from lab.waiting import answers, until

FOLDER = HOME / "registry"
IMAGES = FOLDER / "images"
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {images}}}}}
http: {{addr: "{address}:{port}"}}
"""


def program() -> Path:
    """The registry's program, extracted from Debian's package.

    Raises LabError if the package cannot be downloaded.
    """
    found = FOLDER / "docker-registry"
    if not found.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            packages.extract("docker-registry", Path(folder), needed_for="The lab's registry")
            shutil.copy2(Path(folder) / "usr/bin/docker-registry", found)
    return found


@contextmanager
def serving(address: str, port: int) -> Iterator[str]:
    """Run the registry at an address as long as the context lasts; yields ``host:port``."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write(_CONFIG.format(images=IMAGES, address=address, port=port))
        config.flush()
        process = subprocess.Popen(
            [program(), "serve", config.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OTEL_TRACES_EXPORTER": "none"},
        )
        try:
            until("the registry to answer", lambda: answers(f"http://{address}:{port}/v2/", seconds=1), seconds=20)
            yield f"{address}:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
