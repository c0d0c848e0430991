"""What the adapter hands to Docker's command and to the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack import images, stack_engine
from ansible_collections.swarm.aws.plugins.module_utils.stack.credentials import Credentials
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_engine import StackEngine
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError


class Api:
    """The engine's API with two services."""

    def services(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        assert filters == {"label": "com.docker.stack.namespace=shop"}
        return [self.service("web", "app:1@sha256:a", "other:7"), self.service("db", "db:1@sha256:b", "db:1@sha256:b")]

    @staticmethod
    def service(name: str, defined: str, runs: str) -> dict[str, Any]:
        spec = {
            "Name": name,
            "Labels": {images.LABEL: defined, "a": "b"},
            "TaskTemplate": {"ContainerSpec": {"Image": runs}},
        }
        return {"ID": f"id-{name}", "Version": {"Index": 7}, "Spec": spec}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StackEngine:
    made = object.__new__(StackEngine)
    monkeypatch.setattr(made, "_connected", Api(), raising=False)
    monkeypatch.setattr(made, "_run", None, raising=False)
    return made


def test_an_image_that_was_changed_by_hand_is_forgotten(engine: StackEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's command would keep it while the definition's image equals the label."""
    updates: list[Any] = []
    monkeypatch.setattr(engine, "_update_object", lambda *words: updates.append(words))
    monkeypatch.setattr(stack_engine, "run", lambda *words: (0, "", ""))
    engine.deploy("shop", "{}", registry_auth=False, credentials={}, ask_registries=False)
    ((path, version, spec),) = updates
    assert (path, version, spec["Labels"]) == ("services/id-web", 7, {"a": "b"})


def test_what_docker_says_while_it_deploys_is_passed_on_once(
    engine: StackEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which options it ignores is said when the files are read."""
    said = (
        "Ignoring unsupported options: devices, privileged\n\nIgnoring deprecated options:\n\n"
        "container_name: Setting the container name is not supported.\n\n"
        "image app:1 could not be accessed on a registry to record\nits digest.\n\n"
    )
    monkeypatch.setattr(stack_engine, "run", lambda *words: (0, "Creating service shop_web\n", said))
    assert engine.deploy("shop", "{}", registry_auth=False, credentials={}, ask_registries=True) == (
        "image app:1 could not be accessed on a registry to record its digest."
    )


def test_the_time_to_deploy_grows_with_the_services(engine: StackEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(stack_engine, "run", lambda *words: limits.append(words[-1]) or (0, "", ""))
    for services in ("{}", '{"a": {}, "b": {}, "c": {}}'):
        engine.deploy("shop", f'{{"services": {services}}}', registry_auth=False, credentials={}, ask_registries=True)
    assert limits == [60, 120]


@pytest.mark.parametrize("own", [False, True])
def test_credentials_are_in_a_private_file_and_not_in_the_command(
    engine: StackEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool
) -> None:
    monkeypatch.setattr(engine, "_update_object", lambda *words: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"auths": {"own.example.com": {}}, "credsStore": "x"}')

    def run(
        _command: Any, arguments: list[str], environment: dict[str, str], text: str, _seconds: int
    ) -> tuple[int, str, str]:
        config = json.loads(Path(arguments[1], "config.json").read_text())
        auths = {"https://index.docker.io/v1/", "registry.example.com"}
        assert set(config["auths"]) == auths | ({"own.example.com"} if own else set())
        assert ("credsStore" in config) is own
        assert set(environment) == ({"PATH", "HOME"} if own else set())
        assert "hunter2" not in " ".join(arguments) and "--with-registry-auth" in arguments
        assert text == "{}"
        return 1, "", "Error response from daemon:\nno\n"

    monkeypatch.setattr(stack_engine, "run", run)
    login = Credentials("me", "hunter2")
    with pytest.raises(StackError, match="Docker refused the stack: Error response from daemon:; no"):
        known = {"docker.io": login, "registry.example.com": login}
        engine.deploy("shop", "{}", registry_auth=own, credentials=known, ask_registries=True)
