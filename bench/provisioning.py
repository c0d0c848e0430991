"""The playbooks that provision, beside bare describe calls of the same resources by boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.comparison import Comparison
from bench.lab import done, seconds
from tests.lab.site import CLUSTER, RECORD, Site

RUNS = 2
BARE = "boto3's describe calls of the same resources"


def measure(site: Site) -> Iterator[Comparison]:
    """The first `site.yml`, which builds the cluster for all measurements; a second run without a change; a plan."""
    first = seconds(lambda: done(site.playbook("site.yml")))
    site.settle()
    calls = [counted(site, lambda: unchanged(site)), counted(site, lambda: describe(site))]
    again = [seconds(lambda: unchanged(site)) for _ in range(RUNS)]
    plan = [seconds(lambda: done(site.playbook("playbooks/plan.yml"))) for _ in range(RUNS)]
    bare = [seconds(lambda: describe(site)) for _ in range(RUNS)]
    yield Comparison("the first `site.yml`, until the page is served", [first], "`site.yml` without a change", again)
    yield Comparison("`site.yml` without a change", again, BARE, bare, f"{calls[0]} and {calls[1]} calls")
    yield Comparison("`plan.yml`", plan, BARE, bare)


def counted(site: Site, work: Callable[[], object]) -> int:
    """The number of the operator's calls during the work."""
    site.forget_calls()
    work()
    return sum(1 for call in site.calls() if call["caller"] == "lab")


def unchanged(site: Site) -> None:
    """A run of site.yml without a change."""
    if done(site.playbook("site.yml")).changed:
        raise SystemExit("site.yml changed something in a cluster that was complete.")


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
