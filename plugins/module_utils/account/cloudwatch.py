"""The alarms and the dashboard of a cluster."""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping

from .._core import names
from ..aws import tags
from ..aws.aws_session import AwsSession, listed, unless_missing
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError

NO_DASHBOARD = ("ResourceNotFound", "DashboardNotFoundError")


def alarms_of(aws: AwsSession, cluster: str) -> Iterator[Mapping[str, Any]]:
    """The alarms with the cluster's tag."""
    for alarm in _named_alarms(aws, cluster).values():
        if _tags(aws, alarm).get(tags.CLUSTER) == cluster:
            yield alarm


def keep_alarms(
    aws: AwsSession,
    cluster: str,
    alarm_tags: Mapping[str, str],
    wanted: Mapping[str, Mapping[str, Any]],
    changes: Changes,
) -> None:
    """Create the alarms, given as the settings of PutMetricAlarm by name; delete the cluster's other alarms."""
    present = _named_alarms(aws, cluster)
    for name, settings in wanted.items():
        if name in present:
            _update_alarm(aws, present[name], settings, alarm_tags, changes)
        else:
            changes.apply(
                f"alarm {name}",
                None,
                {**settings, "tags": alarm_tags},
                lambda name=name, settings=settings: aws.client("cloudwatch").put_metric_alarm(  # type: ignore[misc]
                    AlarmName=name, Tags=tags.to_list(alarm_tags), **settings
                ),
            )
    for name in sorted(set(present) - set(wanted)):
        if _tags(aws, present[name]).get(tags.CLUSTER) == cluster:
            changes.apply(
                f"alarm {name}",
                {"description": present[name].get("AlarmDescription")},
                None,
                lambda name=name: aws.client("cloudwatch").delete_alarms(AlarmNames=[name]),  # type: ignore[misc]
            )


def keep_dashboard(aws: AwsSession, name: str, body: Mapping[str, Any] | None, changes: Changes) -> None:
    """Create or update the dashboard; delete it without a body."""
    found = unless_missing(aws.client("cloudwatch").get_dashboard, *NO_DASHBOARD, DashboardName=name)
    before = json.loads(found["DashboardBody"]) if found else None
    if before == body:
        return
    changes.apply(f"dashboard {name}", before, body, lambda: _put_dashboard(aws, name, body))


def _named_alarms(aws: AwsSession, cluster: str) -> dict[str, Mapping[str, Any]]:
    prefix = names.alarm_prefix(cluster)
    found = listed(aws.client("cloudwatch"), "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    return {alarm["AlarmName"]: alarm for alarm in found}


def _tags(aws: AwsSession, alarm: Mapping[str, Any]) -> dict[str, str]:
    return tags.from_list(aws.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])


def _update_alarm(
    aws: AwsSession,
    present: Mapping[str, Any],
    wanted: Mapping[str, Any],
    alarm_tags: Mapping[str, str],
    changes: Changes,
) -> None:
    name, arn = present["AlarmName"], present["AlarmArn"]
    before = {key: _comparable(wanted[key], present.get(key)) for key in wanted}
    differing = [key for key in wanted if wanted[key] != before[key]]
    if differing:
        # PutMetricAlarm replaces all settings; the tags stay.
        changes.apply(
            f"alarm {name}",
            {key: before[key] for key in differing},
            {key: wanted[key] for key in differing},
            lambda: aws.client("cloudwatch").put_metric_alarm(AlarmName=name, **wanted),
        )
    changes.add_tags(
        f"alarm {name}",
        _tags(aws, present),
        alarm_tags,
        lambda missing: aws.client("cloudwatch").tag_resource(ResourceARN=arn, Tags=tags.to_list(missing)),
    )


def _put_dashboard(aws: AwsSession, name: str, body: Mapping[str, Any] | None) -> None:
    if body is None:
        aws.client("cloudwatch").delete_dashboards(DashboardNames=[name])
        return
    answer = aws.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
    complaints = answer.get("DashboardValidationMessages")
    if complaints:
        raise ProvisionError(f"CloudWatch rejects parts of the dashboard {name}: {complaints[0].get('Message')}")


def _comparable(wanted: Any, present: Any) -> Any:
    """The present values of the wanted settings, without what CloudWatch adds."""
    if isinstance(wanted, Mapping) and isinstance(present, Mapping):
        return {key: _comparable(wanted[key], present.get(key)) for key in wanted}
    if isinstance(wanted, list) and isinstance(present, list) and len(wanted) == len(present):
        return [_comparable(*pair) for pair in zip(wanted, present)]
    return present
