"""What a configuration must hold to that no account needs to be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_rules, preflight
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.configuration.configuration import group, settled

REGIONS = ["eu-west-1", "eu-west-2", "us-east-1"]
TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
DNS = {"zone": "swarm.test", "record": "www.swarm.test"}
PRIVATE = {"private_nodes": {}, "dns": {**DNS, "addresses": "private"}}
CLOUD_MAP = {"namespace": "swarm.test", "service": "www"}
ENDPOINTS = {**PRIVATE, "private_nodes": {"nat": "none"}, "ecr_repositories": ["shop/*"]}
IMAGES = {"node_images": {"x86_64": "ami-0123456789abcdef0"}}


def check(**changed: Any) -> configuration_rules.Findings:
    return configuration_rules.check(settled(**changed), REGIONS)


def managers(**changed: Any) -> dict[str, Any]:
    """A single group, of three managers, with some keys changed."""
    return {"node_groups": [group(**changed)]}


def workers(**changed: Any) -> dict[str, Any]:
    """A group of workers beside the managers, with one of four that it may have."""
    given = {"name": "worker", "role": "worker", "dns": False, "desired": 1, "max": 4, **changed}
    return {"node_groups": [group(), given]}


def spot(kinds: Sequence[str] = ("t3.small", "t3a.small"), **changed: Any) -> dict[str, Any]:
    return workers(instance_types=list(kinds), spot=changed)


def volume(*more: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Managers with a data volume, some of whose keys are changed, and more volumes."""
    return managers(volumes=[{"label": "data", "size": 50, **changed}, *more])


def test_the_example_is_valid() -> None:
    found = check()

    assert (found.errors, found.warnings) == ([], [])


@pytest.mark.parametrize("owner", ["123456789012", "aws"])
def test_a_permissions_boundary_is_a_policy_of_the_account_or_of_aws(owner: str) -> None:
    assert check(permissions_boundary=f"arn:aws:iam::{owner}:policy/teams/boundary").errors == []


def test_a_volume_may_use_the_limits_of_its_type() -> None:
    fast = {"label": "fast", "size": 160, "iops": 80000, "throughput": 2000, "mount": "/mnt/fast"}
    slow = {"label": "slow", "size": 16384, "type": "gp2"}
    found = check(**managers(volume_iops=10000, volume_throughput=1000, volumes=[fast, slow]))

    assert (found.errors, found.warnings) == ([], [])


def test_a_group_of_workers_may_scale_with_or_without_monitoring() -> None:
    for monitoring in (None, {"emails": ["operator@example.com"], "period_seconds": 10}):
        assert check(**workers(scaling={"target": 80}), monitoring=monitoring).errors == []


@pytest.mark.parametrize("pool", [{}, {"min": 0}, {"min": 2, "max": 2}, {"max": 9}], ids=str)
def test_a_group_of_workers_may_have_a_warm_pool(pool: dict[str, Any]) -> None:
    found = check(**workers(warm_pool=pool, scaling={}))
    assert (found.errors, found.warnings) == ([], [])


def test_with_a_proxy_nodes_without_nat_need_no_image_of_their_own() -> None:
    private = {"private_nodes": {"nat": "none"}, "dns": None, **managers(dns=False, target_groups=[TARGET_GROUP])}
    proxy = {
        "url": "http://10.1.2.3:3128/",
        "no_proxy": ["registry.example.com", ".example.com", "10.0.0.0/8", "10.1.2.3"],
    }
    assert check(**private, http_proxy=proxy) == ([], [])


def test_nodes_reach_the_vpc_and_its_endpoints_without_the_proxy() -> None:
    def no_proxy(network: dict[str, Any] | None = None, **changed: Any) -> list[str]:
        proxy = {"url": "http://proxy:3128/", "no_proxy": [".example.com"]}
        found = preflight._proxy({**settled(**changed, http_proxy=proxy), "network": network}, "amazonaws.com")
        assert found and found["url"] == "http://proxy:3128"
        return found["no_proxy"].split(",")

    usual = [*preflight.ALWAYS_DIRECT, "10.20.0.0/16", "s3.eu-west-1.amazonaws.com"]
    assert no_proxy() == [*usual, "s3.dualstack.eu-west-1.amazonaws.com", ".example.com"]
    private = no_proxy(private_nodes={"nat": "none"}, ecr_repositories=["shop"])
    assert {*usual, "sqs.eu-west-1.amazonaws.com", "dkr.ecr.eu-west-1.amazonaws.com", "route53.amazonaws.com"} < {
        *private
    }
    assert no_proxy({"ranges": ["10.80.0.0/16"], "endpoints": ["sqs"]}) == [
        *preflight.ALWAYS_DIRECT,
        "10.80.0.0/16",
        "sqs.eu-west-1.amazonaws.com",
        ".example.com",
    ]


