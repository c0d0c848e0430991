"""The user data of an instance, for each operating system."""

from __future__ import annotations

import configparser
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils._core.names import NODE_PYTHON
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_rules, disks, engine, preflight
from ansible_collections.swarm.aws.plugins.module_utils.account.interface_endpoints import SERVICES, host
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config, Logs
from ansible_collections.swarm.aws.runtime.swarm_agent.volumes import Volume

from tests.unit.userdata import rendering
from tests.unit.userdata.rendering import DIGEST, OPERATING_SYSTEMS, cloud_config, files, parts, user_data

VOLUMES = [
    {
        "label": name * 16,
        "device": f"/dev/sd{name}",
        "mount": f"/srv/{name * 16}",
        "type": "gp3",
        "size": 50,
        "iops": 4000,
        "throughput": None,
    }
    for name in "fgh"
]
PROXY = {"url": "http://proxy.example.com:3128", "no_proxy": "localhost,169.254.169.254,10.20.0.0/16,.example.com"}
# The longest that the configuration allows, beside the names of all endpoints.
LONGEST_PROXY = {
    "url": f"http://{'p' * 64}.example.com:3128",
    "no_proxy": ",".join(
        [
            *preflight.ALWAYS_DIRECT,
            "10.20.0.0/16",
            *(host(endpoint, "ap-southeast-1", "amazonaws.com") for names in SERVICES.values() for endpoint in names),
            "s3.ap-southeast-1.amazonaws.com,s3.dualstack.ap-southeast-1.amazonaws.com",
            "n" * configuration_rules.NO_PROXY_LIMIT,
        ]
    ),
}
SCRIPT = "#!/bin/sh\necho 'more {{ and }} more' > /etc/motd\n"
CONFIG = "#cloud-config\nruncmd:\n  - [touch, /tmp/more]\n"
every_os = pytest.mark.parametrize("node_os", OPERATING_SYSTEMS)


@every_os
@pytest.mark.parametrize("more", ["", SCRIPT, CONFIG])
def test_the_user_data_conforms_to_cloud_inits_schema(node_os: str, more: str) -> None:
    config = cloud_config(user_data(node_os, user_data=more))

    assert config["runcmd"] == [["/usr/local/lib/swarm-agent/setup"]]
    jsonschema.Draft4Validator(rendering.schema()).validate(config)


def test_the_schema_refuses_an_invalid_configuration() -> None:
    config = cloud_config(user_data("debian13"))
    config["write_files"][0]["permissions"] = 644

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(rendering.schema()).validate(config)


@every_os
@pytest.mark.parametrize(
    ("volumes", "room"),
    [
        ([], configuration_rules.USER_DATA_LIMIT),
        (
            [{**VOLUMES[0], "device": name} for name in disks.NAMES],
            configuration_rules.USER_DATA_LIMIT - configuration_rules.VOLUMES_ROOM,
        ),
    ],
    ids=["without volumes", "with all that there can be"],
)
@pytest.mark.parametrize("own", [{}, {"dns": ["192.0.2.1"] * 70}], ids=["our options", "many options"])
def test_the_longest_user_data_is_within_ec2s_limit(
    node_os: str, volumes: list[dict[str, Any]], room: int, own: dict[str, Any]
) -> None:
    kind = "distribution" if node_os == "amazonlinux2023" else engine.DOCKER_CE
    config = {"engine": kind, "engine_version": "28.5.1", "daemon_options": own}
    room -= engine.room(config)
    cluster = {**config, "daemon": engine.daemon(config)}
    text = user_data(node_os, cluster, name="g" * 31, volumes=volumes, user_data="#!/bin/sh\n" + "x" * (room - 10))

    assert len(text.encode()) <= 16384


@every_os
def test_the_engines_options_keep_their_own_double_braces(node_os: str) -> None:
    options = {"log-opts": {"tag": "{{.Name}} {% of %} {# it #}"}, "registry-mirrors": ["https://mirror.example.com"]}
    cluster = {"daemon": engine.daemon({"daemon_options": options})}
    daemon = json.loads(files(cloud_config(user_data(node_os, cluster)))["/etc/docker/daemon.json"])

    assert daemon["log-opts"] == {"max-size": "10m", "max-file": "5", **options["log-opts"]}
    assert daemon["registry-mirrors"] == options["registry-mirrors"]
    assert daemon["labels"][0] == "swarm.aws.instance=i-0123456789abcdef0"


