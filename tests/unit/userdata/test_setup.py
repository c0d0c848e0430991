"""The setup script of an instance, with fakes of the programs that change the instance."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.unit.userdata.rendering import OPERATING_SYSTEMS, cloud_config, files, user_data

pytestmark = pytest.mark.real("a shell: the setup is a shell script, run on stand-ins for package managers")

AGENT = "/usr/local/lib/swarm-agent"
# pip as root in the system's folders, on an image whose own tools have an older version of a dependency.
PYTHON = """
case "$1 $2" in
  "-m pip")
    echo "ERROR: Cannot uninstall requests 2.25.1, RECORD file not found. Hint: The package was installed by rpm." >&2
    exit 1 ;;
  "-m venv")
    for folder; do :; done
    mkdir -p "$folder/bin" && cp "$0-of-venv" "$folder/bin/python3" ;;
esac
"""
# The packages of PyPI are there once they have been installed.
VENV = """
case "$1" in
  -c) [ $# = 2 ] || [ -e "$0-has-packages" ] ;;
  -m) touch "$0-has-packages" ;;
esac
"""
# apt's lock is held, by one of its own timers, until somebody waits for it.
LOCKED = """
[ "$1 $2" != "-q update" ] || exit 0
[ -e %s/held ] || exit 0
case "$*" in *DPkg::Lock::Timeout=*) rm %s/held; exit 0 ;; esac
echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 612 (unattended-upgr)" >&2
exit 100
"""
# The programs on an image with all packages, and the packages that a bare instance lacks.
READY = {"dpkg-query": "echo installed", "rpm": "true", "docker": "echo ' swarm.aws.instance=i-0'"}
BARE = {**READY, "dpkg-query": "exit 1", "rpm": "exit 1"}
OTHERS = ("journalctl", "modprobe", "usermod", "systemctl", "apt-get", "apt-helper", "dnf", "dpkg", "sleep")
KEY = "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570"


class Ended(NamedTuple):
    """How the script ended, the programs that it ran, and what it printed."""

    code: int
    calls: list[str]
    printed: str


def run(node_os: str, folder: Path, programs: dict[str, str], *, venv: bool = True, **cluster: Any) -> Ended:
    """Run the script of a cluster with these keys. With ``venv`` the agent's virtual environment is there and complete.

    Files of apt are in the folder ``apt``.
    """
    (folder / "apt/sources.list.d").mkdir(parents=True)
    log = folder / "log"
    programs = {"python3": PYTHON, "python3-of-venv": VENV, **programs}
    for name in {*OTHERS, *programs}:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n{programs.get(name, "true")}\n')
        program.chmod(0o755)
    if venv:
        python = folder / "agent/venv/bin/python3"
        python.parent.mkdir(parents=True)
        shutil.copy(folder / "python3-of-venv", python)
        python.with_name("python3-has-packages").touch()
    written = files(cloud_config(user_data(node_os, cluster)))
    script = written[f"{AGENT}/setup"].replace("/etc/apt", f"{folder}/apt").replace("/etc/", f"{folder}/etc/")
    for place, there in ((AGENT, "agent"), ("/usr/lib/apt/apt-helper", "apt-helper")):
        script = script.replace(place, f"{folder}/{there}")
    script = script.replace("/proc/", f"{folder}/proc/")
    (folder / "etc/docker").mkdir(parents=True)
    (folder / "etc/docker/daemon.json").write_text(written["/etc/docker/daemon.json"])
    (folder / "etc/environment").write_text(written.get("/etc/environment", ""))
    ended = subprocess.run(
        ["sh"], input=script, text=True, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, timeout=30
    )
    calls = log.read_text().replace(str(folder), "").splitlines()
    return Ended(ended.returncode, calls, ended.stdout + ended.stderr)


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_no_package_is_installed_if_all_are_present(node_os: str, tmp_path: Path) -> None:
    code, calls, _printed = run(node_os, tmp_path, READY)

    assert code == 0
    assert not [call for call in calls if call.startswith(("apt-get", "dnf", "python3 -m", "python3-of-venv -m"))]
    assert "systemctl restart docker" not in calls
    assert "systemctl enable --now --no-block swarm-agent.service swarm-prune.timer swarm-backup.timer" in calls


@pytest.mark.parametrize("modprobe", ["true", "exit 1"])
def test_a_kernel_without_ipvs_is_a_label_of_the_engine(modprobe: str, tmp_path: Path) -> None:
    code, calls, _printed = run("debian13", tmp_path, {**READY, "modprobe": modprobe})
    assert code == 0
    labels = (tmp_path / "etc/docker/daemon.json").read_text().splitlines()[1]
    assert labels.strip().startswith('"labels": ["swarm.aws.')
    lacks = modprobe != "true"
    assert ('"swarm.aws.lacks=ip_vs", ' in labels) is lacks
    # An engine that runs already would not have the label.
    assert ("systemctl stop docker" in calls) is lacks
    assert not lacks or calls.index("systemctl stop docker") < calls.index("systemctl enable --now docker")


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_missing_packages_are_installed_before_the_agent_starts(node_os: str, tmp_path: Path) -> None:
    code, calls, _printed = run(node_os, tmp_path, BARE)

    manager = "dnf -q -y install" if node_os == "amazonlinux2023" else "apt-get -q -o DPkg::Lock::Timeout=120"
    (installed,) = [number for number, call in enumerate(calls) if call.startswith(manager)]
    (started,) = [number for number, call in enumerate(calls) if "swarm-agent.service" in call]
    assert code == 0
    assert installed < started
    assert {"docker", "docker.io"} & set(calls[installed].split())


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_an_engine_in_the_image_stays_as_it_is(node_os: str, tmp_path: Path) -> None:
    code, calls, _printed = run(node_os, tmp_path, {**BARE, "dockerd": "true"})

    (installed,) = [call for call in calls if " install " in call]
    assert code == 0
    assert "docker" not in installed.replace("python3-docker", "")


@pytest.mark.parametrize(("node_os", "suite"), [("debian13", "debian trixie"), ("ubuntu2404", "ubuntu noble")])
def test_dockers_packages_come_from_its_repository(node_os: str, suite: str, tmp_path: Path) -> None:
    code, calls, _printed = run(node_os, tmp_path, BARE, engine="docker-ce")

    url, key = f"https://download.docker.com/linux/{suite.split()[0]}", "/apt/keyrings/docker.asc"
    downloaded = calls.index(f"apt-helper download-file {url}/gpg {key} SHA256:{KEY}")
    (installed,) = [call for call in calls if " install " in call]
    assert code == 0
    assert downloaded < calls.index("apt-get -q update") < calls.index(installed)
    assert installed.endswith(" docker-ce docker-ce-cli containerd.io")
    assert (tmp_path / "apt/sources.list.d/docker.list").read_text().replace(str(tmp_path), "") == (
        f"deb [signed-by={key}] https://download.docker.com/linux/{suite} stable\n"
    )


def test_a_key_with_another_checksum_is_not_used(tmp_path: Path) -> None:
    clock = f"echo >> {tmp_path}/asked; echo $(($(wc -l < {tmp_path}/asked) * 600))"
    programs = {**BARE, "apt-helper": "echo 'E: Hash Sum mismatch' >&2; exit 100", "date": clock}

    code, calls, printed = run("debian13", tmp_path, programs, engine="docker-ce")

    assert code == 1
    assert "Hash Sum mismatch" in printed
    assert not [call for call in calls if call.startswith("apt-get")]
    assert not (tmp_path / "apt/sources.list.d/docker.list").exists()


def test_an_image_with_all_packages_needs_no_repository(tmp_path: Path) -> None:
    code, calls, _printed = run("debian13", tmp_path, {**READY, "dockerd": "true"}, engine="docker-ce")

    assert code == 0
    assert not [call for call in calls if call.startswith("apt")]


def test_options_that_the_engine_refuses_are_told_before_it_starts(tmp_path: Path) -> None:
    words = "unable to configure the Docker daemon with file /etc/docker/daemon.json: unknown: bogus"
    validate = f'[ "$1" = --help ] && echo "      --validate  Validate" && exit; echo "{words}" >&2; exit 1'

    code, calls, printed = run("debian13", tmp_path, {**READY, "dockerd": validate})

    assert code == 1
    assert f"swarm-setup: the engine refuses daemon_options: {words}\n" in printed
    assert not [call for call in calls if "enable --now" in call]


def test_an_engine_that_does_not_start_says_why(tmp_path: Path) -> None:
    words = "failed to start daemon: failed to set log opts: unknown log opt 'bogus' for json-file log driver"
    programs = {**READY, "systemctl": '[ "$*" != "enable --now docker" ]', "journalctl": f'echo "{words}"'}

    code, calls, printed = run("debian13", tmp_path, programs)

    assert code == 1
    assert words in printed
    assert not [call for call in calls if "swarm-agent.service" in call]


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_packages_of_pypi_are_installed_beside_those_of_the_system(node_os: str, tmp_path: Path) -> None:
    code, calls, _printed = run(node_os, tmp_path, BARE, venv=False)

    assert code == 0
    assert (tmp_path / "agent/venv/bin/python3").exists()
    assert not [call for call in calls if call.startswith("python3 -m pip")]
    installed = [call for call in calls if call.startswith("python3-of-venv -m pip")]
    assert bool(installed) == (node_os != "debian13"), "Debian's own packages suffice"


def test_a_virtual_environment_without_its_packages_is_completed(tmp_path: Path) -> None:
    (tmp_path / "agent/venv/bin").mkdir(parents=True)

    code, calls, _printed = run("amazonlinux2023", tmp_path, READY, venv=False)

    assert code == 0
    assert not [call for call in calls if call.startswith("dnf")]
    assert "python3-of-venv -m pip install --quiet boto3==1.40.61 docker==7.1.0" in calls


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_each_step_of_the_first_boot_is_named_with_its_seconds(node_os: str, tmp_path: Path) -> None:
    printed = run(node_os, tmp_path, BARE, venv=False).printed

    told = re.findall(r"^swarm-setup: (.*) in [0-9]+ s$", printed, re.MULTILINE)
    assert told == ["packages ready", "Python packages ready", "engine ready", "node set up"]


@pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)
def test_packages_are_installed_through_the_proxy(node_os: str, tmp_path: Path) -> None:
    asking = 'echo "$http_proxy $https_proxy $no_proxy" >> "$0-had"'
    programs = {**BARE, "apt-get": asking, "dnf": asking}
    proxy = {"url": "http://proxy.example.com:3128", "no_proxy": "localhost"}

    code, calls, _printed = run(node_os, tmp_path, programs, http_proxy=proxy)

    assert code == 0
    manager = "dnf" if node_os == "amazonlinux2023" else "apt-get"
    had = (tmp_path / f"{manager}-had").read_text().splitlines()
    assert set(had) == {"http://proxy.example.com:3128 http://proxy.example.com:3128 localhost"}
    first = next(number for number, call in enumerate(calls) if call.startswith(manager))
    assert calls.index("systemctl daemon-reload") < first, "a package may start its service"
    assert calls.index("systemctl try-restart *amazon-ssm-agent*") < first
    assert (tmp_path / "etc/systemd/system.conf.d/proxy.conf").read_text() == (
        "[Manager]\nDefaultEnvironment=http_proxy=http://proxy.example.com:3128 "
        "https_proxy=http://proxy.example.com:3128 no_proxy=localhost\n"
    )


@pytest.mark.parametrize(
    ("shown", "restarted"), [("swarm.aws.instance=i-0", True), ("HTTP Proxy: http://proxy", False)]
)
def test_an_engine_that_started_without_the_proxy_is_restarted(tmp_path: Path, shown: str, restarted: bool) -> None:
    proxy = {"url": "http://proxy:3128", "no_proxy": "localhost"}

    code, calls, _printed = run("debian13", tmp_path, {**READY, "docker": f"echo '{shown}'"}, http_proxy=proxy)

    assert (code, "systemctl restart docker" in calls) == (0, restarted)


def test_apts_timers_may_hold_its_lock_during_the_first_boot(tmp_path: Path) -> None:
    (tmp_path / "held").touch()
    unknown = '[ "$1" != cat ]'
    locked = LOCKED % (tmp_path, tmp_path)

    code, calls, _printed = run("debian13", tmp_path, {**READY, "systemctl": unknown, "apt-get": locked})

    assert code == 0
    (installed,) = [call for call in calls if call.startswith("apt-get") and call.endswith(".deb")]
    assert not (tmp_path / "held").exists(), f"{installed} did not wait"
    assert not [call for call in calls if call.startswith("dpkg -i")], "dpkg waits for no lock"


def test_an_unavailable_mirror_is_tried_again(tmp_path: Path) -> None:
    away = f"[ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; exit 100; }}"

    code, calls, _printed = run("debian13", tmp_path, {**BARE, "apt-get": away})

    assert code == 0
    assert calls.count("apt-get -q update") == 2
    assert calls.count("sleep 10") == 1


def test_without_its_packages_the_agent_does_not_start(tmp_path: Path) -> None:
    # Ten minutes pass whenever the script asks for the time.
    clock = f"echo >> {tmp_path}/asked; echo $(($(wc -l < {tmp_path}/asked) * 600))"

    code, calls, _printed = run("debian13", tmp_path, {**BARE, "apt-get": "exit 100", "date": clock})

    assert code == 1
    assert not [call for call in calls if "swarm-agent" in call]


def test_an_engine_that_started_without_its_labels_is_restarted(tmp_path: Path) -> None:
    code, calls, _printed = run("debian13", tmp_path, {**READY, "docker": "true"})

    assert code == 0
    assert calls.index("systemctl restart docker") < next(n for n, call in enumerate(calls) if "swarm-agent" in call)


def test_a_node_starts_without_session_managers_agent(tmp_path: Path) -> None:
    code, calls, _printed = run("debian13", tmp_path, {**READY, "systemctl": '[ "$1" != cat ]', "python3": "exit 1"})

    assert code == 0
    assert not [call for call in calls if call.startswith("apt-get")]
    assert [call for call in calls if "swarm-agent.service" in call]
