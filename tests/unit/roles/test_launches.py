"""Instances of the roles' groups launch in a strict account, and site.yml tells why others do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lab.aws.account import KIND
from lab.aws.launch_failures import SERVICE_ROLE
from tests.unit.lab.fakes import LittleAws, until
from tests.unit.roles.account import REASON, roles_account

pytestmark = pytest.mark.real(REASON)
ROLES = ("network", "dns", "events", "discovery", "iam", "node_groups")
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
WORDS = (
    "Auto Scaling cannot launch instances of the group manager: We currently do not have sufficient t3.small capacity"
)


def test_groups_launch_in_an_account_with_other_defaults(tmp_path: Path) -> None:
    new = replace(KIND, metadata_tags_default="enabled", service_role=False)
    with roles_account(tmp_path, new) as account:
        run = account.run(*ROLES, ebs_kms_key="alias/aws/ebs")
        assert run.code == 0, run.output
        assert run.writes.index("iam:CreateServiceLinkedRole") < run.writes.index("autoscaling:CreateAutoScalingGroup")
        until(lambda: len(account.aws.machines.launched) == 4, "the instances")
        (version,) = account.aws.client("ec2").describe_launch_template_versions(
            LaunchTemplateName="example-manager", Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        assert data["MetadataOptions"]["InstanceMetadataTags"] == "disabled"
        assert [disk["Ebs"]["KmsKeyId"] for disk in data["BlockDeviceMappings"]] == ["alias/aws/ebs"]
        activities = account.aws.client("autoscaling").describe_scaling_activities()["Activities"]
        assert "Failed" not in {activity["StatusCode"] for activity in activities}
        assert account.aws.client("iam").get_role(RoleName=SERVICE_ROLE)


def managers(aws: LittleAws) -> None:
    """A group of managers as the roles make it."""
    network = aws.network()
    aws.template("example-manager", network.group)
    tags = {"swarm.aws/cluster": "example", "swarm.aws/group": "manager", "swarm.aws/role": "manager"}
    listed = [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()]
    aws.group("example-manager", network, 3, Tags=listed)


def test_site_tells_auto_scalings_reason_while_it_waits(tmp_path: Path) -> None:
    tasks = [
        {
            "name": f"Wait ({tasks})",
            "ansible.builtin.include_role": {"name": "swarm.aws.stack", "tasks_from": tasks},
            "vars": {"stack_attempts": 1},
        }
        for tasks in ("sizes", "join", "find")
    ]
    playbook = tmp_path / "wait.yml"
    play = {"name": "Wait", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    play["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    with roles_account(
        tmp_path, replace(KIND, exhausted_types=dict.fromkeys(ZONES, frozenset({"t3.small"})))
    ) as account:
        managers(account.aws)
        run = account.playbook(str(playbook), stack_nodes_timeout=10)
    assert run.code != 0
    # Without line breaks within messages.
    joining, finding = " ".join(run.output.split()).split("TASK [Wait (find)]")
    assert WORDS in joining, "while nodes are waited for"
    assert WORDS in finding.split("No manager was launched in 10 s.")[0], "while managers are waited for"
    assert WORDS in finding.split("No manager was launched in 10 s.")[1]
