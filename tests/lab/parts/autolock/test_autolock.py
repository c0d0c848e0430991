"""Autolock: the managers' state is locked on disk, and each agent unlocks its restarted engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.site import CLUSTER, Site

SECRET = f"{CLUSTER}-unlock-keys"
# Prints the secret's length, or AWS's error code.
READ = f"""
import boto3
from botocore.exceptions import ClientError
secrets = boto3.client("secretsmanager", region_name="eu-west-1")
try:
    print(len(secrets.get_secret_value(SecretId="{SECRET}")["SecretString"]))
except ClientError as error:
    print(error.response["Error"]["Code"])
"""
BUILD = ("site.yml", "--skip-tags", "stack")
ON = ("-e", json.dumps({"autolock": True}))


@pytest.fixture(scope="module")
def locked(site: Site) -> Iterator[Site]:
    site.settle()
    run = site.playbook(*BUILD, *ON)
    assert run.code == 0, run.output[-4000:]
    site.wait("the leader's agent to lock the swarm", lambda: _locks(site))
    yield site
    run = site.playbook(*BUILD)
    assert run.code == 0, run.output[-4000:]
    site.wait("the leader's agent to turn autolock off", lambda: not _locks(site))


def test_only_managers_can_read_the_key_and_a_second_run_changes_nothing(locked: Site) -> None:
    key = _key(locked)
    locked.wait("the key to be in the secret", lambda: key in _kept(locked))
    assert int(_read(locked, locked.pick("follower"))) >= len(key)
    assert _read(locked, locked.pick("worker")) == "AccessDeniedException"
    run = locked.playbook(*BUILD, *ON)
    assert (run.code, run.changed) == (0, 0), run.output[-4000:]


def test_a_restarted_engine_and_a_rebooted_manager_are_unlocked(locked: Site) -> None:
    locked.settle()
    follower = locked.pick("follower")
    restarted = _started(locked, follower)
    locked.must(follower, "systemctl", "restart", "docker")
    assert _started(locked, follower) != restarted
    locked.settle()
    leader = locked.pick("leader")
    locked.must(leader, "touch", "/run/before-the-reboot")
    locked.aws("ec2").reboot_instances(InstanceIds=[leader])
    locked.wait("the reboot", lambda: locked.on(leader, "test", "-e", "/run/before-the-reboot").code == 1)
    locked.settle()
    assert leader in locked.managers()


def test_a_rotated_key_is_added_to_the_secret_and_unlocks_engines(locked: Site) -> None:
    old = _key(locked)
    run = locked.playbook("playbooks/rotate.yml", "-e", "what=unlock_key")
    assert run.code == 0, run.output[-4000:]
    new = _key(locked)
    assert new != old
    kept = _kept(locked)
    assert old in kept
    assert new in kept
    assert old not in run.output
    assert new not in run.output
    follower = locked.pick("follower")
    locked.must(follower, "systemctl", "restart", "docker")
    locked.settle()
    for instance in locked.ids():
        journal = locked.on(instance, "journalctl", "--no-pager", "--output=cat").output
        assert journal
        assert old not in journal
        assert new not in journal


def _locks(site: Site) -> bool:
    """Whether the swarm has autolock."""
    word = "{{.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers}}"
    return site.on(site.managers()[0], "docker", "info", "--format", word).output.strip() == "true"


def _key(site: Site) -> str:
    return site.must(site.managers()[0], "docker", "swarm", "unlock-key", "--quiet").strip()


def _kept(site: Site) -> str:
    """The content of the cluster's secret."""
    return site.aws("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]  # type: ignore[no-any-return]


def _read(site: Site, instance: str) -> str:
    """Read the secret with an instance's credentials; returns its length or AWS's error code."""
    return site.must(instance, "sh", "-c", 'set -a; . /etc/environment; exec python3 -c "$0"', READ).strip()


def _started(site: Site, instance: str) -> str:
    return site.must(instance, "systemctl", "show", "docker", "--property=ExecMainStartTimestampMonotonic")
