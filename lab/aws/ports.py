"""What the emulator asks of whatever runs its instances."""

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
    """An instance to run, with the addresses that the emulator chose for it."""

    instance_id: str
    vpc_id: str
    subnet_cidr: str
    private_ip: str
    public_ip: str | None
    ipv6: str | None = None
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What one security group lets in; a protocol of ``-1`` is any, ports are inclusive."""

    group_id: str
    protocol: str
    from_port: int
    to_port: int
    cidrs: tuple[str, ...]
    source_group_ids: tuple[str, ...]


class Machines(Protocol):
    """Runs instances. Calls return at once and work goes on behind them; each may be repeated."""

    def launch(self, spec: InstanceSpec) -> None:
        """Boot an instance."""

    def terminate(self, instance_id: str) -> None:
        """Stop an instance for good and remove its disk."""

    def reboot(self, instance_id: str) -> None:
        """Restart an instance; its disk and its addresses stay."""

    def stop(self, instance_id: str) -> None:
        """Stop an instance; its disk and its addresses stay."""

    def start(self, instance_id: str) -> None:
        """Start an instance that was stopped."""

    def is_running(self, instance_id: str) -> bool:
        """Whether the instance runs or is booting; False once it was stopped, or has died by itself."""

    def cut_off(self, instance_id: str, *, cut: bool) -> None:
        """Partition an instance from everything, or heal it. Raises KeyError for an unknown one."""

    def vpc_created(self, vpc_id: str, cidr: str) -> None:
        """A VPC is there now."""

    def vpc_deleted(self, vpc_id: str) -> None:
        """A VPC is gone."""

    def firewall_changed(self) -> None:
        """Security groups, their rules or their members may have changed; :func:`lab.aws.view.firewall` tells."""
