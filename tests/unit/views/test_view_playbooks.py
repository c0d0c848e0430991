"""The filter, the callback, and the playbooks as far as they run without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.swarm.aws.plugins.filter.table import table
from ansible_collections.swarm.aws.plugins.module_utils.diagnosis.archive import unpack
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.real(
    "ansible-playbook and a server: conditions and loops of playbooks are evaluated by Ansible alone"
)

ROOT = Path(__file__).resolve().parents[3]
KEPT_ALIVE = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
INVENTORY = """
[swarm_role_manager]
i-0000000000000000a ansible_host=198.51.100.7 ansible_user=admin ansible_port=2222 ansible_private_key_file='/k/a key'
i-0000000000000000b ansible_host=198.51.100.8 ansible_ssh_common_args='-o ProxyJump=bastion'
i-0000000000000000c ansible_connection=amazon.aws.aws_ssm
[all:vars]
cluster_name=example
region=eu-west-1
account_id=123456789012
"""


@pytest.fixture(scope="module")
def empty_account() -> Iterator[str]:
    """The endpoint of an empty account."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def run(tmp_path, empty_account):
    """Runs a playbook whose output is only its document."""
    inventory = tmp_path / "hosts"
    inventory.write_text(INVENTORY)
    own = {
        "ANSIBLE_STDOUT_CALLBACK": "swarm.aws.terminal",
        "ANSIBLE_INVENTORY_ENABLED": "ini",
        "AWS_ENDPOINT_URL": empty_account,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing-to-hide",
    }

    def playbook(name: str, *options: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | own
        # Of the lab, or of ansible-test.
        for foreign in ("ANSIBLE_PRIVATE_KEY_FILE", "ANSIBLE_HOST_PATTERN_MISMATCH"):
            environment.pop(foreign, None)
        command = ["ansible-playbook", "-i", str(inventory), f"playbooks/{name}.yml", *options]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return playbook


@pytest.mark.parametrize(
    ("instance", "command"),
    [
        (
            "i-0000000000000000a",
            "ssh -i '/k/a key' -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
            f"{KEPT_ALIVE} admin@198.51.100.7",
        ),
        (
            "i-0000000000000000b",
            "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
            f"-o ProxyJump=bastion {KEPT_ALIVE} 198.51.100.8",
        ),
        ("i-0000000000000000c", "aws ssm start-session --region eu-west-1 --target i-0000000000000000c"),
    ],
)
def test_the_shell_command_uses_the_inventorys_settings(run, instance, command):
    done = run("ssh", "-e", f"id={instance}")
    assert (done.returncode, done.stdout) == (0, command + "\n"), done.stderr


def test_the_shell_commands_of_all_managers_are_one_document(run):
    done = run("shells")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(found) == ["i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"]
    assert found["i-0000000000000000c"] == "aws ssm start-session --region eu-west-1 --target i-0000000000000000c"
    assert found["i-0000000000000000a"].endswith("admin@198.51.100.7")


def test_an_account_without_a_cluster_gets_no_picture(run, tmp_path):
    done = run("picture", "-e", f"output={tmp_path / 'none.svg'}")
    assert done.returncode != 0
    assert "The cluster 'example' has no resources in eu-west-1: provision it with site.yml" in done.stderr
    assert not (tmp_path / "none.svg").exists()


def test_a_diagnosis_names_nodes_that_do_not_answer(run, tmp_path):
    bundle = tmp_path / "fault.tar.gz"
    node, variables = "i-0000000000000000a", INVENTORY[INVENTORY.index("[all:vars]") :]
    (tmp_path / "hosts").write_text(f"[swarm_role_manager]\n{node} ansible_host=127.0.0.1 ansible_port=1\n{variables}")
    done = run("diagnose", "-e", f"output={bundle}")
    assert done.returncode == 0, done.stderr
    first, second, *missing = done.stdout.strip().splitlines()
    assert (first, second.startswith("0 of 1 node")) == (str(bundle), True)
    assert [line.split(": ")[:3] for line in missing] == [["Not in it", node, "It did not answer"]]
    files = unpack(bundle)
    assert '"Reservations": []' in files["fault/aws.json"]
    assert list(json.loads(files["fault/index.json"])["missing"]) == [node]


def test_all_invalid_output_options_are_refused_at_once(run):
    done = run("diagnose", "-e", "output=/nowhere/x", "-e", "hours=0", "-e", "lines=0")
    assert [line.split(" is ")[0] for line in done.stderr.splitlines()] == [
        f"localhost, {name}: {name}" for name in ("output", "hours", "lines")
    ]


@pytest.mark.parametrize(
    ("playbook", "option", "sentence"),
    [
        ("ssh", "id=i-xyz", "id is 'i-xyz', which is not an instance ID: expected i- and 17 hexadecimal digits."),
        ("ssh", "id=i-0123456789abcdef0", "no instance of the cluster 'example' with that ID is running"),
        ("status", "format=xml", "format is 'xml', but must be text or json."),
        ("diagnose", "hours=0", "hours is 0, but must be above 0."),
        (
            "diagnose",
            "output=/nowhere/x",
            "output is '/nowhere/x', but the folder '/nowhere' does not exist: create it first.",
        ),
        (
            "instances",
            "output=/nowhere/x",
            "output is '/nowhere/x', but the folder '/nowhere' does not exist: create it first.",
        ),
    ],
)
def test_invalid_input_is_refused_in_a_sentence_on_standard_error(run, playbook, option, sentence):
    done = run(playbook, "-e", option)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_table_fits_its_content_and_shows_a_dash_for_missing_values():
    rows = [
        {"id": "i-1", "state": None, "lifecycle": "InService", "yes": True},
        {"id": None, "state": "gone", "yes": False},
    ]
    assert table(rows, {"ID": "id", "STATE": ["lifecycle", "state"], "YES": "yes", "NOTE": "note"}).splitlines() == [
        "ID   STATE      YES  NOTE",
        "i-1  InService  yes  -",
        "-    gone       no   -",
    ]
    assert table([], {"ID": "id"}) == "ID"
    with pytest.raises(AnsibleFilterError):
        table("text", {})
