"""A group with spot instances, data volumes and capacity rebalancing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.configured import node_groups
from tests.lab.site import CLUSTER, Site

FLEET = {
    "role": "worker",
    "desired": 2,
    "max": 3,
    "instance_types": ["t3.small", "t3a.small"],
    "spot": {"on_demand_base": 1},
    "volumes": [{"label": "data", "size": 1}],
}
SCALING_GROUP = f"{CLUSTER}-fleet"
PARTS = ("--tags", "node_groups")


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[Site]:
    """The cluster with another group for this file."""
    site.settle()
    built = site.playbook("site.yml", *node_groups(fleet=FLEET), *PARTS)
    try:
        assert built.code == 0, built.output[-4000:]
        yield site
    finally:
        autoscaling, ec2 = site.aws("autoscaling"), site.aws("ec2")
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=SCALING_GROUP, ForceDelete=True)
        ec2.delete_launch_template(LaunchTemplateName=SCALING_GROUP)
        site.wait("the volumes to be deleted", lambda: not list((site.lab.folder / "disks").glob("vol-*")))
        again = site.playbook("site.yml", *PARTS)
        assert again.code == 0, again.output[-4000:]
        site.settle()


def states(site: Site) -> dict[str, str]:
    """The lifecycle states of the group's instances, by their IDs."""
    found = site.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[SCALING_GROUP])
    return {
        instance["InstanceId"]: instance["LifecycleState"] for instance in found["AutoScalingGroups"][0]["Instances"]
    }


def described(site: Site) -> list[dict[str, Any]]:
    found = site.aws("ec2").describe_instances(InstanceIds=sorted(states(site)))
    return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]


def awaited_labels(site: Site) -> set[str]:
    """Wait until exactly the group's nodes have the label of the volume, and return their instances."""

    def labelled() -> set[str]:
        return {node.instance for node in site.listed() if node.labels.get("volume.data") == "true"}

    site.wait("the group's nodes to be labelled", lambda: labelled() == set(states(site)))
    return labelled()


def test_a_group_has_on_demand_and_spot_instances(fleet: Site) -> None:
    fleet.settle(workers=3)

    instances = described(fleet)
    assert Counter(instance.get("InstanceLifecycle", "on demand") for instance in instances) == {
        "on demand": 1,
        "spot": 1,
    }
    assert {instance["InstanceType"] for instance in instances} <= set(FLEET["instance_types"])


def test_data_volumes_are_formatted_once_mounted_and_labelled(fleet: Site) -> None:
    instances = awaited_labels(fleet)

    volumes = fleet.aws("ec2").describe_volumes(Filters=[{"Name": "size", "Values": ["1"]}])["Volumes"]
    assert [volume["Encrypted"] for volume in volumes] == [True, True]
    for instance in sorted(instances):
        mounted = fleet.must(instance, "findmnt", "--noheadings", "--output=SOURCE,FSTYPE", "/srv/data")
        assert mounted.split() == ["/dev/sdf", "ext4"]
        fleet.must(instance, "sh", "-c", "echo kept > /srv/data/kept && umount /srv/data")
        fleet.must(instance, "systemctl", "restart", "swarm-volumes")
        assert fleet.must(instance, "cat", "/srv/data/kept") == "kept\n"


def test_a_service_is_placed_by_the_label_and_writes_to_the_volume(fleet: Site) -> None:
    writes = "open('/data/written', 'w').close(); import time; time.sleep(1e6)"
    words = ["docker", "service", "create", "--detach", "--quiet", "--name=keeper", "--stop-grace-period=1s"]
    words += ["--constraint=node.labels.volume.data==true", "--mount=type=bind,source=/srv/data,target=/data"]
    manager = fleet.managers()[0]
    fleet.must(manager, *words, "python:3.13-slim", "python", "-c", writes)
    try:

        def written() -> bool:
            return any(fleet.on(state, "test", "-e", "/srv/data/written").code == 0 for state in states(fleet))

        fleet.wait("the service to write to a data volume", written)
    finally:
        fleet.must(manager, "docker", "service", "rm", "keeper")


def test_an_instance_at_risk_is_removed_after_its_replacement_serves(fleet: Site) -> None:
    before = set(states(fleet))
    (risky,) = [instance["InstanceId"] for instance in described(fleet) if instance.get("InstanceLifecycle") == "spot"]
    seen: list[dict[str, str]] = []
    fleet.forget_calls()
    fleet.control("rebalance", risky)

    def replaced() -> bool:
        seen.append(states(fleet))
        return risky not in seen[-1] and list(seen[-1].values()) == ["InService"] * 2

    fleet.wait("the instance at risk to be replaced", replaced)
    assert all(list(moment.values()).count("InService") >= 2 for moment in seen), seen
    # Auto Scaling launched a single replacement and terminated the old instance; the agents only completed the hook.
    assert len(set().union(*seen) - before) == 1
    asked = {call["action"] for call in fleet.calls() if call["caller"] != "lab"}
    assert "CompleteLifecycleAction" in asked
    assert "TerminateInstanceInAutoScalingGroup" not in asked
    fleet.settle(workers=3)
    awaited_labels(fleet)
