"""A cluster as AWS alone shows it, from a machine outside it, even if no manager answers."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

from .._core import names, report
from .._core.cluster import Cluster, Record
from .._core.decision import Decision
from .._core.errors import SwarmError
from .._core.policy import Policy
from ..adapters.autoscaling import AutoScalingGroups
from ..adapters.records import Records
from ..adapters.s3_store import S3Store
from ..aws import tags
from ..aws.aws_session import AwsSession
from ..aws.clock import aws_time
from ..aws.provision_error import ProvisionError

Result = TypeVar("Result")
# Parts of an answer that are not shown: user data may contain secrets of its author.
_LEFT_OUT = ("UserData", "ResponseMetadata")


class AwsSurvey:
    """A single observation of a cluster."""

    def __init__(self, aws: AwsSession, cluster: str, account: Optional[str]) -> None:
        """Raises ProvisionError if the credentials are for another account."""
        own = aws.client("sts").get_caller_identity()["Account"]
        if account and str(account) != own:
            raise ProvisionError(
                f"The credentials are for the account {own}, but account_id is {account}: use that account's profile."
            )
        self._aws, self._cluster = aws, cluster
        self._fleet = AutoScalingGroups(aws, cluster, aws_time.now)
        self.bucket = names.bucket(cluster, own, aws.region)
        self._store = S3Store(aws, self.bucket)
        # A sentence for each thing that could not be read.
        self.failures: List[str] = []

    def look(self) -> Dict[str, Any]:
        """The cluster as `cluster_info` returns it, without what only a manager knows. Raises ProvisionError."""
        try:
            instances = self._fleet.instances()
        except SwarmError as error:
            raise ProvisionError(str(error)) from error
        groups = self._asked(self._fleet.groups) or ()
        policy = self._asked(self._policy)
        record = self._asked(lambda: self._record(policy)) if policy else None
        status: Mapping[str, Any] = self._asked(self._store.status) or {}
        observed = Cluster(None, None, None, instances, record, services=None)
        kind = policy.dns.addresses if policy and policy.dns else "public"
        members = report.members(observed, kind)
        return {
            "members": members,
            "msg": report.launched(members, groups),
            "groups": report.groups(groups),
            "outdated": report.outdated(observed, groups),
            "record": report.standing(observed, policy, Decision()) if policy else None,
            "agent": {name: status.get(name) for name in ("at", "version")},
            "last_actions": status.get("last_actions", []),
            "notes": [report.failing(group.group, group.launch_failure) for group in groups if group.launch_failure],
            "failures": self.failures,
        }

    def answers(self) -> Dict[str, Any]:
        """AWS's answers about the cluster's resources, by call; for a refused call, the reason."""
        found: Dict[str, List[Any]] = {}
        for service, call, arguments in self._calls():
            name = f"{service} {call}"
            try:
                with self._aws.asked(f"{call} of {service}"):
                    found.setdefault(name, []).append(_without(getattr(self._aws.client(service), call)(**arguments)))
            except SwarmError as error:
                found.setdefault(name, []).append(str(error))
        return found

    def _calls(self) -> Sequence[Tuple[str, str, Dict[str, Any]]]:
        tagged = {"Filters": tags.of_cluster_filter(self._cluster)}
        names = [group.name for group in self._asked(self._fleet.groups) or ()]
        policy = self._asked(self._policy)
        calls: List[Tuple[str, str, Dict[str, Any]]] = [
            ("ec2", "describe_instances", tagged),
            ("ec2", "describe_launch_templates", tagged),
            ("ec2", "describe_security_groups", tagged),
            ("ec2", "describe_subnets", tagged),
            ("autoscaling", "describe_auto_scaling_groups", tagged),
            *(("autoscaling", "describe_lifecycle_hooks", {"AutoScalingGroupName": name}) for name in names),
            *(("autoscaling", "describe_scaling_activities", {"AutoScalingGroupName": name}) for name in names),
            ("s3", "list_objects_v2", {"Bucket": self.bucket}),
        ]
        if policy and policy.dns and policy.dns.service_id:
            calls.append(("servicediscovery", "list_instances", {"ServiceId": policy.dns.service_id}))
        elif policy and policy.dns:
            zone = {"HostedZoneId": policy.dns.zone_id, "StartRecordName": policy.dns.record, "MaxItems": "10"}
            calls.append(("route53", "list_resource_record_sets", zone))
        return calls

    def _policy(self) -> Policy:
        return Policy.read(self._store.policy(), self._aws.region)

    def _record(self, policy: Policy) -> Optional[Record]:
        if policy.dns is None:
            return None
        return Records(self._aws, aws_time.now, tuple).read(policy.dns)

    def _asked(self, question: Callable[[], Result]) -> Optional[Result]:
        try:
            return question()
        except SwarmError as error:
            if str(error) not in self.failures:
                self.failures.append(str(error))
            return None


def _without(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return {key: _without(value) for key, value in answer.items() if key not in _LEFT_OUT}
    if isinstance(answer, (list, tuple)):
        return [_without(entry) for entry in answer]
    return answer
