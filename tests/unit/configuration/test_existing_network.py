"""Whether an existing VPC has what nodes need is checked before the first write, a sentence for each error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import existing_network
from ansible_collections.swarm.aws.plugins.module_utils.account.configuration_schema import SoundConfig
from ansible_collections.swarm.aws.plugins.module_utils.account.interface_endpoints import GLOBAL, needed, service_names
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags

from tests.unit.account.account import ACCOUNT_ID, REGION, Account, account
from tests.unit.configuration.configuration import group, settled
from tests.unit.existing import RANGE, VPC_TAGS, ZONES, Existing, existing_vpc

NO_IMAGE = {"node_images": {"x86_64": "ami-0123456789abcdef0"}, "ecr_repositories": ["shop"]}
OWN_TAG = [{"Key": tags.CLUSTER, "Value": "example"}]


@pytest.fixture
def world() -> Iterator[Account]:
    with account() as made:
        yield made


@pytest.fixture
def public(world: Account) -> Existing:
    return existing_vpc(world.aws.client("ec2"))


@pytest.fixture
def private(world: Account) -> Existing:
    return existing_vpc(world.aws.client("ec2"), public=False)


def look(world: Account, **changed: Any) -> tuple[dict[str, Any], list[str], list[str]]:
    """The resolved configuration, the errors and the warnings; nothing is written."""
    with world.recording() as writes:
        # New clients are recorded, and get the changed answers.
        world.aws.forget()
        found = existing_network.resolved(world.aws, SoundConfig(settled(**changed)))
    assert writes == []
    return found


def error(world: Account, **changed: Any) -> str:
    """The only error."""
    (found,) = look(world, **changed)[1]
    return found


def warning(world: Account, **changed: Any) -> str:
    """The only warning, without an error."""
    _, errors, (found,) = look(world, **changed)
    assert errors == []
    return found


def test_a_vpc_and_subnets_are_found_by_their_ids_or_their_tags(world: Account, public: Existing) -> None:
    for variables in (public.variables(), public.by_tags()):
        config, errors, warnings = look(world, **variables)
        assert (errors, warnings) == ([], [])
        assert (config["zones"], config["public_addresses"], config["vpc_cidr"]) == (list(ZONES), True, None)
        assert config["network"] == {
            "vpc_id": public.vpc,
            "subnets": dict(public.subnets),
            "security_groups": [public.group],
            "ranges": [RANGE],
            "isolated": False,
            "endpoints": [],
        }


def test_several_subnets_of_a_zone_are_used_together(world: Account, public: Existing) -> None:
    more = world.aws.client("ec2").create_subnet(
        VpcId=public.vpc, AvailabilityZone=ZONES[0], CidrBlock="10.80.90.0/24"
    )["Subnet"]["SubnetId"]
    route(world, public, more)
    world.aws.client("ec2").modify_subnet_attribute(SubnetId=more, MapPublicIpOnLaunch={"Value": True})
    config, errors, _ = look(world, **public.variables(subnets=[more, *public.subnets.values()]))
    assert errors == []
    assert config["network"]["subnets"][ZONES[0]] == ",".join(sorted([more, public.subnets[ZONES[0]]]))


def test_subnets_without_public_addresses_make_private_nodes(world: Account, private: Existing) -> None:
    config, errors, warnings = look(world, **private.variables())
    assert (errors, warnings) == ([], [])
    assert config["public_addresses"] is False


def route(world: Account, theirs: Existing, subnet: str) -> None:
    world.aws.client("ec2").associate_route_table(RouteTableId=theirs.table, SubnetId=subnet)


FORMS: dict[str, tuple[dict[str, Any], str]] = {
    "zones": ({"zones": ["eu-west-1a"]}, "zones and network exclude each other, since the zones are those of the"),
    "a range": ({"vpc_cidr": "10.9.0.0/16"}, "vpc_cidr and network exclude each other, since the VPC has its range"),
    "private nodes": ({"private_nodes": {}}, "private_nodes and network exclude each other, since the subnets decide"),
}


@pytest.mark.parametrize("what", FORMS)
def test_settings_of_the_own_vpc_are_refused_beside_network(world: Account, public: Existing, what: str) -> None:
    changed, sentence = FORMS[what]
    assert sentence in error(world, **{**public.variables(), **changed})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"vpc_id": None}, "network needs vpc_id or vpc_tags, and not both: set one of them."),
        ({"vpc_tags": VPC_TAGS}, "network needs vpc_id or vpc_tags, and not both"),
        ({"subnets": []}, "network needs subnets or subnet_tags, and not both"),
        ({"vpc_id": "office"}, "network.vpc_id has 'office', which is not an ID such as vpc-0123456789abcdef0."),
        ({"subnets": ["subnet-1", "subnet-0123456789abcdef0"]}, "network.subnets has 'subnet-1', which is not an ID"),
        ({"subnets": ["subnet-0123456789abcdef0"] * 2}, "network.subnets has subnet-0123456789abcdef0 more than once."),
        ({"security_groups": ["office"]}, "network.security_groups has 'office', which is not an ID such as sg-0"),
        (
            {"vpc_id": "vpc-0123456789abcdef0"},
            f"network.vpc_id is vpc-0123456789abcdef0, but this VPC does not exist in the region {REGION} of the "
            f"account {ACCOUNT_ID}: correct it.",
        ),
        (
            {"vpc_id": None, "vpc_tags": {"Name": "home", "floor": 2}},
            f"network.vpc_tags is Name: home, floor: 2, but no VPC in the region {REGION} of the account {ACCOUNT_ID} "
            "has these tags: correct them, or set vpc_id.",
        ),
        (
            {"subnets": ["subnet-0123456789abcdef0"]},
            "network.subnets has subnet-0123456789abcdef0, but this subnet does not exist in the region",
        ),
        (
            {"subnets": None, "subnet_tags": {"tier": "web"}},
            "network.subnet_tags is tier: web, but no subnet of the VPC vpc-",
        ),
        ({"security_groups": ["sg-0123456789abcdef0"]}, "security_groups has sg-0123456789abcdef0, but the VPC vpc-"),
    ],
)
def test_a_wrong_network_is_refused(world: Account, public: Existing, changed: dict[str, Any], sentence: str) -> None:
    assert sentence in error(world, **public.variables(**changed))


def test_a_subnet_without_ipv4_is_refused(world: Account, public: Existing) -> None:
    def native(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Subnets"][0]["Ipv6Native"] = True

    with world.changing("DescribeSubnets", native):
        assert "of network has no IPv4 range, which nodes need: use another subnet." in error(
            world, **public.variables()
        )


def test_tags_of_two_vpcs_are_refused(world: Account, public: Existing) -> None:
    other = existing_vpc(world.aws.client("ec2"), cidr="10.81.0.0/16")
    assert f"but 2 VPCs have these tags, {', '.join(sorted([other.vpc, public.vpc]))}: set vpc_id" in error(
        world, **public.by_tags()
    )


def test_a_subnet_of_another_vpc_is_refused(world: Account, public: Existing) -> None:
    other = existing_vpc(world.aws.client("ec2"), cidr="10.81.0.0/16")
    elsewhere = other.subnets[ZONES[0]]
    found = error(world, **public.variables(subnets=[elsewhere, *list(public.subnets.values())[1:]]))
    assert found == (
        f"network.subnets has {elsewhere}, which is in the VPC {other.vpc} and not in {public.vpc}: use subnets of "
        "that VPC."
    )


def test_a_vpc_of_another_account_is_refused(world: Account, public: Existing) -> None:
    def shared(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Vpcs"][0]["OwnerId"] = "210987654321"

    with world.changing("DescribeVpcs", shared):
        sentence = f"The VPC {public.vpc} is shared by the account 210987654321, but must be the account's own: use"
        assert sentence in error(world, **public.variables())


def test_resources_with_the_clusters_tag_are_refused(world: Account, public: Existing) -> None:
    ec2 = world.aws.client("ec2")
    for kind, identifier in (
        ("VPC", public.vpc),
        ("subnet", public.subnets[ZONES[1]]),
        ("security group", public.group),
    ):
        ec2.create_tags(Resources=[identifier], Tags=OWN_TAG)
        assert error(world, **public.variables()) == (
            f"The {kind} {identifier} of network has the tag swarm.aws/cluster: example, so destroy.yml would delete "
            "it: remove the tag."
        )
        ec2.delete_tags(Resources=[identifier], Tags=OWN_TAG)


def test_more_security_groups_than_aws_allows_are_refused(world: Account, public: Existing) -> None:
    ec2 = world.aws.client("ec2")
    made = [
        ec2.create_security_group(GroupName=f"g{number}", Description="g", VpcId=public.vpc)["GroupId"]
        for number in range(14)
    ]
    own = [group(security_groups=made[:3])]
    assert "AWS allows 5 by default: check the quota 'Security groups per network interface'" in warning(
        world, node_groups=own, **public.variables(security_groups=[])
    )
    config, _, _ = look(world, node_groups=own, **public.variables())
    assert config["node_groups"][0]["security_groups"] == made[:3]
    assert "security_groups has 14 groups, but AWS allows 16 per instance, and 3 are the cluster's" in error(
        world, **public.variables(security_groups=made)
    )


def test_security_groups_of_a_group_need_network(world: Account) -> None:
    assert "node_groups[manager]: security_groups are for the VPC of network" in error(
        world, node_groups=[group(security_groups=["sg-0123456789abcdef0"])]
    )


# Routes

Change = Callable[[Any, Existing], Any]
ANYWHERE = "0.0.0.0/0"


def without_route(ec2: Any, theirs: Existing) -> None:
    ec2.delete_route(RouteTableId=theirs.table, DestinationCidrBlock=ANYWHERE)


def to_the_internet(ec2: Any, theirs: Existing) -> None:
    filters = [{"Name": "attachment.vpc-id", "Values": [theirs.vpc]}]
    (gateway,) = ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]
    route = {"RouteTableId": theirs.table, "DestinationCidrBlock": ANYWHERE}
    ec2.replace_route(**route, GatewayId=gateway["InternetGatewayId"])


def by_a_peer(ec2: Any, theirs: Existing) -> None:
    without_route(ec2, theirs)
    peer = ec2.create_vpc(CidrBlock="10.81.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_vpc_peering_connection(VpcId=theirs.vpc, PeerVpcId=peer)["VpcPeeringConnection"]
    ec2.create_route(
        RouteTableId=theirs.table,
        DestinationCidrBlock="10.81.0.0/16",
        VpcPeeringConnectionId=made["VpcPeeringConnectionId"],
    )


def endpoints(ec2: Any, theirs: Existing, *names: str) -> list[str]:
    """Interface endpoints, and S3's gateway endpoint."""
    made = []
    for name in names:
        by_gateway = name == "s3"
        own = (
            {"VpcEndpointType": "Gateway", "RouteTableIds": [theirs.table]}
            if by_gateway
            else {
                "VpcEndpointType": "Interface",
                "SubnetIds": list(theirs.subnets.values()),
                "SecurityGroupIds": [theirs.group],
                "PrivateDnsEnabled": True,
                **({"ServiceRegion": GLOBAL[name]} if name in GLOBAL else {}),
            }
        )
        answer = ec2.create_vpc_endpoint(VpcId=theirs.vpc, ServiceName=service_names(name, REGION)[0], **own)
        made.append(answer["VpcEndpoint"]["VpcEndpointId"])
    return made


