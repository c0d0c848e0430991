"""An instance's metadata, as a tree of directories and files."""

from __future__ import annotations

import base64
import json
from typing import Any, Union

from lab.aws import credentials, world
from lab.aws.autoscaling.group import WARMED
from lab.aws.instances import LabInstance
from lab.state import ACCOUNT_ID, REGION

Tree = dict[str, Union["Tree", str, bytes]]
# A directory's name in a listing, if it differs from its path: public keys are listed as `0=name`.
_LISTED_AS = ".listed-as"


def read(instance: LabInstance, path: str) -> str | bytes | None:
    """The file at a path such as ``/meta-data/instance-id``, or a directory's listing; None if it does not exist."""
    with world.LOCK:
        node: Tree | str | bytes = _tree(instance)
    for part in path.strip("/").split("/") if path.strip("/") else []:
        if not isinstance(node, dict) or part not in node or part == _LISTED_AS:
            return None
        node = node[part]
    if not isinstance(node, dict):
        return node
    return "\n".join(_entry(name, inner) for name, inner in node.items() if name != _LISTED_AS)


def _entry(name: str, node: Tree | str | bytes) -> str:
    if not isinstance(node, dict):
        return name
    listed_as = node.get(_LISTED_AS)
    return str(listed_as) if listed_as else f"{name}/"


def _tree(instance: LabInstance) -> Tree:
    tree: Tree = {
        "dynamic": {"instance-identity": {"document": _identity(instance)}},
        "meta-data": _meta_data(instance),
    }
    if instance.user_data is not None:
        tree["user-data"] = base64.b64decode(str(instance.user_data))
    return tree


def _identity(instance: LabInstance) -> str:
    document = {
        "accountId": ACCOUNT_ID,
        "architecture": instance.architecture,
        "availabilityZone": instance.placement.zone,
        "billingProducts": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": world.timestamp(instance.launch_time),
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": REGION,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def _meta_data(instance: LabInstance) -> Tree:
    interface = instance.nics[0]
    root = instance.root_device_name.rsplit("/", 1)[-1]
    tree: Tree = {
        "ami-id": str(instance.image_id),
        "ami-launch-index": str(instance.ami_launch_index),
        "block-device-mapping": {"ami": root, "root": instance.root_device_name},
        "events": {"maintenance": {"history": "[]", "scheduled": "[]"}},
        "hostname": instance.private_dns_name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "spot" if instance.spot else "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": str(instance.private_ip),
        "mac": interface.mac_address,
        "network": {"interfaces": {"macs": {interface.mac_address: _interface(instance, interface)}}},
        "placement": {
            "availability-zone": str(instance.placement.zone),
            "availability-zone-id": interface.subnet.availability_zone_id,
            "region": REGION,
        },
        "profile": "default-hvm",
        "reservation-id": next(
            reservation.id for reservation in world.ec2().reservations.values() if instance in reservation.instances
        ),
        "security-groups": "\n".join(sorted(group.name for group in interface.group_set)),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if instance.public_ip:
        tree |= {"public-hostname": str(instance.public_dns_name), "public-ipv4": instance.public_ip}
    key = world.ec2().key_pairs.get(instance.key_name) if instance.key_name else None
    if key:
        material = key.material_public
        text = material.decode() if isinstance(material, bytes) else str(material)
        tree["public-keys"] = {"0": {"openssh-key": text.strip() + "\n", _LISTED_AS: f"0={key.key_name}"}}
    for name, branch in _conditional(instance).items():
        present = tree.get(name)
        tree[name] = {**present, **branch} if isinstance(present, dict) else branch
    return tree


def _conditional(instance: LabInstance) -> dict[str, Tree]:
    """The branches that only some instances have."""
    branches: dict[str, Tree] = {}
    profile, role = instance.profile, credentials.role_of(instance)
    if profile is not None:
        info = {
            "Code": "Success",
            "LastUpdated": world.timestamp(),
            "InstanceProfileArn": profile.arn,
            "InstanceProfileId": profile.id,
        }
        branches["iam"] = {"info": json.dumps(info, indent=2)}
    if role is not None:
        own = json.dumps(credentials.of_instance(instance), indent=2)
        branches["iam"]["security-credentials"] = {role.name: own}
    if instance.interruption:
        terminates = {"termination-time": instance.interruption["time"]}
        branches["spot"] = {"instance-action": json.dumps(instance.interruption), **terminates}
    if instance.rebalance_noticed:
        branches["events"] = {"recommendations": {"rebalance": json.dumps({"noticeTime": instance.rebalance_noticed})}}
    member = next((candidate for candidate in world.autoscaling().members() if candidate.instance is instance), None)
    if member is not None:
        branches["autoscaling"] = {"target-lifecycle-state": _target_state(member.state)}
    if instance.metadata_options.instance_metadata_tags == "enabled":
        branches["tags"] = {"instance": {tag["key"]: tag["value"] for tag in instance.get_tags()}}
    return branches


def _target_state(state: str) -> str:
    if state.removeprefix(WARMED).startswith("Terminat"):
        return "Terminated"
    if state.startswith(WARMED):
        return f"{WARMED}Stopped"
    return "InService" if state.startswith("Pending") else state


def _interface(instance: LabInstance, interface: Any) -> Tree:
    subnet = interface.subnet
    vpc = world.ec2().get_vpc(subnet.vpc_id)
    tree: Tree = {
        "device-number": "0",
        "interface-id": interface.id,
        "local-hostname": instance.private_dns_name,
        "local-ipv4s": str(instance.private_ip),
        "mac": interface.mac_address,
        "owner-id": ACCOUNT_ID,
        "security-group-ids": "\n".join(sorted(group.id for group in interface.group_set)),
        "security-groups": "\n".join(sorted(group.name for group in interface.group_set)),
        "subnet-id": subnet.id,
        "subnet-ipv4-cidr-block": subnet.cidr_block,
        "vpc-id": vpc.id,
        "vpc-ipv4-cidr-block": vpc.cidr_block,
        "vpc-ipv4-cidr-blocks": vpc.cidr_block,
    }
    if interface.ipv6_addresses:
        associations = subnet.ipv6_cidr_block_association_set
        tree |= {
            "ipv6s": "\n".join(interface.ipv6_addresses),
            "subnet-ipv6-cidr-blocks": "\n".join(association["ipv6CidrBlock"] for association in associations),
        }
    if instance.public_ip:
        tree["ipv4-associations"] = {instance.public_ip: str(instance.private_ip)}
        tree |= {"public-hostname": str(instance.public_dns_name), "public-ipv4s": instance.public_ip}
    return tree
