"""Every provisioning module builds, leaves alone what is right, repairs the rest, and survives being killed."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from botocore.exceptions import ClientError

from tests.unit.account.account import account
from tests.unit.account.cases import cloud_map, cloudwatch, endpoints, groups, policy
from tests.unit.account.cases.case import Case

CASES = [
    *(module.CASE for module in (policy, groups, cloud_map, endpoints, cloudwatch)),
    groups.WARM_CASE,
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_each_drift_is_repaired(case: Case, subtests: pytest.Subtests) -> None:
    """All drifts share an account, since each repair restores what was built."""
    with account() as world:
        params = case.prepare(world)
        case.run(world, params)
        built = case.state(world)
        for drift, befalls in case.drifts.items():
            with subtests.test(drift):
                befalls(world.aws)
                assert case.state(world) != built, "the drift is none"
                with world.recording() as writes:
                    planned = case.run(world, params, check=True)
                assert writes == []
                repaired = case.run(world, params)
                assert repaired["changed"]
                assert planned["changes"] == repaired["changes"]
                assert case.state(world) == built
                assert case.run(world, params)["changes"] == []


@every_case
def test_runs_killed_after_each_write_converge(case: Case) -> None:
    with account() as world:
        params = case.prepare(world)
        with world.recording() as writes:
            case.run(world, params)
        built = case.state(world)
    assert writes
    with account() as world:
        params, killed = case.prepare(world), 0
        while world.kills(lambda: case.run(world, params)):
            killed += 1
            assert killed <= len(writes), "nothing is written again"
        assert killed == len(writes)
        assert case.state(world) == built
        with world.recording() as writes:
            assert case.run(world, params)["changes"] == []
        assert writes == []


@every_case
def test_a_denied_read_is_never_taken_for_a_missing_resource(case: Case, subtests: pytest.Subtests) -> None:
    with account() as world:
        params = case.prepare(world)
        case.run(world, params)
        with world.recording():
            case.run(world, params)
            reads = sorted(set(world.reads))
        assert reads
        for read in reads:
            with subtests.test(read), world.recording() as writes:
                with world.refusing(read), pytest.raises((ClientError, ProvisionError)):
                    case.run(world, params)
                assert writes == []


def test_the_diff_of_the_policy_shows_what_changed() -> None:
    with account() as world:
        params = policy.CASE.prepare(world)
        policy.CASE.run(world, params)
        changed = {**params["policy"], "queue": "example-events"}
        result = policy.CASE.run(world, {**params, "policy": changed})
    assert result["changes"] == ["update the object policy.json"]
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == (params["policy"], changed)
