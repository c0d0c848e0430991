"""EC2's instances are machines, with addresses and a firewall."""

from __future__ import annotations

import urllib.error
from ipaddress import ip_address, ip_network

import pytest

from lab.aws import view
from lab.aws.ports import Rule
from lab.network import Wiring, ipv6_ruleset, ruleset
from tests.unit.lab.fakes import REGION, LittleAws, Network, refused, until


def run(aws: LittleAws, network: Network, count: int = 1) -> list[str]:
    found = aws.launch("example", network.subnets[0], network.group, count, AssociatePublicIpAddress=True)
    ids = [instance["InstanceId"] for instance in found]
    aws.client("ec2").get_waiter("instance_running").wait(InstanceIds=ids)
    return ids


def test_addresses_come_from_the_subnet_and_the_pool_and_are_reused(aws: LittleAws, network: Network) -> None:
    first, second = run(aws, network, 2)
    specs = aws.machines.running
    assert [specs[instance].private_ip for instance in (first, second)] == ["127.20.0.4", "127.20.0.5"]
    assert [specs[instance].public_ip for instance in (first, second)] == ["198.51.100.1", "198.51.100.2"]
    aws.client("ec2").terminate_instances(InstanceIds=[first])
    aws.client("ec2").get_waiter("instance_terminated").wait(InstanceIds=[first])
    assert set(aws.machines.running) == {second}
    # A released address is not reused at once.
    (third,) = run(aws, network)
    assert (specs[third].private_ip, specs[third].public_ip) == ("127.20.0.6", "198.51.100.3")


def test_the_pool_of_public_addresses_is_limited(aws: LittleAws, network: Network) -> None:
    run(aws, network, 14)
    assert refused(lambda: run(aws, network)) == "InsufficientFreeAddressesInSubnet"


def test_an_instance_has_an_ipv6_address_if_its_template_says_so(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.associate_vpc_cidr_block(VpcId=network.vpc, AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]
    assert vpc["Ipv6CidrBlock"] == "2001:db8::/56"
    ec2.associate_subnet_cidr_block(SubnetId=network.subnets[0], Ipv6CidrBlock="2001:db8:0:7::/64")
    (subnet,) = ec2.describe_subnets(SubnetIds=network.subnets[:1])["Subnets"]
    assert [association["Ipv6CidrBlockState"] for association in subnet["Ipv6CidrBlockAssociationSet"]] == [
        {"State": "associated"}
    ]
    ranged = {"Name": "ipv6-cidr-block-association.ipv6-cidr-block", "Values": ["2001:db8:0:7::/64"]}
    state = {"Name": "ipv6-cidr-block-association.state", "Values": ["associated"]}
    assert [match["SubnetId"] for match in ec2.describe_subnets(Filters=[ranged, state])["Subnets"]] == network.subnets[
        :1
    ]
    interface = {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [network.group], "Ipv6AddressCount": 1}
    aws.template("dual", network.group, NetworkInterfaces=[interface])
    aws.group("dual", Network(network.vpc, network.subnets[:1], network.group), capacity=1)
    (member,) = aws.settled("dual", 1)
    own = aws.machines.running[member["InstanceId"]].ipv6
    assert own is not None
    assert ip_address(own) in ip_network("2001:db8:0:7::/64")
    (told,) = aws.instance(member["InstanceId"])["NetworkInterfaces"]
    assert [address["Ipv6Address"] for address in told["Ipv6Addresses"]] == [own]
    opened = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=[opened])
    firewall = view.firewall()
    assert own in firewall.members[network.group]
    wiring = Wiring(rules=firewall.rules, members=firewall.members)
    group = network.group.replace("-", "_")
    assert f"ip6 daddr @{group} ip6 saddr ::/0 tcp dport 80-80 accept;" in ipv6_ruleset(wiring)
    assert "::/0" not in ruleset(wiring)


def test_an_instance_can_be_rebooted_but_not_stopped(aws: LittleAws, network: Network) -> None:
    (instance_id,) = run(aws, network)
    aws.client("ec2").reboot_instances(InstanceIds=[instance_id])
    assert aws.machines.rebooted == [instance_id]
    assert refused(aws.client("ec2").stop_instances, InstanceIds=[instance_id]) == "UnsupportedOperation"


