"""The lab's nodes, by the inventory and SSH."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from testinfra.host import Host

CHECKOUT = Path(__file__).resolve().parents[3]
LOGIN_USER = "admin"


@functools.cache
def inventory() -> dict[str, Any]:
    """The output of `ansible-inventory --list`."""
    command = ["ansible-inventory", "--inventory", str(CHECKOUT / "inventories/lab"), "--list"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(listed.stdout, object_hook=_plain)
    return found


def _plain(value: dict[str, Any]) -> Any:
    """Unwrap a mapping; Ansible wraps texts from outside, to mark that they are no templates."""
    return value["__ansible_unsafe"] if value.keys() == {"__ansible_unsafe"} else value


def urls(group: str) -> list[str]:
    """The testinfra URLs of a group's nodes, for root. Raises LookupError if there are none."""
    found = inventory()
    hosts = found.get(group, {}).get("hosts", [])
    if not hosts:
        raise LookupError(f"the inventory has no hosts in the group {group}")
    here = Path(__file__).parent
    options = urlencode(
        {
            "sudo": "True",
            "ssh_config": here / "ssh_config",
            "ssh_identity_file": os.environ["ANSIBLE_PRIVATE_KEY_FILE"],
        }
    )
    variables = found["_meta"]["hostvars"]
    return [f"ssh://{LOGIN_USER}@{variables[host]['aws_public_ip_address']}?{options}" for host in hosts]


def listening(host: Host) -> set[tuple[str, int]]:
    """Addresses and ports of all listening TCP sockets."""
    sockets = (line.split()[3].rsplit(":", 1) for line in host.check_output("ss -Hltn").splitlines())
    return {(address, int(port)) for address, port in sockets}


def listens(host: Host, port: int) -> bool:
    """Whether something listens on the port, at any of the node's addresses."""
    return port in {used for _, used in listening(host)}
