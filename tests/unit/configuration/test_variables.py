"""What is given with -e is of the type that its option takes, or is refused in a sentence before anything else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils.account.variables import refusals

from tests.unit.playbooks import ROOT, Bench

NO_ID = "which is not an instance ID: expected i- and 17 hexadecimal digits."
OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "description": "The name."},
    "count": {"type": "int", "description": "How many."},
    "force": {"type": "bool", "description": ["Whether to insist. It is not wise."]},
    "names": {"type": "list", "elements": "str", "description": "The names."},
    "logins": {"type": "list", "elements": "dict", "description": "The logins."},
    "values": {"type": "dict", "description": "The values."},
}
TEXTS = "a list of strings, or a string separated by commas"
WRONG = [
    ("name", ["a"], "name is a list, but must be a string: The name."),
    ("name", {"a": 1}, "name is a mapping, but must be a string: The name."),
    ("name", 5, "name is 5, but must be a string: The name."),
    ("name", None, "name is null, but must be a string: The name."),
    ("count", "many", "count is 'many', but must be an integer, at least 0: How many."),
    ("count", "-1", "count is '-1', but must be an integer, at least 0: How many."),
    ("count", True, "count is true, but must be an integer, at least 0: How many."),
    ("count", 1.5, "count is 1.5, but must be an integer, at least 0: How many."),
    ("count", None, "count is null, but must be an integer, at least 0: How many."),
    ("count", [1], "count is a list, but must be an integer, at least 0: How many."),
    ("force", "ture", "force is 'ture', but must be true or false: Whether to insist."),
    ("force", {}, "force is a mapping, but must be true or false: Whether to insist."),
    ("force", None, "force is null, but must be true or false: Whether to insist."),
    ("force", 2, "force is 2, but must be true or false: Whether to insist."),
    ("names", {"a": 1}, f"names is a mapping, but must be {TEXTS}: The names."),
    ("names", [["a"]], f"names is a list, but must be {TEXTS}: The names."),
    ("names", 5, f"names is 5, but must be {TEXTS}: The names."),
    ("logins", {"password": "secret"}, "logins is a mapping, but must be a list: The logins."),
    ("values", ["secret"], "values is a list, but must be a mapping: The values."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_value_of_the_wrong_type_is_refused_in_one_sentence(name: str, value: Any, sentence: str) -> None:
    assert refusals({name: value}, OPTIONS) == [sentence]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("name", text) for text in ("", "web", "5", "true")),
        *(("count", number) for number in (0, 5, "0", "600")),
        *(("force", word) for word in (True, False, 1, 0, "1", "0", "yes", "No", "TRUE", "off")),
        *(("names", names) for names in ("", "a", "a,b", [], ["a", "b"])),
        *(("logins", logins) for logins in ([], [{"host": "a"}])),
        ("values", {}),
    ],
)
def test_a_text_that_reads_as_the_type_is_accepted(name: str, value: Any) -> None:
    assert refusals({name: value}, OPTIONS) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"a": 1}, "a mapping"), (True, "true"), (5, "5"), (None, "null"), ([["i-1"]], "a list"), (["i-1", 5], "5")],
)
def test_an_invalid_instance_id_is_refused(value: Any, shown: str) -> None:
    assert refusals({"id": value}, {"id": {"type": "list", "elements": "str"}}) == [f"id is {shown}, {NO_ID}"]


def test_all_errors_are_reported_at_once() -> None:
    given = {"name": None, "force": "maybe", "count": 0, "names": 5}
    required = {"name": "Which name?", "count": "How many?", "logins": "Which logins?"}
    assert refusals(given, OPTIONS, required) == [
        "Which name?",
        "Which logins?",
        "force is 'maybe', but must be true or false: Whether to insist.",
        f"names is 5, but must be {TEXTS}: The names.",
    ]


# The playbooks

INSTANCE, OTHER = "i-0000000000000000a", "i-0000000000000000b"
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("[!_]*.yml"))
# Of the configuration, of Ansible's own, or refused by the playbook itself with what to say.
OTHERS = {"cluster_name", "groups", "stack_name"}
real = pytest.mark.real("ansible-playbook: the variables of a playbook are put together by Ansible alone")


def parts(name: str) -> list[str]:
    """A playbook's text, and the texts of the playbooks that it imports."""
    text = (ROOT / "playbooks" / name).read_text()
    return [text, *(part for imported in re.findall(r"import_playbook: (\S+)", text) for part in parts(imported))]