def test_repositories_may_be_names_patterns_or_arns() -> None:
    names = ["shop", "shop/*", "arn:aws:ecr:us-east-1:210987654321:repository/shop/page"]
    assert check(ecr_repositories=names).errors == []


def test_a_cloud_map_service_may_replace_the_record() -> None:
    found = check(dns={"cloud_map": CLOUD_MAP})

    assert (found.errors, found.warnings) == ([], [])
    assert configuration_rules.service_name({"namespace": "Swarm.test.", "service": "WWW"}) == "www.swarm.test"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (
            {"http_proxy": {"url": "proxy.example.com:3128"}},
            "http_proxy.url is 'proxy.example.com:3128', but must be an address such as http://proxy.example.com:3128.",
        ),
        ({"http_proxy": {"url": "https://proxy:3128"}}, "http_proxy.url is 'https://proxy:3128', but must be"),
        (
            {"http_proxy": {"url": "http://me:secret@proxy:3128"}},
            "http_proxy.url has a user name or a password, which every process on the nodes could read: use a proxy",
        ),
        (
            {"http_proxy": {"url": "http://proxy:3128", "no_proxy": ["*.example.com"]}},
            "http_proxy.no_proxy has '*.example.com', but must have hosts, domains such as .example.com, and CIDR",
        ),
        (
            {"http_proxy": {"url": "http://proxy:3128", "no_proxy": ["10.1.2.3/8"]}},
            "http_proxy.no_proxy has '10.1.2.3/8', which is not the start of a CIDR block; did you mean '10.0.0.0/8'?",
        ),
        (
            {"http_proxy": {"url": "http://proxy:3128", "no_proxy": ["a.example.com"] * 30}},
            "http_proxy.no_proxy has more than 250 characters",
        ),
        (
            {"http_proxy": {"url": "http://proxy:3128"}, **managers(user_data="#!/bin/sh\n" + "x" * 4096)},
            "node_groups[manager]: user_data has 4106 bytes, but the maximum with http_proxy is 4096.",
        ),
        (
            {"monitoring": {"period_seconds": 45}},
            "monitoring.period_seconds is 45, but CloudWatch's alarms support only 10, 20",
        ),
        ({"monitoring": {"prometheus_port": 2377}}, "monitoring.prometheus_port is 2377, but must be between 1024"),
        *(
            (
                {"monitoring": {"emails": [address]}},
                f"monitoring.emails has '{address}', which is not an email address",
            )
            for address in (
                *("me", "Me <me@example.com>", "<me@example.com>", "mailto:me@example.com", "me@example..com"),
                *("a@example.com,b@example.com", "me@-example.com", ".me@example.com", "jürgen@example.com"),
                f"{'x' * 65}@example.com",
            )
        ),
        ({"monitoring": {"tls_ports": [8443]}}, "monitoring.tls_ports has 8443, but no client reaches it: open it in"),
        (
            {"monitoring": {"tls_ports": [443]}, "dns": None},
            "monitoring.tls_ports checks the addresses of the cluster's record, but dns is not set: set it, or",
        ),
        ({"monitoring": {"certificate_days": 0}}, "monitoring.certificate_days is 0, but must be 1 or more."),
        (
            {"monitoring": {"topic_arn": "arn:aws:sns:us-east-1:123456789012:alarms"}},
            "alarms can use only topics of their own account and region: use an ARN that ends with :sns:eu-west-1:",
        ),
        (
            {"monitoring": {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:a", "emails": ["a@example.com"]}},
            "monitoring has both emails and topic_arn: subscribe the addresses to the topic, or remove topic_arn.",
        ),
        (
            {"private_nodes": {}},
            "dns.addresses is public, but with private_nodes no node has a public address: set it to private",
        ),
        (
            {**PRIVATE, "dns": {**PRIVATE["dns"], "ipv6": True}},
            "dns.ipv6 is true, but IPv6 addresses are public: remove dns.ipv6, or private_nodes.",
        ),
        (
            ENDPOINTS,
            "node_groups[manager]: private_nodes.nat is none, so its nodes reach no mirror of the packages that "
            "they need: set node_images for x86_64 to an image with the packages, or fetch them in user_data",
        ),
        (
            {**ENDPOINTS, "ecr_repositories": ["arn:aws:ecr:us-east-1:210987654321:repository/shop"]},
            "private_nodes.nat is none, so the nodes reach only ECR in eu-west-1: replicate the repository",
        ),
        (
            {"private_nodes": {}, "vpc_cidr": "10.20.0.0/26"},
            "vpc_cidr 10.20.0.0/26 is too small: it has space for 4 subnets, but the zones need 6: use a larger range",
        ),
        ({"account_id": "12345"}, "account_id is '12345', but an account ID has 12 digits"),
        ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region; did you mean 'eu-west-"),
        ({"cluster_name": "My Swarm"}, "cluster_name is 'My Swarm', but must be"),
        ({"cluster_name": "xn--web"}, "cluster_name is 'xn--web', but the names of S3 buckets cannot start with xn--"),
        ({"cluster_name": "sthree"}, "cluster_name is 'sthree', but the names of S3 buckets cannot start with sthree-"),
        ({"cluster_name": "amzn-s3-demo"}, "the names of S3 buckets cannot start with amzn-s3-demo-: choose another"),
        ({"iam_path": "teams/blue"}, "iam_path is 'teams/blue', but must begin and end with /, such as /teams/blue/"),
        ({"cluster_name": "sg"}, "cluster_name is 'sg', but the names of EC2 security groups cannot start with sg-"),
        ({"ecr_repositories": ["shop:latest"]}, "ecr_repositories has 'shop:latest', which is neither the name of a"),
        ({"ecr_repositories": ["arn:aws:s3:::shop"]}, "ecr_repositories has 'arn:aws:s3:::shop', which is neither"),
        (
            {"permissions_boundary": "boundary"},
            "permissions_boundary is 'boundary', which is not the ARN of a managed policy: use an ARN such as arn:aws:",
        ),
        ({"ebs_kms_key": "arn:aws:kms:eu-west-1:123456789012:1234"}, "which cannot be a KMS key: use alias/aws/ebs"),
        ({"permissions_boundary": "arn:aws:iam::123456789012:role/boundary"}, "not the ARN of a managed policy"),
        ({"permissions_boundary": "arn:aws:iam::123456789012:policy/teams/"}, "not the ARN of a managed policy"),
        (
            {"permissions_boundary": "arn:aws:iam::210987654321:policy/boundary"},
            "permissions_boundary is a policy of the account 210987654321, but must be a policy of the cluster's "
            "account, 123456789012, or of AWS: create the policy there.",
        ),
        ({"zones": []}, "zones is empty"),
        ({"zones": None}, "zones is empty"),
        ({"zones": ["eu-west-1a", "eu-west-1a"]}, "zones has eu-west-1a more than once"),
        ({"vpc_cidr": "10.20.0.0"}, "vpc_cidr has '10.20.0.0', which is not the start of a CIDR block"),
        ({"vpc_cidr": "10.20.0.1/16"}, "did you mean '10.20.0.0/16'?"),
        ({"vpc_cidr": "10.0.0.0/8"}, "vpc_cidr is 10.0.0.0/8, but the size of a VPC must be between /16 and /28"),
        ({"vpc_cidr": "10.20.0.0/28"}, "it has space for 1 subnet, but the zones need 3"),
        ({"vpc_cidr": "10.20.0.0/26", **managers(max=40)}, "vpc_cidr 10.20.0.0/26 is too small"),
        ({"vpc_cidr": "172.17.0.0/16"}, "overlaps 172.17.0.0/16, used by Docker's bridge network"),
        ({"vpc_cidr": "10.0.0.0/16"}, "overlaps 10.0.0.0/16, used by the swarm's first overlay networks"),
        ({"ssh_access": ["0.0.0.0/0"]}, "opens SSH to the whole internet"),
        ({"ssh_access": ["home"]}, "ssh_access has 'home', which is not a CIDR block"),
        ({"ssh_access": ["2001:db8::/32"]}, "only IPv4 blocks are supported"),
        ({"published_ports": [{"port": 2375}]}, "published_ports has 2375, which is not for the public"),
        ({"published_ports": [{"port": 0}]}, "published_ports has 0, but must be between 1 and 65535"),
        ({"published_ports": [{"port": 80, "from": ["2001:db8::/32"]}]}, "no node has an IPv6 address: set dns.ipv6"),
        ({"dns": {"zone": "example.com", "record": "swarm.example.org"}}, "is not in the zone example.com"),
        ({"dns": {"zone": "example.com", "record": "example.com", "ttl": 0}}, "dns.ttl is 0"),
        (
            {"dns": {"zone": "example.com", "record": f"{'.'.join(['x' * 59] * 4)}.example.com"}},
            "dns.record has 251 characters, but the maximum is 242, because of its TXT record _swarm-aws.x",
        ),
        ({"dns": {"zone": "example.com"}}, "dns.record missing: dns needs zone and record, or"),
        ({"dns": {"ttl": 60}}, "dns.zone and dns.record missing"),
        ({"dns": {**DNS, "cloud_map": CLOUD_MAP}}, "dns has both a record and cloud_map, but a cluster can"),
        (
            {"dns": {"cloud_map": {**CLOUD_MAP, "service": "a.b"}}},
            "dns.cloud_map makes the name 'a.b.swarm.test', which",
        ),
        ({"dns": {"cloud_map": {**CLOUD_MAP, "service": "*"}}}, "dns.cloud_map makes the name '*.swarm.test', which"),
        (
            {"dns": {"cloud_map": CLOUD_MAP}, **workers(desired=98, max=98, dns=True)},
            "The groups with dns may have 101 nodes together, but Cloud Map allows 100 per service",
        ),
        ({"node_groups": []}, "node_groups is empty"),
        ({"node_groups": [group(), group()]}, "node_groups has two groups named 'manager'"),
        (managers(role="worker"), "node_groups has no managers"),
        (managers(desired=9), "node_groups has 9 managers, but more than 7"),
        (managers(desired=4, max=3), "min 4, desired 4 and max 3 must be in ascending order"),
        (managers(zones=["eu-west-1d"]), "zone eu-west-1d is not one of the cluster's zones; did you"),
        (managers(name="Web_1"), "name must be 1 to 31 lower-case letters"),
        (managers(volume_size=4), "volume_size is 4, but must be between 8 and 16384"),
        (managers(instance_types=[]), "instance_types is empty"),
        (managers(launch_seconds=10), "launch_seconds is 10, but must be between 60 and 6900"),
        (managers(labels={"swarm.aws.zone": "x"}), "label 'swarm.aws.zone' is reserved"),
        (managers(labels={"edge": ["a"]}), "label 'edge' must have a string, a number or a boolean"),
        (managers(labels={"edge": None}), "label 'edge' has no value: set a value such as 'true', or remove the"),
        (managers(volume_iops=90000), "volume_iops is 90000, but must be between 3000 and 80000"),
        (managers(volume_iops=15000), "volume_iops is 15000, but the maximum for 20 GiB is 10000"),
        (managers(volume_throughput=100), "volume_throughput is 100, but must be between 125 and 2000"),
        (managers(volume_throughput=800), "which needs 3200 IOPS, but volume_iops is 3000: increase it"),
        (managers(volume_type="gp2", volume_iops=3000), "volume_iops is only for volumes of type gp3, but"),
        (volume(label="My data"), "volumes[0].label is 'My data', but must be 1 to 16 lower-case"),
        (volume(size=0), "volumes[0].size is 0, but must be between 1 and 65536 GiB for type gp3"),
        (volume(size=20000, type="gp2"), "volumes[0].size is 20000, but must be between 1 and"),
        (volume(iops=4000, size=7), "volumes[0].iops is 4000, but the maximum for 7 GiB is 3500"),
        (volume(mount="/etc"), "volumes[0].mount is '/etc', but must be a folder under /srv or /mnt"),
        (volume(mount="/srv/../etc"), "volumes[0].mount is '/srv/../etc', but must be a folder"),
        (volume({"label": "data", "size": 1, "mount": "/mnt/x"}), "the label 'data' more than once"),
        (
            volume({"label": "more", "size": 1, "mount": "/srv/data/more"}),
            "volumes has /srv/data and /srv/data/more, but mount points cannot be nested",
        ),
        (
            volume(*({"label": f"disk{number}", "size": 1} for number in range(11))),
            "volumes has 12, but the maximum is 11 per instance, without its root volume",
        ),
        (managers(labels={"volume.data": "true"}), "label 'volume.data' is reserved"),
        (
            managers(target_groups=["web"]),
            "target_groups has 'web', which is not the ARN of a target group, such as arn:aws:elasticloadbalancing:",
        ),
        (managers(target_groups=[TARGET_GROUP] * 2), f"target_groups has {TARGET_GROUP} more than"),
        (managers(max=5, scaling={}), "scaling is for workers: the number of managers depends on how many may fail"),
        (workers(scaling={"target": 0}), "scaling.target is 0, but must be a percentage"),
        (workers(scaling={"target": 101}), "scaling.target is 101, but must be a"),
        (workers(min=0, scaling={}), "min is 0, but a group that scales needs a node"),
        (workers(desired=2, max=2, scaling={}), "scaling has no effect between min 2 and max 2: increase max"),
        (
            {**workers(scaling={}), "monitoring": {"period_seconds": 300}},
            "monitoring.period_seconds is 300, but Auto Scaling evaluates the metrics of the groups worker every",
        ),
        (managers(max=5, warm_pool={}), "warm_pool is for workers: groups of managers do not grow with the load"),
        (workers(warm_pool={}, spot={}), "warm_pool and spot exclude each other"),
        (workers(warm_pool={"min": -1}), "warm_pool.min is -1 and warm_pool.max is 4, but they must be"),
        (workers(warm_pool={"max": 0}), "warm_pool.min is 1 and warm_pool.max is 0, but they must be"),
        (
            workers(warm_pool={"min": 0, "max": 1}),
            "warm_pool would always be empty, since the group's min, 1, is already the maximum of both together",
        ),
        (managers(spot={}), "spot is for workers: AWS could reclaim several managers at once"),
        (spot(share=0), "spot.share is 0, but must be a percentage"),
        (spot(share=101), "spot.share is 101, but must be a percentage"),
        (spot(on_demand_base=4), "spot.on_demand_base is 4, but must be at least 0 and less than max, 4"),
        (managers(user_data="echo"), "user_data must start with #! (a script) or #cloud-config"),
        (managers(user_data="#!" + "x" * 6143), "user_data has 6145 bytes, but the maximum is 6144."),
        (
            managers(volumes=[{"label": "data", "size": 50}], user_data="#!" + "x" * 4095),
            "user_data has 4097 bytes, but the maximum with volumes is 4096.",
        ),
    ],
)
def test_an_error_is_one_sentence(changed: dict[str, Any], error: str) -> None:
    found = check(**changed).errors

    assert [sentence for sentence in found if error in sentence], found
    assert all(sentence.count("\n") == 0 and sentence.endswith((".", "?")) for sentence in found), found


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        (
            managers(desired=4),
            "An even number of managers, 4, needs 3 of them for a quorum and survives the loss of 1, "
            "like 3 managers: use 3 or 5.",
        ),
        (managers(desired=1), "A single manager has no redundancy"),
        (managers(zones=["eu-west-1a"]), "3 managers in 1 zone: the loss of a zone"),
        (spot(["t3.small"]), "spot capacity of a single instance type, t3.small, is often reclaimed or not available"),
        ({"dns": None}, "The groups manager have dns: true, but dns of the cluster is not set"),
        (
            workers(name="web", max=398, dns=True),
            "The groups with dns may have 401 nodes together, but Route 53 allows 400 addresses in a record",
        ),
        (
            {"dns": {**DNS, "ipv6": True}, **workers(max=247, dns=True)},
            "may have 250 nodes together, but Route 53 allows 249 addresses of each kind in a record",
        ),
        (managers(dns=False), "dns is set, but no group has dns: true"),
        (
            {"private_nodes": {}, "dns": None, **managers(dns=False)},
            "The nodes are private, and neither dns nor target_groups of a group are set",
        ),
        ({**ENDPOINTS, **IMAGES}, "a node never joins if a package that it needs is neither in its image"),
        (
            {**ENDPOINTS, **managers(user_data="#!/bin/sh\n")},
            "a node never joins if a package that it needs is neither in its image nor fetched by user_data",
        ),
        (
            {**ENDPOINTS, **IMAGES, "ecr_repositories": []},
            "ecr_repositories is empty, and private_nodes.nat is none: the nodes reach no registry, and can run only",
        ),
        ({**PRIVATE, "session_manager": False}, "only hosts in the VPC, or connected to it, reach them by SSH"),
    ],
)
def test_an_unwise_value_is_a_warning(changed: dict[str, Any], warning: str) -> None:
    found = check(**changed)

    assert found.errors == []
    assert [sentence for sentence in found.warnings if warning in sentence], found.warnings


def test_ports_may_be_open_to_ipv6_ranges_if_nodes_have_ipv6() -> None:
    dns = {"zone": "example.com", "record": "example.com", "ipv6": True}
    found = check(dns=dns, published_ports=[{"port": 80, "from": ["2001:db8::/32", "192.0.2.0/24"]}])

    assert (found.errors, found.warnings) == ([], [])


@given(st.integers(1, 7))
def test_a_quorum_is_more_than_half(count: int) -> None:
    assert 2 * configuration_rules.quorum(count) > count >= 2 * configuration_rules.quorum(count) - 2


def test_alarms_without_a_subscriber_are_a_warning() -> None:
    found = check(monitoring={"emails": []})
    assert found.errors == []
    assert "alarms notify nobody until somebody subscribes to the topic example-alarms" in found.warnings[0]
    topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
    for quiet in ({"alarms": False}, {"emails": ["a@example.com"]}, {"topic_arn": topic}):
        assert check(monitoring=quiet).warnings == []
