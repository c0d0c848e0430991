"""Playbooks with modules that answer what a test says and note what they were asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Ansible hands such a module its arguments as a file.
STUB = """#!/usr/bin/python
# WANT_JSON
import json, os, pathlib, sys

asked = json.loads(pathlib.Path(sys.argv[1]).read_text())
told = {key: value for key, value in asked.items() if not key.startswith("_ansible")}
told["check"] = asked["_ansible_check_mode"]
with open(os.environ["STUB_CALLS"], "a") as calls:
    calls.write(json.dumps(["NAME", told]) + "\\n")
state = pathlib.Path(os.environ["STUB_ANSWERS"])
answers = json.loads(state.read_text())
several = answers.get("NAME", [{}])
answer = several.pop(0) if len(several) > 1 else several[0]
state.write_text(json.dumps(answers))
print(json.dumps({"changed": False, **answer}))
"""
# Whose calls only find a manager.
FINDING = ("preflight", "stack_nodes")
Answers = dict[str, list[dict[str, Any]]]


class Bench:
    """A collection whose modules are stubs, and an inventory of instances that are this machine."""

    def __init__(self, folder: Path, stubs: Sequence[str], hosts: Mapping[str, Sequence[str]]) -> None:
        """``stubs`` names the modules, and ``hosts`` the instances of each role."""
        self._folder = folder
        collection = folder / "ansible_collections/swarm/aws"
        modules = collection / "plugins/modules"
        modules.mkdir(parents=True)
        for name in ("roles", "playbooks", "galaxy.yml", "meta", "plugins/filter", "plugins/module_utils"):
            (collection / name).symlink_to(ROOT / name)
        for name in (*FINDING, *stubs):
            (modules / f"{name}.py").write_text(STUB.replace("NAME", name))
        own = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
        groups = {f"swarm_role_{role}": {"hosts": dict.fromkeys(names, own)} for role, names in hosts.items()}
        inventory = {"all": {"children": groups, "vars": {"cluster_name": "example"}}}
        (folder / "inventory.json").write_text(json.dumps(inventory))
        self.answers: Answers = {"stack_nodes": [{"manager": True}]}
        """What each module answers, one time after the other; the last answer stays."""

    def run(self, playbook: str, *words: str) -> tuple[int, str, list[tuple[str, dict[str, Any]]]]:
        """Run a playbook; returns its exit code, its output in one line, and what it asked of the stubs."""
        calls, answers = self._folder / "calls", self._folder / "answers"
        calls.write_text("")
        answers.write_text(json.dumps(self.answers))
        environment = {
            **os.environ,
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(self._folder),
            "ANSIBLE_INVENTORY": str(self._folder / "inventory.json"),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
            # The collection of stubs has no callback of its own.
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
            # One after the other, in the inventory's order, so that each gets the answer that is meant for it.
            "ANSIBLE_FORKS": "1",
            "STUB_CALLS": str(calls),
            "STUB_ANSWERS": str(answers),
        }
        done = subprocess.run(
            ["ansible-playbook", str(ROOT / "playbooks" / playbook), *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        asked = [(name, told) for name, told in map(json.loads, calls.read_text().splitlines()) if name not in FINDING]
        return done.returncode, " ".join((done.stdout + done.stderr).split()), asked
