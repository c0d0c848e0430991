"""The cluster's instances in EC2 and Auto Scaling, and the lifecycle actions that they wait at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from .._core.cluster import GONE_STATES, WARMED, WORKER, Instance, ScalingGroup
from .._core.errors import SwarmError, Unavailable
from .._core.upgrade_marker import TAG, UpgradeMarker
from ..aws import tags
from ..aws.aws_session import AwsSession, ClientError, code
from ..aws.scaling_groups import groups_named, groups_of, launch_failure, template_of
from .instances import describe

# The most instances that Auto Scaling describes in a request.
MOST_ASKED = 50


class AutoScalingGroups:
    """The core's ``Scaling``."""

    def __init__(self, aws: AwsSession, cluster: str, now: Callable[[], float]) -> None:
        """``now`` gives epoch seconds."""
        self._aws, self._cluster, self._now = aws, cluster, now
        self.heartbeats: Dict[str, float] = {}
        self.desired: Dict[str, int] = {}
        self.upgrading: FrozenSet[str] = frozenset()
        self.launch_failures: Dict[str, str] = {}
        # Whether any group has a warm pool.
        self._pools = False

    def instances(self) -> Tuple[Instance, ...]:
        # Ask Auto Scaling first: an instance that starts in between is then unknown, not an instance without a group.
        members = self._members()
        with self._aws.asked("describe the cluster's instances"):
            described = self._described(Filters=tags.of_cluster_filter(self._cluster))
        if self._pools:
            members.update(self._warmed(instance for instance in described if instance not in members))
        unseen = [identifier for identifier in members if identifier not in described]
        described.update(self._by_id(unseen))
        with self._aws.asked("describe the cluster's instances"):
            return tuple(
                _instance(identifier, described.get(identifier), members.get(identifier))
                for identifier in sorted({*described, *members})
            )

    def gone(self, instance: str) -> bool:
        with self._aws.asked(f"read the state of {instance}"):
            found = self._by_id([instance]).get(instance)
            return found is None or _state(found) in GONE_STATES

    def terminate(self, instance: str, *, replace: bool) -> bool:
        with self._aws.asked(f"terminate {instance} in its Auto Scaling group"):
            try:
                self._aws.client("autoscaling").terminate_instance_in_auto_scaling_group(
                    InstanceId=instance, ShouldDecrementDesiredCapacity=not replace
                )
            except ClientError as error:
                # Its group has released it already. The code alone does not tell this from other errors.
                if code(error) == "ValidationError" and "not found" in str(error).lower():
                    return False
                raise
        return True

    def gone_or_going(self, instance: str) -> bool:
        """Whether the instance is terminated, or being terminated with no hook left to wait for. Raises Unavailable."""
        with self._aws.asked(f"describe the Auto Scaling instance {instance}"):
            answer = self._aws.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance])
            states = [str(entry["LifecycleState"]) for entry in answer["AutoScalingInstances"]]
        return all(state.removeprefix(WARMED) in ("Terminating:Proceed", "Terminated") for state in states)

    def sizes(self, scaling_group: str) -> Tuple[int, int]:
        """The minimum and the desired size of a group. Raises Unavailable."""
        with self._aws.asked(f"describe the Auto Scaling group {scaling_group}"):
            groups = groups_named(self._aws.client("autoscaling"), [scaling_group])
            if not groups:
                raise Unavailable(f"There is no Auto Scaling group {scaling_group}.")
            return groups[0]["MinSize"], groups[0]["DesiredCapacity"]

    def groups(self) -> Tuple[ScalingGroup, ...]:
        """The cluster's Auto Scaling groups, by their names. Raises Unavailable."""
        with self._aws.asked("describe the Auto Scaling groups"):
            found = [self._group(group) for group in self._groups()]
        return tuple(sorted(found, key=lambda group: group.name))

    def owner(self, instance: str) -> Optional[Mapping[str, str]]:
        """The tags of any instance of the account and region; None if EC2 does not know the ID. Raises Unavailable."""
        with self._aws.asked(f"read the tags of {instance}"):
            found = self._by_id([instance]).get(instance)
            return None if found is None else tags.from_list(found.get("Tags") or ())

    def complete(self, scaling_group: str, hook: str, instance: str, result: str) -> bool:
        done = self._lifecycle("complete_lifecycle_action", scaling_group, hook, instance, LifecycleActionResult=result)
        self.heartbeats.pop(instance, None)
        return done

    def heartbeat(self, scaling_group: str, hook: str, instance: str) -> bool:
        done = self._lifecycle("record_lifecycle_action_heartbeat", scaling_group, hook, instance)
        self.heartbeats[instance] = self._now()
        return done

    def _lifecycle(self, call: str, scaling_group: str, hook: str, instance: str, **more: str) -> bool:
        with self._aws.asked(f"{call.replace('_', ' ')} of {instance}"):
            try:
                getattr(self._aws.client("autoscaling"), call)(
                    AutoScalingGroupName=scaling_group, LifecycleHookName=hook, InstanceId=instance, **more
                )
            except ClientError as error:
                # Somebody else completed it, or it timed out. The code alone does not tell this from other errors.
                if code(error) == "ValidationError" and "no active lifecycle action" in str(error).lower():
                    return False
                raise
        return True

    def _members(self) -> Dict[str, Tuple[str, Mapping[str, Any]]]:
        """By instance ID, the group's name and the group's entry for the instance."""
        with self._aws.asked("describe the Auto Scaling groups"):
            groups = self._groups()
            own = [(tags.from_list(group.get("Tags") or ()), int(group["DesiredCapacity"])) for group in groups]
            members = {
                str(instance["InstanceId"]): (str(group["AutoScalingGroupName"]), instance)
                for group in groups
                for instance in group.get("Instances") or ()
            }
        self.desired = {group_tags.get(tags.GROUP, ""): desired for group_tags, desired in own}
        self.upgrading = frozenset(group_tags.get(tags.GROUP, "") for group_tags, _desired in own if TAG in group_tags)
        failures = {
            own_tags.get(tags.GROUP, ""): self._failure(group) for (own_tags, _desired), group in zip(own, groups)
        }
        self.launch_failures = {name: failed[0] for name, failed in failures.items() if failed}
        self._pools = any("WarmPoolConfiguration" in group for group in groups)
        return members

    def _group(self, found: Mapping[str, Any]) -> ScalingGroup:
        failure = self._failure(found)
        if failure is None:
            return _group(found)
        reason, since = failure
        return replace(_group(found), launch_failure=reason, failing_seconds=self._now() - since)

    def _failure(self, group: Mapping[str, Any]) -> Optional[Tuple[str, float]]:
        """Why the group's launches fail, and since when. None also if Auto Scaling does not tell."""
        try:
            with self._aws.asked("describe the activities of an Auto Scaling group"):
                return launch_failure(self._aws.client("autoscaling"), group)
        except SwarmError:
            return None

    def _warmed(self, identifiers: Iterable[str]) -> Dict[str, Tuple[str, Mapping[str, Any]]]:
        """The same for instances in warm pools, which the groups do not list."""
        asked = sorted(identifiers)
        found: Dict[str, Tuple[str, Mapping[str, Any]]] = {}
        for start in range(0, len(asked), MOST_ASKED):
            with self._aws.asked("describe the instances in warm pools"):
                answer = self._aws.client("autoscaling").describe_auto_scaling_instances(
                    InstanceIds=asked[start : start + MOST_ASKED]
                )
                for instance in answer["AutoScalingInstances"]:
                    found[instance["InstanceId"]] = (instance["AutoScalingGroupName"], instance)
        return found

    def _groups(self) -> List[Mapping[str, Any]]:
        with self._aws.asked("describe the Auto Scaling groups"):
            return groups_of(self._aws.client("autoscaling"), self._cluster)

    def _by_id(self, identifiers: Iterable[str]) -> Dict[str, Mapping[str, Any]]:
        """The instances that EC2 knows, each with its own request: an unknown ID makes EC2 refuse the whole request."""
        found: Dict[str, Mapping[str, Any]] = {}
        for identifier in identifiers:
            with self._aws.asked(f"describe the instance {identifier}"):
                try:
                    found.update(self._described(InstanceIds=[identifier]))
                except ClientError as error:
                    if not code(error).startswith("InvalidInstanceID."):
                        raise
        return found

    def _described(self, **arguments: Any) -> Dict[str, Mapping[str, Any]]:
        return {instance["InstanceId"]: instance for instance in describe(self._aws, **arguments)}


