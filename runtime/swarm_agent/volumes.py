"""The node's data volumes: found, formatted if blank, and mounted, at each boot before the engine starts."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Clock
from ansible_collections.swarm.aws.plugins.module_utils._core.parsing import decoded
from ansible_collections.swarm.aws.plugins.module_utils.adapters.instances import describe
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metadata import Metadata
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock

from .command import command
from .log import Log

PATH = Path("/etc/swarm-agent/volumes.json")
# Seconds to wait for a volume to be attached and listed by EC2.
DEADLINE, EVERY = 300.0, 2.0
# blkid's exit code if it finds no file system, no partition table, and nothing else that it knows.
NOTHING_FOUND = 2


@dataclass(frozen=True)
class Volume:
    """A data volume, with the device's name in the launch template."""

    label: str
    device: str
    mount: str


class Volumes:
    """Mounts volumes. May be repeated, and killed at any time."""

    def __init__(
        self,
        attached: Callable[[], Mapping[str, str]],
        log: Log,
        clock: Clock,
        run: Callable[..., Any] = command,
        root: Path = Path("/"),
    ) -> None:
        """``attached`` returns the IDs of the attached volumes by device name, and may raise Unavailable."""
        self._attached, self._log, self._clock, self._run, self._root = attached, log, clock, run, root

    def keep(self, volumes: Sequence[Volume]) -> None:
        """Mount all of them. Raises SwarmError."""
        for volume in volumes:
            if self._run("mountpoint", "--quiet", volume.mount).returncode == 0:
                continue
            device = self._wait_for(volume)
            if self._is_blank(device):
                self._must("mkfs.ext4", "-q", "-L", volume.label, device)
                self._log.info(f"The volume {volume.label} was blank and has a file system now.", device=device)
            (self._root / volume.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
            self._must("mount", device, volume.mount)
            self._log.info(f"The volume {volume.label} is mounted at {volume.mount}.", device=device)

    def _is_blank(self, device: str) -> bool:
        """Whether it is blank. Doubt is an error, so that nothing is formatted by mistake."""
        found = self._run("blkid", "--probe", device)
        if found.returncode not in (0, NOTHING_FOUND):
            raise SwarmError(f"The content of {device} is unknown: {found.stderr.strip() or found.stdout.strip()}")
        return bool(found.returncode == NOTHING_FOUND)

    def _must(self, *words: str) -> None:
        done = self._run(*words)
        if done.returncode:
            raise SwarmError(f"`{' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")

    # Finding the device

    def _wait_for(self, volume: Volume) -> str:
        deadline, problem = self._clock.now() + DEADLINE, ""
        while self._clock.now() < deadline:
            try:
                found = self._find(volume)
                if found:
                    return found
            except Unavailable as error:
                problem = f" {error}"
            self._clock.wait(EVERY, f"the volume {volume.label}")
        raise SwarmError(f"The volume {volume.label} ({volume.device}) was not found within {DEADLINE:.0f} s.{problem}")

    def _find(self, volume: Volume) -> Optional[str]:
        for name in (volume.device, volume.device.replace("/dev/sd", "/dev/xvd")):
            if self._is_device(name):
                return name
        known = self._run("blkid", "-L", volume.label)
        if known.returncode == 0:
            return str(known.stdout.strip())
        # NVMe devices are numbered as they are found, and their serial numbers are the volumes' IDs without the hyphen:
        # "Amazon EBS volumes and NVMe" in the EBS user guide.
        serial = self._attached().get(volume.device, "").replace("-", "")
        for path in (self._root / "sys/block").glob("nvme*/device/serial"):
            if serial and path.read_text().strip() == serial:
                return f"/dev/{path.parents[1].name}"
        return None

    def _is_device(self, name: str) -> bool:
        try:
            return stat.S_ISBLK((self._root / name.lstrip("/")).stat().st_mode)
        except OSError:
            return False


def attached(aws: AwsSession, instance: str) -> Mapping[str, str]:
    """The volumes of an instance, by device name. Raises Unavailable."""
    with aws.asked(f"describe the volumes of {instance}"):
        found = describe(aws, InstanceIds=[instance])
        mappings = [mapping for host in found for mapping in host.get("BlockDeviceMappings") or ()]
        return {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in mappings if "Ebs" in mapping}


def load(path: Path = PATH) -> List[Volume]:
    """The volumes from the user data. Raises SwarmError."""
    try:
        return [Volume(**volume) for volume in decoded(path.read_bytes())]
    except (OSError, TypeError, ValueError) as error:
        raise SwarmError(f"{path}, which lists the data volumes, cannot be read: {error}") from error


def run(config: Config, log: Log) -> int:
    """Mount the volumes, and return the exit code."""
    try:
        aws = AwsSession.on_node(config.region)
        work = Volumes(lambda: attached(aws, Metadata().identity().instance), log, SystemClock())
        work.keep(load())
    except SwarmError as error:
        log.error(str(error))
        return 1
    return 0
