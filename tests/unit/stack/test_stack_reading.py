"""What Docker's own command makes of compose files, and what of it is deployed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils.stack import (
    compose_files,
    definition,
    docker_reading,
)
from ansible_collections.swarm.aws.plugins.module_utils.stack.compose import Bundle
from ansible_collections.swarm.aws.plugins.module_utils.stack.definition import Definition
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError

from tests.unit.stack import memory_engine
from tests.unit.stack.command import run_command

pytestmark = pytest.mark.real("docker's command line: only it knows what a compose file means")

WEB = "services: {web: {image: app}}\n"


def read(
    folder: Path, *texts: str | bytes, environment: Mapping[str, str] | None = None, **variables: str
) -> Definition:
    """What is deployed of compose files in the folder, which are called 0.yml, 1.yml and so on."""
    paths = [folder / f"{number}.yml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    bundle = compose_files.bundle("shop", paths, variables, environment or {})
    return docker_reading.read(Bundle.unpack(bundle.pack()), run_command)


def service(folder: Path, text: str, **variables: str) -> dict[str, Any]:
    """The service of a compose file with these options."""
    return read(folder, f"services: {{web: {{image: app, {text}}}}}", **variables).document["services"]["web"]


# Values


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        ("environment: {COUNTRY: NO}", "environment", {"COUNTRY": "NO"}),
        ("environment: {BACKUP_AT: 12:30}", "environment", {"BACKUP_AT": "12:30"}),
        ("environment: {A: 08, B: 1_000, C: 1e3, D: 0o17, E: =}", "environment", None),
        ("ports: [25:25]", "ports", [{"mode": "ingress", "target": 25, "published": 25, "protocol": "tcp"}]),
        ("environment: {mode: '${M:-0750}'}", "environment", {"mode": "0750"}),
        ("deploy: {replicas: '${N:-3}'}", "deploy", {"replicas": 3}),
        ("read_only: '${R:-true}'", "read_only", True),
        ("environment: [A=1, GIVEN, ABSENT]", "environment", {"A": "1", "GIVEN": "g", "ABSENT": None}),
        ("command: echo $$HOME", "command", ["echo", "$HOME"]),
        ("environment: {E: '${EMPTY-d}', F: '${EMPTY:-d}'}", "environment", {"E": "", "F": "d"}),
        ("hostname: '{{.Node.Hostname}}'", "hostname", "{{.Node.Hostname}}"),
    ],
)
def test_a_value_is_what_docker_makes_of_it(tmp_path: Path, options: str, key: str, value: Any) -> None:
    found = service(tmp_path, options, GIVEN="g", EMPTY="")[key]
    if value is None:
        assert found == {"A": "8", "B": "1000", "C": "1000", "D": "15", "E": "="}
    else:
        assert found == value


def test_a_restart_that_is_no_is_a_string_and_remarked_on(tmp_path: Path) -> None:
    made = read(tmp_path, "services: {web: {image: app, restart: no}}")
    assert made.document["services"]["web"] == {"image": "app", "restart": "no"}
    assert made.warnings == (
        "A swarm ignores 'restart' of web. Only the policy is taken from it, if there is no deploy.restart_policy.",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "services:\n  web:\n    image: a\n    depends_on: {db: {condition: service_healthy}}\n",
            r"Docker refused the stack \(\S+/0.yml, line 4\): services.web.depends_on must be a list",
        ),
        (
            "services:\n  web:\n    image: a\n    profiles: [x]\n",
            r"0.yml, line 2\): services.web Additional property pro",
        ),
        (
            "services:\n  web:\n    image: a\n    mem_limit: 5m\n",
            r"mem_limit: Set resource limits using deploy.resources",
        ),
        (
            "services:\n  web:\n    image: '${A:?the tag}'\n",
            r"0.yml, line 3\): .* variable A is missing a value: the tag",
        ),
        ("services: {web: {image: 'a${'}}", r"invalid interpolation format for services.web.image"),
        ("version: '2'\nservices: {web: {image: a}}", r"unsupported Compose file version: 2"),
        ("services: {web: {image: app, env_file: e}}", r"0.yml\): invalid env file \(\S+/e\): .* contains whitespaces"),
    ],
)
def test_dockers_error_is_told_with_the_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e").write_text("A B=1\n")
    with pytest.raises(StackError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "swarm-stack-" not in str(caught.value)


def test_of_several_files_the_file_with_the_error_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"1.yml, line 2\): services.web Additional property imag is not"):
        read(tmp_path, WEB, "services:\n  web: {imag: x}\n")
    with pytest.raises(StackError, match=r"refused the stack \(\S+/1.yml\): .*: extends: Support for"):
        read(tmp_path, WEB, "services: {web: {extends: db}}")


def test_several_files_are_merged_as_the_command_merges_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "c.ini").write_text("c")
    more = "services: {web: {environment: {B: b}}, db: {image: db}}\nconfigs: {c: {file: c.ini}}\n"
    made = read(tmp_path, "services: {web: {image: app, environment: {A: a, B: a}}}", more)
    assert made.document["services"] == {
        "web": {"image": "app", "environment": {"A": "a", "B": "b"}},
        "db": {"image": "db"},
    }
    assert [blob.data for blob in made.configs] == [b"c"]


def test_a_tab_is_a_space_where_docker_has_it_so(tmp_path: Path) -> None:
    assert read(tmp_path, "services:\n  web:\n    image:\tapp\t# comment\n").document == read(tmp_path, WEB).document


def test_the_name_of_a_project_is_ignored(tmp_path: Path) -> None:
    assert read(tmp_path, f"name: shop\n{WEB}").document == read(tmp_path, WEB).document


@pytest.mark.parametrize("version", ["3", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.13", ""])
def test_every_version_of_the_format_is_read(tmp_path: Path, version: str) -> None:
    head = f"version: '{version}'\n" if version else ""
    (tmp_path / "c.conf").write_text("c")
    has = version not in ("3", "3.0", "3.1", "3.2")
    made = read(tmp_path, head + WEB + ("configs: {c: {file: ./c.conf}}" if has else ""))
    assert [blob.data for blob in made.configs] == ([b"c"] if has else [])


def test_an_external_name_of_an_old_version_is_kept(tmp_path: Path) -> None:
    text = "secrets: {password: {external: {name: prod_password_v2}}}\nservices: {web: {image: a, secrets: [password]}}"
    made = read(tmp_path, f"version: '3.3'\n{text}")
    assert made.document["secrets"]["password"] == {"external": True, "name": "prod_password_v2"}
    assert read(tmp_path, f"version: '3.8'\n{text}").warnings == (
        "secret password: secret.external.name is deprecated in favor of secret.name",
    )


# What Docker's command would change without a word


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "image: 'app:${TAG:-${VERSION:?none}}'",
            r"'\${TAG:-\${VERSION:\?none}}' has a '\$' within a variable's default",
        ),
        ("image: 'app:${TAG:-$VERSION}'", "has a '\\$' within a variable's default"),
        ("image: 'repo/$NAME-web:1'", r"takes what follows '\$NAME-' for a part of .*: write \${NAME} in braces"),
        ("image: 'app:$NAME:-1'", r"takes what follows '\$NAME:-' for a part"),
        (
            "image: 'app:${TAG:?a build-number}'",
            r"'\${TAG:\?a build-number}' has '-' after ':\?', .*: write it without '-'",
        ),
        ("image: 'app:${TAG?a build:-number}'", r"has ':-' after '\?'"),
        ("image: 'app:${TAG-a:-b}'", r"has ':-' after '-'"),
        ("image: 'app:${TAG?what:?}'", r"has ':\?' after '\?'"),
    ],
)
def test_a_variable_that_docker_mangles_is_refused(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(StackError, match=f"0.yml, line 2: .*{said}"):
        read(tmp_path, f"services:\n  web: {{{options}}}", TAG="1", NAME="n", VERSION="2")


def test_an_escaped_dollar_sign_is_no_variable(tmp_path: Path) -> None:
    made = service(tmp_path, "command: ['$$A-b', '$${A:-$${B}}', '${A}-b', '$A:80']", A="a")
    assert made["command"] == ["$A-b", "${A:-${B}}", "a-b", "a:80"]


def test_of_a_variable_without_value_there_is_a_warning(tmp_path: Path) -> None:
    made = read(tmp_path, "services:\n  web:\n    image: app\n    command: ['${A}', '$B', '${C}']  # $D\n", C="")
    assert [text.partition(": ")[2][:42] for text in made.warnings] == [
        "the variable A is not set, so Docker puts ",
        "the variable B is not set, so Docker puts ",
    ]
    assert made.warnings[0].startswith(f"{tmp_path}/0.yml, line 4: ")


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("$TAG", "2"),
        ("${TAG}-x", "2-x"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE:-}", ""),
        ("${NONE}", ""),
        ("${TAG:?needed}", "2"),
        ("${EMPTY?needed}", ""),
        ("a$$b", "a$b"),
    ],
)
def test_the_name_of_a_file_is_found_as_docker_finds_it(tmp_path: Path, text: str, replaced: str) -> None:
    (tmp_path / f"f{replaced}").write_text("found")
    document = f"{WEB}configs: {{c: {{file: 'f{text}'}}}}"
    assert [blob.data for blob in read(tmp_path, document, TAG="2", EMPTY="").configs] == [b"found"]
    (tmp_path / f"f{replaced}").write_text("A=found")
    assert service(tmp_path, f"env_file: 'f{text}'", TAG="2", EMPTY="")["environment"] == {"A": "found"}


# Files


@pytest.mark.parametrize("name", ["e.env", "./sub/e.env", "../e.env", "/ABSOLUTE/e.env", "${FOLDER}/e.env", "~/e.env"])
def test_an_env_file_is_found_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (folder, folder / "sub", tmp_path):
        (place / "e.env").write_text(f"PLACE={place}\n")
    found = service(folder, f"env_file: ['{name.replace('/ABSOLUTE', str(tmp_path))}']", FOLDER=str(tmp_path))
    expected = {"e.env": folder, "./sub/e.env": folder / "sub"}.get(name, tmp_path)
    assert found == {"image": "app", "environment": {"PLACE": str(expected)}}


def test_an_env_file_is_read_by_docker(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf# colours\nTEST=1\nSHAPE=a round # hole\nQUOTED="q"\nGIVEN\nABSENT\nEMPTY=\nDOLLAR=$X\n'
    (tmp_path / "e").write_bytes(content)
    environment = read(
        tmp_path, "services: {web: {image: a, env_file: e, environment: [SHAPE=square]}}", environment={"GIVEN": "g"}
    ).document["services"]["web"]["environment"]
    assert environment == {
        "TEST": "1",
        "SHAPE": "square",
        "QUOTED": '"q"',
        "GIVEN": "g",
        "EMPTY": "",
        "DOLLAR": "$X",
    }


def test_an_env_file_in_latin_1_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes("A=1\nB=caf\u00e9\n".encode("latin-1"))
    with pytest.raises(StackError, match=r"invalid env file \(\S+/e\): invalid utf8 bytes at line 2\.$"):
        service(tmp_path, "env_file: e")


@pytest.mark.parametrize(
    "form",
    [
        "[{path: no.env, required: false}, e.env]",
        "\n      - path: no.env\n        required: false\n      - path: ${E}.env\n",
        "\n      - e.env\n      - {required: false, path: no.env}\n",
    ],
)
def test_an_optional_env_file_may_be_missing(tmp_path: Path, form: str) -> None:
    (tmp_path / "e.env").write_text("A=1\n")
    text = f"services:\n  web:\n    image: app\n    env_file: {form}\n  db:\n    image: db\n    foo: 1\n"
    with pytest.raises(StackError, match=rf"line {text.count(chr(10)) - 2}\): services.db Additional property foo"):
        read(tmp_path, text, E="e")
    made = read(tmp_path, text.replace("    foo: 1\n", ""), E="e").document["services"]
    assert made == {"web": {"image": "app", "environment": {"A": "1"}}, "db": {"image": "db"}}


def test_anchors_and_merge_keys_lead_to_files(tmp_path: Path) -> None:
    (tmp_path / "e.env").write_text("A=1\n")
    (tmp_path / "c").write_text("c")
    text = (
        f"x-env: &env {{env_file: &file {tmp_path}/e.env, image: app}}\nservices:\n  web: *env\n  db:\n    <<: [*env]\n"
        "    image: db\n  job: {image: job, env_file: [*file]}\n"
        "x-c: &c {file: c}\nconfigs: {one: {<<: *c, labels: {a: b}}, two: *c}\n"
    )
    made = read(tmp_path, text)
    assert {name: entry["environment"] for name, entry in made.document["services"].items()} == {
        "web": {"A": "1"},
        "db": {"A": "1"},
        "job": {"A": "1"},
    }
    assert [(blob.data, blob.labels.get("a")) for blob in made.configs] == [(b"c", "b"), (b"c", None)]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("content: 'pa$$ss ${A}'", b"pa$ss a"),
        ("'content': |\n      line ${A}\n", b"line a\n"),
        ("environment: PW", b"hunter2"),
        ("file: f", b"stored"),
        ("file: ${NONE:-f}", b"stored"),
    ],
)
def test_a_content_is_named_by_itself_and_never_shown(tmp_path: Path, text: str, data: bytes) -> None:
    (tmp_path / "f").write_bytes(b"stored")
    document = f"services: {{web: {{image: app, secrets: [s]}}}}\nsecrets:\n  s:\n    {text}\n"
    made = read(tmp_path, document, A="a", PW="hunter2")
    (blob,) = made.secrets
    name = f"shop_s_{memory_engine.fingerprint_of(data)}"
    assert (blob.name, blob.data, blob.labels) == (name, data, {"com.docker.stack.namespace": "shop"})
    assert made.document["secrets"] == {"s": {"external": True, "name": name}}
    assert data.decode() not in repr(made)
    bundle = compose_files.bundle("shop", [tmp_path / "0.yml"], {"A": "a", "PW": "hunter2"}, {})
    assert bundle.secrets == [data]


def test_a_name_stays_within_dockers_limit(tmp_path: Path) -> None:
    made = read(tmp_path, f"{WEB}configs: {{c: {{name: {'n' * 64}, content: x}}}}")
    assert len(made.configs[0].name) == 64


@pytest.mark.parametrize(
    ("options", "name"), [("", "shop_password"), (", name: password", "password"), (", name: other", "other")]
)
def test_a_secret_to_generate_is_named_after_the_stack_or_by_itself(tmp_path: Path, options: str, name: str) -> None:
    text = f"secrets: {{password: {{external: true, x-generate: 32{options}}}}}"
    made = read(tmp_path, f"services: {{web: {{image: a, secrets: [password]}}}}\n{text}")
    assert made.generate == {name: 32}
    assert made.document["secrets"]["password"] == {"external": True, "name": name}


# What is refused


@pytest.mark.parametrize(
    "volume",
    [
        "./data:/data",
        "../data:/data",
        "~/data:/data",
        "${DATA:-./data}:/data",
        "${HOME}/data:/data",
        "{type: bind, source: conf/x, target: /data}",
        "{type: bind, source: ~/x, target: /data}",
    ],
)
def test_a_bind_of_the_controllers_files_is_refused(tmp_path: Path, volume: str) -> None:
    text = volume if volume.startswith("{") else f"'{volume}'"
    with pytest.raises(StackError, match=r"services.web \(\S+, line 1\) mounts .* beside the compose file at '/data'"):
        read(tmp_path, f"services: {{web: {{image: app, volumes: [{text}]}}}}", environment={"HOME": "/home/me"})


def test_a_bind_of_the_nodes_files_is_deployed(tmp_path: Path) -> None:
    found = service(tmp_path, "volumes: ['/root/.docker/config.json:/c', 'data:/d']")["volumes"]
    assert [volume["source"] for volume in found] == ["/root/.docker/config.json", "data"]


def test_the_home_folder_is_the_controllers(tmp_path: Path) -> None:
    text = "services: {web: {image: app, environment: {A: '$HOME/x', HOME: }}}"
    found = read(tmp_path, text, environment={"HOME": "/home/me", "OTHER": "secret"})
    assert found.document["services"]["web"]["environment"] == {"A": "/home/me/x", "HOME": "/home/me"}


def test_of_the_environment_only_what_is_named_travels(tmp_path: Path) -> None:
    (tmp_path / "0.yml").write_text("services: {web: {image: 'app:$TAG', env_file: e}}")
    (tmp_path / "e").write_text("FROM_HERE\n")
    everything = {"TAG": "1", "FROM_HERE": "h", "AWS_SECRET_ACCESS_KEY": "secret"}
    bundle = compose_files.bundle("shop", [tmp_path / "0.yml"], {"GIVEN": "g"}, everything)
    assert bundle.variables == {"TAG": "1", "FROM_HERE": "h", "GIVEN": "g"}


def test_the_managers_own_variables_are_none_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "the manager's")
    assert service(tmp_path, "environment: [TAG, 'A=${TAG}']")["environment"] == {"A": "", "TAG": None}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("build: .", r"services.web \(\S+0.yml, line 1\) has no image: build it, push"),
        ("command: x", r"no image"),
    ],
)
def test_a_service_without_an_image_is_refused(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(StackError, match=said):
        read(tmp_path, f"services: {{web: {{{options}}}}}")


def test_an_ignored_option_without_a_value_is_named_without_its_service(tmp_path: Path) -> None:
    made = read(tmp_path, "services: {web: {image: a, privileged: false, devices: []}}")
    assert sorted(made.warnings) == ["A swarm ignores 'devices'.", "A swarm ignores 'privileged'."]


def test_ignored_options_are_named(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "services: {web: {image: a, x-own: {a: b}, container_name: w, build: ., depends_on: [db]},"
        " db: {image: b, build: .,"
        " privileged: true}}",
    )
    assert sorted(made.warnings) == [
        "A swarm ignores 'build' of db, web.",
        "A swarm ignores 'container_name' of web. Setting the container name is not supported.",
        "A swarm ignores 'depends_on' of web. It starts all services at once and restarts them until they run.",
        "A swarm ignores 'privileged' of db.",
    ]
    assert made.document["services"] == {
        "web": {"image": "a", "container_name": "w", "depends_on": ["db"]},
        "db": {"image": "b", "privileged": True},
    }


# The private folder


def test_the_files_are_private_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    run = docker_reading.run

    def looks(command: Any, arguments: Any, environment: Any) -> Any:
        seen.append(Path(arguments[1]))
        assert stat.S_IMODE(seen[-1].stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in seen[-1].rglob("*") if path.is_file()} == {0o600}
        assert "hunter2" not in " ".join(arguments)
        return run(command, arguments, environment)

    monkeypatch.setattr(docker_reading, "run", looks)
    (tmp_path / "e").write_text("PASSWORD=hunter2\n")
    service(tmp_path, "env_file: e, command: '${PASSWORD}'", PASSWORD="hunter2")
    with pytest.raises(StackError):
        service(tmp_path, "foo: 1")
    assert len(seen) > 2
    assert not any(folder.exists() for folder in seen)


def test_a_command_sees_its_environment_alone_and_must_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "yes")
    seen: list[dict[str, str]] = []

    def hangs(*_: Any, **__: Any) -> tuple[int, str, str]:
        seen.append(dict(os.environ))
        return 124, "", ""

    with pytest.raises(StackError, match="`docker stack config` did not end within 60 s"):
        docker_reading.run(hangs, ["stack", "config"], {"A": "1"})
    assert (seen, os.environ["OWN"]) == ([{"A": "1"}], "yes")


def test_a_folder_that_a_killed_process_left_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docker_reading, "_MEMORY", str(tmp_path))
    left, other = tmp_path / "swarm-stack-999999999-x", tmp_path / f"swarm-stack-{os.getpid()}-y"
    left.mkdir()
    other.mkdir()
    with docker_reading.private_folder() as folder:
        assert {path.name for path in tmp_path.iterdir()} == {other.name, Path(folder).name}
    assert list(tmp_path.iterdir()) == [other]


# The collection's own stacks


def own(root: Path, stack: str, **variables: str) -> Definition:
    bundle = compose_files.bundle(stack, [root / f"stacks/{stack}/docker-compose.yml"], variables, {})
    return docker_reading.read(bundle, run_command)


def check_hardened(stack: Definition, endpoint_mode: str | None = "dnsrr") -> None:
    for name, options in stack.document["services"].items():
        assert options["deploy"].get("endpoint_mode") == endpoint_mode, name
        assert options["cap_drop"] == ["ALL"], name
        assert options["read_only"] is True, name
        assert options["user"], name
        assert options["healthcheck"]["test"], name
        assert options["deploy"]["resources"]["limits"]["memory"], name
        assert options["deploy"]["update_config"]["failure_action"] == "rollback", name


def test_the_example_is_whole(pytestconfig: pytest.Config) -> None:
    stack = own(pytestconfig.rootpath, "example")
    assert (stack.generate, stack.warnings) == ({"example_store-password": 40}, ())
    check_hardened(stack)
    assert stack.document["services"]["web"]["deploy"]["update_config"]["order"] == "start-first"
    assert stack.document["services"]["web"]["deploy"]["replicas"] == 6


def test_the_mesh_is_whole(pytestconfig: pytest.Config) -> None:
    stack = own(pytestconfig.rootpath, "mesh")
    assert stack.warnings == ()
    check_hardened(stack, None)
    services = stack.document["services"]
    assert services["web"]["ports"] == [{"target": 8000, "published": 80, "mode": "ingress"}]
    for options in services.values():
        assert options["deploy"]["update_config"]["order"] == "start-first"
        assert options["stop_grace_period"] == "30s"
    assert stack.document["networks"]["inside"]["driver_opts"] == {"encrypted": "true"}


def test_services_on_the_hosts_network_are_named(tmp_path: Path) -> None:
    networks = "networks: {outside: {external: true, name: host}, host: {external: true, name: mine}}"
    services = "services: {a: {image: a, networks: [outside]}, b: {image: b, networks: [host]}, c: {image: c}}"
    assert read(tmp_path, f"{services}\n{networks}").warnings == (
        "Tasks of a are on the host's network, so they can get the credentials of their node's role from the metadata "
        "service: use another network unless they need them.",
    )


ORDER = "deploy.update_config.order: start-first"
CHECK = "a healthcheck (here or in its image)"


@pytest.mark.parametrize(
    ("service", "missing"),
    [
        ("ports: ['80:80']", f"{ORDER} and {CHECK}"),
        ("ports: ['80:80'], deploy: {update_config: {order: start-first}}", CHECK),
        ("ports: ['80:80'], healthcheck: {disable: true}, deploy: {update_config: {order: start-first}}", CHECK),
        ("ports: ['80:80'], healthcheck: {test: 'true'}, deploy: {update_config: {order: stop-first}}", ORDER),
        ("ports: ['80:80'], healthcheck: {test: 'true'}, deploy: {update_config: {order: start-first}}", ""),
        ("ports: [{target: 80, published: 80, mode: host}]", ""),
        ("ports: ['80:80'], deploy: {mode: global}", ""),
        ("ports: ['80:80'], volumes: [{type: volume, target: /data}]", ""),
        ("deploy: {replicas: 2}", ""),
    ],
)
def test_a_service_behind_the_mesh_that_lacks_a_property_is_named(tmp_path: Path, service: str, missing: str) -> None:
    said = read(tmp_path, f"services: {{web: {{image: a, {service}}}}}").warnings
    expected = f"Requests to web can fail when it is deployed or a node is removed: it lacks {missing}."
    assert said == ((expected,) if missing else ())


def test_the_registry_knows_its_bucket(pytestconfig: pytest.Config) -> None:
    endpoint = "https://s3.eu-west-1.amazonaws.com"
    stack = own(
        pytestconfig.rootpath, "ci", SWARM_REGION="eu-west-1", SWARM_BUCKET="bucket", SWARM_S3_ENDPOINT=endpoint
    )
    (warning,) = stack.warnings
    assert warning.startswith("Tasks of build, registry are on the host's network, so they can get the credentials")
    service = stack.document["services"]["registry"]
    assert (service["image"], service["configs"][0]["target"]) == ("registry:3", "/etc/distribution/config.yml")
    configuration = yaml.safe_load(stack.configs[1].data)
    s3 = configuration["storage"]["s3"]
    # The SDK of version 3 knows the regions of 2024. With an endpoint it needs no list.
    assert (s3["bucket"], s3["regionendpoint"], s3["forcepathstyle"]) == ("bucket", endpoint, True)
    # A registry that cannot reach its bucket answers 503, so that its health check fails.
    assert configuration["health"]["storagedriver"]["enabled"] is True
    check_keys(configuration, REGISTRY_KEYS)


# The sections of a registry's configuration that the stack uses, with all their keys: the registry ignores others
# (https://github.com/distribution/distribution/blob/v3.0.0/configuration/configuration.go, and
# registry/storage/driver/s3-aws/s3.go there).
REGISTRY_KEYS: dict[str, Any] = yaml.safe_load("""
version:
log: [accesslog, level, formatter, fields, hooks, reportcaller]
http: [addr, net, host, prefix, secret, relativeurls, draintimeout, tls, headers, debug, http2, h2c]
health: {file: , http: , tcp: , storagedriver: [enabled, interval, threshold]}
storage:
  s3: [accesskey, secretkey, region, regionendpoint, forcepathstyle, bucket, encrypt, keyid, secure, skipverify, v4auth,
    chunksize, multipartcopychunksize, multipartcopymaxconcurrency, multipartcopythresholdsize, rootdirectory,
    storageclass, useragent, objectacl, usedualstack, accelerate, loglevel]
  redirect: [disable]
  delete: [enabled]
  cache:
  maintenance:
  tag:
