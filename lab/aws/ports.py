"""The interface between the emulator and what runs its instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Disk:
    """A volume beside the root volume, blank at first."""

    volume_id: str
    device: str
    size: int
    """GiB."""


@dataclass(frozen=True)
class InstanceSpec:
    """An instance to run, with its addresses."""

    instance_id: str
    vpc_id: str
    subnet_cidr: str
    private_ip: str
    public_ip: str | None
    ipv6: str | None = None
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class Rule:
    """An ingress rule of a security group; protocol ``-1`` is any, ports are inclusive."""

    group_id: str
    protocol: str
    from_port: int
    to_port: int
    cidrs: tuple[str, ...]
    source_group_ids: tuple[str, ...]


class Machines(Protocol):
    """Runs instances. Calls return at once, while the work continues, and may be repeated."""

    def launch(self, spec: InstanceSpec) -> None:
        """Boot an instance."""

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance and remove its disk."""

    def reboot(self, instance_id: str) -> None:
        """Restart an instance; its disk and its addresses stay."""

    def stop(self, instance_id: str) -> None:
        """Stop an instance; its disk and its addresses stay."""

    def start(self, instance_id: str) -> None:
        """Start a stopped instance."""

    def is_running(self, instance_id: str) -> bool:
        """Whether the instance runs or is booting; False once it was stopped or has died."""

    def cut_off(self, instance_id: str, *, cut: bool) -> None:
        """Partition an instance, or heal it. Raises KeyError for an unknown instance."""

    def hang(self, instance_id: str, *, hung: bool) -> None:
        """Freeze an instance, or continue it. Raises KeyError for an unknown instance."""

    def vpc_created(self, vpc_id: str, cidr: str) -> None:
        """A VPC was created."""

    def vpc_deleted(self, vpc_id: str) -> None:
        """A VPC was deleted."""

    def firewall_changed(self) -> None:
        """Security groups, their rules or their members have changed; :func:`lab.aws.view.firewall` returns them."""
