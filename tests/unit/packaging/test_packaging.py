"""The collection as a package: Galaxy's import, execution environments, and the action group."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from look.server import FILES

pytestmark = pytest.mark.real(
    "the built archive and Ansible's own tools: what Galaxy and an execution environment take is theirs to say"
)

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
GROUP = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["all"]
NO_OPTION = "nobody_has_this_option"


def run(*words: str | Path, folder: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout or in another folder. Fails if the command fails."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"} | more
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection's archive for publication."""
    folder = tmp_path_factory.mktemp("package")
    run("ansible-galaxy", "collection", "build", "--output-path", folder)
    (built,) = folder.glob("*.tar.gz")
    return built


def test_galaxys_importer_accepts_the_archive_without_a_warning(archive: Path) -> None:
    # tools/lint runs ansible-lint.
    options = {"RUN_ANSIBLE_LINT": "false", "CHECK_REQUIRED_TAGS": "true", "TMP_ROOT_DIR": str(archive.parent)}
    done = run(
        *(sys.executable, "-m", "galaxy_importer.main", archive),
        folder=archive.parent,  # for its report
        **{f"GALAXY_IMPORTER_{key}": value for key, value in options.items()},
    )
    said = (done.stdout + done.stderr).splitlines()
    assert said[-1] == "Importer processing completed successfully"
    assert "Loading playbook site.yml" in said
    assert [line for line in said if re.match("(WARNING|ERROR)", line)] == []


def test_an_execution_environment_has_the_collection_of_the_checkout(archive: Path, tmp_path: Path) -> None:
    defined = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    (added,) = defined["additional_build_files"]
    assert Path(added["src"]).name == archive.name, "of the version in galaxy.yml"
    # With a copy of the definition, so that the checkout's .build does not change.
    (tmp_path / added["src"]).parent.mkdir()
    (tmp_path / added["src"]).write_bytes(archive.read_bytes())
    definition = tmp_path / "execution-environment.yml"
    definition.write_text((ROOT / "execution-environment.yml").read_text())
    context = tmp_path / "context"
    run("ansible-builder", "create", "--file", definition, "--context", context, "--output-filename", "Containerfile")
    container = (context / "Containerfile").read_text()
    image = re.search(r'^ARG EE_BASE_IMAGE="(.+)"$', container, flags=re.MULTILINE)
    assert image and re.fullmatch(r"[\w./-]+:\d[\w.]*", image[1]), "its base image has a version"
    (wanted,) = yaml.safe_load((context / "_build/requirements.yml").read_text())["collections"]
    assert (context / "_build" / Path(wanted["name"]).relative_to("/build")).read_bytes() == archive.read_bytes()


def test_an_execution_environment_has_the_tested_ansible() -> None:
    dependencies = yaml.safe_load((ROOT / "execution-environment.yml").read_text())["dependencies"]
    locked = re.search(r'name = "ansible-core"\nversion = "(.+)"', (ROOT / "uv.lock").read_text())
    assert locked
    assert dependencies["ansible_core"]["package_pip"] == f"ansible-core=={locked[1]}"


def test_an_execution_environment_has_the_required_packages(archive: Path, tmp_path: Path) -> None:
    collection = tmp_path / "ansible_collections/swarm/aws"
    with tarfile.open(archive) as packed:
        packed.extractall(collection, filter="data")
    found = yaml.safe_load(run("ansible-builder", "introspect", tmp_path).stdout)
    assert [line.split("  #")[0] for line in found["python"]] == ["boto3>=1.36.0"]
    assert [line.split("  #")[0] for line in found["system"]] == [
        "openssh-clients [platform:rpm]",
        "openssh-client [platform:dpkg]",
    ]


def test_the_page_runs_from_the_archive(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "ansible_collections/swarm/aws", filter="data")
    look = "ansible_collections.swarm.aws.look"
    assert "--port" in run(sys.executable, "-m", look, "--help", folder=tmp_path, PYTHONPATH=str(tmp_path)).stdout
    assert all((tmp_path / "ansible_collections/swarm/aws/look" / name).is_file() for name, _ in FILES.values())


@pytest.fixture(scope="module")
def modules() -> dict[str, dict[str, Any]]:
    """The documentation of every module, with its fragments."""
    names = (f"swarm.aws.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py"))
    told = json.loads(run("ansible-doc", "--json", *names).stdout)
    return {name.removeprefix("swarm.aws."): description for name, description in told.items()}


def test_every_module_is_documented_and_supports_check_mode(modules: dict[str, dict[str, Any]]) -> None:
    for name, description in modules.items():
        assert description["doc"]["module"] == name
        assert description["doc"]["attributes"]["check_mode"]["support"] in ("full", "partial"), name
        assert description["return"], name
        assert any(f"swarm.aws.{name}" in task for task in yaml.safe_load(description["examples"])), name


def test_the_action_group_has_every_module_with_credentials(
    modules: dict[str, dict[str, Any]],
) -> None:
    assert sorted(name for name, description in modules.items() if "profile" in description["doc"]["options"]) == GROUP


def test_module_defaults_of_the_group_apply_to_its_modules(modules: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Every module gets its required options and an unknown option, and must refuse the unknown option."""
    tasks = [
        {
            "block": [
                {
                    f"swarm.aws.{module}": {
                        name: _some(option) for name, option in taken.items() if option.get("required")
                    }
                }
            ],
            "rescue": [{"ansible.builtin.meta": "noop"}],
        }
        for module, taken in ((module, modules[module]["doc"]["options"]) for module in GROUP)
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/swarm.aws.all": {NO_OPTION: True}},
        "tasks": tasks,
    }
    file = tmp_path / "play.yml"
    file.write_text(yaml.safe_dump([play]))
    done = run("ansible-playbook", "--inventory", "localhost,", "--connection", "local", file)
    complaints = re.findall(
        rf"Unsupported parameters for \(swarm\.aws\.(\w+)\) module: {NO_OPTION}", " ".join(done.stdout.split())
    )
    assert set(complaints) == set(GROUP), done.stdout[-3000:]


def _some(option: dict[str, Any]) -> Any:
    """A value of an option's type, with its required suboptions."""
    if "suboptions" in option and option["type"] == "dict":
        return {key: _some(suboption) for key, suboption in option["suboptions"].items() if suboption.get("required")}
    if option.get("choices"):
        return option["choices"][0]
    return {"dict": {}, "int": 1, "list": [], "path": "/", "str": "x"}[option["type"]]
