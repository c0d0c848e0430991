"""The volumes of a group, and EBS's limits."""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, Sequence

# GiB, IOPS and MiB/s, from EbsBlockDevice in the EC2 API; the two ratios are from "General Purpose SSD volumes" in the
# EBS user guide.
SIZES = {"gp3": (1, 65536), "gp2": (1, 16384)}
IOPS, THROUGHPUT = (3000, 80000), (125, 2000)
IOPS_PER_GIB, IOPS_PER_MIB = 500, 4
ROOT_SIZES = (8, 16384)
# The device names that EC2 recommends for data volumes.
NAMES = [f"/dev/sd{letter}" for letter in "fghijklmnop"]
# The maximum length of ext4's labels.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?")
_MOUNT = re.compile(r"/(srv|mnt)(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


def mount(volume: Mapping[str, Any]) -> str:
    """The mount point of a data volume."""
    return str(volume["mount"] or f"/srv/{volume['label']}")


def problems(group: Mapping[str, Any]) -> Iterable[str]:
    """The errors in a group's volumes, as sentences that start with a key of the group."""
    root, (least, most) = _root(group), ROOT_SIZES
    if not least <= root["size"] <= most:
        yield f"volume_size is {root['size']}, but must be between {least} and {most} GiB."
    yield from _performance("volume_", root)
    volumes: Sequence[Mapping[str, Any]] = group["volumes"]
    if len(volumes) > len(NAMES):
        yield f"volumes has {len(volumes)}, but the maximum is {len(NAMES)} per instance, without its root volume."
    for number, volume in enumerate(volumes):
        yield from _of_one(f"volumes[{number}].", volume)
        for other in volumes[:number]:
            if other["label"] == volume["label"]:
                yield f"volumes has the label '{volume['label']}' more than once."
            elif _inside(mount(other), mount(volume)) or _inside(mount(volume), mount(other)):
                yield f"volumes has {mount(other)} and {mount(volume)}, but mount points cannot be nested."


def _of_one(where: str, volume: Mapping[str, Any]) -> Iterable[str]:
    if not _LABEL.fullmatch(volume["label"]):
        yield (
            f"{where}label is '{volume['label']}', but must be 1 to 16 lower-case letters, digits and inner hyphens."
        )
    elif not _MOUNT.fullmatch(mount(volume)):
        yield f"{where}mount is '{volume['mount']}', but must be a folder under /srv or /mnt, such as /srv/data."
    least, most = SIZES[volume["type"]]
    if not least <= volume["size"] <= most:
        yield f"{where}size is {volume['size']}, but must be between {least} and {most} GiB for type {volume['type']}."
    yield from _performance(where, volume)


def _performance(where: str, volume: Mapping[str, Any]) -> Iterable[str]:
    size, iops, throughput = volume["size"], volume["iops"], volume["throughput"]
    for key, (least, most) in (("iops", IOPS), ("throughput", THROUGHPUT)):
        if volume[key] is not None and volume["type"] != "gp3":
            yield f"{where}{key} is only for volumes of type gp3, but the type is {volume['type']}."
        elif volume[key] is not None and not least <= volume[key] <= most:
            yield f"{where}{key} is {volume[key]}, but must be between {least} and {most}."
    if volume["type"] != "gp3":
        return
    operations = IOPS[0] if iops is None else iops
    if operations > max(IOPS[0], IOPS_PER_GIB * size):
        yield f"{where}iops is {operations}, but the maximum for {size} GiB is {max(IOPS[0], IOPS_PER_GIB * size)}."
    if throughput is not None and throughput * IOPS_PER_MIB > operations:
        yield (
            f"{where}throughput is {throughput} MiB/s, which needs {throughput * IOPS_PER_MIB} IOPS, but {where}iops "
            f"is {operations}: increase it."
        )


def _root(group: Mapping[str, Any]) -> dict[str, Any]:
    """The root volume, with the keys of a data volume."""
    return {key: group[f"volume_{key}"] for key in ("size", "type", "iops", "throughput")}


def _inside(folder: str, other: str) -> bool:
    return f"{other}/".startswith(f"{folder}/")


def block_devices(root: str, group: Mapping[str, Any], key: str | None) -> list[dict[str, Any]]:
    """The encrypted block devices of a group's launch template, as `amazon.aws.ec2_launch_template` takes them.

    ``key`` is the KMS key; None for the account's default.
    """
    volumes = [{**_root(group), "device": root}, *group["volumes"]]
    return [{"device_name": volume["device"], "ebs": _ebs(volume, key)} for volume in volumes]


def _ebs(volume: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    performance = {key: volume[key] for key in ("iops", "throughput") if volume[key] is not None}
    return {
        "volume_size": volume["size"],
        "volume_type": volume["type"],
        "encrypted": True,
        **({"kms_key_id": key} if key else {}),
        # It is deleted with its instance.
        "delete_on_termination": True,
        **performance,
    }
