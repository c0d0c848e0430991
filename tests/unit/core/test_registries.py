"""Credentials of ECR, which are renewed before they end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Service
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide, plan
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import LABEL, Grant, Registry, due
from ansible_collections.swarm.aws.plugins.module_utils.adapters.ecr import Ecr
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from .memory_cluster import POLICY, ModelWorld, instance, node, observed, record

NOW = 1_000_000.0
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ALLOWED = replace(POLICY, ecr=True)
SHOP = Service("s1", "shop", replicas=1, image=f"{HOST}/shop:1@sha256:{'a' * 64}", renewable=True)


def world(*services: Service) -> ModelWorld:
    return ModelWorld(replace(observed([instance(1)], [node(1)], record(1)), services=services), ALLOWED)


def planned(model: ModelWorld) -> list[act.Action]:
    return plan(model.observe(), ALLOWED, model.time)


@pytest.mark.parametrize(
    ("image", "account", "region"),
    [
        (f"{HOST}/shop:1", "123456789012", "eu-west-1"),
        (f"{HOST}/team/shop@sha256:{'a' * 64}", "123456789012", "eu-west-1"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/shop", "123456789012", "us-east-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/shop", "123456789012", "cn-north-1"),
    ],
)
def test_an_ecr_registry_is_recognised_by_its_name(image: str, account: str, region: str) -> None:
    found = Registry.of_image(image)
    assert found is not None
    assert (found.account, found.region) == (account, region)


@pytest.mark.parametrize(
    "image", ["shop", "shop:1", "public.ecr.aws/shop", f"x{HOST}/shop", f"{HOST}.example.com/shop"]
)
def test_another_registry_is_not_recognised(image: str) -> None:
    assert Registry.of_image(image) is None


def test_a_service_gets_credentials_now_and_at_half_of_their_lifetime() -> None:
    model = world(SHOP)
    (action,) = planned(model)
    assert action == act.RefreshRegistryAuth("s1", "shop", Registry(HOST, "123456789012", "eu-west-1"), model.time)
    change = model.do(action)
    assert change is not None
    assert "AWS" not in str(change)
    assert model.all_services["s1"].labels == {LABEL: "1000000+43200"}
    assert planned(model) == []
    model.time += 21599
    assert planned(model) == []
    model.time += 1
    assert [type(action) for action in planned(model)] == [act.RefreshRegistryAuth]


def test_the_second_of_two_agents_renews_nothing() -> None:
    model = world(SHOP)
    (action,) = planned(model)
    assert model.do(action)
    assert model.do(action) is None
    assert len(model.authorized) == 1


def test_a_service_whose_tasks_would_run_again_is_not_changed() -> None:
    assert planned(world(replace(SHOP, renewable=False))) == []
    model = world(SHOP)
    (action,) = planned(model)
    model.all_services["s1"] = replace(SHOP, renewable=False)
    with pytest.raises(Refused, match="The service shop was changed in the meantime"):
        model.do(action)
    model.all_services["s1"] = replace(SHOP, image="elsewhere.example.com/shop")
    with pytest.raises(Refused, match="changed in the meantime"):
        model.do(action)
    del model.all_services["s1"]
    with pytest.raises(Refused, match="There is no service shop any more"):
        model.do(action)
    assert model.authorized == []


def test_a_repository_without_permission_is_reported() -> None:
    decision = decide(world(SHOP).observe(), POLICY, NOW)
    assert decision.actions == []
    assert [note for note in decision.notes if "shop" in note] == [
        f"The service shop pulls from {HOST}, and its credentials are not renewed: add the repository to "
        "ecr_repositories."
    ]


@pytest.mark.parametrize(
    ("label", "expected"),
    [(None, True), ("", True), ("x+y", True), ("1000000+100", False), ("999951+100", False), ("999950+100", True)],
)
def test_credentials_are_due_by_their_label(label: str | None, expected: bool) -> None:
    assert due({} if label is None else {LABEL: label}, NOW) is expected


def test_a_label_from_a_clock_far_ahead_counts_as_due() -> None:
    assert not due({LABEL: "1000001+100"}, NOW)
    assert due({LABEL: "1000101+100"}, NOW)


def test_a_password_is_in_no_representation() -> None:
    assert "hunter2" not in repr(Grant("AWS", "hunter2", 0, 1))


def test_ecr_is_called_in_the_region_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = []

    class Client:
        def get_authorization_token(self) -> object:
            import base64
            from datetime import UTC, datetime

            token = base64.b64encode(b"AWS:pass:word").decode()
            ends = datetime.fromtimestamp(NOW + 43200, UTC)
            return {"authorizationData": [{"authorizationToken": token, "expiresAt": ends}]}

    def client(self: AwsSession, service: str) -> Client:
        regions.append((self.region, service))
        return Client()

    monkeypatch.setattr(AwsSession, "client", client)
    ecr = Ecr(AwsSession.on_node("eu-west-1"), lambda: NOW)
    grant = ecr.grant(Registry(HOST.replace("eu-west-1", "us-east-1"), "123456789012", "us-east-1"))
    assert (grant.username, grant.password, grant.noted) == ("AWS", "pass:word", "1000000+43200")
    ecr.grant(Registry(HOST, "123456789012", "eu-west-1"))
    assert regions == [("us-east-1", "ecr"), ("eu-west-1", "ecr")]
