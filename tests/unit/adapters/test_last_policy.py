"""The last valid policy, used while the bucket has none."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import PolicyError
from ansible_collections.swarm.aws.plugins.module_utils.adapters.control_plane import ControlPlane

pytestmark = pytest.mark.fault(41)
GOOD = json.dumps({"cluster": "example", "groups": {"manager": {"role": "manager"}}}).encode()


def control_plane(folder: Path, content: bytes) -> ControlPlane:
    """The control plane of a cluster whose bucket has this policy."""
    made = ControlPlane.__new__(ControlPlane)
    made._cluster, made._bucket, made._last_policy = "example", "bucket", folder / "policy.json"
    made._aws = SimpleNamespace(region="eu-west-1")  # type: ignore[assignment]

    def policy() -> bytes:
        if not content:
            raise PolicyError("There is no policy.json in the bucket.")
        return content

    made._store = SimpleNamespace(policy=policy)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"cluster": 7}', GOOD.replace(b"example", b"other")])
def test_the_last_valid_policy_counts_while_the_bucket_has_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SwarmError):
        control_plane(tmp_path, content).policy_or_last()
    good, flaw = control_plane(tmp_path, GOOD).policy_or_last()
    assert flaw == ""
    last, flaw = control_plane(tmp_path, content).policy_or_last()
    assert last == good and flaw.endswith("the last valid policy counts.")
    assert json.loads((tmp_path / "policy.json").read_text()) == json.loads(GOOD)


def test_a_host_that_cannot_store_the_policy_continues(tmp_path: Path) -> None:
    assert control_plane(tmp_path / "missing", GOOD).policy_or_last()[1] == ""