def test_public_subnets_without_a_route_to_the_internet_are_refused(world: Account, public: Existing) -> None:
    without_route(world.aws.client("ec2"), public)
    assert error(world, **public.variables()) == (
        f"The subnets {', '.join(sorted(public.subnets.values()))} assign public addresses, but their route table "
        f"{public.table} has no route from 0.0.0.0/0 to an internet gateway: add the route, or turn the public "
        "addresses off."
    )


def test_subnets_of_both_kinds_are_refused(world: Account, public: Existing) -> None:
    closed = public.subnets[ZONES[2]]
    world.aws.client("ec2").modify_subnet_attribute(SubnetId=closed, MapPublicIpOnLaunch={"Value": False})
    assert f" assign public addresses and {closed} do not: use subnets of one kind." in error(
        world, **public.variables()
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [(without_route, "have no route to 0.0.0.0/0"), (to_the_internet, "lead to the internet gateway igw-")],
)
def test_private_subnets_without_a_way_out_are_refused(
    world: Account, private: Existing, change: Change, reason: str
) -> None:
    change(world.aws.client("ec2"), private)
    found = error(world, **private.variables())
    assert reason in found
    assert (
        f"and the VPC {private.vpc} has no endpoint with private DNS names for autoscaling, ec2, monitoring, route53, "
        "sqs, ssm, ssmmessages, s3: add a route to a NAT gateway or the endpoints, or set http_proxy." in found
    )


