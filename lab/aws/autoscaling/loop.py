"""The control loop's body: checks each group, and moves each member a step towards its next state."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from functools import partial
from typing import Any

from lab.aws import events, world
from lab.aws.autoscaling.group import LAUNCHING, TERMINATING, WARMED, Action, Activity, Group, Member
from lab.aws.autoscaling.launching import launch_instance
from lab.aws.autoscaling.placement import victim

log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
"""After a failed launch; AWS uses a backoff."""
KEPT_ACTIVITIES = 500


class Loop:
    """Steps groups. Callers hold the world's lock."""

    def __init__(self, activities: list[Activity]) -> None:
        self._activities = activities

    def step(self, group: Group) -> None:
        """Run a round for a group."""
        now = time.monotonic()
        for member in list(group.members):
            self._check_health(member)
            self._advance(member, now)
        self._fit_capacity(group, now)
        self._fit_warm_pool(group, now)

    def begin_termination(self, member: Member, cause: str) -> None:
        """Begin to terminate a member."""
        activity = self._note(member.group, f"Terminating EC2 instance: {member.instance.id}", cause)
        if not member.activity.end_time:
            member.activity.end("Cancelled")
        member.activity, member.actions = activity, {}
        member.state = f"{WARMED}Terminating" if member.warmed else "Terminating"

    def end_without_waiting(self, member: Member, cause: str) -> None:
        """Terminate a member without its lifecycle hooks, as a forced deletion does."""
        if not member.terminating:
            self.begin_termination(member, cause)
        member.state, member.actions = f"{WARMED if member.warmed else ''}Terminating:Proceed", {}

    # Health

    def _check_health(self, member: Member) -> None:
        suspended = member.group.suspended
        if member.terminating or "HealthCheck" in suspended:
            return
        rests = member.state == f"{WARMED}Stopped" and member.instance.state in ("stopping", "stopped")
        if not member.instance.alive and not rests:
            # The grace period applies to failing checks, not to instances that do not run.
            member.health = "Unhealthy"
            if member.state.removeprefix(WARMED).startswith("Pending") and not member.activity.end_time:
                why = member.instance.state_reason
                reason = why.message if why.message.startswith(why.code) else f"{why.code}: {why.message}"
                member.activity.fail(
                    "Instance became unhealthy while waiting for instance to be in InService state. "
                    f"Termination Reason: {reason}"
                )
                member.group.no_launch_before = time.monotonic() + RETRY_SECONDS
        if member.health == "Unhealthy" and "ReplaceUnhealthy" not in suspended:
            self.begin_termination(
                member,
                "an instance was taken out of service in response to an EC2 health check indicating it has been "
                "terminated or stopped.",
            )

    # Lifecycle

    def _advance(self, member: Member, now: float) -> None:
        """Move a member a step towards service, the warm pool or termination."""
        pool, state = WARMED if member.warmed else "", member.state.removeprefix(WARMED)
        if state == "Pending" and member.instance.state == "running":
            state += self._call_hooks(member, LAUNCHING)
        elif state == "Terminating":
            state += self._call_hooks(member, TERMINATING)
        elif state == "Pending:Wait":
            result = self._result(member, now)
            if result == "ABANDON":
                if not pool:
                    token = next(action.token for action in member.actions.values() if action.result == "ABANDON")
                    member.activity.fail(
                        f"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was "
                        "abandoned: Lifecycle Action Completed with ABANDON Result"
                    )
                    _tell_activity(member, "EC2 Instance Launch Unsuccessful")
                self.begin_termination(member, "a lifecycle hook abandoned the launch of the instance.")
                return
            state = "Pending:Proceed" if result else state
        elif state == "Terminating:Wait" and self._result(member, now):
            state = "Terminating:Proceed"
        member.state = f"{pool}{state}"
        if state == "Pending:Proceed":
            member.activity.end()
            if pool:
                member.state = f"{WARMED}Stopped"
                member.instance.rest()
            else:
                member.state, member.in_service_since = "InService", now
                _tell_activity(member, "EC2 Instance Launch Successful")
        elif state == "Terminating:Proceed":
            self._terminate(member)

    @staticmethod
    def _call_hooks(member: Member, transition: str) -> str:
        """Make a member wait for the hooks of a transition, and return the suffix of its state."""
        hooks = [hook for hook in member.group.hooks.values() if hook.transition == transition]
        member.actions = {hook.name: Action(hook) for hook in hooks}
        for action in member.actions.values():
            _tell_hook(member, action)
        return ":Wait" if hooks else ":Proceed"

    @staticmethod
    def _result(member: Member, now: float) -> str | None:
        """The result of a member's hooks: CONTINUE once all have that result, ABANDON once any has, otherwise None."""
        for action in member.actions.values():
            if action.result is None and action.timed_out(now):
                log.info("hook %s of %s timed out", action.hook.name, member.instance.id)
                action.result = action.hook.settings["DefaultResult"]
        results = [action.result for action in member.actions.values()]
        if "ABANDON" in results:
            return "ABANDON"
        return None if None in results else "CONTINUE"

    @staticmethod
    def _terminate(member: Member) -> None:
        instance = member.instance
        if instance.state == "terminated":
            member.state = "Terminated"
            member.activity.end()
            member.group.members.remove(member)
            _tell_activity(member, "EC2 Instance Terminate Successful")
        elif instance.state != "shutting-down":
            instance.terminate()

    # Capacity

    def _fit_capacity(self, group: Group, now: float) -> None:
        counting = [member for member in group.members if member.counts]
        # With CapacityRebalance, a member at risk is replaced before it is terminated.
        risky = [member for member in counting if member.at_risk and group.settings["CapacityRebalance"]]
        surplus = len(counting) - group.desired - len(risky)
        if surplus < 0 and not group.deleting:
            self._launch(group, -surplus, now)
        elif surplus > 0 and not risky:
            self._scale_in(group, surplus)
        in_service = [member for member in counting if member.state == "InService" and member not in risky]
        if risky and len(in_service) >= group.desired:
            for member in risky:
                self.begin_termination(member, "an instance at an elevated risk of interruption was replaced.")

    def _fit_warm_pool(self, group: Group, now: float) -> None:
        warmed = [member for member in group.members if member.warmed and not member.terminating]
        if len(warmed) < group.warm_size:
            self._launch(group, group.warm_size - len(warmed), now, state=f"{WARMED}Pending")
        for member in warmed[group.warm_size :]:
            self.begin_termination(member, "the warm pool has too many instances.")
        if (group.warm_pool or {}).get("Status") and not any(member.warmed for member in group.members):
            group.warm_pool = None

    def _start_warmed(self, group: Group, count: int) -> int:
        """Start up to ``count`` instances of the warm pool, and return their number."""
        ready = [
            candidate
            for candidate in group.members
            if candidate.state == f"{WARMED}Stopped" and candidate.instance.state == "stopped"
        ]
        for member in ready[:count]:
            cause = "an instance was started from the warm pool."
            member.activity = self._note(
                group, f"Launching a new EC2 instance from warm pool: {member.instance.id}", cause
            )
            member.state, member.actions = "Pending", {}
            member.instance.wake()
        return min(count, len(ready))

    def _launch(self, group: Group, count: int, now: float, state: str = "Pending") -> None:
        if "Launch" in group.suspended or now < group.no_launch_before:
            return
        if state == "Pending":
            count -= self._start_warmed(group, count)
        for _ in range(count):
            cause = (
                f"an instance was started in response to a difference between desired and actual capacity ({count})."
            )
            launched = launch_instance(group, partial(self._note_failure, group, cause))
            if launched is None:
                group.no_launch_before = now + RETRY_SECONDS
                return
            instance, template = launched
            activity = self._note(group, f"Launching a new EC2 instance: {instance.id}", cause)
            group.members.append(Member(group, instance, template, activity, state))

    def _scale_in(self, group: Group, count: int) -> None:
        if "Terminate" in group.suspended:
            return
        for _ in range(count):
            chosen = victim(group.members, group.settings["TerminationPolicies"])
            self.begin_termination(chosen, "a user request shrank the group's capacity.")

    # Activities and events

    def _note_failure(self, group: Group, cause: str, reason: str) -> None:
        self._note(group, "Launching a new EC2 instance", cause).fail(reason)
        log.warning("group %s could not launch: %s", group.name, reason)

    def _note(self, group: Group, description: str, cause: str) -> Activity:
        activity = Activity(group.name, description, f"At {world.timestamp()} {cause}")
        self._activities.insert(0, activity)
        del self._activities[KEPT_ACTIVITIES:]
        return activity


