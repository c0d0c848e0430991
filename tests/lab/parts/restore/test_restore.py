"""Backups, rotation, and restores after managers are lost."""

from __future__ import annotations

import contextlib

import pytest
from docker.errors import NotFound

from lab.engine import connect, remove_instance
from lab.state import ENDPOINT_PORT, SERVICES_ADDRESS
from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, Site, say

SECRET = "kept-over-everything"


@pytest.fixture(scope="module")
def saved(site: Site) -> dict[str, set[str]]:
    """The IDs of the swarm's objects in its two backups, by kind. No restore may change them."""
    site.settle()
    site.must(site.managers()[0], "sh", "-c", f"echo {SECRET} | docker secret create {SECRET} -")
    for _ in range(2):
        run = site.playbook("playbooks/backup.yml")
        assert run.code == 0, run.output[-4000:]
    return site.kept()


def test_a_backup_fails_no_request_and_workers_cannot_read_it(site: Site, saved: dict[str, set[str]]) -> None:
    with Load(site.lab, RECORD) as load:
        run = site.playbook("playbooks/backup.yml")
    assert run.code == 0, run.output[-4000:]
    say(f"backup: {load.result}; {run.line('The engine was paused')}")
    assert load.result.failures == []
    assert f"{len(saved['secret'])} secrets" in run.output
    newest = site.backups()[0]
    assert newest in run.output
    worker = site.instances("worker")[0]["instance_id"]
    endpoint = f"AWS_ENDPOINT_URL=http://{SERVICES_ADDRESS}:{ENDPOINT_PORT}"
    read = _READ.format(bucket=site.bucket, key=f"backups/{newest}.tar.gz")
    assert "AccessDenied" in site.on(worker, "env", endpoint, "python3", "-c", read).output


@pytest.mark.fault(37)
def test_fault_37_an_altered_backup_is_refused_and_an_older_is_offered(site: Site, saved: dict[str, set[str]]) -> None:
    before, (newest, older, *_) = site.settle(), site.backups()
    s3, key = site.aws("s3"), f"backups/{newest}.tar.gz"
    content = s3.get_object(Bucket=site.bucket, Key=key)["Body"].read()
    refusals = {
        ("-e", f"backup={newest}"): "The swarm works: 3 of 3 managers reachable, quorum 2.",
        ("-e", "backup=nonsense", "-e", "force=example"): "There is no backup 'nonsense'.",
        ("-e", "force=another"): "force is 'another', but the cluster is 'example'",
        ("-e", "force=example"): f"is damaged: it has {len(content) - 9} bytes",
    }
    s3.put_object(Bucket=site.bucket, Key=key, Body=content[:-9])
    try:
        for words, reason in refusals.items():
            run = site.playbook("playbooks/restore.yml", *words)
            assert run.code != 0
            assert reason in run.said
            assert run.changed == 0
        assert f"use it with -e backup={older}" in run.said
    finally:
        s3.put_object(Bucket=site.bucket, Key=key, Body=content)
    assert site.nodes() == before


@pytest.mark.fault(8)
def test_fault_08_tokens_and_ca_are_rotated_and_nodes_stay(site: Site) -> None:
    before, tokens = site.settle(), _tokens(site)
    run = site.playbook("playbooks/rotate.yml", "-e", "what=tokens,ca")
    assert run.code == 0, run.output[-4000:]
    assert "Every node has a certificate of the new CA" in run.output
    assert not set(tokens) & set(_tokens(site))
    assert not any(token in run.output for token in (*tokens, *_tokens(site)))
    assert {node.node_id for node in site.settle()} == {node.node_id for node in before}
    run = site.playbook("playbooks/rotate.yml", "-e", "what=unlock_key")
    assert run.code != 0
    assert "there is no unlock key" in run.said


def test_a_drill_restores_the_newest_backup(site: Site, saved: dict[str, set[str]]) -> None:
    before = site.settle()
    run = site.playbook("playbooks/restore_drill.yml")
    assert run.code == 0, run.output[-4000:]
    said = run.said
    assert (
        f"The backup {site.backups()[0]} restores: {len(saved['service'])} services, {len(saved['secret'])} secrets"
        in said
    )
    filters = [{"Name": "tag:swarm.aws/role", "Values": ["drill"]}]
    states = [
        instance["State"]["Name"]
        for reservation in site.aws("ec2").describe_instances(Filters=filters)["Reservations"]
        for instance in reservation["Instances"]
    ]
    assert states == ["terminated"]
    assert site.nodes() == before


@pytest.mark.fault(36)
def test_fault_36_a_survivor_restores_the_swarm_after_two_lost_disks(site: Site, saved: dict[str, set[str]]) -> None:
    site.settle()
    cluster, (survivor, *lost) = site.cluster_record()["cluster_id"], sorted(site.managers())
    for instance in lost:
        with contextlib.suppress(NotFound):
            site.kill_host(instance)
        remove_instance(connect(), site.lab.container(instance))
    site.wait("the quorum to be lost", lambda: not site.managers())
    run = site.playbook("playbooks/restore.yml")
    assert run.code == 0, run.output[-6000:]
    assert f"{survivor} still has the state of the swarm {cluster}, so nothing is lost" in run.said
    site.settle()
    assert site.cluster_record()["cluster_id"] == cluster
    assert site.kept() == saved
    site.settle_record()
    assert site.page().status == 200


def test_force_restores_a_backup_over_a_working_swarm(site: Site, saved: dict[str, set[str]]) -> None:
    before = site.settle()
    (chosen, *_) = site.backups()
    # The backup does not have the new config, so the restore removes it.
    manager = site.managers()[0]
    site.must(manager, "sh", "-c", "echo later | docker config create later -")
    run = site.playbook("playbooks/restore.yml", "-e", f"force={CLUSTER}", "-e", f"backup={chosen}")
    assert run.code == 0, run.output[-6000:]
    assert f"The backup {chosen}" in run.said
    site.settle()
    assert "later" not in site.must(site.managers()[0], "docker", "config", "ls", "--format", "{{.Name}}")
    assert site.kept() == saved
    assert len(before) == len(site.nodes())
    site.wait("the page", lambda: site.page().status == 200)


_READ = """
import boto3
try:
    boto3.client("s3", region_name="eu-west-1").get_object(Bucket="{bucket}", Key="{key}")
except Exception as error:
    print(error)
"""


def _tokens(site: Site) -> list[str]:
    """The published join tokens."""
    s3 = site.aws("s3")
    return [
        s3.get_object(Bucket=site.bucket, Key=f"{role}/token")["Body"].read().decode() for role in ("manager", "worker")
    ]
