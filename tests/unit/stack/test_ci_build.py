"""The build script of stacks/ci: what it fetches and passes to Docker, with a fake Docker and registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.real("git and a shell: the job is a shell script that fetches with git")

SCRIPT = Path(__file__).parents[3] / "stacks/ci/build.sh"
PUSHED = "127.0.0.1:5000/shop@sha256:0"
# Nothing is built yet; services and the registry exist. It prints the build context.
DOCKER = f"""#!/bin/sh
echo "$1 $2"
case "$1 $2" in
  "manifest inspect") exit 1 ;;
  "image inspect") echo {PUSHED} ;;
  "build "*) for last; do :; done; [ -d "$last" ] && (cd "$last" && find . -type f | sort) || echo "of $last" ;;
esac
"""
OWNER = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always"]


def git(folder: Path, *words: str) -> str:
    ran = subprocess.run(["git", *OWNER, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return ran.stdout.strip()


def commit(folder: Path, *files: str) -> str:
    """Add files that contain their names. Returns the commit's name."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "more")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository whose tag is not the newest commit of its only branch."""
    folder = tmp_path / "shop.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "Dockerfile", "web/Dockerfile")
    git(folder, "tag", "v1")
    commit(folder, "later.txt")
    return folder


def build(folder: Path, source: str, service: str = "", docker: str = DOCKER) -> tuple[int, list[str]]:
    """Run the script. Returns its exit code and lines."""
    programs = folder / "programs"
    programs.mkdir()
    for name, text in (("docker", docker), ("wget", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    known = {"SOURCE": source, "IMAGE": "shop", "SERVICE": service, "TREE": str(folder / "source/tree")}
    ended = subprocess.run(
        ["sh", str(SCRIPT)],
        env={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), **known},
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines()


def test_an_archive_is_dockers_to_fetch(tmp_path: Path) -> None:
    code, lines = build(tmp_path, "https://example.com/shop.tar.gz")

    assert (code, f"build: pushed {PUSHED}" in lines) == (0, True), lines
    assert "of https://example.com/shop.tar.gz" in lines


@pytest.mark.parametrize(
    ("part", "files"),
    [
        ("", ["./Dockerfile", "./later.txt", "./web/Dockerfile"]),
        ("#v1", ["./Dockerfile", "./web/Dockerfile"]),
        ("#main", ["./Dockerfile", "./later.txt", "./web/Dockerfile"]),
        ("#v1:web", ["./Dockerfile"]),
    ],
)
def test_a_repository_is_built_from_the_files_at_its_tag(
    shop: Path, tmp_path: Path, part: str, files: list[str]
) -> None:
    code, lines = build(tmp_path, f"file://{shop}{part}")

    assert code == 0, lines
    assert [line for line in lines if line.startswith("./")] == files


def test_a_commit_is_found_by_the_beginning_of_its_name(shop: Path, tmp_path: Path) -> None:
    code, lines = build(tmp_path, f"file://{shop}#{git(shop, 'rev-parse', 'v1')[:10]}")

    assert code == 0, lines
    assert [line for line in lines if line.startswith("./")] == ["./Dockerfile", "./web/Dockerfile"]


def test_what_a_repository_has_of_another_is_fetched_too(shop: Path, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text('[protocol "file"]\nallow = always\n')
    outer = tmp_path / "outer.git"
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, "submodule", "--quiet", "add", "../shop.git", "inner")
    commit(outer, "Dockerfile")

    code, lines = build(tmp_path, f"file://{outer}")

    assert code == 0, lines
    assert "./inner/web/Dockerfile" in lines and not any("/.git/" in line for line in lines)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("#v9", "has no v9"),
        ("#v1:wbe", "has no folder wbe at v1"),
        ("/other.git", "there is no repository at file://"),
    ],
)
def test_what_is_not_there_is_named_in_the_last_line(shop: Path, tmp_path: Path, part: str, said: str) -> None:
    code, lines = build(tmp_path, f"file://{shop}{part}")

    assert code != 0
    assert lines[-1].startswith("build: ") and said in lines[-1], lines
    assert "build --pull" not in lines


def test_a_service_that_is_not_there_is_named_before_anything_is_built(tmp_path: Path) -> None:
    docker = DOCKER.replace('case "$1 $2" in', 'case "$1 $2" in "service inspect") exit 1 ;;')

    code, lines = build(tmp_path, "https://example.com/shop.tar.gz", "shop_wbe", docker)

    assert code != 0
    assert lines == ["build: there is no service shop_wbe: build without CI_SERVICE and deploy its stack first"]


def test_a_registry_that_may_not_write_says_what_lets_it(tmp_path: Path) -> None:
    docker = DOCKER.replace('case "$1 $2" in', 'case "$1 $2" in "push --quiet") exit 1 ;;')

    code, lines = build(tmp_path, "https://example.com/shop.tar.gz", docker=docker)

    assert code != 0
    assert "registry: true" in lines[-1], lines
