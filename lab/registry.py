"""The lab's registry: Debian's docker-registry over a folder that outlives the labs, so that images are pushed once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.commands import run
from lab.errors import LabError
from lab.state import HOME
from lab.waiting import until

FOLDER = HOME / "registry"
IMAGES = FOLDER / "images"
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {images}}}}}
http: {{addr: "{address}:{port}"}}
"""


def program() -> Path:
    """The registry's program, taken out of Debian's package rather than installed: installing would start a service.

    Raises LabError where Debian's packages cannot be had.
    """
    found = FOLDER / "docker-registry"
    if found.exists():
        return found
    if not shutil.which("apt-get"):
        raise LabError(
            "The lab's registry comes from Debian's package docker-registry and this machine has no apt-get."
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # apt's own unprivileged downloader may not read a folder of root's; the warning about it is harmless.
        command = ["apt-get", "-qq", "download", "docker-registry"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        packages = list(Path(folder).glob("*.deb"))
        if not packages:
            raise LabError(f"`{' '.join(command)}` brought nothing: {result.stderr.strip()}")
        run("dpkg-deb", "--extract", str(packages[0]), folder)
        shutil.copy2(Path(folder) / "usr/bin/docker-registry", found)
    return found


@contextmanager
def serving(address: str, port: int) -> Iterator[str]:
    """Run the registry at an address for as long as the context lasts; gives ``host:port``."""
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
            until("the registry to answer", lambda: _answers(f"http://{address}:{port}/v2/"), seconds=20)
            yield f"{address}:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False
