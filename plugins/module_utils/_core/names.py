"""The names of a cluster's resources in AWS. Roles get them from the preflight, as ``cluster.names``."""

from __future__ import annotations

from typing import Dict

# Python of the agent's virtual environment on a node, which has the SDKs of AWS and Docker.
NODE_PYTHON = "/usr/local/lib/swarm-agent/venv/bin/python3"


def resource_names(cluster: str, account: str, region: str) -> Dict[str, str]:
    """The names of a cluster's unique resources. The names of all others begin with the cluster's and a hyphen.

    ``account`` is the account's ID, 12 digits.
    """
    return {
        "bucket": bucket(cluster, account, region),
        "key_alias": f"{cluster}-swarm",
        "unlock_secret": unlock_secret(cluster),
        "manager_role": f"{cluster}-manager",
        "worker_role": f"{cluster}-worker",
        "queue": f"{cluster}-events",
        "dead_letter_queue": f"{cluster}-events-dead",
        "event_rule": f"{cluster}-events",
        "alarm_topic": f"{cluster}-alarms",
        "alarm_prefix": alarm_prefix(cluster),
        "metrics_namespace": metrics_namespace(cluster),
        "dashboard": f"{cluster}-swarm",
        "log_group": f"/swarm/{cluster}",
        "launching_hook": launching_hook(cluster),
        "terminating_hook": terminating_hook(cluster),
    }


def bucket(cluster: str, account: str, region: str) -> str:
    """Name of the bucket, which is unique across all AWS accounts."""
    return f"{cluster}-swarm-{account}-{region}"


def unlock_secret(cluster: str) -> str:
    """Name of the secret with the managers' unlock keys."""
    return f"{cluster}-unlock-keys"


def alarm_prefix(cluster: str) -> str:
    """Prefix of the alarms' names. No cluster's name has a slash."""
    return f"{cluster}/"


def metrics_namespace(cluster: str) -> str:
    """CloudWatch's namespace of the agents' metrics."""
    return f"swarm.aws/{cluster}"


def launching_hook(cluster: str) -> str:
    """Name of the lifecycle hook at which a new instance waits until it has joined."""
    return f"{cluster}-launching"


def terminating_hook(cluster: str) -> str:
    """Name of the lifecycle hook at which an instance waits until its node is deleted."""
    return f"{cluster}-terminating"
