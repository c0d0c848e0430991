"""The bucket loses the record of a running cluster while managers boot: there is always a single swarm."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.load import Load
from tests.lab.site import RECORD, Site, say

CLAIM = {"phase": "claimed", "claimed_at": "", "cluster_id": None, "generation": 1, "epochs": {}, "former": []}


def put(site: Site, document: dict[str, Any]) -> None:
    site.aws("s3").put_object(Bucket=site.bucket, Key="cluster.json", Body=json.dumps(document).encode())


def oldest(site: Site) -> None:
    """Restore the first version of the record, which is a claim."""
    listed = site.aws("s3").list_object_versions(Bucket=site.bucket, Prefix="cluster.json")["Versions"]
    first = min(listed, key=lambda version: version["LastModified"])["VersionId"]
    body = site.aws("s3").get_object(Bucket=site.bucket, Key="cluster.json", VersionId=first)["Body"].read()
    assert json.loads(body)["phase"] == "claimed"
    site.aws("s3").put_object(Bucket=site.bucket, Key="cluster.json", Body=body)


def claimed_by_the_leader(site: Site) -> None:
    put(site, {**CLAIM, "claimed_by": site.pick("leader")})


def claimed_by_a_missing_instance(site: Site) -> None:
    put(site, {**CLAIM, "claimed_by": "i-0123456789abcdef0"})


def unreadable(site: Site) -> None:
    site.aws("s3").put_object(Bucket=site.bucket, Key="cluster.json", Body=b"{")


def emptied_bucket(site: Site) -> None:
    """Delete all objects that the nodes write; they cannot boot without the others."""
    s3 = site.aws("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=site.bucket):
        for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if not version["Key"].startswith(("agent/", "policy.json")):
                s3.delete_object(Bucket=site.bucket, Key=version["Key"], VersionId=version["VersionId"])


def kill_follower(site: Site) -> str:
    """Fail the host of a follower. Returns its public address."""
    follower = site.pick("follower")
    address: str = next(instance["public_ip"] for instance in site.instances() if instance["instance_id"] == follower)
    site.kill_host(follower)
    return address


def logs_since(site: Site, began: str) -> str:
    """The logs of all managers' agents since a time."""
    lines = [
        line for manager in site.managers() for line in site.agent_log(manager).splitlines() if '"time": "' in line
    ]
    return "\n".join(line for line in lines if line.partition('"time": "')[2][: len(began)] >= began)


@pytest.mark.fault(38)
@pytest.mark.fault(40)
@pytest.mark.fault(42)
@pytest.mark.parametrize(
    "lose", [oldest, claimed_by_the_leader, claimed_by_a_missing_instance, unreadable, emptied_bucket]
)
def test_a_damaged_bucket_makes_no_second_swarm(site: Site, lose: Callable[[Site], None]) -> None:
    site.settle()
    before = site.cluster_record()
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        lose(site)
        address = kill_follower(site)
        site.wait("the record to drop the address", lambda: address not in site.addresses())
        site.settle()
    say(f"{lose.__name__}: {load.result}")
    after = site.cluster_record()
    assert (after["phase"], after["cluster_id"]) == ("formed", before["cluster_id"])
    assert after["generation"] > before["generation"]
    assert site.clusters() == {before["cluster_id"]}
    assert "Initialising the swarm" not in logs_since(site, began)
    assert {failure.address for failure in load.result.failures} <= {address}, "requests to another host failed"
    site.settle_record()
    tokens = site.aws("s3").list_objects_v2(Bucket=site.bucket, Prefix="worker/")["Contents"]
    assert "worker/token" in {token["Key"] for token in tokens}


@pytest.mark.fault(40)
def test_fault_40_site_yml_creates_a_deleted_bucket_again(site: Site) -> None:
    site.settle()
    before, s3 = site.cluster_record(), site.aws("s3")
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=site.bucket):
            for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                s3.delete_object(Bucket=site.bucket, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=site.bucket)
        address = kill_follower(site)
        site.wait("the record to drop the address", lambda: address not in site.addresses())
        run = site.playbook("site.yml")
        assert run.code == 0, run.output[-4000:]
        site.settle()
    say(f"the bucket is deleted: {load.result}")
    after = site.cluster_record()
    assert (after["phase"], after["cluster_id"]) == ("formed", before["cluster_id"])
    assert site.clusters() == {before["cluster_id"]}
    assert {failure.address for failure in load.result.failures} <= {address}
    site.settle_record()
    again = site.playbook("site.yml")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]


@pytest.mark.fault(39)
@pytest.mark.fault(42)
def test_fault_39_a_record_of_another_swarm_is_reported_but_not_followed(site: Site) -> None:
    site.settle()
    before = site.cluster_record()
    other = {**before, "cluster_id": "another0swarm0of0somebody", "generation": before["generation"] + 9}
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        put(site, other)
        address = kill_follower(site)
        site.wait("the record to drop the address", lambda: address not in site.addresses())

        def reported() -> bool:
            status = site.playbook("playbooks/status.yml")
            return all(
                word in status.output for word in (other["cluster_id"], before["cluster_id"], "delete cluster.json")
            )

        site.wait("status.yml to report both swarms", reported)
        assert other["cluster_id"] in site.agent_status(site.pick("leader"))
        assert site.cluster_record() == other
        assert site.clusters() == {before["cluster_id"]}
        site.aws("s3").delete_object(Bucket=site.bucket, Key="cluster.json")
        site.settle()
    say(f"another swarm: {load.result}")
    assert site.cluster_record()["cluster_id"] == before["cluster_id"]
    assert site.clusters() == {before["cluster_id"]}
    site.settle_record()


@pytest.mark.fault(41)
def test_fault_41_without_a_valid_policy_the_last_valid_policy_counts(site: Site) -> None:
    site.settle()
    s3, where = site.aws("s3"), {"Bucket": site.bucket, "Key": "policy.json"}
    original = s3.get_object(**where)["Body"].read()
    try:
        s3.delete_object(**where)
        for manager in site.managers():
            site.must(manager, "systemctl", "restart", "swarm-agent")
        address = kill_follower(site)
        site.wait("the record to drop the address", lambda: address not in site.addresses())
        assert "the last valid policy counts" in site.playbook("playbooks/status.yml").said
        s3.put_object(**where, Body=b"[" * 100_000)
        site.settle()
    finally:
        s3.put_object(**where, Body=original)
    site.settle_record()
