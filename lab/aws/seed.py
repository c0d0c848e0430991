"""The contents of a new AWS account: public images, and the SSM parameters with their IDs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import amis
from moto.ec2.models.amis import Ami
from moto.ssm.models import Parameter

from lab.aws import world
from lab.aws.grafts import Grafts

_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"
_DEBIAN = "/aws/service/debian/release/13/latest/{}"
_AMAZON = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"


@dataclass(frozen=True)
class Image:
    """A public image and the SSM parameter with its ID. Debian's root device is xvda, as in the lab."""

    image_id: str
    parameter: str
    architecture: str
    name: str
    owner: str


IMAGES = (
    Image("ami-0deb1a13000000064", _DEBIAN.format("amd64"), "x86_64", "debian-13-amd64", "136693071363"),
    Image("ami-0deb1a13000000a64", _DEBIAN.format("arm64"), "arm64", "debian-13-arm64", "136693071363"),
    Image("ami-0a2023000000000064", _AMAZON.format("x86_64"), "x86_64", "al2023-ami-x86_64", "137112412989"),
    Image("ami-0a2023000000000a64", _AMAZON.format("arm64"), "arm64", "al2023-ami-arm64", "137112412989"),
    Image("ami-0b2404000000000064", _UBUNTU.format("amd64"), "x86_64", "ubuntu-noble-24.04-amd64", "099720109477"),
    Image("ami-0b2404000000000a64", _UBUNTU.format("arm64"), "arm64", "ubuntu-noble-24.04-arm64", "099720109477"),
)
SIZE = 8
"""GiB of each image's disk."""


class PublicImage(Ami):
    """An image whose disk has the right size."""

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": SIZE,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]


def prepare(grafts: Grafts) -> None:
    """Keep moto's images, which are old, out of the account."""
    grafts.attribute(amis, "AMIS", [])
    grafts.item(os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def plant() -> None:
    """Put the images and their SSM parameters into the account."""
    ec2, ssm = world.ec2(), world.ssm()
    ec2.amis.clear()
    # moto would add parameters for images that do not exist.
    ssm._parameters.latest_amis_loaded = True
    for image in IMAGES:
        ec2.amis[image.image_id] = PublicImage(
            ec2,
            image.image_id,
            name=image.name,
            description=image.name,
            owner_id=image.owner,
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture=image.architecture,
            image_location=f"{image.owner}/{image.name}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name="/dev/xvda",
            region_name=ec2.region_name + "a",
        )
        make: Any = Parameter
        parameter = make(
            ec2.account_id, image.parameter, image.image_id, "String", None, None, None, utcnow(), 1, "text"
        )
        ssm._parameters[image.parameter] = [parameter]