def checked(name: str) -> list[tuple[str, str, dict[str, str]]]:
    """The role, its entry point and the variables of each of a playbook's checks."""
    checks = [
        play["vars"] for text in parts(name) for play in yaml.safe_load(text) if "check_role" in play.get("vars", {})
    ]
    return [(check["check_role"], check["check_entry"], check.get("check_variables", {})) for check in checks]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_checks_every_variable_that_it_reads(name: str) -> None:
    read = {variable for text in parts(name) for variable in re.findall(r"(\w+) \| default\(", text)} - OTHERS

    assert read - {variable for _, _, variables in checked(name) for variable in variables} == set()


@pytest.mark.parametrize("name", [name for name in PLAYBOOKS if checked(name)])
def test_a_checked_variable_is_an_option_of_the_role(name: str) -> None:
    for role, entry, variables in checked(name):
        specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]
        assert set(variables.values()) - set(specs[entry]["options"]) == set()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, MODULES, {"manager": [INSTANCE, OTHER]})


@real
@pytest.mark.parametrize(
    ("playbook", "given", "sentences"),
    [
        (
            "upgrade",
            {"batch": {}, "cancel": "ture"},
            [
                "batch is a mapping, but must be an integer, at least 0: Number of workers to replace at a time, ",
                "cancel is 'ture', but must be true or false: Whether to cancel the current round and start no",
            ],
        ),
        (
            "site",
            {"stack_timeout": "long", "account_id": 123456789012},
            ["Action failed: stack_timeout is 'long', but must be an integer, at least 0: Seconds to wait for the"],
        ),
        (
            "scale",
            {"group": ["worker"], "timeout": "long"},
            [
                "How many instances should the group have? Set -e desired=3.",
                "group is a list, but must be a string: Name of the node group.",
                "timeout is 'long', but must be an integer, at least 0: ",
            ],
        ),
        ("join", {"id": [INSTANCE]}, [f"id is a list, {NO_ID}"]),
        ("rollback", {}, ["Which stack should be rolled back? Name it with -e stack_name=…."]),
        ("stop", {"stack_name": ""}, ["Which stack should be stopped? Name it with -e stack_name=…."]),
        ("remove_node", {"id": []}, ["Which instance should be removed? Name it with -e id=i-… (or several"]),
        (
            "remove_node",
            {"id": True, "replace": None},
            [f"id is true, {NO_ID}", "replace is null, but must be true or"],
        ),
    ],
)
def test_a_playbook_refuses_variables_of_the_wrong_type(
    bench: Bench, playbook: str, given: dict[str, Any], sentences: list[str]
) -> None:
    code, said, asked = bench.run(f"{playbook}.yml", "-e", json.dumps(given))

    assert (code, asked) == (2, [])
    assert [sentence for sentence in sentences if sentence not in said] == [], said[-3000:]
    assert "account_id is" not in said, "what the configuration's own check takes is left to it"


@real
@pytest.mark.parametrize("given", [[INSTANCE, OTHER, INSTANCE], f"{INSTANCE}, {OTHER}"])
def test_a_removal_accepts_a_list_or_a_text(bench: Bench, given: Any) -> None:
    code, said, asked = bench.run("remove_node.yml", "-e", json.dumps({"id": given, "cancel": True}))

    assert code == 0, said[-3000:]
    ((_, told),) = asked
    assert [*told["together"], told["instance"]] == [INSTANCE, OTHER]


@real
def test_the_rotation_accepts_a_list(bench: Bench) -> None:
    bench.answers["cluster_rotate"] = [{"rotated": ["tokens", "ca"], "log": []}]
    _, said, asked = bench.run("rotate.yml", "-e", json.dumps({"what": ["tokens", "ca"]}))

    assert asked[0][1]["what"] == ["tokens", "ca"], said[-3000:]
