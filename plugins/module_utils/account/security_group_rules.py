"""Counts the rules of the cluster's security groups, which AWS limits."""

from __future__ import annotations

from typing import Any, Mapping

from ..aws.aws_session import AwsSession, ClientError

# The default quota, for IPv4 and IPv6 each (https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html).
DEFAULT = 60
QUOTA = "L-0EA8095F"
# Rules of the security group CLUSTER-member that name a security group; they count for both.
OF_MEMBERS = 4


def most(config: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Rules of the largest kind in each security group that grows with the configuration, and the variable for them."""
    ranges = [cidr for port in config["published_ports"] for cidr in port["from"]]
    if config["dns"] is not None and config["dns"]["ipv6"]:
        # What is open to all of IPv4 is also open to all of IPv6.
        ranges += ["::/0" for port in config["published_ports"] if "0.0.0.0/0" in port["from"]]
    ipv6 = sum(":" in cidr for cidr in ranges)
    return {
        "member": (OF_MEMBERS + len(config["ssh_access"]), "ssh_access"),
        "edge": (max(ipv6, len(ranges) - ipv6), "published_ports"),
    }


def quota(aws: AwsSession) -> int | None:
    """Rules that the account's security groups can have; None if the operator may not read it."""
    try:
        found = aws.client("service-quotas").get_service_quota(ServiceCode="vpc", QuotaCode=QUOTA)
    except ClientError:
        return None
    return int(found["Quota"]["Value"])
