"""Compose files in the shapes of public stacks: Docker deploys of each what it would deploy of it by itself."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils.stack import compose_files, definition, docker_reading
from ansible_collections.swarm.aws.plugins.module_utils.stack.compose import Bundle

from tests.unit.stack.command import run_command

pytestmark = pytest.mark.real("docker's command line: only it knows what a compose file means")

CORPUS = Path(__file__).with_name("corpus")
VARIABLES = {"FROM_OUTSIDE": "outside", "DB_PASSWORD": "p$w", "EMAIL": "ops@example.com", "EMPTY": "", "TAG": "1.2"}


def config(source: Path | str) -> dict[str, Any]:
    """What Docker prints of a file, or of a text."""
    named, text = (str(source), "") if isinstance(source, Path) else ("-", source)
    done = subprocess.run(
        ["docker", "stack", "config", "--compose-file", named],
        input=text,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **(VARIABLES if named != "-" else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = yaml.load(done.stdout, Loader=docker_reading._DefinitionLoader)
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if name != "version"}


def expected(path: Path) -> dict[str, Any]:
    """Docker's reading, with the names of contents, and without what only concerns the file."""
    document = {name: value for name, value in config(path).items() if not name.startswith("x-")}
    for service in document["services"].values():
        for option in ("env_file", "build"):
            service.pop(option, None)
    for section in ("configs", "secrets"):
        for key, entry in document.get(section, {}).items():
            if not entry.get("external"):
                document[section][key] = {"external": True, "name": entry.get("name") or f"shop_{key}"}
    return document


def deployed(path: Path) -> dict[str, Any]:
    """What Docker makes of what is handed to `docker stack deploy`."""
    bundle = compose_files.bundle("shop", [path], VARIABLES, {})
    made = docker_reading.read(Bundle.unpack(bundle.pack()), run_command)
    named = {blob.name for blob in (*made.configs, *made.secrets)}
    document = config(definition.command_input(made.document))
    for section in ("configs", "secrets"):
        for entry in document.get(section, {}).values():
            if entry["name"] in named:
                entry["name"] = re.sub("_[0-9a-f]{12}$", "", entry["name"])
    return document


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.yml")), ids=lambda path: path.stem)
def test_docker_deploys_what_it_would_deploy_by_itself(path: Path) -> None:
    assert deployed(path) == expected(path)


def test_the_corpus_is_large() -> None:
    assert len(list(CORPUS.glob("*.yml"))) >= 40


def test_a_scalar_survives_being_read_twice() -> None:
    """Docker's output is read as YAML 1.2, and written as JSON."""
    scalars = [
        "08",
        "0o17",
        "0x1F",
        "1e3",
        "1_000",
        "12:30",
        "=",
        "<<",
        "~",
        "null",
        "y",
        "off",
        ".5",
        "+1",
        "2024-01-01",
    ]
    scalars += [
        "",
        " a ",
        "a: b",
        "#c",
        "- d",
        "'",
        '"',
        "$x",
        "${x}",
        "\t",
        "\u00e9",
        "\u2028",
        "line\nline\n",
        "!tag",
        "*a",
    ]
    environment = {f"V{number}": scalar for number, scalar in enumerate(scalars)}
    document = {"services": {"web": {"image": "a", "environment": environment}}}
    once = config(definition.command_input(document))
    assert once["services"]["web"]["environment"] == environment
    assert json.loads(json.dumps(once)) == config(definition.command_input(once))