@pytest.mark.parametrize(("version", "pin"), [("28", "5:28.*"), ("28.5", "5:28.5.*"), ("28.5.1", "5:28.5.1-*")])
def test_dockers_packages_are_pinned_to_the_version_and_its_repository(version: str, pin: str) -> None:
    cluster = {"engine": engine.DOCKER_CE, "engine_version": version}
    pins = files(cloud_config(user_data("debian13", cluster)))["/etc/apt/preferences.d/docker"].split("\n\n")

    assert f"Pin: version {pin}" in pins[0]
    assert pins[2].split("\n")[:3] == ["Package: *", "Pin: origin download.docker.com", "Pin-Priority: -1"]


@every_os
def test_the_longest_proxy_leaves_room_for_the_groups_own_user_data(node_os: str) -> None:
    volumes = [{**VOLUMES[0], "device": name} for name in disks.NAMES]
    room = configuration_rules.USER_DATA_LIMIT - configuration_rules.VOLUMES_ROOM - configuration_rules.PROXY_ROOM
    own = "#!/bin/sh\n" + "x" * (room - 10)
    text = user_data(node_os, {"http_proxy": LONGEST_PROXY}, name="g" * 31, volumes=volumes, user_data=own)

    assert len(text.encode()) <= 16384


@every_os
def test_shells_and_sudo_have_the_proxy(node_os: str) -> None:
    config = cloud_config(user_data(node_os, {"http_proxy": PROXY}))
    jsonschema.Draft4Validator(rendering.schema()).validate(config)
    written = files(config)

    variables = {"http_proxy": PROXY["url"], "https_proxy": PROXY["url"], "no_proxy": PROXY["no_proxy"]}
    lines = [f"{name}={value}" for name, value in variables.items()]
    assert written["/etc/environment"].splitlines() == lines
    assert [entry["append"] for entry in config["write_files"] if entry["path"] == "/etc/environment"] == [True]
    assert all(name in written["/etc/sudoers.d/proxy"] for name in variables)


@every_os
def test_without_a_proxy_nothing_is_written_about_it(node_os: str) -> None:
    assert "prox" not in user_data(node_os)


@every_os
def test_the_engine_has_the_labels_of_its_instance(node_os: str) -> None:
    daemon = json.loads(files(cloud_config(user_data(node_os)))["/etc/docker/daemon.json"])

    assert daemon["labels"] == [
        "swarm.aws.instance=i-0123456789abcdef0",
        "swarm.aws.group=manager",
        "swarm.aws.agent=0.1.0+5891b5b5",
        "swarm.aws.zone=eu-west-1a",
    ]
    assert daemon["live-restore"] is False
    assert daemon["metrics-addr"].startswith("127.0.0.1:")
    assert daemon["log-opts"] == {"max-size": "10m", "max-file": "5"}


@every_os
def test_the_engine_waits_for_its_data_volumes_and_names_them(node_os: str) -> None:
    written = files(cloud_config(user_data(node_os, volumes=VOLUMES)))

    assert json.loads(written["/etc/docker/daemon.json"])["labels"][4:] == [
        f"swarm.aws.volumes={'f' * 16},{'g' * 16},{'h' * 16}"
    ]
    told = [Volume(**load) for load in json.loads(written["/etc/swarm-agent/volumes.json"])]
    assert told == [Volume(volume["label"], volume["device"], volume["mount"]) for volume in VOLUMES]
    docker = configparser.ConfigParser()
    docker.read_string(written["/etc/systemd/system/docker.service.d/volumes.conf"])
    assert docker["Unit"]["Requires"] == docker["Unit"]["After"] == "swarm-volumes.service"
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(written["/etc/systemd/system/swarm-volumes.service"])
    assert unit["Service"]["ExecStart"].endswith("swarm-agent.pyz volumes")
    setup = written["/usr/local/lib/swarm-agent/setup"]
    assert " e2fsprogs" in setup
    assert setup.index("systemctl start swarm-volumes") < setup.index("systemctl enable --now docker")


@every_os
def test_without_data_volumes_the_engine_waits_for_none(node_os: str) -> None:
    text = user_data(node_os)

    assert "volumes.json" not in text
    assert "swarm-volumes" not in text


