"""ARNs, service principals and host names are those of the account's own partition."""

from __future__ import annotations

import json
import re
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Registry
from ansible_collections.swarm.aws.plugins.module_utils.account.monitoring import alarms_and_dashboard
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.unit.account.account import _session
from tests.unit.configuration.configuration import ROOT, complete, group

PARTITIONS = {
    "aws-cn": ("cn-north-1", "amazonaws.com.cn"),
    "aws-us-gov": ("us-gov-west-1", "amazonaws.com"),
    "aws-eusc": ("eusc-de-east-1", "amazonaws.eu"),
}
SOURCES = ("plugins", "roles", "runtime", "stacks", "playbooks")
# ARNs of an example's account in documentation and messages.
EXAMPLE = re.compile(r"arn:aws:[a-z]+:[a-z0-9-]*:123456789012:")
# Principals whose name is the same in every partition, and EC2's.
PRINCIPALS = re.compile(r"(autoscaling|events|cloudwatch|ec2)\.amazonaws\.com")
# The policies of a role, as its tasks write them.
WRITTEN = {
    "iam": "[iam_trust, iam_wanted_roles]",
    "events": "events_wanted_queues",
    "discovery": "lookup('ansible.builtin.template', 'bucket-policy.yml.j2') | from_yaml",
    "monitoring": "lookup('ansible.builtin.template', 'topic-policy.yml.j2') | from_yaml",
}


def test_no_source_names_a_partition_or_its_domain() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in SOURCES
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".yml", ".j2", ".sh", ".json")
        for line in path.read_text().splitlines()
        if "arn:aws:" in EXAMPLE.sub("", line) or "amazonaws.com" in PRINCIPALS.sub("", line)
    ]
    # Both names that some services have in some partitions, and the domains by region where there is no session.
    known = ("roles/iam/vars/main.yml: | product(['amazonaws.com', ", "roles/stack/vars/main.yml: ")
    assert [line for line in found if not line.startswith(known)] == []


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("role", WRITTEN)
def test_a_policy_has_only_arns_of_its_own_partition(role: str, partition: str) -> None:
    text = rendered(role, partition)
    found = set(re.findall(r"arn:[a-z-]+:", text))
    assert found == {f"arn:{partition}:"} or not found & {"arn:aws:"}
    assert ("ec2.amazonaws.com.cn" in text) is (role == "iam" and partition == "aws-cn")
    if role == "iam":
        region, suffix = PARTITIONS[partition]
        assert f"s3.{region}.{suffix}" in text


def test_a_worker_enters_only_the_warm_pool_of_its_own_group() -> None:
    worker = json.loads(rendered("iam", "aws-cn"))[1][1]["policy"]
    (statement,) = [statement for statement in worker["Statement"] if statement["Sid"] == "EnterTheWarmPool"]
    assert [arn.rpartition("/")[2] for arn in statement["Resource"]] == ["example-worker"]


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_partition_follows_from_the_region(partition: str) -> None:
    region, suffix = PARTITIONS[partition]
    aws = AwsSession(_session, region)
    assert (aws.partition, aws.dns_suffix) == (partition, suffix)
    registry = Registry.of(f"123456789012.dkr.ecr.{region}.{suffix}")
    assert registry is not None
    assert registry.region == region


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-west-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "console.amazonaws-eusc.eu"),
    ],
)
def test_the_console_is_of_the_region_and_its_partition(region: str, domain: str) -> None:
    assert _console(region) == f"https://{region}.{domain}"
    assert _console(region, endpoint_url="http://198.19.0.1:4566") is None


def _console(region: str, **arguments: str) -> str | None:
    return AwsSession(_session, region, region_name=region, **arguments).console


def test_the_dashboard_names_alarms_of_its_own_partition() -> None:
    body = json.dumps(alarms_and_dashboard(configuration("aws-cn"))[1])
    assert "arn:aws-cn:cloudwatch:cn-north-1:" in body
    assert "arn:aws:" not in body


def configuration(partition: str) -> dict[str, Any]:
    region, suffix = PARTITIONS[partition]
    config = complete(
        autolock=True,
        ecr_repositories=["shop/*"],
        logs={"retention_days": 7},
        node_groups=[group(), group(name="worker", role="worker", dns=False, warm_pool={"min": 1})],
    )
    return {**config, "region": region, "partition": partition, "dns_suffix": suffix}


def rendered(role: str, partition: str) -> str:
    """The policies that a role writes, as JSON."""
    return _ansible().submit(_render, role, configuration(partition)).result()


@cache
def _ansible() -> ProcessPoolExecutor:
    """A process of Ansible's own, whose plugin loader replaces the import of collections."""
    return ProcessPoolExecutor(
        1, get_context("spawn"), initializer=init_plugin_loader, initargs=([str(ROOT / ".collections")],)
    )


def _render(role: str, config: dict[str, Any]) -> str:
    loader, folder = DataLoader(), ROOT / "roles" / role
    file = folder / "vars/main.yml"
    variables = loader.load_from_file(str(file), trusted_as_template=True) if file.exists() else {}
    key = f"arn:{config['partition']}:kms:{config['region']}:123456789012:key/1"
    variables |= {"ansible_search_path": [str(folder)], "cluster": config, "discovery_key": {"key_arn": key}}
    text = Templar(loader, variables).template(trust_as_template("{{ (" + WRITTEN[role] + ") | to_json }}"))
    return str(text)