def test_a_route_to_another_vpc_without_endpoints_is_a_warning(world: Account, private: Existing) -> None:
    by_a_peer(world.aws.client("ec2"), private)
    assert "make sure that the table's other routes lead to these services." in warning(world, **private.variables())


def test_a_route_to_a_deleted_gateway_is_refused(world: Account, private: Existing) -> None:
    def gone(parsed: dict[str, Any], **_: Any) -> None:
        for table in parsed["RouteTables"]:
            for entry in table["Routes"]:
                if "NatGatewayId" in entry:
                    entry["State"] = "blackhole"

    with world.changing("DescribeRouteTables", gone):
        assert "which does not exist any more: correct the route to 0.0.0.0/0." in error(world, **private.variables())


def test_private_subnets_with_every_endpoint_are_isolated(world: Account, private: Existing) -> None:
    ec2, variables = world.aws.client("ec2"), {**private.variables(), **NO_IMAGE}
    without_route(ec2, private)
    wanted = needed(settled(**variables))
    made = endpoints(ec2, private, "s3", *wanted)
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    assert f"for {', '.join(wanted)} in the VPC {private.vpc} do not allow port 443 from 10.80.0.0/16" in warning(
        world, **{**variables, "network": {**variables["network"], "security_groups": []}}
    )
    ec2.authorize_security_group_ingress(GroupId=private.group, IpPermissions=[rule])
    config, errors, warnings = look(world, **variables)
    assert (errors, warnings, config["network"]["isolated"]) == ([], [], True)
    ec2.modify_vpc_attribute(VpcId=private.vpc, EnableDnsHostnames={"Value": False})
    assert f"The VPC {private.vpc} has enableDnsHostnames turned off, so the names of its interface endpoints" in error(
        world, **variables
    )
    ec2.delete_vpc_endpoints(VpcEndpointIds=made[:1])
    assert "has no endpoint with private DNS names for s3: add a route" in error(world, **variables)


