"""Every command in the documentation works: it is run here, or by a test that is named here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import environments
from .documented import commands
from .site import CLUSTER, ROOT, Site

PLAYBOOK = r"ansible-playbook playbooks/"
REMOVE = r"ansible-playbook remove_node\.yml -e id="

# Run by tests that look closer at what comes of it.
THERE = {
    r"(ANSIBLE_STDOUT_CALLBACK=default )?ansible-playbook site\.yml": (
        "test_2_built.py::test_a_second_run_changes_nothing"
    ),
    r"ansible-playbook (site\.yml|swarm\.aws\.site) --check( --diff)?": (
        "test_1_empty_account.py::test_the_plan_names_every_resource_to_come_and_writes_nothing"
    ),
    PLAYBOOK + r"picture\.yml": "test_6_views.py::test_a_picture_of_what_stands_in_the_account",
    PLAYBOOK
    + r"diagnose\.yml": "test_6_views.py::test_what_is_gathered_has_no_secret_and_names_the_node_that_is_cut_off",
    r"pip install .*|ansible-galaxy collection (build|install) .*|ansible-galaxy collection build": (
        "test_2_installed.py::test_the_archive_has_what_the_playbooks_need_and_nothing_else"
    ),
    r"ansible-playbook swarm\.aws\.site": (
        "test_2_installed.py::test_what_a_checkout_has_built_is_not_changed_by_the_collection"
    ),
    r"\S*python -m lab kill \S+": "test_4_losses.py::test_fault_12_a_host_that_fails_is_replaced",
    REMOVE + r"\S+": "test_5_removal.py::test_fault_23_no_request_fails_while_a_node_is_removed",
    REMOVE
    + r"\S+ -e replace=false": "test_6_ends.py::test_a_removal_without_replacement_leaves_the_group_with_one_less",
    PLAYBOOK + r"tidy\.yml": "test_6_kills.py::test_fault_30_31_a_tidying_is_killed_wherever_it_is",
    r"make look|curl .*": "test_6_look.py::test_a_removal_and_a_lost_manager_on_the_page",
    PLAYBOOK + r"(deploy|rollback|stop)\.yml -e stack_(file|name)=\S+( --check --diff)?": (
        "test_6_stack.py::test_a_stack_is_deployed_rotated_failed_rolled_back_and_stopped"
    ),
    r"export EDGE_CERTIFICATE=\S+; " + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/edge/\S+": (
        "test_7_tls.py::test_no_request_fails_while_a_certificate_is_renewed"
    ),
    r"certbot (certonly|renew) .*": (
        "test_7_tls.py::test_a_certificate_comes_by_acme_and_is_renewed_with_the_permissions_that_the_page_names"
    ),
    r"export EDGE_CERTIFICATE=\S+; \S*python -m lab (certificate|get) .*": (
        "test_7_tls.py::test_a_page_comes_over_tls_and_its_certificate_is_verified"
    ),
    r"(export CI_.*; )?" + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/ci/\S+": (
        "test_7_ci.py::test_what_is_built_is_in_the_bucket_and_every_node_pulls_it"
    ),
    r"ansible-playbook site\.yml --tags identity": (
        "test_7_ci.py::test_what_is_built_is_in_the_bucket_and_every_node_pulls_it"
    ),
    r"\S*python -m lab publish": "test_7_ci.py::test_a_build_rolls_the_service_and_the_shop_is_as_its_file_says",
    PLAYBOOK + r"scale\.yml -e group=worker -e desired=3": (
        "test_7_rolling.py::test_a_group_gets_more_instances_that_serve_and_site_yml_leaves_them"
    ),
    PLAYBOOK + r"upgrade\.yml -e batch=2": (
        "test_7_rolling.py::test_an_upgrade_that_is_killed_is_finished_by_the_next_without_a_request_failing"
    ),
    PLAYBOOK + r"rotate\.yml -e what=\S+unlock_key": (
        "test_7_autolock.py::test_another_key_is_kept_beside_the_old_ones_and_opens_the_state"
    ),
    PLAYBOOK + r"rotate\.yml -e what=tokens,ca": (
        "test_7_total_loss.py::test_fault_08_tokens_and_ca_are_rotated_and_nodes_stay"
    ),
    PLAYBOOK + r"backup\.yml": "test_7_total_loss.py::test_a_backup_costs_no_request_and_workers_cannot_read_it",
    PLAYBOOK + r"restore\.yml": "test_7_total_loss.py::test_fault_36_two_of_three_managers_disks_are_gone",
    PLAYBOOK + r"restore\.yml --check": (
        "test_7_total_loss.py::test_fault_36_all_managers_are_gone_and_the_latest_backup_brings_them_back"
    ),
    PLAYBOOK + r"restore\.yml -e (backup|force)=\w+": (
        "test_7_total_loss.py::test_a_backup_takes_the_place_of_a_swarm_that_works"
    ),
    PLAYBOOK + r"restore_drill\.yml": "test_7_total_loss.py::test_a_drill_proves_that_the_newest_backup_restores",
    PLAYBOOK + r"rotate\.yml": "test_8_security.py::test_no_secret_was_printed_or_logged_in_the_whole_story",
    PLAYBOOK
    + r"plan\.yml( --diff)?": "test_9_account.py::test_the_plan_of_what_stands_is_empty_and_says_what_it_costs",
    PLAYBOOK + r"destroy\.yml( --check)?": "test_9_account.py::test_a_cluster_is_only_destroyed_by_its_name",
    PLAYBOOK + r"destroy\.yml -e confirm=\w+( -e keep_backups=true)?": (
        "test_9_account.py::test_fault_33_what_is_destroyed_in_spite_of_everything_leaves_the_account_as_it_was"
    ),
    r"make (demo|lab-down)": "test_9_demo.py::test_the_demonstration_serves_a_page_and_can_be_run_again",
}
# Run by no test, and why.
NOWHERE = {
    r"make (setup|test)": "without the first there is no test, and the second is the tests",
    r"eval .*|make lab-up": "the tests make their labs, and what points at them, by the functions behind these",
    r"make soak|\S*python -m (pytest )?tests.simulation.*": "a part of the tests, with fewer stories",
    r"make audit": "Prowler is two gigabytes",
    r"tools/molecule .*": "the scenarios take longer than all of the tests",
    r"aws ssm .*": "Session Manager's agent takes its commands from AWS",
    r"dig .*": "the tests have a resolver of their own",
    r"ansible-builder build .*": "it takes base images from registries; what it reads is checked by the linters",
}
# What changes nothing.
ONLY_LOOKS = re.compile(
    r".*(aws (cloudwatch|logs)|ansible all -m ping|ansible \S+ -m ansible\.builtin\.command|ansible-inventory"
    r"|lab (status|get)|make .*(ssh|status)|swarm\.aws\.ssh"
    r"|playbooks/(diagnose|instances|managers|picture|plan|status)\.yml|--check).*"
).fullmatch
# The AWS CLI, which users have and the project does not need.
AWS_CLI = "awscli==1.46.3"
# What the pages leave to be filled in, and names that are no cluster's.
FILLED: dict[str, Callable[[Site], str]] = {
    r"\bi-[0-9a-f]{17}\b|\bi-[0-9a-f]*…": lambda site: site.one("worker"),
    r"\bNAME\b": lambda site: newest_backup(site),
    r"\bshop_web,shop_api\b": lambda _: f"{CLUSTER}_web",
}


def newest_backup(site: Site) -> str:
    if not site.backups():
        assert site.playbook("playbooks/backup.yml").code == 0
    return site.backups()[0]


def elsewhere(text: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in (*THERE, *NOWHERE))


COMMANDS = commands()


def test_the_tests_that_are_named_here_are_there_and_so_are_the_commands() -> None:
    for pattern in (*THERE, *NOWHERE):
        assert any(re.fullmatch(pattern, text) for text in COMMANDS), f"no page has {pattern}"
    for name in THERE.values():
        file, _, function = name.partition("::")
        assert f"def {function}" in (ROOT / "tests/lab" / file).read_text(), f"{name} is no test"


@pytest.mark.parametrize("text", sorted(text for text in COMMANDS if not elsewhere(text) and not ONLY_LOOKS(text)))
def test_a_command_of_the_documentation_works(site: Site, text: str, tmp_path: Path) -> None:
    site.settle()
    _works(site, text, tmp_path)
    # Nodes that a command has changed are not the next one's trouble.
    site.settle()


def test_commands_of_the_documentation_that_only_look_work_and_write_nothing(
    site: Site, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Two at a time, since nothing comes of them that could be another's trouble."""
    texts = sorted(text for text in COMMANDS if not elsewhere(text) and ONLY_LOOKS(text))
    assert len(texts) > 20
    site.settle()
    newest_backup(site)
    environments.make(tmp_path / "aws", AWS_CLI)
    site.forget_calls()
    with ThreadPoolExecutor(2) as pool:
        runs = {
            text: pool.submit(_works, site, text, tmp_path / str(number), tmp_path / "aws/bin")
            for number, text in enumerate(texts, start=1)
        }
    for text, run in runs.items():
        with subtests.test(text):
            run.result()
    assert site.writes() == []


def _works(site: Site, text: str, folder: Path, *programs: Path) -> None:
    for pattern, value in FILLED.items():
        if re.search(pattern, text):
            text = re.sub(pattern, value(site), text)
    text = text.replace("/tmp/", f"{folder}/")
    if not shutil.which("jq"):
        text = re.sub(r" \| jq .*", "", text)
    # A folder like the checkout, so that what is written into it is not left there.
    (folder / "docs").mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name != "docs":
            (folder / entry.name).symlink_to(entry)
    # Last, for an environment has a Python of its own.
    path = os.pathsep.join([os.environ["PATH"], *map(str, programs)])
    run = site.command("bash", "-o", "errexit", "-o", "pipefail", "-c", text, folder=folder, PATH=path)
    assert run.code == 0, f"{text}: {run.output[-3000:]}"
    for file in re.findall(r"output=(\S+)", text):
        assert (folder / file).is_file(), f"{file} is not where it was asked for"
