"""The two kinds of instances, by what their container runs: the system itself, or User Mode Linux that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab import disks
from lab.aws.ports import InstanceSpec
from lab.images import kernel_image, kernel_root, node_image
from lab.state import Lab

_OPEN = {"security_opt": ["seccomp=unconfined", "apparmor=unconfined"]}


def on_the_hosts_kernel(lab: Lab, spec: InstanceSpec, *, legacy_cgroups: bool) -> tuple[str, list[str], dict[str, Any]]:
    """The image, the arguments and the host's settings of a container whose first process is systemd."""
    # systemd accepts a host with cgroup v1 only with these.
    legacy = ["SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.unified_cgroup_hierarchy=0"]
    settings = {
        # systemd and an engine need all capabilities except SYS_RESOURCE, which some CI machines lack.
        "cap_add": ["ALL"],
        "cap_drop": ["SYS_RESOURCE"],
        "device_cgroup_rules": ["a *:* rwm"],
        "tmpfs": {"/run": "", "/tmp": ""},
        "devices": [f"{disks.attach(lab, disk)}:{disk.device}:rwm" for disk in spec.disks],
        # An engine cannot keep its layers on the outer engine's layers: it needs a volume.
        "binds": [f"{lab.container(spec.instance_id)}:/var/lib/docker"],
    }
    return node_image(), legacy if legacy_cgroups else [], settings | _OPEN


def on_its_own_kernel(lab: Lab, spec: InstanceSpec) -> tuple[str, list[str], dict[str, Any]]:
    """The same of a container whose first process is lab/images/kernel/host."""
    names = [Path(disk.device).name for disk in spec.disks]
    settings = {
        "cap_add": ["NET_ADMIN", "SYS_PTRACE"],
        # User Mode Linux keeps its memory in a file that it executes.
        "tmpfs": {"/run": "", "/tmp": "exec"},
        "binds": [
            f"{lab.container(spec.instance_id)}:/disk",
            f"{kernel_root()}:/shared/root.ext4:ro",
            *(f"{disks.image(lab, disk)}:/disks/{name}" for disk, name in zip(spec.disks, names, strict=True)),
        ],
    }
    return kernel_image(), names, settings | _OPEN