def test_with_a_proxy_nodes_need_neither_a_route_out_nor_endpoints(world: Account, private: Existing) -> None:
    ec2, variables = world.aws.client("ec2"), {**private.variables(), "http_proxy": {"url": "http://proxy:3128"}}
    without_route(ec2, private)
    config, errors, warnings = look(world, **variables)
    assert (errors, warnings) == ([], [])
    assert (config["network"]["isolated"], config["network"]["endpoints"]) == (False, [])
    endpoints(ec2, private, "s3", "sqs")
    assert look(world, **variables)[0]["network"]["endpoints"] == ["s3", "sqs"]
    ec2.modify_vpc_attribute(VpcId=private.vpc, EnableDnsHostnames={"Value": False})
    assert look(world, **variables)[0]["network"]["endpoints"] == ["s3"], "the names do not lead to the endpoints"


# DNS, ranges, addresses


def test_a_vpc_that_resolves_no_names_is_refused(world: Account, public: Existing) -> None:
    world.aws.client("ec2").modify_vpc_attribute(VpcId=public.vpc, EnableDnsSupport={"Value": False})
    assert error(world, **public.variables()) == (
        f"The VPC {public.vpc} has enableDnsSupport turned off, so nodes cannot resolve AWS's names: turn it on."
    )


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.17.0.0/16"])
def test_subnets_in_dockers_address_pools_are_refused(world: Account, cidr: str) -> None:
    theirs = existing_vpc(world.aws.client("ec2"), cidr=cidr)
    said = error(world, **theirs.variables())
    assert f" overlap {cidr}, used by " in said
    assert " to other addresses, or use subnets with other ranges." in said


def test_the_range_of_awss_console_is_accepted_with_another_pool(world: Account) -> None:
    theirs = existing_vpc(world.aws.client("ec2"), cidr="10.0.0.0/16")
    assert look(world, swarm_address_pool=["172.30.0.0/16"], **theirs.variables())[1:] == ([], [])


