"""Sets the number of instances of a group: permanently, or for an upgrade."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping, Sequence

from .._core.counting import counted
from .._core.report import failing
from .._core.upgrade_marker import TAG, UpgradeMarker
from ..aws import tags
from ..aws.aws_session import AwsSession
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.scaling_groups import PATIENCE, groups_of, launch_failure, launches_of, reason, template_of
from . import warm_pools
from .configuration_schema import suggestion

# It would move instances between zones while an upgrade has an extra instance in a zone.
REBALANCING = "AZRebalance"
LOOK_SECONDS = 1.0


class Sizes:
    """The sizes of a cluster's groups."""

    def __init__(self, aws: AwsSession, cluster: str, changes: Changes) -> None:
        self._autoscaling, self._ec2 = aws.client("autoscaling"), aws.client("ec2")
        self._cluster, self._changes = cluster, changes

    def all(self) -> list[dict[str, Any]]:
        """Every group's state, sorted by name."""
        return sorted((self._told(group) for group in self._groups()), key=lambda group: group["name"])

    def resize(self, name: str, desired: int, timeout: float) -> None:
        """Set the desired size, and wait until Auto Scaling has launched the instances.

        Raises ProvisionError if the size is outside the group's range or smaller than now, an upgrade is under way, or
        no instance can be launched.
        """
        group = self._group(name)
        if _marker(group) is not None:
            raise ProvisionError(
                f"An upgrade of the group {name} is under way: finish it with playbooks/upgrade.yml, or cancel it "
                "there with -e cancel=true."
            )
        least, most, present = group["MinSize"], group["MaxSize"], group["DesiredCapacity"]
        if desired < present:
            raise ProvisionError(
                f"The group {name} has {counted(present, 'instance')}, and Auto Scaling would choose which to "
                "terminate: remove the surplus instances without replacement."
            )
        if not least <= desired <= most:
            raise ProvisionError(
                f"The group {name} may have {least} to {counted(most, 'instance')}, not {desired}: change its min "
                "or max in node_groups and run site.yml first."
            )
        failed = self._failed(group)
        self._desire(group, desired)
        self._wait_for_launch(name, timeout, failed)

    def surge(self, name: str, more: int, timeout: float) -> None:
        """Add ``more`` instances to the original size, and wait until Auto Scaling has launched them.

        The original size is written to a tag first, so that it survives an interrupted upgrade. Raises ProvisionError
        if no instance can be launched.
        """
        group = self._group(name)
        noted = _marker(group)
        marker = noted or UpgradeMarker(group["DesiredCapacity"])
        wanted = max(group["DesiredCapacity"], marker.desired + more)
        if marker.maximum is None and group["MaxSize"] < wanted:
            marker = replace(marker, maximum=group["MaxSize"])
        if noted is None and REBALANCING not in _paused(group):
            marker = replace(marker, paused=REBALANCING)
        if marker != noted:
            self._note(group, noted, marker)
        if marker.paused and marker.paused not in _paused(group):
            self._pause(group, marker.paused, paused=True)
        if group["MaxSize"] < wanted:
            self._set(group, self._autoscaling.update_auto_scaling_group, MaxSize=wanted)
        failed = self._failed(group)
        self._desire(group, wanted)
        self._wait_for_launch(name, timeout, failed)

    def settle(self, name: str) -> None:
        """Restore the original size and settings, once the group is not larger."""
        group = self._group(name)
        marker = _marker(group)
        if marker is None or group["DesiredCapacity"] > marker.desired:
            return
        if marker.paused in _paused(group):
            self._pause(group, marker.paused, paused=False)
        if marker.maximum is not None and group["MaxSize"] > marker.maximum >= group["DesiredCapacity"]:
            self._set(group, self._autoscaling.update_auto_scaling_group, MaxSize=marker.maximum)
        self._note(group, marker, None)

    def call_off(self, name: str, keep: Iterable[str]) -> list[str]:
        """Terminate the surge's instances that do not serve, and return their IDs; ``keep`` are IDs of those that do.

        Each termination reduces the desired capacity. Otherwise Auto Scaling would choose, and terminate old instances.
        """
        group, kept = self._group(name), set(keep)
        marker = _marker(group)
        if marker is None:
            return []
        surplus = max(0, group["DesiredCapacity"] - marker.desired)
        version = template_of(group)["Version"]
        failed = [
            instance["InstanceId"]
            for instance in _living(group)
            if instance.get("LaunchTemplate", {}).get("Version") == version and instance["InstanceId"] not in kept
        ][:surplus]
        for identifier in failed:
            self._end(group, identifier)
        if not self._changes.check_mode:
            group = self._group(name)
        # Desired capacity that was never launched.
        lacking = group["DesiredCapacity"] - len(_living(group))
        if lacking > 0 and group["DesiredCapacity"] > marker.desired:
            self._desire(group, max(marker.desired, group["DesiredCapacity"] - lacking))
        self.settle(name)
        return failed

    def renew(self, name: str, timeout: float) -> list[str]:
        """Terminate the outdated instances in the group's warm pool, and return their IDs.

        Auto Scaling replaces them. Raises ProvisionError if it has not removed them within ``timeout`` seconds; until
        then a group that grows could still take them.
        """
        group = self._group(name)
        version = template_of(group)["Version"]
        going = [
            instance
            for instance in warm_pools.instances(self._autoscaling, group)
            if warm_pools.outdated(instance, version)
        ]
        for instance in going:
            self._changes.apply(
                f"instance {instance['InstanceId']} of the warm pool of {group['AutoScalingGroupName']}",
                {"template": instance.get("LaunchTemplate", {}).get("Version")},
                None,
                # Auto Scaling itself terminates no instance in a warm pool.
                lambda instance=instance: self._ec2.terminate_instances(InstanceIds=[instance["InstanceId"]]),  # type: ignore[misc]
            )
        deadline = time.monotonic() + timeout
        ended = {instance["InstanceId"] for instance in going}
        while ended and not self._changes.check_mode:
            pool = warm_pools.instances(self._autoscaling, group)
            left = sorted(
                instance["InstanceId"]
                for instance in pool
                if instance["InstanceId"] in ended and not warm_pools.ending(instance)
            )
            if not left:
                break
            if time.monotonic() >= deadline:
                raise ProvisionError(
                    f"After {timeout:.0f} s Auto Scaling still has {', '.join(left)} in the warm pool of the group "
                    f"{name}, though they were terminated: run this again."
                )
            time.sleep(LOOK_SECONDS)
        return sorted(ended)

    # Reading

    def _groups(self) -> list[Mapping[str, Any]]:
        return groups_of(self._autoscaling, self._cluster)

    def _group(self, name: str) -> Mapping[str, Any]:
        found = {_name(group): group for group in self._groups()}
        if name not in found:
            hint = suggestion(name, found) or f"; known are {', '.join(sorted(found))}."
            none = f"The cluster '{self._cluster}' has no node groups yet: run site.yml."
            raise ProvisionError(f"There is no node group '{name}'{hint}" if found else none)
        return found[name]

    def _told(self, group: Mapping[str, Any]) -> dict[str, Any]:
        marker, failure = _marker(group), launch_failure(self._autoscaling, group)
        return {
            "name": _name(group),
            "role": tags.from_list(group.get("Tags", [])).get(tags.ROLE, ""),
            "min": group["MinSize"],
            "desired": group["DesiredCapacity"],
            "max": group["MaxSize"],
            "original_size": marker.desired if marker else None,
            "instances": [instance["InstanceId"] for instance in _living(group)],
            "launch_failure": failure and failing(_name(group), failure[0]),
        }

    def _failed(self, group: Mapping[str, Any]) -> dict[str, str]:
        """Auto Scaling's message of each failed launch by activity ID, the newest first."""
        return {
            activity["ActivityId"]: reason(activity)
            for activity in launches_of(self._autoscaling, group)
            if activity["StatusCode"] == "Failed"
        }

    def _wait_for_launch(self, name: str, timeout: float, known: Mapping[str, str]) -> None:
        """Wait for as many instances as desired, in any state."""
        deadline = time.monotonic() + timeout
        failing_since: float | None = None
        while not self._changes.check_mode:
            group = self._group(name)
            lacking = group["DesiredCapacity"] - len(_living(group))
            if lacking <= 0:
                return
            now = time.monotonic()
            news = [message for key, message in self._failed(group).items() if key not in known]
            if news and failing_since is None:
                failing_since = now
            if news and now >= min(deadline, (failing_since or now) + PATIENCE):
                raise ProvisionError(failing(name, news[0]))
            if now >= deadline:
                raise ProvisionError(
                    f"After {timeout:.0f} s Auto Scaling has not launched {counted(lacking, 'more instance')} of the "
                    f"group {name}."
                )
            time.sleep(LOOK_SECONDS)

    # Writing

    def _desire(self, group: Mapping[str, Any], desired: int) -> None:
        if group["DesiredCapacity"] != desired:
            self._set(group, self._autoscaling.set_desired_capacity, DesiredCapacity=desired)

    def _set(self, group: Mapping[str, Any], call: Callable[..., Any], **settings: int) -> None:
        name = group["AutoScalingGroupName"]
        before = {key: group[key] for key in settings}
        self._changes.apply(
            f"Auto Scaling group {name}", before, settings, lambda: call(AutoScalingGroupName=name, **settings)
        )

    def _note(self, group: Mapping[str, Any], before: UpgradeMarker | None, after: UpgradeMarker | None) -> None:
        """Write the original size into the group's tag, or delete the tag if ``after`` is None."""
        name = group["AutoScalingGroupName"]
        tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": TAG, "PropagateAtLaunch": False}

        def write() -> None:
            if after is None:
                self._autoscaling.delete_tags(Tags=[tag])
            else:
                self._autoscaling.create_or_update_tags(Tags=[{**tag, "Value": after.write()}])

        states = [{"value": marker.write()} if marker else None for marker in (before, after)]
        self._changes.apply(f"tag {TAG} of {name}", *states, write)

    def _pause(self, group: Mapping[str, Any], process: str, *, paused: bool) -> None:
        name = group["AutoScalingGroupName"]
        call = self._autoscaling.suspend_processes if paused else self._autoscaling.resume_processes
        self._changes.apply(
            f"process {process} of {name}",
            {"paused": not paused},
            {"paused": paused},
            lambda: call(AutoScalingGroupName=name, ScalingProcesses=[process]),
        )

    def _end(self, group: Mapping[str, Any], instance: str) -> None:
        self._changes.apply(
            f"instance {instance} of {group['AutoScalingGroupName']}",
            {"state": "launched, but does not serve"},
            None,
            lambda: self._autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=True
            ),
        )


def _name(group: Mapping[str, Any]) -> str:
    return tags.from_list(group.get("Tags", [])).get(tags.GROUP, group["AutoScalingGroupName"])


def _marker(group: Mapping[str, Any]) -> UpgradeMarker | None:
    return UpgradeMarker.read(tags.from_list(group.get("Tags", [])))


def _paused(group: Mapping[str, Any]) -> Sequence[str]:
    return [process["ProcessName"] for process in group.get("SuspendedProcesses", [])]


def _living(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [instance for instance in group["Instances"] if not instance["LifecycleState"].startswith("Terminat")]
