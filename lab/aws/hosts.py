"""Makes the machines match EC2's instances, VPCs and security groups."""

from __future__ import annotations

import time
from typing import Any

from lab.aws import view, world
from lab.aws.instances import LabInstance, every, find
from lab.aws.ports import Disk, InstanceSpec, Machines

SHOWN_AFTER_END = 3600.0
"""Seconds for which DescribeInstances shows a terminated instance."""


class Hosts:
    """Drives :class:`lab.aws.ports.Machines`. Callers hold the world's lock."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._vpcs: set[str] = set()
        self._firewall: view.Firewall | None = None

    def answer(self) -> None:
        """Carry out a call's changes at once, without waiting for the next tick."""
        self._announce_vpcs()
        for instance in every():
            if instance.state == "pending" and instance.spec is None:
                self._launch(instance)
            elif instance.state == "shutting-down":
                self._machines.terminate(instance.id)
            if instance.reboot_asked:
                instance.reboot_asked = instance.hung = False
                self._machines.reboot(instance.id)
            if instance.state == "stopping":
                self._machines.stop(instance.id)
            if instance.wake_asked:
                instance.wake_asked = False
                self._machines.start(instance.id)
        firewall = view.firewall()
        if firewall != self._firewall:
            self._firewall = firewall
            self._machines.firewall_changed()

    def tick(self) -> None:
        """Complete the changes under way, and find instances that have died."""
        for instance in every():
            if instance.state == "shutting-down":
                self._machines.terminate(instance.id)
                instance.gone()
            elif instance.state == "stopping" and not self._machines.is_running(instance.id):
                instance.turn("stopped", "User initiated", "Client.UserInitiatedShutdown")
            elif instance.spec is not None and instance.alive and not instance.wake_asked:
                if not self._machines.is_running(instance.id):
                    instance.failed()
                elif instance.state == "pending":
                    instance.turn("running")
        self._forget_terminated()
        self.answer()

    def cut_off(self, instance_id: str, *, cut: bool) -> None:
        """Partition an instance, or heal it. Raises KeyError for an unknown instance."""
        self._machines.cut_off(instance_id, cut=cut)
        instance = find(instance_id)
        if instance is not None:
            instance.cut_off = cut

    def hang(self, instance_id: str, *, hung: bool) -> None:
        """Freeze an instance, or continue it. Raises KeyError for an unknown instance."""
        self._machines.hang(instance_id, hung=hung)
        instance = find(instance_id)
        if instance is not None:
            instance.hung = hung

    @staticmethod
    def _forget_terminated() -> None:
        now = time.monotonic()
        for reservation in list(world.ec2().reservations.values()):
            kept = [
                instance for instance in reservation.instances if now - (instance.gone_since or now) < SHOWN_AFTER_END
            ]
            reservation.instances[:] = kept
            if not kept:
                del world.ec2().reservations[reservation.id]

    def _launch(self, instance: LabInstance) -> None:
        subnet: Any = world.ec2().get_subnet(instance.subnet_id)
        instance.spec = InstanceSpec(
            instance_id=instance.id,
            vpc_id=subnet.vpc_id,
            subnet_cidr=subnet.cidr_block,
            private_ip=str(instance.private_ip),
            public_ip=instance.public_ip,
            ipv6=next(iter(instance.nics[0].ipv6_addresses), None),
            disks=tuple(
                Disk(mapping.volume_id, device, int(world.ec2().volumes[mapping.volume_id].size))
                for device, mapping in instance.block_device_mapping.items()
                if device != instance.root_device_name
            ),
        )
        self._machines.launch(instance.spec)

    def _announce_vpcs(self) -> None:
        present = {vpc.id: vpc.cidr_block for vpc in world.ec2().vpcs.values() if not vpc.is_default}
        for instance in every():
            # The default VPC needs a network only if an instance runs in it.
            if instance.alive and instance.vpc_id:
                present[instance.vpc_id] = world.ec2().get_vpc(instance.vpc_id).cidr_block
        for vpc_id in present.keys() - self._vpcs:
            self._machines.vpc_created(vpc_id, present[vpc_id])
        for vpc_id in self._vpcs - world.ec2().vpcs.keys():
            self._machines.vpc_deleted(vpc_id)
        self._vpcs = (self._vpcs & world.ec2().vpcs.keys()) | present.keys()
