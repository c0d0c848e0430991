"""The outer Docker engine, which runs the lab's instances: the user's own, or an engine that the lab starts."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from lab.errors import LabError
from lab.packages import install
from lab.state import HOME
from lab.waiting import until

OWN = HOME / "engine"
OWN_SOCKET = f"unix://{OWN}/docker.sock"
LABEL = "swarm.aws.lab"
"""Every container and volume of a lab carries this label, with the lab's name."""
KERNEL_LABEL = f"{LABEL}.kernel"
"""On instances: ``own`` if they have a kernel of their own."""
# The guest's console (lab/images/kernel/console), over a cable inside its container.
_CONSOLE = ["bash", "-c", 'exec 3<>/dev/tcp/192.0.2.2/1; printf "%s\\n" "$1" >&3; cat <&3', "console"]


def connect() -> docker.DockerClient:
    """A client of the engine that serves the labs.

    Raises LabError if no engine answers.
    """
    for url in _candidates():
        client = _try(url)
        if client:
            return client
    raise LabError("No Docker engine answers; `lab up` finds or starts an engine.")


def ensure(say: Callable[[str], None]) -> docker.DockerClient:
    """A client of an engine. Installs and starts an engine if the machine has none."""
    try:
        return connect()
    except LabError:
        pass
    if not shutil.which("dockerd"):
        install("docker.io", say=say, needed_for="A Docker engine")
    say("starting an engine for the labs")
    _start_own()
    return connect()


def stop_own() -> None:
    """Stop the engine if the lab started it; the user's own engine keeps running."""
    pid_file = OWN / "docker.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    if _is(pid, "dockerd"):
        os.kill(pid, signal.SIGTERM)
        until("the lab's engine to stop", lambda: not _is(pid, "dockerd"), seconds=30)
    pid_file.unlink(missing_ok=True)
    until("the mounts of the lab's engine to be released", _unmount_own, seconds=30)
    shutil.rmtree(OWN / "exec", ignore_errors=True)
    Path(OWN / "docker.sock").unlink(missing_ok=True)


def _unmount_own() -> bool:
    """Unmount an engine's remains, its network namespace and its data's bind mount. Returns whether nothing is left.

    A container that has just ended may keep a mount busy.
    """
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    # In reverse order of mounting.
    left = [path for path in reversed(mounted) if Path(path).is_relative_to(OWN)]
    return all(subprocess.run(["umount", path], capture_output=True, check=False).returncode == 0 for path in left)


def execute(container: Container, *words: str, stderr: bool = True) -> tuple[int, str]:
    """Run a command on an instance and return its exit code and its output.

    The exit code is 255 if the instance has a kernel of its own, which has not booted.
    Raises docker.errors.APIError, for example for a container that has ended.
    """
    if container.labels.get(KERNEL_LABEL) != "own":
        return _run(container, *words, stderr=stderr)
    output, ended, code = _run(container, *_CONSOLE, json.dumps([stderr, *words]))[1].rpartition("\0")
    return (int(code), output) if ended else (255, code)


def _run(container: Container, *words: str, stderr: bool = True) -> tuple[int, str]:
    """Run a command in a container.

    The SDK's own method reads the socket directly and loses the bytes that the HTTP client has already buffered: the
    beginning of the output, on a busy machine (docker 7.2.0, ``_get_raw_response_socket``).
    """
    api = container.client.api
    begun = api.exec_create(container.id, list(words), stderr=stderr)["Id"]
    url = f"{api.base_url}/v{api.api_version}/exec/{begun}/start"
    answer = api.post(url, json={"Detach": False, "Tty": False})
    if not answer.ok:
        raise APIError("The command did not start.", response=answer, explanation=answer.text)
    return api.exec_inspect(begun)["ExitCode"], frames(answer.content).decode(errors="replace")


def frames(stream: bytes) -> bytes:
    """The output without the eight-byte headers that distinguish standard output from standard error.

    Each header has a byte for the stream, three zero bytes and the length (API reference, ContainerAttach).
    """
    printed = []
    while stream:
        length = int.from_bytes(stream[4:8], "big")
        printed.append(stream[8 : 8 + length])
        stream = stream[8 + length :]
    return b"".join(printed)


def remove_instance(engine: docker.DockerClient, name: str) -> None:
    """Remove an instance's container and its disk if they exist."""

    def removed() -> bool:
        try:
            engine.containers.get(name).remove(force=True)
        except NotFound:
            pass
        except APIError as error:
            # Its removal is in progress, or its processes took more than the engine's ten seconds to end.
            if error.status_code not in (409, 500):
                raise
            return False
        return True

    until(f"{name} to be removed", removed, seconds=90)
    with contextlib.suppress(NotFound):
        engine.volumes.get(name).remove(force=True)


def _candidates() -> list[str]:
    named = os.environ.get("DOCKER_HOST")
    return [named] if named else ["unix:///var/run/docker.sock", OWN_SOCKET]


def _try(url: str) -> docker.DockerClient | None:
    if url.startswith("unix://") and not Path(url.removeprefix("unix://")).exists():
        return None
    try:
        client = docker.DockerClient(base_url=url, timeout=120)
        client.ping()
    except DockerException:
        return None
    return client


def _start_own() -> None:
    if platform.system() != "Linux" or os.geteuid():
        raise LabError(
            "No Docker engine answers, and the lab can start an engine only as root on Linux: start yours first."
        )
    OWN.mkdir(parents=True, exist_ok=True)
    log = (OWN / "dockerd.log").open("a")
    # The lab connects its instances itself: its engine needs no bridge and does not touch the host's firewall.
    command: list[str | Path] = ["dockerd", "--data-root", OWN / "data", "--exec-root", OWN / "exec"]
    command += ["--pidfile", OWN / "docker.pid", "--host", OWN_SOCKET]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
    subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until("the lab's engine to answer", lambda: _try(OWN_SOCKET), seconds=60)
    except LabError as error:
        raise LabError(f"{error} Its log is {OWN / 'dockerd.log'}.") from None


def _is(pid: int, program: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == program and "Z" not in _state(pid)
    except FileNotFoundError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
