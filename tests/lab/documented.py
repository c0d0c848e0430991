"""The commands that the documentation shows, and which tests run them."""

from __future__ import annotations

import re

from .site import ROOT

# How a command begins. Files' contents may begin so, too, but then a colon follows.
BEGINNING = r"(ansible|ANSIBLE_|make |\S*python -m|tools/|aws |dig |curl |pip |eval |certbot )(?!\S*:\s)"


PLAYBOOK = r"ansible-playbook playbooks/"
REMOVE = r"ansible-playbook remove_node\.yml -e id="

# Run by tests that look closer at what comes of it.
THERE = {
    r"(ANSIBLE_STDOUT_CALLBACK=default )?ansible-playbook site\.yml": ("test_a_second_run_changes_nothing"),
    r"ansible-playbook (site\.yml|swarm\.aws\.site) --check( --diff)?": (
        "test_the_plan_names_every_resource_to_come_and_writes_nothing"
    ),
    PLAYBOOK + r"picture\.yml": "test_a_picture_of_what_stands_in_the_account",
    PLAYBOOK + r"diagnose\.yml": "test_what_is_gathered_has_no_secret_and_names_the_node_that_is_cut_off",
    r"pip install .*|ansible-galaxy collection (build|install) .*|ansible-galaxy collection build": (
        "test_the_archive_has_what_the_playbooks_need_and_nothing_else"
    ),
    r"ansible-playbook swarm\.aws\.site": ("test_what_a_checkout_has_built_is_not_changed_by_the_collection"),
    r"\S*python -m lab kill \S+": "test_fault_12_a_host_that_fails_is_replaced",
    REMOVE + r"\S+": "test_no_request_fails_while_a_node_is_removed",
    REMOVE + r"\S+ -e replace=false": "test_a_removal_without_replacement_leaves_the_group_with_one_less",
    PLAYBOOK + r"tidy\.yml": "test_fault_30_31_a_tidying_is_killed_wherever_it_is",
    PLAYBOOK + r"join\.yml( -e id=\S+)?( --check)?": "test_fault_43_join_yml_brings_back_what_has_no_agent",
    PLAYBOOK + r"dns\.yml( --check --diff)?": "test_a_record_that_other_hands_changed_or_emptied_is_put_right_at_once",
    r"make look|curl .*": "test_a_removal_and_a_lost_manager_on_the_page",
    PLAYBOOK + r"(deploy|rollback|stop)\.yml -e stack_(file|name)=\S+( --check --diff)?": (
        "test_a_stack_is_deployed_rotated_failed_rolled_back_and_stopped"
    ),
    r"export EDGE_CERTIFICATE=\S+; " + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/edge/\S+": (
        "test_no_request_fails_while_a_certificate_is_renewed"
    ),
    r"certbot (certonly|renew) .*": (
        "test_a_certificate_comes_by_acme_and_is_renewed_with_the_permissions_that_the_page_names"
    ),
    r"export EDGE_CERTIFICATE=\S+; \S*python -m lab (certificate|get) .*": (
        "test_a_page_comes_over_tls_and_its_certificate_is_verified"
    ),
    r"(export CI_.*; )?" + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/ci/\S+": (
        "test_what_is_built_is_in_the_bucket_and_every_node_pulls_it"
    ),
    r"ansible-playbook site\.yml --tags iam": ("test_what_is_built_is_in_the_bucket_and_every_node_pulls_it"),
    r"\S*python -m lab publish": "test_a_build_rolls_the_service_and_the_shop_is_as_its_file_says",
    PLAYBOOK + r"scale\.yml -e group=worker -e desired=3": (
        "test_a_group_gets_more_instances_that_serve_and_site_yml_leaves_them"
    ),
    PLAYBOOK + r"upgrade\.yml -e batch=2": (
        "test_an_upgrade_that_is_killed_is_finished_by_the_next_without_a_request_failing"
    ),
    PLAYBOOK + r"rotate\.yml -e what=\S+unlock_key": (
        "test_another_key_is_kept_beside_the_old_ones_and_opens_the_state"
    ),
    PLAYBOOK + r"rotate\.yml -e what=tokens,ca": ("test_fault_08_tokens_and_ca_are_rotated_and_nodes_stay"),
    PLAYBOOK + r"backup\.yml": "test_a_backup_costs_no_request_and_workers_cannot_read_it",
    PLAYBOOK + r"restore\.yml": "test_fault_36_two_of_three_managers_disks_are_gone",
    PLAYBOOK + r"restore\.yml --check": ("test_all_managers_are_gone_and_the_latest_backup_brings_them_back"),
    PLAYBOOK + r"restore\.yml -e (backup|force)=\w+": ("test_a_backup_takes_the_place_of_a_swarm_that_works"),
    PLAYBOOK + r"restore_drill\.yml": "test_a_drill_proves_that_the_newest_backup_restores",
    PLAYBOOK + r"rotate\.yml": "test_no_secret_was_printed_or_logged_in_the_whole_story",
    PLAYBOOK + r"plan\.yml( --diff)?": "test_the_plan_of_what_stands_is_empty_and_says_what_it_costs",
    PLAYBOOK + r"destroy\.yml( --check)?": "test_a_cluster_is_only_destroyed_by_its_name",
    PLAYBOOK + r"destroy\.yml -e confirm=\w+( -e keep_backups=true)?": (
        "test_fault_33_what_is_destroyed_in_spite_of_everything_leaves_the_account_as_it_was"
    ),
    r"aws iam (create-policy|attach-role-policy) .*": (
        "test_a_cluster_is_built_kept_and_destroyed_with_the_permissions_of_the_page"
    ),
    r"make (demo|lab-down)": "test_the_demonstration_serves_a_page_and_can_be_run_again",
}
# Run by no test, and why.
NOWHERE = {
    r"make setup": "without it there is no test",
    r"make (check|test|test-long.*|soak)|\S*python -m (pytest .*|tests\..*)": "these are the tests",
    r"eval .*|make lab-up": "the tests make their labs, and what points at them, by the functions behind these",
    r"make audit": "Prowler is two gigabytes",
    r"tools/molecule .*": "the scenarios take longer than all of the tests",
    r"aws ssm .*": "Session Manager's agent takes its commands from AWS",
    r"dig .*": "the tests have a resolver of their own",
    r"ansible-builder build .*": "it takes base images from registries; what it reads is checked by the linters",
}


def commands() -> set[str]:
    """All commands in the pages' code, without their comments and prompts, each after what is exported above it."""
    found = set()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        fenced, exported = False, ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                text = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))
                if text.startswith("export "):
                    exported = f"{text}; "
                elif re.match(BEGINNING, text):
                    found.add(exported + text)
            elif line:
                exported = ""
    return found


def elsewhere(text: str) -> bool:
    """Whether a command is run by a test that is named here, or by none."""
    return any(re.fullmatch(pattern, text) for pattern in (*THERE, *NOWHERE))
