"""The commands in the documentation, and the tests that run them."""

from __future__ import annotations

import re

from .site import ROOT

# How a command begins. Contents of files may begin like this too, but then a colon follows.
BEGINNING = r"(ansible|ANSIBLE_|make |\S*python -m|tools/|aws |dig |curl |pip |eval |certbot )(?!\S*:\s)"


PLAYBOOK = r"ansible-playbook playbooks/"
REMOVE = r"ansible-playbook remove_node\.yml -e id="

# Commands that a dedicated test runs.
THERE = {
    r"(ANSIBLE_STDOUT_CALLBACK=default )?ansible-playbook site\.yml": ("test_a_second_run_changes_nothing"),
    r"ansible-playbook (site\.yml|swarm\.aws\.site) --check( --diff)?": (
        "test_the_plan_names_every_new_resource_and_writes_nothing"
    ),
    PLAYBOOK + r"picture\.yml": "test_a_picture_shows_the_resources_in_the_account",
    PLAYBOOK + r"diagnose\.yml": "test_a_diagnosis_has_no_secrets_and_names_a_partitioned_node",
    r"pip install .*|ansible-galaxy collection (build|install) .*|ansible-galaxy collection build": (
        "test_the_archive_has_exactly_the_files_of_the_playbooks"
    ),
    r"ansible-playbook swarm\.aws\.site": ("test_the_collection_does_not_change_a_cluster_of_the_checkout"),
    r"\S*python -m lab kill \S+": "test_fault_12_a_host_that_fails_is_replaced",
    REMOVE + r"\S+": "test_no_request_fails_while_a_node_is_removed",
    REMOVE + r"\S+ -e replace=false": "test_a_removal_without_replacement_shrinks_the_group",
    PLAYBOOK + r"tidy\.yml": "test_fault_30_31_tidying_survives_kills_at_each_task",
    PLAYBOOK + r"join\.yml( -e id=\S+)?( --check)?": "test_fault_43_join_yml_joins_nodes_without_an_agent",
    PLAYBOOK + r"join\.yml -e id=\S+ -e new_swarm=true": (
        "test_a_new_swarm_is_made_by_join_yml_and_the_others_join_it"
    ),
    PLAYBOOK + r"dns\.yml( --check --diff)?": "test_dns_yml_repairs_a_changed_or_deleted_record",
    r"make look|curl .*": "test_the_page_shows_a_removal_and_a_lost_manager",
    PLAYBOOK + r"(deploy|rollback|stop)\.yml -e stack_(file|name)=\S+( --check --diff)?": (
        "test_a_stack_is_deployed_rotated_failed_rolled_back_and_stopped"
    ),
    r"export EDGE_CERTIFICATE=\S+; " + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/edge/\S+": (
        "test_no_request_fails_while_a_certificate_is_renewed"
    ),
    r"certbot (certonly|renew) .*": ("test_acme_issues_and_renews_with_the_documented_permissions"),
    r"export EDGE_CERTIFICATE=\S+; \S*python -m lab (certificate|get) .*": ("test_the_page_has_a_verified_certificate"),
    r"(export CI_.*; )?" + PLAYBOOK + r"deploy\.yml -e stack_file=\$PWD/stacks/ci/\S+": (
        "test_a_built_image_is_in_the_bucket_and_every_node_pulls_it"
    ),
    r"ansible-playbook site\.yml --tags iam": ("test_a_built_image_is_in_the_bucket_and_every_node_pulls_it"),
    r"\S*python -m lab publish": "test_a_build_updates_the_service_and_a_second_run_changes_nothing",
    PLAYBOOK + r"scale\.yml -e group=worker -e desired=3": ("test_a_scaled_out_group_keeps_its_size_after_site_yml"),
    PLAYBOOK + r"upgrade\.yml -e batch=2": ("test_a_killed_upgrade_is_completed_by_the_next_and_fails_no_request"),
    PLAYBOOK + r"rotate\.yml -e what=\S+unlock_key": ("test_a_rotated_key_is_added_to_the_secret_and_unlocks_engines"),
    PLAYBOOK + r"rotate\.yml -e what=tokens,ca": ("test_fault_08_tokens_and_ca_are_rotated_and_nodes_stay"),
    PLAYBOOK + r"backup\.yml": "test_a_backup_fails_no_request_and_workers_cannot_read_it",
    PLAYBOOK + r"restore\.yml": "test_fault_36_a_survivor_restores_the_swarm_after_two_lost_disks",
    PLAYBOOK + r"restore\.yml --check": ("test_the_latest_backup_restores_a_swarm_without_managers"),
    PLAYBOOK + r"restore\.yml -e (backup|force)=\w+": ("test_force_restores_a_backup_over_a_working_swarm"),
    PLAYBOOK + r"restore_drill\.yml": "test_a_drill_restores_the_newest_backup",
    PLAYBOOK + r"rotate\.yml": "test_no_secret_was_printed_or_logged_in_the_whole_story",
    PLAYBOOK + r"plan\.yml( --diff)?": "test_the_plan_of_a_built_cluster_is_empty_and_has_its_cost",
    PLAYBOOK + r"destroy\.yml( --check)?": "test_a_cluster_is_only_destroyed_by_its_name",
    PLAYBOOK + r"destroy\.yml -e confirm=\w+( -e keep_backups=true)?": (
        "test_fault_33_a_destruction_killed_and_hindered_leaves_nothing"
    ),
    r"aws iam (create-policy|attach-role-policy) .*": (
        "test_the_documented_permissions_are_enough_for_a_clusters_life"
    ),
    r"make (demo|lab-down)": "test_the_demo_serves_a_page_and_can_run_again",
}
# Commands that no test runs, and why.
NOWHERE = {
    r"make setup": "the tests need it themselves",
    r"make (check|test|test-long.*|soak)|\S*python -m (pytest .*|tests\..*)": "these are the tests",
    r"eval .*|make lab-up": "the tests call the functions behind these commands",
    r"make audit": "Prowler is two gigabytes",
    r"tools/molecule .*": "the scenarios take longer than all tests",
    r"aws ssm .*": "Session Manager's agent takes its commands from AWS",
    r"aws iam create-(open-id-connect-provider|role) .*": "only GitHub signs its tokens",
    r"export (TRAEFIK|PORTAINER|GRAFANA)_.*": "the lab has no images of these stacks",
    r"ansible-galaxy collection publish .*": "it would publish the collection",
    r"dig .*": "the tests have their own resolver",
    r"ansible-builder build .*": "it pulls base images from registries; the linters check its files",
}


def commands() -> set[str]:
    """All commands in the pages' code blocks, without comments and prompts, with the exports above them."""
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
    """Whether a command is in this table, so that tests/lab/parts/pages does not run it."""
    return any(re.fullmatch(pattern, text) for pattern in (*THERE, *NOWHERE))