def test_a_vpc_with_other_ranges_in_dockers_pools_is_a_warning(world: Account) -> None:
    ec2 = world.aws.client("ec2")
    theirs = existing_vpc(ec2)
    ec2.associate_vpc_cidr_block(VpcId=theirs.vpc, CidrBlock="10.0.0.0/20")
    assert warning(world, **theirs.variables()) == (
        f"The range 10.0.0.0/20 of the VPC {theirs.vpc} overlaps 10.0.0.0/16, used by the swarm's first overlay "
        "networks: containers may not reach other hosts there, unless you set swarm_address_pool to other addresses."
    )


def test_ipv6_needs_ranges_and_a_route(world: Account, public: Existing) -> None:
    variables = public.variables()
    _, errors, _ = look(world, **{**variables, "dns": {**variables["dns"], "ipv6": True}})
    assert [sentence.partition(" of the ")[0].partition(" subnet-")[0] for sentence in errors] == [
        f"dns.ipv6 is true, but the route table {public.table}",
        "dns.ipv6 is true, but the subnets",
    ]


def test_too_few_free_addresses_are_refused(world: Account, public: Existing) -> None:
    assert error(world, node_groups=[group(max=760)], **public.variables()) == (
        "The subnets of network have 753 free addresses in eu-west-1a, eu-west-1b, eu-west-1c, but the groups may need "
        "760 more: use larger or more subnets, or decrease max."
    )
    assert "have 251 free addresses in eu-west-1a, but the groups may need 300 more" in error(
        world, node_groups=[group(max=300, zones=["eu-west-1a"])], **public.variables()
    )
    assert look(world, node_groups=[group(max=753)], **public.variables())[1] == []


def test_addresses_of_running_nodes_are_not_needed_again(world: Account, public: Existing) -> None:
    ec2 = world.aws.client("ec2")
    image = ec2.register_image(Name="debian")["ImageId"]
    for subnet in public.subnets.values():
        ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            TagSpecifications=tags.specification("instance", {tags.CLUSTER: "example"}),
        )
    assert look(world, node_groups=[group(max=753)], **public.variables())[1] == []
    assert "have 750 free addresses" in error(world, node_groups=[group(max=754)], **public.variables())


# Permissions and other clusters


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("DescribeVpcAttribute", "DNS in the VPC"),
        ("DescribeSecurityGroups", "the security groups"),
        ("DescribeRouteTables", "routes"),
        ("DescribeInstances", "free addresses"),
    ],
)
def test_what_the_credentials_may_not_read_is_a_warning(
    world: Account, public: Existing, operation: str, what: str
) -> None:
    with world.refusing(operation, "UnauthorizedOperation"):
        assert warning(world, **public.variables()) == (
            f"Your credentials have no permission for {operation}, so {what} could not be checked."
        )


@pytest.mark.parametrize("operation", ["DescribeVpcs", "DescribeSubnets"])
def test_a_vpc_that_cannot_be_read_is_an_error(world: Account, public: Existing, operation: str) -> None:
    with world.refusing(operation, "UnauthorizedOperation"):
        assert f"AWS refused {operation} with UnauthorizedOperation" in error(world, **public.variables())


def test_a_cluster_cannot_move_to_another_vpc(world: Account, public: Existing) -> None:
    ec2 = world.aws.client("ec2")
    assert list(existing_network.moved(world.aws, "example", [public.vpc])) == []
    specification = tags.specification("security-group", {tags.CLUSTER: "example"})
    ec2.create_security_group(
        GroupName="example-member", Description="m", VpcId=public.vpc, TagSpecifications=specification
    )
    assert list(existing_network.moved(world.aws, "example", [public.vpc])) == []
    for wanted in ([], ["vpc-0123456789abcdef0"]):
        assert list(existing_network.moved(world.aws, "example", wanted)) == [
            f"The cluster example is in the VPC {public.vpc}, and cannot move to another VPC: restore network, or "
            "create another cluster."
        ]


def test_in_another_account_nothing_is_read(world: Account, public: Existing) -> None:
    with world.recording():
        refused = existing_network.resolved(world.aws, SoundConfig(settled(**public.variables())), readable=False)
        assert (refused[1], world.reads) == ([], [])