def _instance(
    identifier: str, described: Optional[Mapping[str, Any]], member: Optional[Tuple[str, Mapping[str, Any]]]
) -> Instance:
    group, place = member or (None, {})
    lifecycle = place.get("LifecycleState")
    if described is None:
        # EC2 does not know it yet, or no longer.
        ended = (lifecycle or "").startswith("Terminat")
        described = {"State": {"Name": "terminated" if ended else "pending"}}
    own = tags.from_list(described.get("Tags") or ())
    return Instance(
        id=identifier,
        group=own.get(tags.GROUP, ""),
        role=own.get(tags.ROLE, WORKER),
        zone=(described.get("Placement") or {}).get("AvailabilityZone") or place.get("AvailabilityZone") or "",
        state=_state(described),
        private_address=described.get("PrivateIpAddress") or None,
        public_address=described.get("PublicIpAddress") or None,
        ipv6_address=_ipv6_address(described),
        scaling_group=group,
        lifecycle=lifecycle,
        healthy=(place.get("HealthStatus") or "Healthy").lower() == "healthy",
        launched=described["LaunchTime"].timestamp() if described.get("LaunchTime") else None,
        kind=described.get("InstanceType"),
        image=described.get("ImageId"),
        template=(place.get("LaunchTemplate") or {}).get("Version"),
    )


def _state(described: Mapping[str, Any]) -> str:
    """An instance's state as EC2 names it. An unknown state never counts as terminated."""
    return (described.get("State") or {}).get("Name") or "unknown"


def _group(found: Mapping[str, Any]) -> ScalingGroup:
    instances = found["Instances"]
    own = tags.from_list(found.get("Tags", []))
    marker = UpgradeMarker.read(own)
    return ScalingGroup(
        name=found["AutoScalingGroupName"],
        group=own.get(tags.GROUP, ""),
        role=own.get(tags.ROLE, WORKER),
        smallest=found["MinSize"],
        desired=found["DesiredCapacity"],
        largest=found["MaxSize"],
        in_service=sum(instance["LifecycleState"] == "InService" for instance in instances),
        template=template_of(found).get("Version"),
        original_size=marker.desired if marker else None,
    )


def _ipv6_address(described: Mapping[str, Any]) -> Optional[str]:
    """The first address of the instance's first network interface."""
    interfaces = described.get("NetworkInterfaces") or ()
    first = [interface for interface in interfaces if (interface.get("Attachment") or {}).get("DeviceIndex") == 0]
    return next(
        (found.get("Ipv6Address") for interface in first for found in interface.get("Ipv6Addresses") or ()), None
    )