def test_an_instance_whose_machine_dies_is_stopped(aws: LittleAws, network: Network) -> None:
    (instance_id,) = run(aws, network)
    aws.machines.terminate(instance_id)
    until(lambda: aws.instance(instance_id)["State"]["Name"] == "stopped", "EC2 to notice")
    assert aws.instance(instance_id)["StateReason"]["Code"] == "Server.InternalError"


def test_the_firewall_follows_the_security_groups(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    before = aws.machines.firewall_changes
    ec2.authorize_security_group_ingress(
        GroupId=network.group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 2377, "ToPort": 2377, "UserIdGroupPairs": [{"GroupId": network.group}]},
            {"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        ],
    )
    assert aws.machines.firewall_changes > before
    (instance_id,) = run(aws, network)
    firewall = view.firewall()
    assert firewall.members[network.group] == {aws.machines.running[instance_id].private_ip}
    own = [rule for rule in firewall.rules if rule.group_id == network.group]
    assert own == [
        Rule(network.group, "tcp", 2377, 2377, (), (network.group,)),
        Rule(network.group, "udp", 4789, 4789, ("10.0.0.0/8",), ()),
    ]
    before = aws.machines.firewall_changes
    ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: network.group not in view.firewall().members, "the member to be removed")
    assert aws.machines.firewall_changes > before


def test_records_of_a_zone_are_listed(aws: LittleAws) -> None:
    zone = aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")["HostedZone"]["Id"]
    record = {"Name": "app.swarm.test", "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "198.51.100.9"}]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    (found,) = [zone_record for zone_record in view.zone_records() if zone_record.type == "A"]
    assert found.name.rstrip(".") == "app.swarm.test"
    assert (found.zone.rstrip("."), found.values, found.ttl) == ("swarm.test", ["198.51.100.9"], 10)


def test_the_command_line_lists_and_controls_instances(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=1)
    (member,) = aws.settled("example", 1)
    (shown,) = aws.control("GET", "instances")
    assert shown["instance_id"] == member["InstanceId"]
    assert (shown["group"], shown["zone"], shown["state"]) == ("example", f"{REGION}a", "running")
    assert (shown["lifecycle_state"], shown["health"]) == ("InService", "Healthy")
    for verb, undo, affected in (
        ("partition", "heal", aws.machines.cut),
        ("hang", "resume", aws.machines.hung),
    ):
        aws.control("POST", f"{verb}?instance={shown['instance_id']}")
        assert affected == {shown["instance_id"]}
        aws.control("POST", f"{undo}?instance={shown['instance_id']}")
        assert not affected
    with pytest.raises(urllib.error.HTTPError, match="404"):
        aws.control("POST", "partition?instance=i-0123456789abcdef0")


def test_a_new_account_has_the_public_images(aws: LittleAws) -> None:
    for architecture, name in (("x86_64", "amd64"), ("arm64", "arm64")):
        parameter = f"/aws/service/debian/release/13/latest/{name}"
        image_id = aws.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
        (image,) = aws.client("ec2").describe_images(ImageIds=[image_id])["Images"]
        assert (image["Architecture"], image["State"]) == (architecture, "available")
        (disk,) = image["BlockDeviceMappings"]
        assert (disk["DeviceName"], disk["Ebs"]["VolumeSize"]) == (image["RootDeviceName"], 8)
    (found,) = aws.client("ec2").describe_instance_types(InstanceTypes=["t4g.small"])["InstanceTypes"]
    assert found["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]
    zones = aws.client("ec2").describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == [f"{REGION}{letter}" for letter in "abc"]
    assert aws.client("ec2").describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"]


def test_a_stopped_server_frees_its_port_and_the_next_starts_empty(aws: LittleAws) -> None:
    aws.client("sqs").create_queue(QueueName="old")
    aws.endpoint.stop()
    with pytest.raises(urllib.error.URLError):
        aws.control("GET", "instances")
