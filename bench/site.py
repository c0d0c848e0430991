"""Measures a first `site.yml` and an unchanged `site.yml` against bare describe calls of the same resources by boto3.

python -m bench.site
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.lab import fresh
from tests.lab.site import CLUSTER, RECORD, Site


def main() -> None:
    """Measure once and print wall times, calls and their ratios."""
    with fresh("bench-site") as site:
        built = measured(site, lambda: build(site))
        site.settle()
        site.playbook("site.yml")
        playbook = measured(site, lambda: unchanged(site))
        described = measured(site, lambda: describe(site))
    print(f"first site.yml without the stack: {built[0]:.1f} s, {built[1]} calls by the operator")
    print(f"site.yml without a change: {playbook[0]:.1f} s, {playbook[1]} calls by the operator")
    print(f"describe calls alone: {described[0]:.1f} s, {described[1]} calls")
    print(f"ratio: {playbook[0] / described[0]:.1f} in time, {playbook[1] / described[1]:.1f} in calls")


def measured(site: Site, work: Callable[[], None]) -> tuple[float, int]:
    """The seconds that the work takes, and the number of the administrator's calls meanwhile."""
    site.forget_calls()
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    return took, sum(1 for call in site.calls() if call["caller"] == "lab")


def build(site: Site) -> None:
    """A first run of site.yml, without the stack."""
    run = site.playbook("site.yml", "--skip-tags", "stack")
    if run.code:
        raise SystemExit(run.output[-3000:])


def unchanged(site: Site) -> None:
    """A run of site.yml without a change."""
    run = site.playbook("site.yml")
    if run.code or run.changed:
        raise SystemExit(run.output[-3000:])


def describe(site: Site) -> None:
    """Describe every resource that the playbook manages, with a call for each kind and setting."""
    aws: Callable[[str], Any] = site.aws
    cluster = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
    aws("sts").get_caller_identity()
    ec2 = aws("ec2")
    for what in ("availability_zones", "key_pairs", "instance_types", "vpcs"):
        getattr(ec2, f"describe_{what}")()
    kept = ("vpcs", "subnets", "internet_gateways", "route_tables", "vpc_endpoints", "security_groups", "instances")
    for what in kept:
        getattr(ec2, f"describe_{what}")(Filters=cluster)
    vpc = ec2.describe_vpcs(Filters=cluster)["Vpcs"][0]["VpcId"]
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
    image = aws("ssm").get_parameters(Names=["/aws/service/debian/release/13/latest/amd64"])["Parameters"][0]["Value"]
    ec2.describe_images(ImageIds=[image])
    aws("route53").list_hosted_zones_by_name(DNSName=RECORD.partition(".")[2])
    sqs, events = aws("sqs"), aws("events")
    for name in (f"{CLUSTER}-events", f"{CLUSTER}-events-dead"):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        sqs.list_queue_tags(QueueUrl=url)
    for rule in events.list_rules()["Rules"]:
        events.list_targets_by_rule(Rule=rule["Name"])
        events.list_tags_for_resource(ResourceARN=rule["Arn"])
    s3, kms, iam = aws("s3"), aws("kms"), aws("iam")
    s3.head_bucket(Bucket=site.bucket)
    s3.get_public_access_block(Bucket=site.bucket)
    for what in ("policy", "versioning", "encryption", "lifecycle_configuration", "tagging"):
        getattr(s3, f"get_bucket_{what}")(Bucket=site.bucket)
    s3.get_object(Bucket=site.bucket, Key="policy.json")
    key = kms.describe_key(KeyId=f"alias/{CLUSTER}-swarm")["KeyMetadata"]["KeyId"]
    kms.get_key_rotation_status(KeyId=key)
    kms.list_resource_tags(KeyId=key)
    autoscaling = aws("autoscaling")
    autoscaling.describe_auto_scaling_groups(Filters=cluster)
    for role in ("manager", "worker"):
        name = f"{CLUSTER}-{role}"
        iam.get_role(RoleName=name)
        iam.get_role_policy(RoleName=name, PolicyName="swarm")
        iam.get_instance_profile(InstanceProfileName=name)
        ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])
        autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)


if __name__ == "__main__":
    main()
