from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import registry_credentials
from ansible_collections.swarm.aws.plugins.module_utils.stack import releases, stack_removal
from ansible_collections.swarm.aws.plugins.module_utils.stack.credentials import Credentials, given
from ansible_collections.swarm.aws.plugins.module_utils.stack.definition import Definition
from ansible_collections.swarm.aws.plugins.module_utils.stack.deploy import rollback
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_engine import StackEngine
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError
from docker.errors import DockerException

from tests.unit.stack import memory_engine
from tests.unit.stack.memory_engine import MemoryEngine, bundle, deployed, deployment, state


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def test_what_docker_remarks_on_is_a_warning(engine: MemoryEngine) -> None:
    engine.remark = "image app:1 could not be accessed."
    assert "Docker says: image app:1 could not be accessed." in deployment(engine, bundle()).run(check=False).warnings


def test_services_that_a_kernel_does_not_serve_are_named(engine: MemoryEngine) -> None:
    engine.engine_labels = {"swarm.aws.lacks": "ip_vs"}
    document = copy.deepcopy(memory_engine.COMPOSE)
    document["services"]["web"]["ports"] = [{"target": 80, "published": 80, "mode": "ingress"}]
    interrupted, warning = deployment(engine, bundle(document)).run(check=False).warnings
    assert interrupted.startswith("Requests to web can fail")
    assert "so shop_web cannot be reached from there by virtual address or routing mesh" in warning


def test_a_first_deployment_makes_everything(engine: MemoryEngine) -> None:
    report = deployed(engine, bundle())
    assert report.changed
    assert report.images == {"web": f"app:1.0@{memory_engine.DIGEST}", "proxy": f"haproxy:3.0@sha256:{'c' * 64}"}
    secret = engine.stored["secrets"]["shop_password"].data
    assert len(secret) == 32
    assert secret.decode().isalnum()
    assert secret.decode() not in repr(report)


