from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils.stack import compose, images
from ansible_collections.swarm.aws.plugins.module_utils.stack.interpolation import interpolate
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError

from tests.unit.stack import memory_engine

DIGESTS = {"app:1.0": f"app:1.0@{memory_engine.DIGEST}", "haproxy:3.0": f"haproxy:3.0@{memory_engine.DIGEST}"}


def service(**options: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "app:1.0", **options}}}


def test_of_jobs_it_is_said_that_they_may_run_more_than_once() -> None:
    jobs = {
        "services": {"web": {"deploy": {"replicas": 1}}, "move": {"deploy": {"mode": "replicated-job"}}, "plain": {}}
    }
    (sentence,) = compose.repeated(jobs)
    assert sentence.startswith("Jobs (move) may run several times")
    del jobs["services"]["move"]
    assert compose.repeated(jobs) == []


def test_a_config_is_named_by_its_content() -> None:
    stack = memory_engine.bundle()
    name = f"shop_settings_{memory_engine.fingerprint_of(b'colour=blue' + bytes([10]))}"
    assert [blob.name for blob in stack.configs] == [name]
    assert stack.configs[0].labels == {"com.docker.stack.namespace": "shop"}
    assert stack.definition["configs"]["settings"] == {"external": True, "name": name}


def test_another_content_gives_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = memory_engine.bundle().configs[0].name
    monkeypatch.setitem(memory_engine.FILES, "settings.ini", b"colour=red\n")
    assert memory_engine.bundle().configs[0].name != before


def test_a_name_stays_within_dockers_limit() -> None:
    document = service() | {"configs": {"c": {"name": "n" * 64, "content": "x"}}}
    assert len(memory_engine.bundle(document).configs[0].name) == 64


def test_a_secret_to_be_made_is_named_after_the_stack() -> None:
    stack = memory_engine.bundle()
    assert stack.generate == {"shop_password": 32}
    assert stack.definition["secrets"]["password"] == {"external": True, "name": "shop_password"}


def test_a_bundle_survives_its_way_to_the_manager() -> None:
    document = service() | {"secrets": {"s": {"content": "pa$$ss"}}}
    stack = memory_engine.bundle(document)
    assert compose.Bundle.unpack(stack.pack()) == stack
    assert stack.secrets[0].data == b"pa$ss"
    assert "pa$ss" not in repr(stack)


@pytest.mark.parametrize("packed", ["", "x", "eyJ9", "eJwDAAAAAAE="])
def test_what_is_no_bundle_is_refused(packed: str) -> None:
    with pytest.raises(StackError, match=r"not what swarm.aws.stack_bundle returns"):
        compose.Bundle.unpack(packed)


def test_the_fingerprint_follows_what_a_service_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    def labels() -> dict[str, str]:
        pinned = compose.pinned(memory_engine.bundle().definition, DIGESTS)
        return {name: item["deploy"]["labels"][compose.FINGERPRINT] for name, item in pinned["services"].items()}

    before = labels()
    monkeypatch.setitem(memory_engine.FILES, "settings.ini", b"colour=red\n")
    after = labels()
    assert after["web"] != before["web"]
    assert after["proxy"] == before["proxy"]


def test_images_are_pinned_and_other_labels_kept() -> None:
    document = service(deploy={"labels": ["team=shop"]})
    pinned = compose.pinned(memory_engine.bundle(document).definition, DIGESTS)["services"]["web"]
    assert pinned["image"] == DIGESTS["app:1.0"]
    assert pinned["deploy"]["labels"]["team"] == "shop"


