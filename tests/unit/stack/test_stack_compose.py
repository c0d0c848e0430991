"""Compose files on the controller, without Docker's command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack import compose_files, definition, images
from ansible_collections.swarm.aws.plugins.module_utils.stack.compose import Bundle, check_size
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError

from tests.unit.stack import memory_engine

WEB = "services: {web: {image: app}}\n"


def bundle(folder: Path, text: str, **variables: str) -> Bundle:
    (folder / "compose.yml").write_text(text)
    return compose_files.bundle("shop", [folder / "compose.yml"], variables, {})


def test_of_jobs_it_is_said_that_they_may_run_more_than_once() -> None:
    jobs = {
        "services": {"web": {"deploy": {"replicas": 1}}, "move": {"deploy": {"mode": "replicated-job"}}, "plain": {}}
    }
    (sentence,) = definition.repeated(jobs)
    assert sentence.startswith("Jobs (move) may run several times")
    del jobs["services"]["move"]
    assert definition.repeated(jobs) == []


def test_another_content_gives_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = memory_engine.bundle().configs[0].name
    monkeypatch.setitem(memory_engine.FILES, "/shop/settings.ini", "colour=red\n")
    assert memory_engine.bundle().configs[0].name != before


def test_a_bundle_survives_its_way_to_the_manager(tmp_path: Path) -> None:
    stack = bundle(tmp_path, f"{WEB}secrets: {{s: {{content: 'pa$$ss'}}}}")
    assert Bundle.unpack(stack.pack()) == stack
    assert stack.secrets[0] == b"pa$ss"
    assert "pa$" not in repr(stack)


@pytest.mark.parametrize("packed", ["", "x", "eyJ9", "eJwDAAAAAAE="])
def test_what_is_no_bundle_is_refused(packed: str) -> None:
    with pytest.raises(StackError, match=r"not what swarm.aws.stack_bundle returns"):
        Bundle.unpack(packed)


def test_images_are_pinned_and_the_document_kept() -> None:
    document = memory_engine.bundle().document
    digests = {"app:1.0": f"app:1.0@{memory_engine.DIGEST}", "haproxy:3.0": f"haproxy:3.0@{memory_engine.DIGEST}"}
    pinned = definition.pinned(document, digests)["services"]["web"]
    assert pinned == {**document["services"]["web"], "image": digests["app:1.0"]}


def test_a_dollar_sign_reaches_docker_as_a_dollar_sign() -> None:
    stack = memory_engine.bundle({"services": {"web": {"image": "app:1.0", "command": ["echo $HOME"]}}})
    assert json.loads(definition.command_input(stack.document))["services"]["web"]["command"] == ["echo $$HOME"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it needs a mapping 'services' with at least one"),
        ("[]", "is not a compose file"),
        ("services: {}", "it needs a mapping 'services' with at least one service"),
        ("services: {web: {image: a", r"compose.yml, line 1: the file is not valid YAML: expected ',' or '}'"),
        (
            "services: {web: {env_file: no.env}}",
            r"services.web \(\S+compose.yml, line 1\) names the file 'no.env', whi",
        ),
        (
            "services:\n  web:\n    image: a\n    deploy: {replicas: 1}\n    deploy: {replicas: 2}\n",
            r"compose.yml, line 5: 'deploy' stands here again, after \S+, line 4. Some versions of",
        ),
        ("services: {web: {image: a}, web: {image: b}}", "line 1: 'web' stands here again, after "),
        (WEB + "configs: {c: {file: no.ini}}", r"configs.c \(\S+compose.yml, line 2\) names the file 'no.ini', which"),
        (
            WEB + "secrets: {s: {environment: PW}}",
            r"secrets.s \(.* 2\) uses the variable PW, which is not set: set it",
        ),
        (
            WEB + "secrets: {s: {content: ''}}",
            r"secrets.s .* has 0 bytes, but a swarm takes 1 to 511,999 bytes of a secret",
        ),
        (WEB + "secrets: {s: {content: '${LARGE}'}}", r"secrets.s .* has 600,000 bytes, but"),
    ],
)
def test_bad_compose_files_get_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StackError, match=message) as caught:
        bundle(tmp_path, text, LARGE="x" * 600_000)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "size", "accepted"),
    [
        ("configs", 1_023_999, True),
        ("configs", 1_024_000, False),
        ("secrets", 511_999, True),
        ("secrets", 512_000, False),
    ],
)
def test_a_size_is_refused_as_by_the_swarm(section: str, size: int, accepted: bool) -> None:
    if accepted:
        check_size(section, "it", b"x" * size)
    else:
        with pytest.raises(StackError, match=f"it has {size:,} bytes"):
            check_size(section, "it", b"x" * size)


@pytest.mark.parametrize(
    "text",
    [
        "services: &a {<<: *a}",
        "a: &a [*a]\nservices: {web: {image: a, env_file: *a}}",
        "services: [web]",
        "services: {web: [a], 1: {env_file: 7}, ? [x] : {env_file: [[a], {b: c}, {path: [d]}]}}",
        "services: {web: {env_file: {path: {a: b}}, <<: text, <<: [1, [2]]}}",
        "services: {web: }\nconfigs: {c: , d: {file: {a: b}}, e: {content: [x]}, f: text}\nsecrets: [a]",
        'services: {web: {env_file: "\\0"}}',
        "services: {web: {image: *unknown}}",
        "services: {web: {image: '${'}}\nsecrets: {s: {file: '${A:?}'}}",
        "\ufeffservices: {web: {image: a}}",
        "services:\n\tweb: a",
        "services: {web: {image: !custom a}}",
        "services: {web: {image: a}}\n---\nservices: 7\n",
        "services: {web: {image: '\x07'}}",
    ],
)
def test_a_strange_file_makes_no_traceback(tmp_path: Path, text: str) -> None:
    try:
        assert bundle(tmp_path, text).files
    except StackError as error:
        assert str(error).endswith(".")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_bytes(b"\xff")
    with pytest.raises(StackError, match="is not UTF-8 text"):
        compose_files.bundle("shop", [tmp_path / "compose.yml"], {}, {})


@pytest.mark.parametrize("name", ["web.api", "w" * 60])
def test_a_service_name_that_a_swarm_refuses_is_named(name: str) -> None:
    sent = Bundle("shop", ["/shop/compose.yml"], {}, lines={f"services.{name}": "compose.yml, line 7"})
    with pytest.raises(
        StackError, match=f"services.{name} \\(compose.yml, line 7\\) would be called 'shop_{name}', but Docker"
    ):
        definition.check_services(sent, {"services": {name: {"image": "app"}}}, "/root")


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"external": True, "name": "s", "x-generate": "yes"}, "secrets.s.x-generate must be .* 16 to 256, not 'yes'"),
        ({"external": True, "name": "s", "x-generate": 8}, "16 to 256, not 8"),
        ({"file": "/root/shop"}, "secrets.s has no content: set 'file', 'content' or 'environment', or 'external"),
        ({"file": "/elsewhere"}, "names the file '/elsewhere', which was not sent"),
    ],
)
def test_a_secret_without_a_content_is_refused(secret: dict[str, Any], message: str) -> None:
    with pytest.raises(StackError, match=message):
        memory_engine.bundle({"services": {}, "secrets": {"s": secret}})


def test_a_secret_of_a_driver_is_left_to_docker() -> None:
    secret = {"driver": "vault"}
    assert memory_engine.bundle({"services": {}, "secrets": {"s": secret}}).document["secrets"] == {"s": secret}


@pytest.mark.parametrize("name", ["", "Shop", "my stack", "x" * 42])
def test_bad_stack_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError, match=f"The stack name '{name}' is not valid"):
        compose_files.bundle(name, [tmp_path / "compose.yml"], {}, {})


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
