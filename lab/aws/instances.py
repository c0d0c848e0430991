"""EC2's instances: their launch and their states."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.models import instances as moto_instances
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.utils import convert_tag_spec, parse_user_data

from lab.aws import events, launch_failures, world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts
from lab.aws.ports import InstanceSpec
from lab.aws.strict.launch_templates import check_form, check_launchable
from lab.state import ACCOUNT_ID, REGION

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class LabInstance(Instance):
    """An instance that has the state of its machine, not the last requested state."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.spec: InstanceSpec | None = None
        """Set once its machine is launched."""
        self.reboot_asked = False
        self.cut_off = False
        self.hung = False
        self.wake_asked = False
        self.gone_since: float | None = None
        """When it was terminated, on the monotonic clock."""
        self.interruption: dict[str, str] | None = None
        """The metadata's ``spot/instance-action`` after an interruption warning."""
        self.rebalance_noticed: str | None = None
        """The time of a rebalance recommendation, in the metadata's format."""
        self.turn("pending")

    def turn(self, state: str, reason: str = "", reason_code: str = "") -> None:
        """Change the state, and send an event."""
        if self._state.name == state:
            return
        self._state = InstanceState(state, _CODES[state])
        self._reason, self.state_reason = reason, StateReason(reason, reason_code)
        detail = {"instance-id": self.id, "state": state}
        events.publish("aws.ec2", "EC2 Instance State-change Notification", detail, [events.instance_arn(self.id)])

    @property
    def alive(self) -> bool:
        """Whether its machine should run."""
        return self.state in ("pending", "running")

    @property
    def profile(self) -> Any | None:
        """The instance profile in IAM."""
        association = self.ec2_backend.iam_instance_profile_associations.get(self.id)
        return association.iam_instance_profile if association else None

    @property
    def spot(self) -> bool:
        return self.lifecycle == "spot"

    def terminate(self) -> InstanceState:
        """Begin to shut down; :meth:`gone` completes it."""
        before = copy.copy(self._state)
        if self.state not in ("shutting-down", "terminated"):
            self.turn("shutting-down", "User initiated", "Client.UserInitiatedShutdown")
        return before

    def gone(self) -> None:
        """Become terminated, and delete interfaces, addresses and volumes."""
        reason, code = self._reason, self.state_reason.code
        for interface in self.nics.values():
            interface.delete_on_termination = True
        super().terminate()
        self._state = InstanceState("shutting-down", _CODES["shutting-down"])
        self.turn("terminated", reason, code)
        self.gone_since = time.monotonic()

    def failed(self) -> None:
        """Become stopped, because the host died."""
        self.turn("stopped", "Server.InternalError: Internal error on launch or at run time", "Server.InternalError")

    def reboot(self) -> None:
        self.reboot_asked = True

    def rest(self) -> None:
        """Stop, in a warm pool; :meth:`wake` starts it again."""
        self.turn("stopping", "User initiated", "Client.UserInitiatedShutdown")

    def wake(self) -> None:
        """Start with the same disks and addresses."""
        self.launch_time = utcnow()
        self.wake_asked = True
        self.turn("pending")

    def stop(self) -> InstanceState:
        raise AwsError("UnsupportedOperation", "The lab can reboot and terminate instances, but not stop them.")


def install(grafts: Grafts) -> None:
    """Make moto's EC2 use these instances."""
    grafts.attribute(moto_instances, "Instance", LabInstance)