def test_a_dollar_sign_reaches_docker_as_one() -> None:
    stack = memory_engine.bundle(service(command=["sh", "-c", "echo $$HOME"]))
    assert stack.definition["services"]["web"]["command"][2] == "echo $HOME"
    assert json.loads(compose.command_input(stack.definition))["services"]["web"]["command"][2] == "echo $$HOME"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$TAG", "2"),
        ("${TAG}-x", "2-x"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE:-}", ""),
        ("${TAG:?needed}", "2"),
        ("a$$b", "a$b"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert interpolate({"image": text}, {"TAG": "2", "EMPTY": ""}) == {"image": expected}


def test_a_variable_may_be_a_number_or_a_switch() -> None:
    value = {"deploy": {"replicas": "${N}", "mode": "${M}"}, "read_only": "${B}", "labels": {"a": "${N}"}}
    expected = {"deploy": {"replicas": 3, "mode": "global"}, "read_only": True, "labels": {"a": "3"}}
    assert interpolate(value, {"N": "3", "B": "true", "M": "global"}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE}", r"services.web.image uses the variable NONE, which has neither a value nor a default"),
        ("${EMPTY:?set the tag}", r"default \(set the tag\): set it in stack_environment"),
        ("a$", r"services.web.image has a '\$' without a variable"),
        ("${1}", r"without a variable"),
    ],
)
def test_variables_that_cannot_be_replaced(text: str, message: str) -> None:
    with pytest.raises(StackError, match=message):
        memory_engine.bundle({"services": {"web": {"image": text}}}, EMPTY="")


def test_environments_are_settled_where_their_files_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(memory_engine.FILES, "web.env", b"# colours\nCOLOUR=red\nSHAPE=round\n\nFROM_HERE\n")
    document = service(env_file="web.env", environment=["COLOUR=blue", "TOKEN", "ABSENT"])
    web = memory_engine.bundle(document, TOKEN="t", FROM_HERE="h").definition["services"]["web"]
    assert web["environment"] == {"COLOUR": "blue", "SHAPE": "round", "FROM_HERE": "h", "TOKEN": "t"}
    assert "env_file" not in web


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "compose.yml is not a compose file: it needs a mapping 'services'"),
        ([], "is not a compose file"),
        ({"services": {}}, "with at least one service"),
        ({"services": {"web": None}}, "Service 'web' in compose.yml must be a mapping"),
        ({"services": {"web": {}}}, "Service 'web' in compose.yml has no image"),
        ({"services": {"web": {"build": "."}}}, "has 'build', which a swarm does not support"),
        (
            {"services": {"web.api": {"image": "web"}}},
            "Service 'web.api' in compose.yml would be called '\\w+_web.api', but Docker accepts letters, digits, and "
            "'-' and '_' between them, 63 at most: rename it.",
        ),
        ({"services": {"w" * 60: {"image": "web"}}}, "63 at most: rename it."),
        (service(volumes=["./data:/data"]), "mounts './data' relative to the compose file"),
        (service(volumes=[{"type": "bind", "source": "../x", "target": "/x"}]), "mounts '../x'"),
        (service(env_file=["no.env"]), "service 'web' in compose.yml names the file 'no.env', which cannot be read"),
        (service() | {"configs": {"c": {"file": "no.ini"}}}, "configs.c in compose.yml names the file 'no.ini'"),
        (service() | {"configs": {"c": {}}}, "configs.c in compose.yml has no content"),
        (service() | {"configs": ["c"]}, "'configs' in compose.yml must be a mapping"),
        (service() | {"secrets": {"s": {"environment": "PW"}}}, "uses the variable PW, which is not set"),
        (
            service() | {"secrets": {"s": {"external": True, "x-generate": "yes"}}},
            "the secret.s length, 16 to 256, not 'yes'",
        ),
    ],
)
def test_bad_compose_files_get_one_sentence(document: Any, message: str) -> None:
    with pytest.raises(StackError, match=message) as caught:
        memory_engine.bundle({} if document is None else document)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Shop", "my stack", "x" * 42])
def test_bad_stack_names(name: str) -> None:
    with pytest.raises(StackError, match=f"The stack name '{name}' is not valid"):
        compose.bundle(name, memory_engine.COMPOSE, {}, memory_engine.read, source="compose.yml")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("haproxy", "haproxy:latest"),
        ("haproxy:3.0", "haproxy:3.0"),
        ("registry.example.com:5000/team/app", "registry.example.com:5000/team/app:latest"),
        ("registry.example.com:5000/team/app:1.2", "registry.example.com:5000/team/app:1.2"),
        (f"haproxy:3.0@{memory_engine.DIGEST}", "haproxy:3.0"),
    ],
)
def test_image_references(image: str, expected: str) -> None:
    assert images.without_digest(image) == expected
    assert images.with_digest(image, memory_engine.DIGEST) == f"{expected}@{memory_engine.DIGEST}"


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(StackError, match="'Not An Image' is not an image reference"):
        images.without_digest("Not An Image")


