from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.names import NODE_PYTHON
from ansible_collections.swarm.aws.plugins.module_utils.account import bundle

pytestmark = pytest.mark.real(
    "the built bundle, run by the oldest Python of a node: it has to start without the checkout"
)

ROOT = Path(__file__).resolve().parents[3]


def pythons() -> Iterator[str]:
    """This Python and whatever others are on this machine, of those that nodes have."""
    yield sys.executable
    for version in ("3.9", "3.13"):
        found = shutil.which(f"python{version}")
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        if found or pyenv:
            yield str(pyenv[-1]) if pyenv else str(found)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "swarm-agent.pyz"
    path.write_bytes(bundle.pack(ROOT))
    return path


def run(python: str, agent: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -E and another folder, so that nothing but the bundle is found.
    command = [python, "-E", str(agent), *arguments]
    return subprocess.run(command, cwd=agent.parent, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("python", list(pythons()))
def test_the_agent_runs_from_one_file(python: str, agent: Path) -> None:
    assert run(python, agent, "--version").stdout.startswith("swarm-agent ")
    assert "status" in run(python, agent, "--help").stdout


@pytest.mark.parametrize("python", list(pythons()))
def test_every_module_of_the_agent_can_be_imported(python: str, agent: Path) -> None:
    with zipfile.ZipFile(agent) as archive:
        names = [name[: -len(".py")].replace("/", ".") for name in archive.namelist() if name.endswith(".py")]
    modules = [name for name in names if not name.endswith("__main__")]
    code = f"import sys, importlib; sys.path.insert(0, {str(agent)!r}); [importlib.import_module(m) for m in {modules}]"
    result = subprocess.run([python, "-E", "-c", code], cwd=agent.parent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in (*bundle.SOURCES, "plugins/module_utils/aws"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    first = bundle.pack(tmp_path)
    for path in tmp_path.rglob("*.py"):
        path.touch()
    assert bundle.pack(tmp_path) == first
    assert first.startswith(f"#!{NODE_PYTHON}\n".encode())
    (tmp_path / "runtime/swarm_agent/more.py").write_text("MORE = 1\n")
    assert bundle.pack(tmp_path) != first


def test_a_folder_without_an_agent_is_named(tmp_path: Path) -> None:
    with pytest.raises(bundle.BundleError, match=str(tmp_path)):
        bundle.pack(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ("{}", "does not say 'cluster'"),
        (json.dumps(dict.fromkeys(("cluster", "region", "account_id", "bucket", "group", "role"), "x")), "role is 'x'"),
        (json.dumps(dict.fromkeys(("cluster", "region", "account_id", "bucket", "group", "role"), 1)), "cluster is 1"),
    ],
)
def test_an_invalid_configuration_is_refused_in_one_sentence(
    content: str | None, reason: str, agent: Path, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    result = run(sys.executable, agent, "--config", str(path), "status")
    assert result.returncode == 1
    assert reason in result.stderr
    assert str(path) in result.stderr
    assert len(result.stderr.splitlines()) == 1
