"""Every service that the nodes' policies let them call has an endpoint where no NAT gateway leads out."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.swarm.aws.plugins.module_utils.account import interface_endpoints
from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES

from tests.unit.configuration.configuration import ROOT, complete, group, settled

ROLE = ROOT / "roles/iam"
CLOUD_MAP = {"cloud_map": {"namespace": "swarm.test", "service": "www"}}
TARGETS = ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"]
LEAST: dict[str, Any] = {"dns": None, "monitoring": None, "session_manager": False, "ecr_repositories": []}
# What a configuration may have besides, each of which may have the nodes call something more.
MORE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a record": {"dns": {"zone": "swarm.test", "record": "www.swarm.test"}},
    "a service in Cloud Map": {"dns": CLOUD_MAP},
    "Session Manager": {"session_manager": True},
    "logs": {"logs": {"retention_days": 7}},
    "autolock": {"autolock": True},
    "alarms": {"monitoring": {"emails": []}},
    "Prometheus alone": {"monitoring": {"alarms": False, "prometheus_port": 9324}},
    "repositories": {"ecr_repositories": ["shop/*"]},
    "a load balancer": {"node_groups": [group(target_groups=TARGETS)]},
    "scaling": {
        "node_groups": [
            group(),
            group(name="worker", role="worker", dns=False, desired=1, max=4, scaling={"target": 80}),
        ]
    },
}
MORE["all of it"] = {key: value for more in MORE.values() for key, value in more.items()}
# Statements for what AWS calls with the nodes' rights, and not they.
FOR_AWS = {"LetCloudMapWriteTheRecords": "servicediscovery", "LetCloudMapSeeHealthChecks": "servicediscovery"}


def statements(**changed: Any) -> list[dict[str, Any]]:
    """What both policies allow, as the role iam writes them."""
    return json.loads(_ansible().submit(_render, complete(**{**LEAST, **changed})).result())


@cache
def _ansible() -> ProcessPoolExecutor:
    """A process of Ansible's own, whose plugin loader takes over how collections are imported, which others do too."""
    return ProcessPoolExecutor(
        1, get_context("spawn"), initializer=init_plugin_loader, initargs=([str(ROOT / ".collections")],)
    )


def _render(config: dict[str, Any]) -> str:
    loader = DataLoader()
    variables = loader.load_from_file(str(ROLE / "vars/main.yml"), trusted_as_template=True)
    variables |= {
        "ansible_search_path": [str(ROLE)],
        "cluster": config,
        "dns_service": {"zone_id": "Z2", "service_arn": "arn:aws:servicediscovery:eu-west-1:1:service/srv-1"},
        "discovery_key": {"key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1"},
    }
    policy = "(lookup('ansible.builtin.template', '{}.yml.j2') | from_yaml).Statement"
    both = " + ".join(policy.format(role) for role in ("manager", "worker"))
    return Templar(loader, variables).template(trust_as_template("{{ (" + both + ") | to_json }}"))


# Services in the policies that need no endpoint.
WITHOUT = {
    "s3": "it has a free gateway endpoint",
    "kms": "nodes never call it: S3 and Secrets Manager use the key for them",
}


def called(found: list[dict[str, Any]]) -> set[str]:
    """The services that the nodes call by themselves."""
    return {
        action.split(":")[0]
        for statement in found
        if statement["Sid"] not in FOR_AWS and "kms:ViaService" not in str(statement.get("Condition"))
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


@pytest.mark.parametrize("more", MORE)
def test_the_endpoints_are_those_of_the_services_in_the_policies(more: str) -> None:
    found = called(statements(**MORE[more]))
    without = found - set(interface_endpoints.SERVICES)
    assert without <= set(WITHOUT), f"{without} has neither an endpoint nor a reason for none"
    wanted = {name for service in found - without for name in interface_endpoints.SERVICES[service]}
    assert set(interface_endpoints.needed(settled(**{**LEAST, **MORE[more]}))) == wanted


def test_statements_for_aws_itself_exist_and_limit_kms_to_services() -> None:
    found = statements(**{**MORE["all of it"], **MORE["a service in Cloud Map"]})
    assert set(FOR_AWS) <= {statement["Sid"] for statement in found}
    for statement in found:
        if "kms" in str(statement["Action"]):
            assert "kms:ViaService" in statement["Condition"]["StringEquals"], "nodes would call KMS themselves"


def test_aws_has_endpoints_of_these_names() -> None:
    """moto's list was copied from AWS."""
    known = {*AWS_ENDPOINT_SERVICES, "ecr.api", "ecr.dkr", *interface_endpoints.GLOBAL}
    assert {name for several in interface_endpoints.SERVICES.values() for name in several} <= known


def test_the_endpoint_of_a_global_service_has_no_region_in_its_name() -> None:
    assert "com.amazonaws.eu-west-1.sqs" in interface_endpoints.service_names("sqs", "eu-west-1")
    assert "com.amazonaws.route53" in interface_endpoints.service_names("route53", "eu-west-1")
