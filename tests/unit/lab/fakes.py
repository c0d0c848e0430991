"""A little AWS with fake machines, and its clients."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import waiting
from lab.aws import imds, server
from lab.aws.account import KIND, AccountProfile
from lab.aws.ports import InstanceSpec
from lab.aws.serving import answer
from tests.lab.iam import new_user

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
IMAGE = "ami-0deb1a13000000064"
# Loopback addresses, so that a test can connect from an instance's address.
VPC_CIDR = "127.20.0.0/16"
EC2_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class FakeMachines:
    """Machines that run as soon as they are launched, until a test kills them."""

    def __init__(self) -> None:
        self.running: dict[str, InstanceSpec] = {}
        self.launched: list[InstanceSpec] = []
        self.rebooted: list[str] = []
        self.stopped: dict[str, InstanceSpec] = {}
        self.cut: set[str] = set()
        self.hung: set[str] = set()
        self.vpcs: dict[str, str] = {}
        self.firewall_changes = 0

    def launch(self, spec: InstanceSpec) -> None:
        self.running[spec.instance_id] = spec
        self.launched.append(spec)

    def terminate(self, instance_id: str) -> None:
        self.running.pop(instance_id, None)

    def reboot(self, instance_id: str) -> None:
        self.rebooted.append(instance_id)

    def stop(self, instance_id: str) -> None:
        if instance_id in self.running:
            self.stopped[instance_id] = self.running.pop(instance_id)

    def start(self, instance_id: str) -> None:
        self.running[instance_id] = self.stopped.pop(instance_id)

    def is_running(self, instance_id: str) -> bool:
        return instance_id in self.running

    def cut_off(self, instance_id: str, *, cut: bool) -> None:
        self.running[instance_id]
        (self.cut.add if cut else self.cut.discard)(instance_id)

    def hang(self, instance_id: str, *, hung: bool) -> None:
        self.running[instance_id]
        (self.hung.add if hung else self.hung.discard)(instance_id)

    def vpc_created(self, vpc_id: str, cidr: str) -> None:
        self.vpcs[vpc_id] = cidr

    def vpc_deleted(self, vpc_id: str) -> None:
        del self.vpcs[vpc_id]

    def firewall_changed(self) -> None:
        self.firewall_changes += 1


class Page(BaseHTTPRequestHandler):
    """Answers with the address of the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer(self, 200, str(self.server.server_address[0]).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@functools.cache
def session() -> Any:
    """A single session, because reading the services' models takes far longer than the calls."""
    return boto3.session.Session(region_name=REGION)


@dataclass
class LittleAws:
    """A running endpoint."""

    endpoint: server.Server
    metadata: imds.Metadata
    machines: FakeMachines
    attempts: int = 1
    """A client's attempts at a call that AWS throttles."""
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.endpoint.port}"

    def client(self, service: str, credentials: Mapping[str, Any] | None = None) -> Any:
        """A boto3 client with the administrator's credentials, or with credentials in the metadata service's format."""
        given = credentials or {"AccessKeyId": "lab", "SecretAccessKey": "lab", "Token": None}
        key = service, str(given["AccessKeyId"])
        if key not in self.clients:
            self.clients[key] = session().client(
                service,
                endpoint_url=self.url,
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["Token"],
                config=Config(retries={"mode": "standard", "total_max_attempts": self.attempts}),
            )
        return self.clients[key]

    def control(self, method: str, path: str) -> Any:
        """Call an endpoint of the lab's own."""
        request = urllib.request.Request(f"{self.url}/_lab/{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def role(self, name: str, *statements: Mapping[str, Any]) -> str:
        """A role with an instance profile of the same name, and its ARN."""
        iam = self.client("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))["Role"]["Arn"]
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="swarm", PolicyDocument=document(*statements))
        return arn

    def as_role(self, arn: str) -> dict[str, str]:
        """Credentials of a role."""
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
        }

    def acting(self, service: str, role: str, *statements: Mapping[str, Any]) -> Any:
        """A client with the credentials of a new role."""
        return self.client(service, self.as_role(self.role(role, *statements)))

    def user(
        self, name: str, *statements: Mapping[str, Any], managed: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """A user with these statements as their own policy and these managed policies: their access key."""
        iam = self.client("iam")
        key = new_user(iam, name, managed or {}, **more)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
        return {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"], "Token": None}

    def network(self) -> Network:
        """A VPC with a subnet in each zone and a security group."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock=VPC_CIDR)["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.20.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for number, zone in enumerate("abc")
        ]
        group = ec2.create_security_group(GroupName="members", Description="members", VpcId=vpc)["GroupId"]
        return Network(vpc, [subnet["Subnet"]["SubnetId"] for subnet in subnets], group)

    def template(self, name: str, group: str, **more: Any) -> None:
        """A launch template like the product's."""
        data = {
            "ImageId": IMAGE,
            "InstanceType": "t3.small",
            "UserData": base64.b64encode(b"#cloud-config\n").decode(),
            "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [group]}],
            **more,
        }
        self.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)

    def group(self, name: str, network: Network, capacity: int = 3, **more: Any) -> None:
        """An Auto Scaling group of that template's instances."""
        arguments: dict[str, Any] = {
            "MinSize": 0,
            "MaxSize": 9,
            "DesiredCapacity": capacity,
            "VPCZoneIdentifier": ",".join(network.subnets),
            "LaunchTemplate": {"LaunchTemplateName": name, "Version": "$Latest"},
            **more,
        }
        self.client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **arguments)

    def launch(self, template: str, subnet: str, group: str, count: int = 1, **more: Any) -> list[dict[str, Any]]:
        """Instances of a template in a subnet, with more settings of their interface."""
        found: dict[str, Any] = self.client("ec2").run_instances(
            LaunchTemplate={"LaunchTemplateName": template},
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], **more}],
            MinCount=count,
            MaxCount=count,
        )
        instances: list[dict[str, Any]] = found["Instances"]
        return instances

    def desire(self, name: str, capacity: int) -> None:
        """Set a group's desired capacity."""
        self.client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=capacity)

    def balanced(self, port: int, listening: int, **more: Any) -> tuple[str, list[str]]:
        """A target group behind a load balancer, and two instances: the group's ARN and the instances' IDs."""
        network, elb = self.network(), self.client("elbv2")
        self.template("web", network.group)
        self.group("web", network, 2)
        made = elb.create_target_group(
            Name="web", Protocol="TCP", Port=port, VpcId=network.vpc, TargetType="instance", **more
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        (balancer,) = elb.create_load_balancer(Name="web", Type="network", Subnets=network.subnets)["LoadBalancers"]
        to = [{"Type": "forward", "TargetGroupArn": arn}]
        where = {"LoadBalancerArn": balancer["LoadBalancerArn"], "Protocol": "TCP", "Port": listening}
        elb.create_listener(**where, DefaultActions=to)
        return arn, sorted(member["InstanceId"] for member in self.settled("web", 2))

    def members(self, name: str) -> list[dict[str, Any]]:
        """The group's instances as Auto Scaling describes them."""
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return [instance for group in found["AutoScalingGroups"] for instance in group["Instances"]]

    def states(self, name: str) -> list[str]:
        return sorted(member["LifecycleState"] for member in self.members(name))

    def settled(self, name: str, capacity: int) -> list[dict[str, Any]]:
        """The group's instances once exactly ``capacity`` of them are in service."""
        until(lambda: self.states(name) == ["InService"] * capacity, f"{capacity} of {name} in service")
        return self.members(name)

    def instance(self, instance_id: str) -> dict[str, Any]:
        (found,) = self.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
        instance: dict[str, Any] = found["Instances"][0]
        return instance

    def ask(self, method: str, path: str, source: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Ask the metadata service from an address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metadata.port, source_address=(source, 0), timeout=30)
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        return answer.status, content

    def token(self, source: str, seconds: int = 60) -> dict[str, str]:
        """The header with a fresh token."""
        _, token = self.ask("PUT", "/latest/api/token", source, {"X-aws-ec2-metadata-token-ttl-seconds": str(seconds)})
        return {"X-aws-ec2-metadata-token": token}


@dataclass(frozen=True)
class Network:
    """The result of :meth:`LittleAws.network`."""

    vpc: str
    subnets: Sequence[str]
    group: str


@contextmanager
def little_aws(profile: AccountProfile = KIND, attempts: int | None = None) -> Iterator[LittleAws]:
    """A fresh account for as long as the context lasts, whose clients retry if it throttles."""
    machines = FakeMachines()
    endpoint = server.start(machines, "127.0.0.1", 0, public_pool="198.51.100.0/28", profile=profile, tick=0.05)
    metadata = imds.Metadata("127.0.0.1", 0)
    try:
        yield LittleAws(endpoint, metadata, machines, attempts or (8 if profile.throttled else 1))
    finally:
        metadata.stop()
        endpoint.stop()


def target_states(elb: Any, group: str) -> dict[str, str]:
    """The state of each target of a target group, by the instance's ID."""
    found = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {target["Target"]["Id"]: target["TargetHealth"]["State"] for target in found}


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait for a condition and return its value. Fails if it does not become true."""
    return waiting.until(what, condition, seconds=seconds, every=0.02)


def allow(*actions: str, on: str | list[str] = "*", when: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A statement of a policy."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return {**statement, "Condition": when} if when else statement


def document(*statements: Mapping[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code of a refused call."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    raise AssertionError("the call was allowed")
