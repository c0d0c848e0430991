"""The swarm's state on a manager's disk: copy it consistently, pack it and unpack it.

Stopping the engine would stop the containers of all services on the node. SIGSTOP holds it instead, for the fraction
of a second that copying takes. The copy is what an engine leaves that is killed at that moment, and Raft's log is made
to be read after a kill. Containers keep running meanwhile, and Raft waits several seconds for a silent manager.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import tarfile
import time
from pathlib import Path
from typing import Callable, Iterator, Tuple

from .._core.backup_schedule import BackupError
from .._core.errors import SwarmError, Unavailable

# Seconds that the engine is held at most: less than Raft waits for a silent manager before it acts.
LONGEST_HOLD = 2.0
PID_FILE = Path("/run/docker.pid")
# Files that are only valid on this host at this moment: its addresses, the managers that it knew, and its tasks.
HOSTS_OWN = ("docker-state.json", "state.json", "worker/tasks.db")
_CHUNK = 1 << 20


def copy(source: Path, target: Path, pid: int, now: Callable[[], float] = time.monotonic) -> float:
    """Copy the folder with the swarm's state. Returns the seconds for which the engine was held.

    Raises Unavailable if copying takes too long.
    """
    began = now()
    with held(pid):
        for folder, folders, files in os.walk(source):
            inside = target / Path(folder).relative_to(source)
            inside.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders.sort()
            # Raft prepares its log in such files, which are still empty.
            for name in sorted(name for name in files if not name.endswith(".tmp")):
                shutil.copyfile(Path(folder) / name, inside / name)
                if now() - began > LONGEST_HOLD:
                    raise Unavailable(
                        f"The swarm's state in {source} could not be copied within {LONGEST_HOLD:g} s, and the engine "
                        "is not held for longer: run this again when the disk is less busy."
                    )
    return now() - began


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """Stop all threads of a process with SIGSTOP. A child continues the process if this process dies meanwhile.

    Raises Unavailable if a thread keeps running.
    """
    guard = os.fork()
    if guard == 0:
        os.setsid()
        # The longest time for stopping all threads and copying.
        time.sleep(LONGEST_HOLD * 2)
        os.kill(pid, signal.SIGCONT)
        os._exit(0)
    try:
        os.kill(pid, signal.SIGSTOP)
        _await_standstill(pid)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        os.kill(guard, signal.SIGKILL)
        os.waitpid(guard, 0)


def _await_standstill(pid: int) -> None:
    """Wait until the signal reaches every thread: a thread stops when it next runs, or when its disk access ends."""
    deadline = time.monotonic() + LONGEST_HOLD
    while not _stands_still(pid):
        if time.monotonic() > deadline:
            raise Unavailable(f"The process {pid} did not stop within {LONGEST_HOLD:g} s: run this again.")
        time.sleep(0.001)


def _stands_still(pid: int) -> bool:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # The thread may have ended meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (thread / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "TtZX":
                return False
    return True


def locked(folder: Path) -> bool:
    """Whether a manager's state can only be read with an unlock key. Raises Unavailable."""
    path = folder / "certificates" / "swarm-node.key"
    try:
        return b"ENCRYPTED" in path.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def engine_pid() -> int:
    """The engine's process. Raises SwarmError."""
    try:
        return int(PID_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SwarmError(f"{PID_FILE} does not contain the engine's process ID: {error}") from error


def pack(folder: Path, archive: Path) -> Tuple[str, int]:
    """Pack a folder's content; returns the archive's SHA-256 and its size in bytes."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as packed:
        for path in sorted(folder.rglob("*")):
            packed.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False)
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest(), archive.stat().st_size


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into a new folder, without `HOSTS_OWN`. Raises BackupError for an entry that `pack` never writes."""
    folder.mkdir(mode=0o700, parents=True)
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for entry in packed:
                path = Path(entry.name)
                if path.is_absolute() or ".." in path.parts or not (entry.isfile() or entry.isdir()):
                    raise BackupError(f"The backup has an entry '{entry.name}', which no backup has: it is refused.")
                if entry.name in HOSTS_OWN:
                    continue
                if entry.isdir():
                    (folder / path).mkdir(mode=0o700, exist_ok=True)
                    continue
                content = packed.extractfile(entry)
                if content is None:
                    raise BackupError(f"The backup's entry '{entry.name}' cannot be read.")
                with content, (folder / path).open("wb") as file:
                    shutil.copyfileobj(content, file, _CHUNK)
                (folder / path).chmod(entry.mode & 0o700)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"The backup cannot be unpacked: {error}") from error
