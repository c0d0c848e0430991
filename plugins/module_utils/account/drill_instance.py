"""The drill instance: launched like a manager, in no swarm, to restore a backup on it."""

from __future__ import annotations

import base64
from typing import Any, Mapping

from ..aws import tags
from ..aws.aws_session import AwsSession, code, listed
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.scaling_groups import groups_of
from ..aws.waiters import once_visible

ROLE = "drill"
_MANAGERS, _OURS = '"role": "manager"', f'"role": "{ROLE}"'
_WAIT = {"Delay": 2, "MaxAttempts": 300}


class Scratch:
    """Launches and terminates the drill instance."""

    def __init__(self, aws: AwsSession, cluster: str, own_tags: Mapping[str, str], changes: Changes) -> None:
        self._ec2, self._autoscaling = aws.client("ec2"), aws.client("autoscaling")
        self._changes, self._cluster = changes, cluster
        self._tags = {**tags.of_cluster(cluster, own_tags, Name=f"{cluster}-{ROLE}"), tags.ROLE: ROLE}

    def present(self, template: str, security_group: str) -> str | None:
        """Launch it from that launch template. Returns its ID; None in check mode."""
        for instance in self._instances():
            # Left by a killed run, in an unknown state.
            self._end(instance)
        data = self._template(template)
        image = {"user data": f"as {template}'s, with the role {ROLE}", "tags": self._tags}
        launched = self._changes.apply(
            f"instance {self._cluster}-{ROLE}",
            None,
            image,
            lambda: once_visible(
                lambda: self._ec2.run_instances(
                    LaunchTemplate={"LaunchTemplateName": template, "Version": "$Latest"},
                    MinCount=1,
                    MaxCount=1,
                    UserData=user_data(data),
                    InstanceInitiatedShutdownBehavior="terminate",
                    NetworkInterfaces=[
                        {
                            "DeviceIndex": 0,
                            "AssociatePublicIpAddress": data["NetworkInterfaces"][0]["AssociatePublicIpAddress"],
                            "DeleteOnTermination": True,
                            "SubnetId": self._subnet(),
                            "Groups": [self._group(security_group)],
                        }
                    ],
                    TagSpecifications=tags.specification("instance", self._tags),
                ),
                lambda error: code(error) == "InvalidParameterValue" and "profile" in str(error).lower(),
            ),
        )
        if launched is None:
            return None
        identifier: str = launched["Instances"][0]["InstanceId"]
        self._ec2.get_waiter("instance_running").wait(InstanceIds=[identifier], WaiterConfig=_WAIT)
        return identifier

    def absent(self) -> list[str]:
        """Terminate all drill instances, and return their IDs."""
        found = self._instances()
        for instance in found:
            self._end(instance)
        return found

    def _end(self, instance: str) -> None:
        def end() -> None:
            self._ec2.terminate_instances(InstanceIds=[instance])
            self._ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=_WAIT)

        self._changes.apply(f"instance {instance}", {"role": ROLE}, None, end)

    def _instances(self) -> list[str]:
        filters = [
            *tags.of_cluster_filter(self._cluster),
            {"Name": f"tag:{tags.ROLE}", "Values": [ROLE]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
        reservations = listed(self._ec2, "describe_instances", "Reservations", Filters=filters)
        return [instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]]

    def _template(self, name: str) -> Mapping[str, Any]:
        try:
            found = self._ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])
        except Exception as error:
            if code(error).startswith("InvalidLaunchTemplate"):
                raise ProvisionError(f"There is no launch template {name}: run site.yml first.") from error
            raise
        data: Mapping[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data

    def _subnet(self) -> str:
        """A subnet of the managers, with the same routes."""
        of_managers = {"Name": f"tag:{tags.ROLE}", "Values": ["manager"]}
        found = groups_of(self._autoscaling, self._cluster, of_managers)
        if not found:
            raise ProvisionError(f"The cluster '{self._cluster}' has no group of managers: run site.yml first.")
        return str(min(found[0]["VPCZoneIdentifier"].split(",")))

    def _group(self, name: str) -> str:
        filters = [*tags.of_cluster_filter(self._cluster), {"Name": "group-name", "Values": [name]}]
        found = self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        if not found:
            raise ProvisionError(f"There is no security group {name}: run site.yml first.")
        return str(found[0]["GroupId"])


def user_data(template: Mapping[str, Any]) -> str:
    """A manager's user data for an instance that joins no swarm. Raises ProvisionError if it is not a manager's."""
    text = base64.b64decode(template.get("UserData", "")).decode(errors="replace")
    if text.count(_MANAGERS) != 1:
        raise ProvisionError("The launch template's user data is not a manager's: run site.yml first.")
    return text.replace(_MANAGERS, _OURS)