def _tell_hook(member: Member, action: Action) -> None:
    launching = action.hook.transition == LAUNCHING
    inside = "WarmPool" if member.warmed else "AutoScalingGroup"
    detail: dict[str, Any] = {
        "LifecycleActionToken": action.token,
        "AutoScalingGroupName": member.group.name,
        "LifecycleHookName": action.hook.name,
        "EC2InstanceId": member.instance.id,
        "LifecycleTransition": action.hook.transition,
        "Origin": "EC2" if launching else inside,
        "Destination": inside if launching else "EC2",
    }
    if "NotificationMetadata" in action.hook.settings:
        detail["NotificationMetadata"] = action.hook.settings["NotificationMetadata"]
    kind = "EC2 Instance-launch Lifecycle Action" if launching else "EC2 Instance-terminate Lifecycle Action"
    events.publish("aws.autoscaling", kind, detail, [member.group.arn])


def _tell_activity(member: Member, kind: str) -> None:
    activity, instance = member.activity, member.instance
    launching = "Launch" in kind
    detail = {
        "StatusCode": "InProgress" if activity.status_code == "Successful" else activity.status_code,
        "AutoScalingGroupName": member.group.name,
        "ActivityId": activity.activity_id,
        "Details": {"Availability Zone": instance.placement.zone, "Subnet ID": instance.subnet_id},
        "RequestId": activity.activity_id,
        "EndTime": _time(activity.end_time),
        "EC2InstanceId": instance.id,
        "StartTime": _time(activity.start_time),
        "Cause": activity.cause,
        "Description": activity.description,
        "StatusMessage": activity.status_message or "",
        "Origin": "EC2" if launching else "AutoScalingGroup",
        "Destination": "AutoScalingGroup" if launching else "EC2",
    }
    events.publish("aws.autoscaling", kind, detail, [member.group.arn, events.instance_arn(instance.id)])


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z" if moment else ""
