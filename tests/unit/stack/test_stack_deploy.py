from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack.errors import StackError

from tests.unit.stack import world
from tests.unit.stack.world import MemoryEngine, bundle, deployment


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def test_a_first_deployment_makes_everything(engine: MemoryEngine) -> None:
    report = deployment(engine, bundle()).run(check=False)
    assert report.changed
    assert report.services["shop_web"] == {
        "desired": 2,
        "running": 2,
        "reason": "",
        "verdict": "converged",
        "image": "app:1.0",
        "digest": world.DIGEST,
    }
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
    assert report.services["shop_proxy"]["running"] == 2
    assert engine.deployed == 1
    assert engine.stored["secrets"]["shop_password"].data == secret


def test_check_mode_tells_and_does_nothing(engine: MemoryEngine) -> None:
    report = deployment(engine, bundle()).run(check=True)
    assert report.changed
    assert report.after["new secrets"] == ["shop_password"]
    assert report.after["shop_web"]["image"] == f"app:1.0@{world.DIGEST}"
    assert engine.deployed == 0
    assert engine.stored == {"configs": {}, "secrets": {}}


def test_check_mode_after_a_deployment_has_nothing_to_tell(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    assert not deployment(engine, bundle()).run(check=True).changed


def test_a_tag_that_moved_is_deployed(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.registry["app:1.0"] = "sha256:" + "d" * 64
    assert not deployment(engine, bundle(), resolve="missing").run(check=False).changed
    report = deployment(engine, bundle()).run(check=False)
    assert report.changed
    assert report.services["shop_web"]["digest"] == "sha256:" + "d" * 64


def test_a_registry_that_is_away_is_no_reason_to_roll(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.registry.clear()
    report = deployment(engine, bundle()).run(check=False)
    assert not report.changed
    assert any("app:1.0 stays at sha256:aaaa" in warning for warning in report.warnings)


def test_an_image_that_is_nowhere_is_refused_before_anything_is_made(engine: MemoryEngine) -> None:
    with pytest.raises(StackError, match=r"The image app:9 of service 'web' cannot be found: manifest unknown\. Check"):
        deployment(engine, bundle(TAG="9")).run(check=False)
    assert engine.stored == {"configs": {}, "secrets": {}}


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [("Env", ["MODE=slow"], "environment"), ("Image", "other:1", "image"), ("Secrets", [], "secrets")],
)
def test_a_change_by_hand_is_seen_and_undone(engine: MemoryEngine, name: str, value: object, seen: str) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"][name] = value
    report = deployment(engine, bundle()).run(check=False)
    assert report.changed
    assert report.before["shop_web"][seen] != report.after["shop_web"][seen]
    assert not deployment(engine, bundle()).run(check=True).changed


def test_values_of_variables_are_never_shown(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["MODE=hunter2"]
    report = deployment(engine, bundle()).run(check=False)
    assert "hunter2" not in repr(report)
    assert "fast" not in repr(report)


def test_a_service_that_left_the_file_is_removed(engine: MemoryEngine) -> None:
    deployment(engine, bundle()).run(check=False)
    document = {**world.COMPOSE, "services": {"web": world.COMPOSE["services"]["web"]}}
    report = deployment(engine, bundle(document)).run(check=False)
    assert report.changed
    assert list(report.services) == ["shop_web"]


def test_old_configs_go_once_even_the_way_back_needs_them_no_more(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for content in (b"1", b"2", b"3"):
        monkeypatch.setitem(world.FILES, "settings.ini", content)
        deployment(engine, bundle()).run(check=False)
        seen.append({blob.data for blob in engine.stored["configs"].values()})
    assert seen == [{b"1"}, {b"1", b"2"}, {b"2", b"3"}]
    assert "shop_password" in engine.stored["secrets"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("paused", "the update was paused: update paused"),
        ("rollback_completed", "the update failed and was rolled back: update paused"),
        ("rollback_paused", "the update failed, and so did going back: update paused"),
    ],
)
def test_an_update_that_fails_fails_the_deployment(engine: MemoryEngine, state: str, said: str) -> None:
    deployment(engine, bundle()).run(check=False)
    engine.update_ends_as = state
    late = deployment(engine, bundle(TAG="2.0"))
    with pytest.raises(
        StackError, match=rf"The stack 'shop' did not converge: shop_web \(2 of 2 tasks run\): {said}\."
    ):
        late.run(check=False)
    assert late.report.changed
    assert late.report.services["shop_web"]["verdict"] == "failed"


def test_the_reason_has_the_tasks_error_and_its_last_words(engine: MemoryEngine) -> None:
    engine.task_state = {"State": "failed", "Err": "task: non-zero exit (1)", "ContainerStatus": {"ExitCode": 1}}
    with pytest.raises(StackError) as caught:
        deployment(engine, bundle(), timeout=20).run(check=False)
    assert str(caught.value).startswith(
        "The stack 'shop' did not converge within 20 s: shop_proxy (0 of 2 tasks run): "
    )
    assert "a task on ip-10-0-1-1 failed: task: non-zero exit (1); its log ends: Traceback | KeyError" in str(
        caught.value
    )


def test_an_external_secret_that_is_missing_is_named(engine: MemoryEngine) -> None:
    document = {**world.COMPOSE, "secrets": {"password": {"external": True}}}
    with pytest.raises(
        StackError, match="Secret 'password' is external and the swarm has none of that name: create it"
    ):
        deployment(engine, bundle(document)).run(check=False)


def test_dockers_own_refusal_comes_first(engine: MemoryEngine) -> None:
    engine.refused = "services.web Additional property foo is not allowed"
    with pytest.raises(StackError, match=r"Docker refuses the stack: services.web Additional property foo"):
        deployment(engine, bundle()).run(check=True)


def test_a_host_that_is_no_manager_is_refused(engine: MemoryEngine) -> None:
    engine.not_manager = "This node is a worker of its swarm; only a manager can deploy."
    with pytest.raises(StackError, match="only a manager can deploy"):
        deployment(engine, bundle()).run(check=False)