def launch(
    data: Mapping[str, Any],
    *,
    count: int = 1,
    subnet_id: str | None = None,
    template: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    market: str | None = None,
    scaling: bool = False,
) -> Any:
    """Launch instances and return moto's reservation.

    :param data: a launch template's data, or RunInstances' parameters, which have the same names.
    :param template: the launch template and version of the data.
    :param tags: more tags of the instances.
    :param scaling: whether Auto Scaling launches them.
    """
    ec2 = world.ec2()
    check_form(data)
    check_launchable(data)
    interface: Mapping[str, Any] = next(iter(data.get("NetworkInterfaces") or []), {})
    image = _image(data.get("ImageId"))
    profile, user_data = data.get("IamInstanceProfile") or {}, data.get("UserData")
    given_tags = convert_tag_spec(data.get("TagSpecifications") or [])
    given_tags["instance"] = {**given_tags.get("instance", {}), **(tags or {})}
    kind = data.get("InstanceType") or "m1.small"
    subnet_id = subnet_id or interface.get("SubnetId") or data.get("SubnetId") or _default_subnet(data)
    market = market or (data.get("InstanceMarketOptions") or {}).get("MarketType")
    metadata, disks = dict(data.get("MetadataOptions") or {}), _disks(image, data.get("BlockDeviceMappings") or [])
    launch_failures.check(
        kind,
        ec2.get_subnet(subnet_id).availability_zone,
        count,
        given_tags["instance"],
        metadata.get("InstanceMetadataTags"),
        spot=market == "spot",
        running=_running_vcpus,
    )
    reservation = ec2.run_instances(
        image.id,
        count,
        # moto has parsed RunInstances' user data already.
        user_data if isinstance(user_data, Base64EncodedString | None) else parse_user_data(user_data),
        [],
        instance_type=kind,
        is_instance_type_default=False,
        region_name=REGION,
        subnet_id=subnet_id,
        security_group_ids=list(interface.get("Groups") or data.get("SecurityGroupIds") or []),
        # None: the subnet's setting decides.
        associate_public_ip=interface.get("AssociatePublicIpAddress"),
        nics=[{"DeviceIndex": 0, "DeleteOnTermination": True}],
        ipv6_address_count=interface.get("Ipv6AddressCount") or data.get("Ipv6AddressCount") or 0,
        private_ip=interface.get("PrivateIpAddress") or data.get("PrivateIpAddress"),
        key_name=data.get("KeyName"),
        metadata_options=metadata,
        block_device_mappings=disks,
        launch_template=dict(template or {}),
        instance_market_options=market,
        client_token=data.get("ClientToken", ""),
        ebs_optimized=bool(data.get("EbsOptimized")),
        tags=given_tags,
    )
    if profile:
        for instance in reservation.instances:
            ec2.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))
    failure = launch_failures.unusable_key([disk["Ebs"] for disk in disks], scaling=scaling)
    for instance in reservation.instances if failure else ():
        instance.turn("shutting-down", failure, failure.split(":")[0])
    return reservation


def every() -> list[LabInstance]:
    """All instances, including terminated instances."""
    found: list[LabInstance] = world.ec2().all_instances()
    return found


def _running_vcpus() -> int:
    """The running on-demand instances' vCPUs that count towards the quota."""
    return sum(
        launch_failures.standard_vcpus(instance.instance_type)
        for instance in every()
        if instance.alive and not instance.spot
    )


def find(instance_id: str) -> LabInstance | None:
    """The instance of that ID, even if it is terminated."""
    return next((instance for instance in every() if instance.id == instance_id), None)


def _image(image_id: str | None) -> Any:
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    return world.ec2().amis[image_id]


def _default_subnet(data: Mapping[str, Any]) -> str:
    zone = (data.get("Placement") or {}).get("AvailabilityZone") or f"{REGION}a"
    subnet = world.ec2().get_default_subnets().get(zone)
    if subnet is None:
        raise AwsError("MissingInput", f"There is no default subnet in {zone} of account {ACCOUNT_ID}; name a subnet.")
    return str(subnet.id)


def _disks(image: Any, mappings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The image's disk with the launch's changes, and the launch's other disks."""
    root = image.block_device_mappings[0]
    size = {"VolumeSize": root["Ebs"]["VolumeSize"], "DeleteOnTermination": True, "VolumeType": "gp2"}
    disks = {root["DeviceName"]: size}
    for mapping in mappings:
        disks.setdefault(mapping["DeviceName"], {}).update(mapping.get("Ebs") or {})
    return [{"DeviceName": name, "Ebs": ebs} for name, ebs in disks.items()]