@every_os
def test_the_agents_configuration_names_its_cluster_and_group(node_os: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(files(cloud_config(user_data(node_os, role="worker", name="web")))["/etc/swarm-agent/config.json"])

    assert Config.load(file) == Config(
        cluster="example",
        region="eu-west-1",
        account_id="123456789012",
        bucket="example-swarm-123456789012-eu-west-1",
        group="web",
        role="worker",
        logs=Logs("/swarm/example", 100),
    )


@every_os
def test_the_agent_is_fetched_by_its_checksum_and_watched(node_os: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(files(cloud_config(user_data(node_os)))["/etc/systemd/system/swarm-agent.service"])

    folder = "/usr/local/lib/swarm-agent"
    assert unit["Service"]["ExecStartPre"] == f"{NODE_PYTHON} {folder}/fetch {DIGEST}"
    assert unit["Service"]["ExecStart"] == f"{folder}/swarm-agent.pyz"
    assert (unit["Service"]["Type"], unit["Service"]["Restart"]) == ("notify", "on-failure")
    assert "WatchdogSec" in unit["Service"]
    assert "docker.service" in unit["Unit"]["After"].split()


@every_os
def test_all_of_a_node_uses_python_of_the_agents_environment(node_os: str) -> None:
    written = files(cloud_config(user_data(node_os, volumes=VOLUMES)))
    assert f"\npython={NODE_PYTHON}\n" in written["/usr/local/lib/swarm-agent/setup"]
    for unit in ("swarm-agent", "swarm-volumes", "swarm-backup"):
        text = written[f"/etc/systemd/system/{unit}.service"]
        assert "\nExecStart=/usr/local/lib/swarm-agent/swarm-agent.pyz" in text, "the agent's first line names Python"
        assert "/usr/bin/python3" not in text


@pytest.mark.parametrize("inventory", ["example", "lab"])
def test_modules_use_the_agents_python_or_else_the_systems(inventory: str) -> None:
    variables = yaml.safe_load((rendering.ROOT / f"inventories/{inventory}/group_vars/aws_ec2.yml").read_text())
    assert variables["ansible_python_interpreter"] == "auto_silent"
    assert variables["ansible_interpreter_python_fallback"] == [NODE_PYTHON, "/usr/bin/python3"]


@every_os
def test_the_shell_and_python_code_can_be_parsed(node_os: str) -> None:
    written = files(cloud_config(user_data(node_os)))

    subprocess.run(["sh", "-n"], input=written["/usr/local/lib/swarm-agent/setup"], text=True, check=True)
    compile(written["/usr/local/lib/swarm-agent/fetch"], "fetch", "exec")


@every_os
def test_security_updates_are_automatic_and_reboots_are_not(node_os: str) -> None:
    written = files(cloud_config(user_data(node_os)))

    if node_os == "amazonlinux2023":
        automatic = configparser.ConfigParser()
        automatic.read_string(written["/etc/dnf/automatic.conf"])
        assert dict(automatic["commands"]) == {
            "upgrade_type": "security",
            "apply_updates": "yes",
            "random_sleep": "3600",
            "reboot": "never",
        }
        assert "docker" in automatic["base"]["excludepkgs"]
        assert written["/etc/dnf/vars/releasever"] == "latest"
    else:
        updates = written["/etc/apt/apt.conf.d/52swarm-updates"]
        assert 'APT::Periodic::Unattended-Upgrade "1";' in updates
        assert 'Unattended-Upgrade::Automatic-Reboot "false";' in updates
        assert '{ "docker.io$"; "docker-ce$"; "containerd$"; "containerd.io$"; "runc$"; };' in updates


@every_os
def test_unused_objects_are_pruned_weekly_except_volumes(node_os: str) -> None:
    written = files(cloud_config(user_data(node_os)))

    service = written["/etc/systemd/system/swarm-prune.service"]
    commands = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    assert len(commands) == 3
    assert all("until=168h" in command and "volume" not in command for command in commands)
    assert "OnCalendar=weekly" in written["/etc/systemd/system/swarm-prune.timer"]


def test_a_script_is_a_separate_part_without_changes() -> None:
    own, more = parts(user_data("debian13", user_data=SCRIPT))

    assert own.get_content_type() == "text/jinja2"
    assert more.get_content_type() == "text/x-shellscript"
    assert str(more.get_payload()).startswith(SCRIPT)


def test_a_cloud_config_is_added_to_the_nodes_own() -> None:
    _, more = parts(user_data("debian13", user_data=CONFIG))

    assert more.get_content_type() == "text/cloud-config"
    assert more["X-Merge-Type"] == "list(append)+dict(no_replace,recurse_list)+str()"
    assert str(more.get_payload()).startswith(CONFIG)
