"""What a launch template says, and whether that really differs from what one says already."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from . import disks, tags
from .errors import ProvisionError

USER_DATA_LIMIT = 16384


@dataclass(frozen=True)
class Spot:
    """How much of a group is spot capacity, in the configuration's words."""

    share: int
    on_demand_base: int
    strategy: str
    rebalance: bool


@dataclass(frozen=True)
class Group:
    """A node group as it should be."""

    name: str
    role: str
    image: str
    root_device: str
    instance_types: Sequence[str]
    volume_size: int
    volume_type: str
    minimum: int
    desired: int
    maximum: int
    subnets: Sequence[str]
    security_groups: Sequence[str]
    instance_profile: str
    user_data: str
    spot: Spot | None = None
    # The reservation, in percent, at which its size follows the swarm's tasks; None if it does not.
    scaling_target: int | None = None
    # Least number of instances in its warm pool, and most of both together; None if it has no warm pool.
    warm_pool: tuple[int, int] | None = None
    volume_iops: int | None = None
    volume_throughput: int | None = None
    # Those for data: device, type, size in GiB, iops and throughput each.
    volumes: Sequence[Mapping[str, Any]] = ()
    key_name: str | None = None
    ipv6: bool = False
    # Whether instances have public IPv4 addresses.
    public: bool = True

    @property
    def mixed(self) -> bool:
        """Whether Auto Scaling chooses between types or markets, rather than the launch template alone."""
        return self.spot is not None or len(self.instance_types) > 1

    def instance_tags(self, cluster: str, own: Mapping[str, str]) -> dict[str, str]:
        """The tags of the group's instances, of their volumes and of the group itself."""
        return {
            **tags.of_cluster(cluster, own, Name=f"{cluster}-{self.name}"),
            tags.GROUP: self.name,
            tags.ROLE: self.role,
        }


def data(group: Group, volume_tags: Mapping[str, str]) -> dict[str, Any]:
    """The launch template's data. Raises ProvisionError when the user data is longer than EC2 takes."""
    user_data = group.user_data.encode()
    if len(user_data) > USER_DATA_LIMIT:
        raise ProvisionError(
            f"The user data of the group '{group.name}' has {len(user_data)} bytes, but EC2 takes {USER_DATA_LIMIT}: "
            "shorten the group's user_data, for example by fetching a script from it."
        )
    result: dict[str, Any] = {
        "ImageId": group.image,
        "InstanceType": group.instance_types[0],
        "IamInstanceProfile": {"Name": group.instance_profile},
        "UserData": base64.b64encode(user_data).decode(),
        # A token is needed, and containers, being one hop further away, get none.
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [
            disks.mapping(
                group.root_device, group.volume_type, group.volume_size, group.volume_iops, group.volume_throughput
            ),
            *(
                disks.mapping(one["device"], one["type"], one["size"], one["iops"], one["throughput"])
                for one in group.volumes
            ),
        ],
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": group.public,
                "DeleteOnTermination": True,
                "Groups": sorted(group.security_groups),
                **({"Ipv6AddressCount": 1} if group.ipv6 else {}),
            }
        ],
        # Instances get theirs from the Auto Scaling group, which does not tag volumes.
        "TagSpecifications": tags.specification("volume", volume_tags),
    }
    if group.key_name:
        result["KeyName"] = group.key_name
    return result


def same(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a template's data, as EC2 tells it, is what is wanted, whatever EC2 adds to what it was given."""
    return (
        set(_settled(present)) == set(wanted)
        and contains(_settled(present), wanted)
        and _performance(present) == _performance(wanted)
    )


def _performance(template: Mapping[str, Any]) -> list[Any]:
    """What volumes are asked to do beyond what their type does, which is none of EC2's additions."""
    disks_of = [one.get("Ebs", {}) for one in template.get("BlockDeviceMappings", [])]
    return [(one.get("Iops"), one.get("Throughput")) for one in disks_of]


def readable(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template's data for people, without the user data, which is a text of its own."""
    return {key: value for key, value in _settled(template).items() if key != "UserData"}


def user_data(template: Mapping[str, Any]) -> str:
    """A template's user data as text."""
    return base64.b64decode(template.get("UserData", "")).decode(errors="replace")


def _settled(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template's data without empty values, and in an order that can be compared."""
    result = {key: value for key, value in template.items() if value not in (None, "", [], {})}
    specifications = [
        {"ResourceType": one["ResourceType"], "Tags": sorted(one["Tags"], key=lambda tag: tag["Key"])}
        for one in result.get("TagSpecifications", [])
        # The tags of the template itself are not its data.
        if one["ResourceType"] != "launch-template"
    ]
    if specifications:
        result["TagSpecifications"] = specifications
    else:
        result.pop("TagSpecifications", None)
    if "NetworkInterfaces" in result:
        result["NetworkInterfaces"] = [
            {**one, "Groups": sorted(one.get("Groups", []))} for one in result["NetworkInterfaces"]
        ]
    return result


def contains(present: Any, wanted: Any) -> bool:
    """Whether all that is wanted is present; mappings may have more."""
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(contains(present.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(present, list)
            and len(present) == len(wanted)
            and all(contains(*pair) for pair in zip(present, wanted))
        )
    return bool(present == wanted)