def test_a_second_deployment_changes_nothing(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    secret = engine.stored["secrets"]["shop_password"].data
    report = deployment(engine, bundle()).run(check=False)
    assert not report.changed
    assert report.before == report.after
    assert engine.deployed == 1
    assert engine.stored["secrets"]["shop_password"].data == secret


def test_check_mode_tells_and_does_nothing(engine: MemoryEngine) -> None:
    report = deployment(engine, bundle()).run(check=True)
    assert report.changed
    assert report.after["new secrets"] == ["shop_password"]
    assert report.after["shop_web"]["image"] == f"app:1.0@{memory_engine.DIGEST}"
    assert engine.deployed == 0
    assert engine.stored == {"configs": {}, "secrets": {}}


def test_a_tag_that_moved_is_deployed(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.registry["app:1.0"] = "sha256:" + "d" * 64
    assert not deployment(engine, bundle(), resolve="missing").run(check=False).changed
    report = deployment(engine, bundle()).run(check=False)
    assert report.changed
    assert report.images["web"] == f"app:1.0@sha256:{'d' * 64}"


def test_a_registry_that_is_away_is_no_reason_to_roll(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.registry.clear()
    report = deployment(engine, bundle()).run(check=False)
    assert not report.changed
    assert any("app:1.0 stays at sha256:aaaa" in warning for warning in report.warnings)


def test_docker_asks_registries_for_platforms_only_if_they_answer(engine: MemoryEngine) -> None:
    """It asks for a service at a time, and a registry that is away would make a rollback wait for each."""
    deployed(engine, bundle())
    assert engine.asks_registries
    deployed(engine, bundle(tag="2.0"))
    engine.registry.clear()
    report = deployment(engine, rollback(engine, "shop")).run(check=False)
    assert not engine.asks_registries
    assert any("Docker does not learn the platforms of app:1.0@sha256:aaaa" in warning for warning in report.warnings)


def test_an_image_that_can_only_be_pulled_is_deployed_at_its_digest(engine: MemoryEngine) -> None:
    engine.mirror["app:1.0"] = engine.registry.pop("app:1.0")
    report = deployment(engine, bundle()).run(check=False)
    assert (report.images["web"], engine.asks_registries) == (f"app:1.0@{memory_engine.DIGEST}", False)


def test_an_image_that_was_changed_by_hand_is_the_definitions_again(engine: MemoryEngine) -> None:
    """Docker's command does not reset it if the definition has not changed since the last deployment."""
    deployment(engine, bundle()).run(check=False)
    engine.update_image("shop_web", f"app@{engine.registry['app:2.0']}")
    report = deployment(engine, bundle()).run(check=False)
    image = engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert (report.changed, image) == (True, f"app:1.0@{memory_engine.DIGEST}")
    assert not deployment(engine, bundle()).run(check=False).changed


def test_an_image_that_is_nowhere_is_refused_before_anything_is_made(engine: MemoryEngine) -> None:
    with pytest.raises(StackError, match=r"The image app:9 of service 'web' was not found: manifest unknown\. Check"):
        deployment(engine, bundle(tag="9")).run(check=False)
    assert engine.stored == {"configs": {}, "secrets": {}}


@pytest.mark.parametrize(
    ("name", "value"), [("Env", ["MODE=hunter2"]), ("Image", "other:1"), ("Secrets", []), ("Hosts", ["a b"])]
)
def test_a_change_by_hand_is_seen_and_undone_and_no_value_shown(engine: MemoryEngine, name: str, value: object) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"][name] = value
    report = deployment(engine, bundle()).run(check=False)
    assert report.changed
    assert report.before["shop_web"]["changed since the last deployment"] == f"Container{name}"
    assert "hunter2" not in repr(report)
    assert "fast" not in repr(report)
    assert not deployment(engine, bundle()).run(check=True).changed


def test_a_service_that_left_the_file_is_removed(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    document = {**memory_engine.COMPOSE, "services": {"web": memory_engine.COMPOSE["services"]["web"]}}
    report = deployment(engine, bundle(document)).run(check=False)
    assert report.changed
    assert list(engine.live) == ["shop_web"]


def contents(engine: MemoryEngine) -> set[bytes]:
    """The configs that are not releases."""
    return {blob.data for blob in engine.stored["configs"].values() if releases.NUMBER not in blob.labels}


def test_old_configs_are_removed_once_no_rollback_needs_them(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for content in ("1", "2", "3"):
        monkeypatch.setitem(memory_engine.FILES, "/shop/settings.ini", content)
        deployed(engine, bundle())
        seen.append(contents(engine))
    assert seen == [{b"1"}, {b"1", b"2"}, {b"2", b"3"}]
    assert "shop_password" in engine.stored["secrets"]
    assert [release.number for release in engine.releases("shop")] == [2, 3]


def test_a_rotated_secret_is_removed_once_nothing_uses_it(engine: MemoryEngine) -> None:
    document = {**memory_engine.COMPOSE, "secrets": {"password": {"file": "/root/shop", "x-environment": "PASSWORD"}}}
    for password in ("one", "two", "three"):
        deployed(engine, bundle(document, PASSWORD=password))
    assert {blob.data for blob in engine.stored["secrets"].values()} == {b"two", b"three"}


# What decides how a service runs


def volume(**options: object) -> Definition:
    service = {"image": "app:1.0", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]}
    return bundle({"services": {"web": service}, "volumes": {"data": options}})


def test_another_volume_is_deployed(engine: MemoryEngine) -> None:
    deployed(engine, volume(name="data_blue"))
    plan = deployment(engine, volume(name="data_green")).run(check=True)
    assert (plan.changed, plan.warnings) == (True, [])
    assert deployed(engine, volume(name="data_green")).changed
    assert engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"][0]["Source"] == "data_green"


def test_a_volume_with_other_options_gets_a_warning(engine: MemoryEngine) -> None:
    deployed(engine, volume(driver_opts={"type": "nfs"}))
    report = deployment(engine, volume(driver_opts={"type": "tmpfs"})).run(check=True)
    assert report.warnings == [
        "The volume shop_data has another driver or other driver_opts now. Nodes that have it keep it as it is: "
        "give the volume another 'name', or remove it there with `docker volume rm`."
    ]
    assert "nfs" not in repr(report)


def network(key: str = "default", **options: object) -> Definition:
    used = {} if key == "default" else {"networks": {key: None}}
    return bundle({"services": {"web": {"image": "app:1.0", **used}}, "networks": {key: options}})


@pytest.mark.parametrize(
    ("key", "before", "after", "said"),
    [
        ("default", {}, {"internal": True}, "shop_default has internal false, and the compose file wants true"),
        ("front", {"internal": True}, {}, "shop_front has internal true, and the compose file wants false"),
        ("front", {}, {"attachable": True}, "shop_front has attachable false, and the compose file wants true"),
        (
            "front",
            {"name": "n"},
            {"name": "n", "driver": "x"},
            'n has driver "overlay", and the compose file wants "x"',
        ),
        ("front", {}, {"driver_opts": {"encrypted": ""}}, 'has driver_opts {}, and the compose file wants {"encr'),
        ("front", {}, {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}, r"subnet \[\"10.0.1.0/24\"\], and the"),
    ],
)
def test_a_setting_of_a_network_that_cannot_change_is_refused(
    engine: MemoryEngine, key: str, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    deployed(engine, network(key, **before))
    assert not deployment(engine, network(key, **before)).run(check=True).changed
    with pytest.raises(StackError, match=f"Docker cannot change a network that exists: .*{said}"):
        deployment(engine, network(key, **after)).run(check=True)


def test_what_docker_has_gone_back_to_is_no_change(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    engine.update_ends_as = "rollback_completed"
    deployment(engine, bundle(tag="2.0")).run(check=False)
    engine.go_back("shop_web")
    assert deployment(engine, bundle(tag="2.0")).run(check=True).changed
    assert not deployment(engine, bundle()).run(check=True).changed
    runs = engine.deployed
    report = deployment(engine, bundle()).run(check=False)
    assert (report.changed, engine.deployed) == (False, runs)
    assert state(engine).problem == ""
    assert not deployment(engine, bundle()).run(check=True).changed


def test_a_network_that_is_not_allocated_yet_is_no_difference(engine: MemoryEngine) -> None:
    wanted = network("front", driver_opts={"encrypted": ""}, ipam={"config": [{"subnet": "10.9.0.0/24"}]})
    engine.made_networks["shop_front"] = {"Driver": "", "IPAM": {"Config": None}, "Options": None}
    assert deployment(engine, wanted).run(check=False).changed


def test_an_unchanged_file_leaves_versions_and_jobs_alone(engine: MemoryEngine) -> None:
    document = {
        "services": {"web": {"image": "app:1.0"}, "job": {"image": "app:1.0", "deploy": {"mode": "replicated-job"}}}
    }
    deployment(engine, bundle(document)).run(check=False)
    live, made = copy.deepcopy(engine.live), copy.deepcopy(engine.made)
    assert not deployment(engine, bundle(document)).run(check=False).changed
    assert (engine.live, engine.made) == (live, made)


def test_what_is_deployed_without_a_record_may_change(engine: MemoryEngine) -> None:
    """As by an earlier version of this collection, or if a run was killed."""
    deployment(engine, bundle()).run(check=False)
    engine.label(engine.releases("shop")[-1], {releases.SERVICES: "{}"})
    report = deployment(engine, bundle()).run(check=True)
    assert "it may change" in report.before["shop_web"]["changed since the last deployment"]
    assert not deployment(engine, bundle()).run(check=False).changed
    assert not deployment(engine, bundle()).run(check=True).changed


def test_a_plan_names_the_variable_that_changes_and_no_value(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    document = copy.deepcopy(memory_engine.COMPOSE)
    document["services"]["web"]["environment"] = {"MODE": "slow", "NEW": "x"}
    report = deployment(engine, bundle(document)).run(check=True)
    assert report.before["shop_web"]["environment"] == {"MODE": "(hidden)"}
    assert report.after["shop_web"]["environment"] == {"MODE": "(hidden, changed)", "NEW": "(hidden)"}
    assert report.before["shop_proxy"] == report.after["shop_proxy"]


@pytest.mark.parametrize("value", [None, "", "slow", "0"])
@pytest.mark.parametrize("before", [None, "", "slow", "1"])
@pytest.mark.parametrize("key", ["environment", "labels", "sysctls", "command", "user"])
def test_a_plan_says_changed_exactly_if_a_value_differs(
    engine: MemoryEngine, key: str, before: str | None, value: str | None
) -> None:
    def of(content: str | None) -> Definition:
        options = {key: content if key == "user" else [content] if key == "command" else {"A": content}}
        return bundle({"services": {"web": {"image": "app:1.0", **options}}})

    deployment(engine, of(before)).run(check=False)
    assert deployment(engine, of(value)).run(check=True).changed is (before != value)


def test_extra_tasks_and_a_forced_update_are_no_change_by_hand(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    spec = engine.live["shop_web"]["Spec"]
    spec["Mode"], spec["TaskTemplate"]["ForceUpdate"] = {"Replicated": {"Replicas": 3}}, 1
    spec["Labels"]["swarm.aws.surge"] = "2+1@1700000000"
    assert not deployment(engine, bundle()).run(check=True).changed
    spec["Mode"] = {"Replicated": {"Replicas": 4}}
    assert deployment(engine, bundle()).run(check=True).changed


# Rollback


def back(engine: MemoryEngine) -> None:
    deployed(engine, rollback(engine, "shop"))


def test_a_rollback_deploys_the_last_converged_digest_and_config(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def specs() -> dict[str, object]:
        return {name: copy.deepcopy(service["Spec"]) for name, service in engine.live.items()}

    deployed(engine, bundle())
    before = specs()
    monkeypatch.setitem(memory_engine.FILES, "/shop/settings.ini", "colour=red\n")
    engine.registry["app:1.0"] = "sha256:" + "d" * 64
    deployed(engine, bundle())
    assert specs() != before
    engine.registry.clear()
    back(engine)
    assert specs() == before


def test_a_rollback_of_a_rollback_goes_forth_again(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    deployed(engine, bundle(tag="2.0"))
    back(engine)
    assert engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith("app:1.0@")
    back(engine)
    assert engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith("app:2.0@")


@pytest.mark.parametrize("attempts", [1, 2])
def test_after_a_failed_deployment_a_rollback_skips_it(engine: MemoryEngine, attempts: int) -> None:
    deployed(engine, bundle())
    engine.update_ends_as = "paused"
    for _ in range(attempts):
        deployment(engine, bundle(tag="2.0")).run(check=False)
        assert state(engine).problem
    assert len(engine.releases("shop")) == 2
    engine.update_ends_as = None
    back(engine)
    assert engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith("app:1.0@")
    # A rollback never uses the failed release.
    with pytest.raises(
        StackError, match="The stack 'shop' has no release to roll back to: no release before the present"
    ):
        rollback(engine, "shop")


def test_a_deployment_killed_before_it_began_is_not_gone_back_from_too_far(engine: MemoryEngine) -> None:
    for tag in ("1.0", "2.0"):
        deployed(engine, bundle(tag=tag))
    engine.registry["app:3.0"] = "sha256:" + "e" * 64
    engine.deploy = lambda *words, **more: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        deployment(engine, bundle(tag="3.0")).run(check=False)
    assert rollback(engine, "shop").document["services"]["web"]["image"].startswith("app:2.0@")


def test_there_is_nothing_to_go_back_to_at_first(engine: MemoryEngine) -> None:
    with pytest.raises(StackError, match="The swarm has no release of a stack 'shop'"):
        rollback(engine, "shop")
    deployed(engine, bundle())
    with pytest.raises(StackError, match="has no release to roll back to"):
        rollback(engine, "shop")


def test_a_config_of_the_labels_but_not_the_content_is_no_release() -> None:
    labels = {releases.NUMBER: "1"}
    bad = [b"", b"{", b"[]", b'{"services": {"web": {}}}']
    assert releases.read({"ID": "x", "Spec": {"Labels": labels, "Data": base64.b64encode(data)}} for data in bad) == []


# Registries


def private(host: str) -> dict[str, object]:
    return {"services": {"web": {"image": f"{host}/app:1.0", "deploy": {"replicas": 1}}}}


ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def test_ecrs_credentials_are_asked_for_and_handed_on(engine: MemoryEngine) -> None:
    engine.registry[f"{ECR}/app:1.0"] = memory_engine.DIGEST
    report = deployment(engine, bundle(private(ECR))).run(check=False)
    wanted = Credentials("AWS", "token-of-eu-central-1")
    assert engine.asked_as == {f"{ECR}/app:1.0": wanted}
    assert engine.deployed_with == {ECR: wanted}
    assert "token-of" not in repr(report)


def test_how_old_ecrs_credentials_are_is_noted_and_makes_no_difference(engine: MemoryEngine) -> None:
    engine.registry[f"{ECR}/app:1.0"] = memory_engine.DIGEST
    deployed(engine, bundle(private(ECR)))
    labels = engine.live["shop_web"]["Spec"]["Labels"]
    assert labels[registry_credentials.LABEL] == "0+43200"
    assert registry_credentials.LABEL not in repr(engine.releases("shop")[-1].definition)
    # The agent sets other labels.
    engine.live["shop_web"]["Spec"]["Labels"] = {**labels, registry_credentials.LABEL: "21600+43200"}
    assert not deployed(engine, bundle(private(ECR))).changed
    assert not deployment(engine, bundle(private(ECR)), reapply=True).run(check=False).changed


def test_the_operators_credentials_go_before_and_only_where_they_are_for(engine: MemoryEngine) -> None:
    engine.registry |= {
        f"{ECR}/app:1.0": memory_engine.DIGEST,
        "registry.example.com:5000/app:1.0": memory_engine.DIGEST,
    }
    known = given(
        [
            {"host": f"https://{ECR}/", "username": "me", "password": "hunter2"},
            {"host": "registry.example.com:5000", "username": "me", "password": "hunter3"},
        ]
    )
    deployment(engine, bundle(private(ECR)), known).run(check=False)
    assert engine.deployed_with == {ECR: Credentials("me", "hunter2")}
    assert "hunter2" not in repr(engine.deployed_with)
    deployment(engine, bundle(private("registry.example.com:5000")), known).run(check=False)
    assert engine.deployed_with == {"registry.example.com:5000": Credentials("me", "hunter3")}


def test_two_credentials_of_one_registry_are_refused() -> None:
    login = {"host": "docker.io", "username": "me", "password": "x"}
    with pytest.raises(StackError, match=r"two credentials for the registry docker\.io"):
        given([login, login])


def test_a_registry_without_credentials_is_named_unless_its_image_runs(engine: MemoryEngine) -> None:
    other = ECR.replace("123456789012", "210987654321")
    with pytest.raises(StackError, match="was not found: AWS refused to give credentials for the registry 2109"):
        deployment(engine, bundle(private(other))).run(check=False)
    engine.registry[f"{other}/app:1.0"] = memory_engine.DIGEST
    known = given([{"host": other, "username": "me", "password": "x"}])
    deployment(engine, bundle(private(other)), known).run(check=False)
    report = deployment(engine, bundle(private(other))).run(check=False)
    assert not report.changed
    assert any("gives no newer digest: AWS refused" in warning for warning in report.warnings)


# Removal


def test_a_removal_waits_until_nothing_is_left_and_names_what_stays(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    spec = engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    spec["Mounts"] = [{"Type": "volume", "Source": "shop_data"}, {"Type": "bind", "Source": "/srv"}]
    engine.lingers = 3
    kept = stack_removal.kept(engine, "shop")
    assert kept == ["the volume shop_data on ip-10-0-0-1, ip-10-0-1-1", "the secret shop_password"]
    stack_removal.remove(engine, "shop", memory_engine.FakeTime().clock(), timeout=10)
    assert engine.left("shop") == {}
    assert list(engine.stored["secrets"]) == ["shop_password"]


def test_a_removal_that_takes_too_long_says_what_is_left(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    engine.lingers = 1000
    with pytest.raises(StackError, match="The stack 'shop' still has 1 task after 5 s"):
        stack_removal.remove(engine, "shop", memory_engine.FakeTime().clock(), timeout=5)


@pytest.mark.parametrize(("lingers", "left"), [(30, 0), (1000, 880)])
def test_a_deployment_lets_a_stack_end_that_was_removed_by_hand(engine: MemoryEngine, lingers: int, left: int) -> None:
    """For up to a minute: if tasks take longer to stop, new tasks are rejected for a while."""
    time, engine.lingers = memory_engine.FakeTime(), lingers
    time.events.append(lambda: setattr(engine, "lingers", engine.lingers - 1))
    deployment(engine, bundle(), time=time).run(check=True)
    assert engine.lingers == lingers
    deployment(engine, bundle(), time=time).run(check=False)
    assert (engine.deployed, engine.lingers) == (1, left)


def test_a_deployment_of_a_stack_that_is_there_waits_for_none_of_its_tasks(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    time, engine.lingers = memory_engine.FakeTime(), 1
    began = time.seconds
    assert deployment(engine, bundle(tag="2.0"), time=time).run(check=False).changed
    assert time.seconds == began


# Refusals


def test_an_external_secret_that_is_missing_is_named(engine: MemoryEngine) -> None:
    document = {**memory_engine.COMPOSE, "secrets": {"password": {"name": "password", "external": True}}}
    with pytest.raises(StackError, match="Secret 'password' is external, but the swarm does not have it: create it"):
        deployment(engine, bundle(document)).run(check=False)


def test_a_deployment_that_docker_refuses_is_unknown_afterwards(engine: MemoryEngine) -> None:
    engine.refused = "Error response from daemon: port '80' is already in use"
    with pytest.raises(StackError, match="Docker refused the stack: Error response from daemon: port '80'"):
        deployment(engine, bundle()).run(check=False)
    assert engine.releases("shop")[-1].services == {}
    engine.refused = ""
    assert deployment(engine, bundle()).run(check=False).changed


def test_a_host_that_is_no_manager_is_refused(engine: MemoryEngine) -> None:
    engine.not_manager = "This node is a worker of its swarm; only a manager can deploy."
    with pytest.raises(StackError, match="only a manager can deploy"):
        deployment(engine, bundle()).run(check=False)


def test_an_engine_that_this_user_may_not_ask_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        try:
            raise PermissionError(13, "Permission denied")
        except PermissionError as error:
            raise DockerException("Error while fetching server API version") from error

    monkeypatch.setattr("docker.APIClient", refuse)
    monkeypatch.setattr("shutil.which", lambda command: command)
    with pytest.raises(
        StackError, match=r"does not answer .*: Permission denied \(is this user in the group docker\?\)"
    ):
        StackEngine(lambda *_: (0, "", ""))
