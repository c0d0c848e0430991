"""Backups in the bucket, the state on disk, the unlock keys and the drill instance, against moto."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.backup_schedule import BackupError, Manifest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils.account.drill_instance import user_data
from ansible_collections.swarm.aws.plugins.module_utils.adapters import backup_job, raft_state
from ansible_collections.swarm.aws.plugins.module_utils.adapters.backup_store import Backups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.swarm import Facts
from ansible_collections.swarm.aws.plugins.module_utils.adapters.unlock_keys import KEPT, Locks, UnlockKeys
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError

from tests.unit.bucket import account_with

REGION, BUCKET = "eu-west-1", "demo-swarm"
COUNTS = {"nodes": 4, "services": 4, "secrets": 2, "configs": 3}
NAMES = ["20260102T030405Z-i-01", "20260103T030405Z-i-02"]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    with account_with(BUCKET, REGION, monkeypatch) as found:
        yield found


@pytest.fixture
def swarm(tmp_path: Path) -> Path:
    """A manager's state, with the file names that matter."""
    folder = tmp_path / "swarm"
    for name in ("certificates/swarm-node.key", "raft/wal-v3-encrypted/0.wal", "raft/wal-v3-encrypted/1.tmp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    for name in raft_state.HOSTS_OWN:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("of this host")
    return folder


def stored(backups: Backups, swarm: Path, tmp_path: Path) -> Manifest:
    """The second of two backups in the bucket."""
    archive = tmp_path / "packed.tar.gz"
    digest, size = raft_state.pack(swarm, archive)
    manifest = Manifest("", "demo", "swarm", "i-01", "n", "10.0.0.1", "26.1", 1.0, digest, size, COUNTS)
    for name in NAMES:
        manifest = replace(manifest, name=name)
        backups.put(manifest, archive)
    return manifest


def test_a_backup_is_restored_without_the_files_of_its_host(aws: AwsSession, swarm: Path, tmp_path: Path) -> None:
    backups = Backups(aws, BUCKET)
    manifest = stored(backups, swarm, tmp_path)
    assert backups.names() == NAMES[::-1]
    assert backups.manifest(NAMES[1]) == manifest
    backups.fetch(manifest, tmp_path / "fetched")
    raft_state.unpack(tmp_path / "fetched", tmp_path / "unpacked")
    found = {
        str(path.relative_to(tmp_path / "unpacked")) for path in (tmp_path / "unpacked").rglob("*") if path.is_file()
    }
    assert found == {"certificates/swarm-node.key", "raft/wal-v3-encrypted/0.wal", "raft/wal-v3-encrypted/1.tmp"}
    key = tmp_path / "unpacked/certificates/swarm-node.key"
    assert key.read_text() == "content of certificates/swarm-node.key"


@pytest.mark.fault(37)
@pytest.mark.parametrize("change", ["truncated", "altered", "gone"])
def test_fault_37_a_changed_or_deleted_backup_is_refused(
    aws: AwsSession, swarm: Path, tmp_path: Path, change: str
) -> None:
    backups, s3, key = Backups(aws, BUCKET), boto3.client("s3", REGION), f"backups/{NAMES[1]}.tar.gz"
    manifest = stored(backups, swarm, tmp_path)
    content = bytearray(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    content[20] ^= 1
    changed = {"truncated": bytes(content[:-7]), "altered": bytes(content)}
    if change == "gone":
        s3.delete_object(Bucket=BUCKET, Key=key)
    else:
        s3.put_object(Bucket=BUCKET, Key=key, Body=changed[change])
    with pytest.raises(BackupError, match=f"is damaged.*The backup before it is {NAMES[0]}: use it with -e backup="):
        backups.fetch(manifest, tmp_path / "fetched")


def test_an_archive_without_a_manifest_is_not_listed(aws: AwsSession, swarm: Path, tmp_path: Path) -> None:
    backups = Backups(aws, BUCKET)
    stored(backups, swarm, tmp_path)
    backups.delete(NAMES[1])
    boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key="backups/20260104T030405Z-i-02.tar.gz", Body=b"half")
    assert backups.names() == NAMES[:1]
    with pytest.raises(BackupError, match="There is no backup"):
        backups.manifest(NAMES[1])


def test_an_archive_with_an_unexpected_entry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").rename(folder / "link")
    raft_state.pack(folder, tmp_path / "archive")
    with pytest.raises(BackupError, match="an entry 'link', which no backup has"):
        raft_state.unpack(tmp_path / "archive", tmp_path / "out")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(BackupError, match="cannot be unpacked"):
        raft_state.unpack(tmp_path / "text", tmp_path / "out2")


# Holding the engine


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process to hold."""
    with subprocess.Popen(["sleep", "60"]) as made:
        yield made
        made.kill()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def test_the_engine_is_stopped_while_its_state_is_copied(
    process: subprocess.Popen[bytes], swarm: Path, tmp_path: Path
) -> None:
    seen = []
    raft_state.copy(swarm, tmp_path / "copy", process.pid, now=lambda: seen.append(stopped(process.pid)) or 0.0)
    # Before, after each file, and when it goes on.
    assert seen[1:-1]
    assert all(seen[1:-1])
    assert not stopped(process.pid)
    names = {path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert "swarm-node.key" in names
    assert "1.tmp" not in names


def test_the_engine_continues_when_the_copy_takes_too_long(
    process: subprocess.Popen[bytes], swarm: Path, tmp_path: Path
) -> None:
    times = iter([0.0, 99.0])
    with pytest.raises(Unavailable, match="could not be copied within 2 s"):
        raft_state.copy(swarm, tmp_path / "copy", process.pid, now=lambda: next(times))
    assert not stopped(process.pid)


def test_the_engine_continues_when_the_copying_process_is_killed(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raft_state, "LONGEST_HOLD", 0.5)
    child = os.fork()
    if child == 0:
        with raft_state.held(process.pid):
            time.sleep(60)
    deadline = time.monotonic() + 30
    while not stopped(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stopped(process.pid)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while stopped(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not stopped(process.pid)


# Unlock keys


class Swarm:
    """A swarm's own lock."""

    def __init__(self) -> None:
        self.is_locked, self.number = False, 0

    def locked(self) -> bool:
        return self.is_locked

    def lock(self, wanted: bool) -> None:
        self.is_locked, self.number = wanted, self.number + 1

    def unlock_key(self) -> str:
        return f"SWMKEY-1-{self.number}" if self.is_locked else ""


def test_a_new_unlock_key_is_added_to_the_earlier_keys(aws: AwsSession) -> None:
    swarm, keys = Swarm(), UnlockKeys(aws, "demo")
    locks = Locks(swarm, keys)  # type: ignore[arg-type]
    with pytest.raises(SwarmError, match="There is no secret demo-unlock-keys"):
        locks.lock(True)
    assert not swarm.is_locked, "there would be no place for its key"
    boto3.client("secretsmanager", REGION).create_secret(Name="demo-unlock-keys")
    assert keys.read() == []
    locks.lock(True)
    assert (keys.read(), locks.kept()) == (["SWMKEY-1-1"], True)
    swarm.number = 2
    assert not locks.kept()
    locks.keep()
    assert keys.read() == ["SWMKEY-1-2", "SWMKEY-1-1"]
    for number in range(3, 40):
        swarm.number = number
        locks.keep()
    assert len(keys.read()) == KEPT
    locks.lock(False)
    assert locks.kept()


def test_an_invalid_secret_is_not_quoted(aws: AwsSession) -> None:
    boto3.client("secretsmanager", REGION).create_secret(Name="demo-unlock-keys", SecretString="SWMKEY-1-oops")
    with pytest.raises(SwarmError, match="not what the agents write") as error:
        UnlockKeys(aws, "demo").read()
    assert "oops" not in str(error.value)


# The drill instance


def test_the_drills_user_data_differs_from_a_managers_in_the_role() -> None:
    text = 'content: |\n  {"group": "manager", "role": "manager"}\n'
    made = user_data({"UserData": base64.b64encode(text.encode()).decode()})
    assert made == 'content: |\n  {"group": "manager", "role": "drill"}\n'
    with pytest.raises(ProvisionError, match="is not a manager's"):
        user_data({"UserData": base64.b64encode(b'{"role": "worker"}').decode()})


class Changing:
    """A swarm to which something is added all the time for some seconds."""

    def __init__(self, until: float) -> None:
        self.began = self.now = 1000.0
        self.until, self.agreed_at = until, 0.0

    def facts(self) -> Facts:
        secrets = int(min(self.now - self.began, self.until) * 10)
        return Facts("c", "n", "10.0.0.1", "26.1.5", Path("/"), False, {"secrets": secrets})

    def agree(self) -> None:
        self.agreed_at = self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def settled(self) -> Facts:
        return backup_job.settled(self.facts, self.agree, lambda: self.now, self.sleep)


@pytest.mark.fault(36)
@pytest.mark.parametrize(("until", "seconds"), [(0.0, 3.0), (5.0, 8.0)])
def test_fault_36_a_backup_waits_until_the_state_is_on_disk(until: float, seconds: float) -> None:
    """A follower writes a commit to disk with the next entry, and a restore drops what is not committed on disk."""
    swarm = Changing(until)
    assert swarm.settled().counts == {"secrets": int(until * 10)}
    assert swarm.now - swarm.agreed_at >= 3.0
    assert swarm.agreed_at >= swarm.began + until, "what changed last was there to be written down"
    assert seconds <= swarm.now - swarm.began < seconds + 1.0


def test_a_swarm_that_keeps_changing_is_not_backed_up() -> None:
    with pytest.raises(Unavailable, match="still changing after 60 s"):
        Changing(until=float("inf")).settled()
