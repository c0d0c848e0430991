"""Renders the user data of the role node_groups as Ansible and then cloud-init do."""

from __future__ import annotations

import email
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from email.message import Message
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.swarm.aws.plugins.module_utils._core.names import resource_names
from ansible_collections.swarm.aws.plugins.module_utils.account.engine import daemon

from lab import packages

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/node_groups"
INSTANCE = {"instance_id": "i-0123456789abcdef0", "availability_zone": "eu-west-1a"}
DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
OPERATING_SYSTEMS = ("debian13", "amazonlinux2023", "ubuntu2404")


def user_data(node_os: str, cluster: Mapping[str, Any] | None = None, **group: Any) -> str:
    """The user data of a group of managers with the given keys, of a cluster with some keys changed."""
    return ansible().submit(_render, node_os, cluster or {}, group).result()


@cache
def ansible() -> ProcessPoolExecutor:
    """A separate process for Ansible, whose plugin loader replaces the import of collections."""
    return ProcessPoolExecutor(
        1, get_context("spawn"), initializer=init_plugin_loader, initargs=([str(ROOT / ".collections")],)
    )


def _render(node_os: str, cluster: Mapping[str, Any], group: dict[str, Any]) -> str:
    loader = DataLoader()
    variables: dict[str, Any] = {}
    for name in ("defaults/main.yml", "vars/main.yml", f"vars/{node_os}.yml"):
        variables |= loader.load_from_file(str(ROLE / name), trusted_as_template=True)
    variables |= {
        "ansible_search_path": [str(ROLE)],
        "discovery_bundle": {"sha256": DIGEST, "version": "0.1.0+5891b5b5"},
        "cluster": {
            "cluster_name": "example",
            "account_id": "123456789012",
            "region": "eu-west-1",
            "dns_suffix": "amazonaws.com",
            "session_manager": True,
            "http_proxy": None,
            "logs": {"retention_days": 30, "mib_per_day": 100},
            "names": resource_names("example", "123456789012", "eu-west-1"),
            "engine": "distribution",
            "engine_version": None,
            "daemon": daemon({"daemon_options": {}}),
            **cluster,
        },
        "group": {"name": "manager", "role": "manager", "volumes": [], "user_data": "", **group},
    }
    return Templar(loader, variables).template(
        trust_as_template("{{ lookup('ansible.builtin.template', 'user-data.j2') }}")
    )


def parts(text: str) -> list[Message]:
    """The parts of user data; plain user data is a single part."""
    if text.startswith("Content-Type: multipart"):
        return email.message_from_string(text).get_payload()  # type: ignore[return-value]
    part = Message()
    part.add_header("Content-Type", "text/jinja2")
    part.set_payload(text)
    return [part]


def cloud_config(text: str) -> dict[str, Any]:
    """The node's cloud-config, rendered with the instance's data."""
    source = parts(text)[0].get_payload()
    first, rest = source.split("\n", 1)
    assert first == "## template: jinja"
    # The settings of cloud-init's template engine.
    template = jinja2.Template(rest, undefined=jinja2.StrictUndefined, trim_blocks=True, extensions=["jinja2.ext.do"])
    rendered = template.render(v1=INSTANCE)
    assert rendered.startswith("#cloud-config\n")
    return yaml.safe_load(rendered)


def files(config: dict[str, Any]) -> dict[str, str]:
    """The contents of the files that a cloud-config writes."""
    return {write_file["path"]: write_file["content"] for write_file in config["write_files"]}


@cache
def schema() -> dict[str, Any]:
    """cloud-init's schema of a cloud-config, from the distribution's package."""
    place = ROOT / ".build/cloud-init"
    inside = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
    if not (place / inside).exists():
        if not shutil.which("apt-get"):
            pytest.skip("cloud-init's schema comes from Debian's package, and this machine has no apt-get")
        place.mkdir(parents=True, exist_ok=True)
        packages.extract("cloud-init", place, needed_for="cloud-init's schema")
    return json.loads((place / inside).read_text())
