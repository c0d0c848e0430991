"""What a deleted lab has left on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from docker.errors import DockerException

from lab import lifecycle
from lab.engine import LABEL, connect
from lab.errors import LabError
from lab.state import HOME, Lab, labs


def remains(lab: Lab, server: str) -> list[str]:
    """The processes, files, network devices, containers, volumes and mounts that a lab has left.

    ``server`` is the process ID of its server.
    """
    paths = [f"/run/netns/{lab.namespace}", f"/sys/class/net/{lab.host_link}", str(lab.folder)]
    found = [path for path in paths if Path(path).exists()]
    # A process that has ended stays in /proc until its parent reaps it.
    found += [] if lifecycle.ended(int(server)) else [f"process {server}"]
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    found += [line for line in processes.splitlines() if lab.namespace in line]
    try:
        engine, mine = connect(), {"label": f"{LABEL}={lab.name}"}
        found += [str(container.name) for container in engine.containers.list(all=True, filters=mine)]
        found += [str(volume.name) for volume in engine.volumes.list(filters=mine)]
    except (DockerException, LabError, OSError):
        # The engine is deleted with the last lab, which must leave no mounts.
        found += [other.name for other in labs()]
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(HOME) in line]
    return found