""")


def check_keys(configuration: dict[str, Any], known: Any) -> None:
    """Check that a section has only known keys."""
    for key, value in configuration.items():
        assert key in known
        if isinstance(value, dict):
            check_keys(value, known[key])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    (tmp_path / "fullchain.pem").write_text("a certificate")
    (tmp_path / "privkey.pem").write_text("its key")
    return tmp_path


def test_the_edge_is_whole(pytestconfig: pytest.Config, certificate: Path) -> None:
    stack = own(pytestconfig.rootpath, "edge", EDGE_CERTIFICATE=str(certificate))
    check_hardened(stack)
    entry, tls = stack.document["services"]["entry"], stack.document["services"]["tls"]
    assert entry["ports"] == [{"target": 8443, "published": 443, "mode": "host"}]
    # With only internal networks a task gets no port on its node.
    assert [stack.document["networks"][name] for name in entry["networks"]] == [{"driver": "overlay"}]
    assert "secrets" not in entry
    assert "ports" not in tls
    assert tls["deploy"]["update_config"]["order"] == "start-first"
    assert stack.document["networks"]["behind"] == {"external": True, "name": "example_front"}
    assert sorted(blob.data for blob in stack.secrets) == [b"a certificate", b"its key"]


def test_the_edge_stands_in_front_of_another_stack_where_variables_say_so(
    pytestconfig: pytest.Config, certificate: Path
) -> None:
    variables = {"EDGE_TASKS": "tasks.page:3000", "EDGE_HEALTH": "/up", "EDGE_HSTS": "63072000"}
    stack = own(
        pytestconfig.rootpath, "edge", EDGE_CERTIFICATE=str(certificate), EDGE_NETWORK="shop_public", **variables
    )
    assert stack.document["networks"]["behind"]["name"] == "shop_public"
    assert stack.document["services"]["tls"]["environment"] == {
        name.removeprefix("EDGE_"): value for name, value in variables.items()
    }


@pytest.mark.parametrize("file", ["fullchain.pem", "privkey.pem"])
def test_a_renewed_certificate_leaves_alone_what_holds_the_port(
    pytestconfig: pytest.Config, certificate: Path, file: str
) -> None:
    before = own(pytestconfig.rootpath, "edge", EDGE_CERTIFICATE=str(certificate)).document
    (certificate / file).write_text("another")
    after = own(pytestconfig.rootpath, "edge", EDGE_CERTIFICATE=str(certificate)).document
    assert definition.used(after, "entry") == definition.used(before, "entry")
    assert definition.used(after, "tls") != definition.used(before, "tls")


def test_the_edge_without_a_certificate_is_refused(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"EDGE_CERTIFICATE .*: the folder with fullchain.pem and privkey.pem"):
        own(pytestconfig.rootpath, "edge")
    with pytest.raises(StackError, match=r"fullchain\.pem', which cannot be read"):
        own(pytestconfig.rootpath, "edge", EDGE_CERTIFICATE=str(tmp_path))


# Their images are not available on the lab, so no test runs them.
STARTERS = {
    "traefik": {"TRAEFIK_EMAIL": "a@example.com", "TRAEFIK_HOST": "traefik.example.com", "TRAEFIK_USERS": "the file"},
    "portainer": {"PORTAINER_PASSWORD": "the file"},
    "grafana": {"GRAFANA_PASSWORD": "the file"},
}


@pytest.fixture(params=STARTERS)
def starter(request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path: Path) -> Definition:
    (tmp_path / "secret").write_text("a secret")
    given = {
        name: str(tmp_path / "secret") if value == "the file" else value
        for name, value in STARTERS[request.param].items()
    }
    return own(pytestconfig.rootpath, request.param, **given)


def test_docker_reads_a_starter_stack_without_a_warning(starter: Definition) -> None:
    assert starter.warnings == ()
    assert [blob.data for blob in starter.secrets] == [b"a secret"]
    for name, options in starter.document["services"].items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", options["image"]), name
        assert options["deploy"]["resources"]["limits"]["memory"], name
        assert options["deploy"]["update_config"]["failure_action"] == "rollback", name


def test_no_service_with_a_port_controls_an_engine(starter: Definition) -> None:
    for options in starter.document["services"].values():
        mounted = [volume.get("source") for volume in options.get("volumes", [])]
        assert "/var/run/docker.sock" not in mounted or "ports" not in options


@pytest.mark.parametrize(("stack", "variable"), [(stack, name) for stack, given in STARTERS.items() for name in given])
def test_a_starter_stack_without_a_required_value_is_refused(
    pytestconfig: pytest.Config, tmp_path: Path, stack: str, variable: str
) -> None:
    (tmp_path / "secret").write_text("a secret")
    given = {name: str(tmp_path / "secret") for name in STARTERS[stack] if name != variable}
    with pytest.raises(StackError, match=variable):
        own(pytestconfig.rootpath, stack, **given)