def deployable(folder: Path, **variables: str) -> compose.Bundle:
    document = yaml.safe_load((folder / "docker-compose.yml").read_text())
    return compose.bundle(folder.name, document, variables, compose.beside(folder / "docker-compose.yml"), source="it")


def check_hardened(stack: compose.Bundle) -> None:
    assert all(len(blob.data) < 500_000 for blob in stack.configs)
    for name, options in stack.definition["services"].items():
        assert options["deploy"]["endpoint_mode"] == "dnsrr", name
        assert options["cap_drop"] == ["ALL"], name
        assert options["read_only"] is True, name
        assert options["user"], name
        assert options["healthcheck"]["test"], name
        assert options["deploy"]["resources"]["limits"]["memory"], name
        assert options["deploy"]["update_config"]["failure_action"] == "rollback", name


def test_the_example_is_whole(pytestconfig: pytest.Config) -> None:
    stack = deployable(pytestconfig.rootpath / "stacks/example")
    assert stack.generate == {"example_store-password": 40}
    check_hardened(stack)
    assert stack.definition["services"]["web"]["deploy"]["update_config"]["order"] == "start-first"
    assert stack.definition["services"]["web"]["deploy"]["replicas"] == 6


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    (tmp_path / "fullchain.pem").write_text("a certificate")
    (tmp_path / "privkey.pem").write_text("its key")
    return tmp_path


def test_the_edge_is_whole(pytestconfig: pytest.Config, certificate: Path) -> None:
    stack = deployable(pytestconfig.rootpath / "stacks/edge", EDGE_CERTIFICATE=str(certificate))
    check_hardened(stack)
    entry, tls = stack.definition["services"]["entry"], stack.definition["services"]["tls"]
    assert entry["ports"] == [{"target": 8443, "published": 443, "mode": "host"}]
    # With only internal networks a task gets no port on its node.
    assert [stack.definition["networks"][name] for name in entry["networks"]] == [{"driver": "overlay"}]
    assert "secrets" not in entry
    assert "ports" not in tls
    assert tls["deploy"]["update_config"]["order"] == "start-first"
    assert stack.definition["networks"]["behind"] == {"external": True, "name": "example_front"}
    assert sorted(blob.data for blob in stack.secrets) == [b"a certificate", b"its key"]


def test_the_edge_stands_in_front_of_another_stack_where_variables_say_so(
    pytestconfig: pytest.Config, certificate: Path
) -> None:
    stack = deployable(
        pytestconfig.rootpath / "stacks/edge",
        EDGE_CERTIFICATE=str(certificate),
        EDGE_NETWORK="shop_public",
        EDGE_TASKS="tasks.page:3000",
        EDGE_HEALTH="/up",
        EDGE_HSTS="63072000",
    )
    assert stack.definition["networks"]["behind"]["name"] == "shop_public"
    assert stack.definition["services"]["tls"]["environment"] == {
        "TASKS": "tasks.page:3000",
        "HEALTH": "/up",
        "HSTS": "63072000",
    }


@pytest.mark.parametrize("file", ["fullchain.pem", "privkey.pem"])
def test_a_renewed_certificate_leaves_alone_what_holds_the_port(
    pytestconfig: pytest.Config, certificate: Path, file: str
) -> None:
    def fingerprints() -> dict[str, str]:
        definition = deployable(pytestconfig.rootpath / "stacks/edge", EDGE_CERTIFICATE=str(certificate)).definition
        services = compose.pinned(definition, DIGESTS)["services"]
        return {name: options["deploy"]["labels"][compose.FINGERPRINT] for name, options in services.items()}

    before = fingerprints()
    (certificate / file).write_text("another")
    after = fingerprints()
    assert after["entry"] == before["entry"]
    assert after["tls"] != before["tls"]


def test_the_edge_without_a_certificate_is_refused(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    folder = pytestconfig.rootpath / "stacks/edge"
    with pytest.raises(StackError, match=r"EDGE_CERTIFICATE, .* \(the folder with fullchain.pem and privkey.pem\)"):
        deployable(folder)
    with pytest.raises(StackError, match=r"fullchain\.pem', which cannot be read"):
        deployable(folder, EDGE_CERTIFICATE=str(tmp_path))
