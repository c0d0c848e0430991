"""What is told of node groups, and what a launch template must say."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils.provision import templates
from ansible_collections.swarm.aws.plugins.module_utils.provision.errors import ProvisionError
from hypothesis import given
from hypothesis import strategies as st
from moto.autoscaling import models

from tests.unit.provision_modules.account import ACCOUNT_ID, REGION, account
from tests.unit.provision_modules.cases.groups import CASE, GROUPS, WARM_CASE, WORKER, launchable, params, prepare

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def group(**more: Any) -> templates.Group:
    return templates.Group(
        **{
            "name": "worker",
            "role": "worker",
            "image": "ami-1",
            "root_device": "/dev/xvda",
            "instance_types": ["t3.small"],
            "volume_size": 20,
            "volume_type": "gp3",
            "minimum": 1,
            "desired": 1,
            "maximum": 1,
            "subnets": ["subnet-1"],
            "security_groups": ["sg-2", "sg-1"],
            "instance_profile": WORKER,
            "user_data": "#cloud-config",
            "spot": None,
            **more,
        }
    )


def test_user_data_that_only_differs_in_text_is_a_new_version_whose_diff_is_that_text() -> None:
    with account() as world:
        told = prepare(world)
        assert [one["template_version"] for one in CASE.run(world, told)["groups"]] == [1, 1]
        changed = {**told, "groups": [told["groups"][0], {**told["groups"][1], "user_data": "#cloud-config\n# new"}]}
        result = CASE.run(world, changed)
        assert [one["template_version"] for one in result["groups"]] == [1, 2]
        assert result["changes"] == [f"update the launch template {WORKER}", f"update the Auto Scaling group {WORKER}"]
        assert result["diff"][0]["after"] == "#cloud-config\n# new"


def test_a_group_that_is_no_longer_declared_is_reported_and_left_alone() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        with world.recording() as writes:
            result = CASE.run(world, {**told, "groups": told["groups"][:1]})
        assert result["unknown_groups"] == [WORKER]
        assert writes == []


def test_a_group_that_scales_keeps_its_size_even_when_desired_changes_and_its_policy_goes_with_the_key() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        world.aws.autoscaling.set_desired_capacity(AutoScalingGroupName=WORKER, DesiredCapacity=3)
        told["groups"][1]["desired"] = 2
        report = CASE.run(world, told)
        assert (report["groups"][1]["size"], report["groups"][1]["scaled"]) == (3, False)
        assert report["changes"] == [f"update the tag swarm.aws/desired of {WORKER}"]
        told["groups"][1]["max"] = 2
        assert CASE.run(world, told)["groups"][1]["size"] == 2

        del told["groups"][1]["scaling"]
        planned, report = CASE.run(world, told, check=True), CASE.run(world, told)
        assert planned["changes"] == report["changes"] == [f"delete the scaling policy needed-nodes of {WORKER}"]
        assert CASE.run(world, told)["changes"] == []
        assert world.aws.autoscaling.describe_policies(AutoScalingGroupName=WORKER)["ScalingPolicies"] == []


def test_a_group_follows_what_the_agents_measure_of_it() -> None:
    with account() as world:
        CASE.run(world, prepare(world))
        (policy,) = world.aws.autoscaling.describe_policies()["ScalingPolicies"]
        (sent,) = metrics.data([metrics.sample(metrics.RESERVATION, 50, group="worker")], 60)
    tracking = policy["TargetTrackingConfiguration"]
    assert (policy["AutoScalingGroupName"], tracking["TargetValue"]) == (WORKER, 80)
    followed = tracking["CustomizedMetricSpecification"]
    assert followed["Namespace"] == "swarm.aws/example"
    assert {key: followed[key] for key in ("MetricName", "Dimensions", "Unit")} == {
        key: sent[key] for key in ("MetricName", "Dimensions", "Unit")
    }


def test_a_warm_pool_goes_with_its_key_and_only_then_may_the_group_be_of_spot() -> None:
    with account() as world:
        told = WARM_CASE.prepare(world)
        WARM_CASE.run(world, told)
        del told["groups"][1]["warm_pool"]
        told["groups"][1]["spot"] = GROUPS[1]["spot"]
        planned, report = WARM_CASE.run(world, told, check=True), WARM_CASE.run(world, told)
        assert planned["changes"] == report["changes"]
        assert report["changes"] == [f"delete the warm pool of {WORKER}", f"update the Auto Scaling group {WORKER}"]
        assert report["diff"][0]["before"] == {"MinSize": 1, "MaxGroupPreparedCapacity": 4, "PoolState": "Stopped"}
        assert WARM_CASE.run(world, told)["changes"] == [], "it is on its way"


def test_a_warm_pool_that_is_being_deleted_is_waited_for_by_the_operator() -> None:
    with account() as world:
        told = WARM_CASE.prepare(world)
        WARM_CASE.run(world, told)
        world.aws.autoscaling.delete_warm_pool(AutoScalingGroupName=WORKER, ForceDelete=True)
        with pytest.raises(ProvisionError, match=f"The warm pool of {WORKER} is being deleted: run this again"):
            WARM_CASE.run(world, told)
        models.autoscaling_backends[ACCOUNT_ID][REGION].step()
        assert WARM_CASE.run(world, told)["changes"] == [f"create the warm pool of {WORKER}"]


def test_what_waits_in_a_warm_pool_is_told_and_named_when_it_is_behind() -> None:
    with account() as world:
        told = launchable(world, WARM_CASE.prepare(world))
        WARM_CASE.run(world, told)
        scaling = models.autoscaling_backends[ACCOUNT_ID][REGION]
        scaling.step()
        there = [one.instance.id for one in scaling.members() if one.warmed]
        assert len(there) == 3
        report = WARM_CASE.run(world, told)
        assert (report["changes"], report["groups"][1]["warm"], report["groups"][1]["behind"]) == (
            [],
            sorted(there),
            [],
        )
        told["groups"][1]["user_data"] = "#cloud-config\n# new"
        assert set(there) <= set(WARM_CASE.run(world, told)["groups"][1]["behind"])


def test_user_data_that_is_too_long_is_refused_before_the_first_write() -> None:
    with account() as world:
        groups = [GROUPS[0], {**GROUPS[1], "user_data": "#!" + "x" * 16384}]
        with world.recording() as writes, pytest.raises(ProvisionError, match="'worker' has 16386 bytes, but EC2"):
            CASE.run(world, params(["subnet-1"], groups))
        assert writes == []


def test_a_group_that_is_being_deleted_is_waited_for_by_the_operator() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        world.aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=WORKER, ForceDelete=True)
        with pytest.raises(ProvisionError, match=f"{WORKER} is being deleted: run this again"):
            CASE.run(world, told)


def test_metadata_takes_a_token_and_stays_on_the_instance_and_disks_are_encrypted() -> None:
    said = templates.data(group(), {})
    assert said["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    assert [one["Ebs"]["Encrypted"] for one in said["BlockDeviceMappings"]] == [True]
    assert base64.b64decode(said["UserData"]) == b"#cloud-config"
    assert "KeyName" not in said
    assert templates.data(group(key_name="key"), {})["KeyName"] == "key"


def test_data_volumes_are_encrypted_and_end_with_their_instance() -> None:
    disk = {"device": "/dev/sdf", "type": "gp3", "size": 50, "iops": 4000, "throughput": None}
    root, more = templates.data(group(volume_throughput=250, volumes=[disk]), {})["BlockDeviceMappings"]
    assert root["Ebs"]["Throughput"] == 250
    ends = {"Encrypted": True, "DeleteOnTermination": True}
    assert more == {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 50, "VolumeType": "gp3", "Iops": 4000, **ends}}


def test_what_ec2_adds_and_how_it_orders_is_no_difference() -> None:
    wanted = templates.data(group(), {"b": "2", "a": "1"})
    told = {
        **wanted,
        "ElasticGpuSpecifications": [],
        "MetadataOptions": {**wanted["MetadataOptions"], "HttpProtocolIpv6": "disabled"},
        "NetworkInterfaces": [{**wanted["NetworkInterfaces"][0], "Groups": ["sg-2", "sg-1"]}],
        "TagSpecifications": [
            {"ResourceType": "volume", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]},
            {"ResourceType": "launch-template", "Tags": []},
        ],
    }
    assert templates.same(told, wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "ami-2"},
        {"instance_types": ["t3.large"]},
        {"volume_size": 30},
        {"volume_iops": 4000},
        {"volumes": [{"device": "/dev/sdf", "type": "gp3", "size": 50, "iops": None, "throughput": None}]},
        {"security_groups": ["sg-1"]},
        {"user_data": "#cloud-config\n"},
        {"key_name": "key"},
        {"instance_profile": "other"},
    ],
    ids=str,
)
def test_what_is_asked_for_otherwise_is_a_difference(change: dict[str, Any]) -> None:
    before, after = templates.data(group(), {}), templates.data(group(**change), {})
    assert not templates.same(before, after)
    assert not templates.same(after, before)


@given(json_values)
def test_everything_contains_itself(value: Any) -> None:
    assert templates.contains(value, value)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=3), json_values)
def test_more_keys_do_not_matter_but_other_values_do(present: dict[str, Any], other: Any) -> None:
    assert templates.contains({**present, "more than three": other}, present)
    if other is not None:
        assert not templates.contains(present, {**present, "more than three": other})


@pytest.mark.parametrize("public", [True, False])
def test_whether_instances_have_public_addresses_is_said_whatever_the_subnet_says(public: bool) -> None:
    (interface,) = templates.data(group(public=public), {})["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is public
