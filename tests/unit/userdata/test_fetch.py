"""The download of the agent on an instance."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.unit.bucket import account_with
from tests.unit.userdata.rendering import ROLE

BUCKET = "example-swarm-123456789012-eu-west-1"
AGENT = b"the agent"
DIGEST = hashlib.sha256(AGENT).hexdigest()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with account_with(BUCKET, "eu-west-1", monkeypatch) as aws:
        yield aws.client("s3")


def loaded() -> dict[str, Any]:
    """The script's names; ansible-test's importers cannot run a file by its path."""
    names: dict[str, Any] = {"__name__": "fetch"}
    path = ROLE / "files/fetch.py"
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def fetch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int = 0, slept: Callable[[float], object] = lambda _: None
) -> Path:
    """Run the script as systemd does, with that timeout; return the agent's path."""
    config = folder / "config.json"
    config.write_text(json.dumps({"bucket": BUCKET, "region": "eu-west-1"}))
    target = folder / "agent.pyz"
    script = loaded()
    monkeypatch.setitem(script, "DEADLINE", seconds)
    monkeypatch.setattr("time.sleep", slept)
    script["main"](DIGEST, str(config), str(target))
    return target


def test_the_agent_is_downloaded_and_executable(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"agent/{DIGEST}.pyz", Body=AGENT)

    target = fetch(tmp_path, monkeypatch)

    assert target.read_bytes() == AGENT
    assert target.stat().st_mode & 0o777 == 0o755
    assert re.fullmatch(f"The agent {DIGEST[:12]} was downloaded in [0-9.]+ s.\n", capsys.readouterr().out)


def test_an_existing_agent_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.pyz").write_bytes(AGENT)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: pytest.fail("it asked S3"))

    assert fetch(tmp_path, monkeypatch).read_bytes() == AGENT


def test_an_agent_with_another_checksum_is_refused(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"agent/{DIGEST}.pyz", Body=b"something else")

    with pytest.raises(SystemExit, match="1"):
        fetch(tmp_path, monkeypatch)

    assert not (tmp_path / "agent.pyz").exists()
    assert "its content is not what its name says" in capsys.readouterr().out


def test_an_agent_that_is_uploaded_late_is_waited_for(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def upload(_: float) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"agent/{DIGEST}.pyz", Body=AGENT)

    assert fetch(tmp_path, monkeypatch, 60, upload).read_bytes() == AGENT
