"""An engine's API and AWS over HTTP, with a large fleet at rest in them. They answer, but change nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord

from lab.aws.serving import Serving, answer

CLUSTER, REGION, BUCKET, RECORD = "demo", "eu-west-1", "demo-bucket", "www.example.com"
SWARM, MANAGERS, EDGES = "swarm", 3, 20
# The most instances that DescribeInstances returns in a page.
PAGE = 1000
DATE = "2026-01-01T00:00:00Z"


class Fleet:
    """The documents of a fleet of ``nodes`` nodes, with services and tasks as in a real engine's and AWS's answers."""

    def __init__(self, nodes: int, services: int, tasks: int) -> None:
        self.nodes = [_node(number) for number in range(nodes)]
        self.services = [_service(number, tasks // services) for number in range(services)]
        self.tasks = [_task(number, number % services, number % nodes) for number in range(tasks)]
        self.instances = [_instance_xml(number) for number in range(nodes)]
        self.groups = "".join(
            _group_xml(name, [number for number in range(nodes) if _group(number) == name])
            for name in ("manager", "edge", "worker")
        )

    def engine(self) -> dict[str, bytes]:
        """The engine's answers by path."""
        swarm = {
            "ID": SWARM,
            "Version": {"Index": 9},
            "Spec": {"Labels": LABELS, "EncryptionConfig": {"AutoLockManagers": False}},
            "JoinTokens": {"Manager": "SWMTKN-1-m", "Worker": "SWMTKN-1-w"},
            "CreatedAt": DATE,
        }
        info = {
            "ServerVersion": "29.0.0",
            "DockerRootDir": "/var/lib/docker",
            "Swarm": {
                "NodeID": self.nodes[0]["ID"],
                "NodeAddr": address(0),
                "LocalNodeState": "active",
                "ControlAvailable": True,
                "Nodes": len(self.nodes),
                "Cluster": swarm,
            },
        }
        found: dict[str, Any] = {
            "/version": {"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "29.0.0"},
            "/info": info,
            "/swarm": swarm,
            "/nodes": self.nodes,
            f"/nodes/{self.nodes[0]['ID']}": self.nodes[0],
            "/services": self.services,
            "/tasks": self.tasks,
            "/networks": [],
        }
        return {path: json.dumps(document).encode() for path, document in found.items()}

    def objects(self) -> dict[str, bytes]:
        """The bucket's objects by key."""
        policy = {
            "cluster": CLUSTER,
            "queue": "demo-events",
            "dns": {"zone_id": "Z1", "record": RECORD, "ttl": 10},
            "groups": {
                "manager": {"role": "manager"},
                "edge": {"role": "worker", "dns": True},
                "worker": {"role": "worker"},
            },
            "backup_seconds": 0,
        }
        tokens = {
            f"{role}/token": {"cluster_id": SWARM, "token": f"SWMTKN-1-{role[0]}"} for role in ("manager", "worker")
        }
        nodes = {"cluster_id": SWARM, "nodes": [node["ID"] for node in self.nodes], "by": "", "at": DATE}
        found = {"policy.json": policy, "worker/nodes.json": nodes, **tokens}
        documents = {key: json.dumps(document).encode() for key, document in found.items()}
        return {"cluster.json": PUBLISHED.encode(), **documents}

    def actions(self) -> dict[str, Callable[[Mapping[str, str]], bytes]]:
        """The answers of the services that have actions rather than paths, by action."""
        return {
            "DescribeInstances": self._described,
            "DescribeAutoScalingGroups": lambda asked: _xml(
                "DescribeAutoScalingGroups", f"<AutoScalingGroups>{self.groups}</AutoScalingGroups>", "autoscaling"
            ),
            "GetQueueUrl": lambda asked: b'{"QueueUrl": "http://127.0.0.1/1/demo-events"}',
            "ReceiveMessage": lambda asked: b"{}",
        }

    def _described(self, asked: Mapping[str, str]) -> bytes:
        start = int(asked.get("NextToken", 0))
        found = "".join(self.instances[start : start + PAGE])
        more = f"<nextToken>{start + PAGE}</nextToken>" if start + PAGE < len(self.instances) else ""
        return (
            '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<reservationSet>{found}</reservationSet>{more}</DescribeInstancesResponse>"
        ).encode()


class Server(Serving):
    """Both APIs at one port; the engine's has the prefix ``/engine``. ``calls`` counts the requests."""

    def __init__(self, fleet: Fleet) -> None:
        self.calls: Counter[str] = Counter()
        # Whether the engine is a member of the swarm.
        self.member = True
        self.engine, self.objects, self.actions = fleet.engine(), fleet.objects(), fleet.actions()
        super().__init__("127.0.0.1", 0, _Handler)

    def found(self, method: str, path: str, target: str, body: str) -> bytes | None:
        """The answer to a request, and an entry in ``calls``."""
        asked = {key: values[0] for key, values in parse_qs(body).items()} if "Action=" in body else {}
        action = asked.get("Action") or target.rpartition(".")[2]
        name = action or f"{method} {path}"
        self.calls[name] += 1
        if action:
            return self.actions[action](asked) if action in self.actions else None
        if path.startswith("/engine"):
            resource = re.sub(r"^/engine(/v[\d.]+)?", "", path)
            if method == "POST":
                self.member = resource == "/swarm/join"
            return OUTSIDE if resource == "/info" and not self.member else self.engine.get(resource, b"")
        if path.startswith("/2013-04-01/hostedzone"):
            return RECORD_SETS.encode()
        return b"" if method == "PUT" else self.objects.get(path.removeprefix(f"/{BUCKET}/"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer any request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = urlsplit(self.path).path
        if path == "/calls":
            calls, self.server.calls = self.server.calls, Counter()
            answer(self, 200, json.dumps(calls).encode())
            return
        content = self.server.found(self.command, path, self.headers.get("X-Amz-Target") or "", body)
        kind = "application/json" if path.startswith("/engine") else "text/xml"
        answer(self, 404 if content is None else 200, content or b"", {"ETag": '"1"', "Content-Type": kind})

    def do_POST(self) -> None:
        """Answer any request."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Answer any request."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


OUTSIDE = b'{"DockerRootDir": "/var/lib/docker", "Swarm": {"LocalNodeState": "inactive"}}'
PUBLISHED = ClusterRecord("formed", f"i-{0:017x}", DATE, 2, SWARM)
LABELS = {
    "swarm.aws.epoch": "0",
    "swarm.aws.cluster-record": PUBLISHED.line(),
    "swarm.aws.made-by": PUBLISHED.claimed_by,
}


def _group(number: int) -> str:
    return "manager" if number < MANAGERS else "edge" if number < MANAGERS + EDGES else "worker"


def instance_id(number: int) -> str:
    """The ID of an instance."""
    return f"i-{number:017x}"


def address(number: int, first: str = "10") -> str:
    """An instance's private address, or with another first number its public address."""
    return f"{first}.1.{number // 250}.{number % 250 + 1}"


def _zone(number: int) -> str:
    return REGION + "abc"[number % 3]


def _node(number: int) -> dict[str, Any]:
    group, instance = _group(number), instance_id(number)
    manager = {"Leader": number == 0, "Reachability": "reachable", "Addr": f"{address(number)}:2377"}
    labels = {"swarm.aws.instance": instance, "swarm.aws.group": group, "swarm.aws.zone": _zone(number)}
    plugins = [{"Type": "Log", "Name": name} for name in ("awslogs", "fluentd", "gelf", "journald", "json-file")]
    plugins += [{"Type": "Network", "Name": name} for name in ("bridge", "host", "ipvlan", "macvlan", "overlay")]
    return {
        "ID": f"node{number:021d}",
        "Version": {"Index": 1000 + number},
        "CreatedAt": DATE,
        "UpdatedAt": DATE,
        "Spec": {
            "Role": "manager" if group == "manager" else "worker",
            "Availability": "active",
            "Labels": labels,
        },
        "Description": {
            "Hostname": f"ip-10-1-{number // 250}-{number % 250 + 1}",
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 4_000_000_000, "MemoryBytes": 16_000_000_000},
            "Engine": {
                "EngineVersion": "29.0.0",
                "Labels": {"swarm.aws.instance": instance},
                "Plugins": plugins,
            },
            # As long as the PEM certificate of a swarm's root, and its issuer in Base64.
            "TLSInfo": {"TrustRoot": "C" * 600, "CertIssuerSubject": "S" * 28, "CertIssuerPublicKey": "K" * 124},
        },
        "Status": {"State": "ready", "Addr": address(number)},
        **({"ManagerStatus": manager} if group == "manager" else {}),
    }


def _template(service: int) -> dict[str, Any]:
    return {
        "ContainerSpec": {
            "Image": f"registry.example.com/team/service-{service}:1.0@sha256:{'a' * 64}",
            "Labels": {"com.docker.stack.namespace": "shop"},
            "Env": [f"SETTING_{number}=value of the setting {number}" for number in range(12)],
            "Privileges": {"CredentialSpec": None, "SELinuxContext": None},
            "StopGracePeriod": 10_000_000_000,
            "Healthcheck": {"Test": ["CMD", "check"], "Interval": 10_000_000_000, "Retries": 3},
            "Isolation": "default",
        },
        "Resources": {
            "Limits": {"MemoryBytes": 536870912},
            "Reservations": {"NanoCPUs": 100_000_000, "MemoryBytes": 268435456},
        },
        "RestartPolicy": {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0},
        "Placement": {
            "Constraints": ["node.role==worker"],
            "Platforms": [{"Architecture": "amd64", "OS": "linux"}, {"Architecture": "arm64", "OS": "linux"}],
        },
        "Networks": [{"Target": "n" * 25, "Aliases": [f"service-{service}"]}],
        "ForceUpdate": 0,
    }


def _service(number: int, replicas: int) -> dict[str, Any]:
    spec = {
        "Name": f"shop_service-{number}",
        "Labels": {"com.docker.stack.image": "x", "com.docker.stack.namespace": "shop"},
        "TaskTemplate": _template(number),
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 1, "Order": "start-first"},
        "EndpointSpec": {"Mode": "vip"},
    }
    return {
        "ID": f"service{number:018d}",
        "Version": {"Index": 2000 + number},
        "CreatedAt": DATE,
        "UpdatedAt": DATE,
        "Spec": spec,
        "PreviousSpec": spec,
        "Endpoint": {"VirtualIPs": [{"NetworkID": "n" * 25, "Addr": "10.0.0.2/24"}]},
    }


def _task(number: int, service: int, node: int) -> dict[str, Any]:
    network = {"ID": "n" * 25, "Version": {"Index": 7}, "Spec": {"Name": "shop_default", "DriverConfiguration": {}}}
    return {
        "ID": f"task{number:021d}",
        "Version": {"Index": 3000 + number},
        "CreatedAt": DATE,
        "UpdatedAt": DATE,
        "Labels": {},
        "Spec": _template(service),
        "ServiceID": f"service{service:018d}",
        "Slot": number + 1,
        "NodeID": f"node{node:021d}",
        "Status": {
            "Timestamp": DATE,
            "State": "running",
            "Message": "started",
            "ContainerStatus": {"ContainerID": "c" * 64, "PID": 4242, "ExitCode": 0},
            "PortStatus": {},
        },
        "DesiredState": "running",
        "NetworksAttachments": [{"Network": network, "Addresses": ["10.0.0.7/24"]}],
        "Volumes": None,
    }


def _tags_xml(number: int) -> str:
    tags = {
        "Name": f"{CLUSTER}-{_group(number)}",
        "swarm.aws/cluster": CLUSTER,
        "swarm.aws/group": _group(number),
        "swarm.aws/role": "manager" if number < MANAGERS else "worker",
        "aws:autoscaling:groupName": f"{CLUSTER}-{_group(number)}",
        "aws:ec2launchtemplate:id": "lt-00000000000000000",
        "aws:ec2launchtemplate:version": "1",
    }
    return "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in tags.items())


def _instance_xml(number: int) -> str:
    private, public, mac = (
        address(number),
        address(number, "198"),
        f"0a:00:00:00:{number // 256:02x}:{number % 256:02x}",
    )
    name = f"ip-{private.replace('.', '-')}.{REGION}.compute.internal"
    security = (
        "<groupSet><item><groupId>sg-00000000000000000</groupId><groupName>demo-nodes</groupName></item></groupSet>"
    )
    association = f"<association><ipOwnerId>amazon</ipOwnerId><publicIp>{public}</publicIp></association>"
    return f"""<item><reservationId>r-{number:017x}</reservationId><ownerId>123456789012</ownerId><groupSet/>
<requesterId>940372691376</requesterId><instancesSet><item><instanceId>{instance_id(number)}</instanceId>
<imageId>ami-00000000000000000</imageId><instanceState><code>16</code><name>running</name></instanceState>
<privateDnsName>{name}</privateDnsName><dnsName/><reason/><amiLaunchIndex>0</amiLaunchIndex><productCodes/>
<instanceType>m7i.xlarge</instanceType><launchTime>2026-01-01T00:00:00.000Z</launchTime>
<placement><availabilityZone>{_zone(number)}</availabilityZone><groupName/><tenancy>default</tenancy></placement>
<monitoring><state>disabled</state></monitoring><subnetId>subnet-00000000000000000</subnetId>
<vpcId>vpc-00000000000000000</vpcId><privateIpAddress>{private}</privateIpAddress><ipAddress>{public}</ipAddress>
<sourceDestCheck>true</sourceDestCheck>{security}<architecture>x86_64</architecture>
<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item>
<deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{number:017x}</volumeId><status>attached</status>
<attachTime>2026-01-01T00:00:01.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item>
</blockDeviceMapping><virtualizationType>hvm</virtualizationType><clientToken>{number:036x}</clientToken>
<tagSet>{_tags_xml(number)}</tagSet><hypervisor>xen</hypervisor><networkInterfaceSet><item>
<networkInterfaceId>eni-{number:017x}</networkInterfaceId><subnetId>subnet-00000000000000000</subnetId>
<vpcId>vpc-00000000000000000</vpcId><description/><ownerId>123456789012</ownerId><status>in-use</status>
<macAddress>{mac}</macAddress><privateIpAddress>{private}</privateIpAddress><privateDnsName>{name}</privateDnsName>
<sourceDestCheck>true</sourceDestCheck>{security}<attachment><attachmentId>eni-attach-{number:017x}</attachmentId>
<deviceIndex>0</deviceIndex><networkCardIndex>0</networkCardIndex><status>attached</status>
<attachTime>2026-01-01T00:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></attachment>
{association}<privateIpAddressesSet><item><privateIpAddress>{private}</privateIpAddress>
<privateDnsName>{name}</privateDnsName><primary>true</primary>{association}</item></privateIpAddressesSet>
<ipv6AddressesSet/><interfaceType>interface</interfaceType></item></networkInterfaceSet><iamInstanceProfile>
<arn>arn:aws:iam::123456789012:instance-profile/demo-worker</arn><id>AIPA0000000000000000</id></iamInstanceProfile>
<ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions><coreCount>2</coreCount>
<threadsPerCore>2</threadsPerCore></cpuOptions><capacityReservationSpecification>
<capacityReservationPreference>open</capacityReservationPreference></capacityReservationSpecification>
<hibernationOptions><configured>false</configured></hibernationOptions><metadataOptions><state>applied</state>
<httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>
<httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6>
<instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions><enclaveOptions><enabled>false</enabled>
</enclaveOptions><bootMode>uefi-preferred</bootMode><platformDetails>Linux/UNIX</platformDetails>
<usageOperation>RunInstances</usageOperation><privateDnsNameOptions><hostnameType>ip-name</hostnameType>
<enableResourceNameDnsARecord>false</enableResourceNameDnsARecord></privateDnsNameOptions>
<maintenanceOptions><autoRecovery>default</autoRecovery></maintenanceOptions>
<currentInstanceBootMode>uefi</currentInstanceBootMode></item></instancesSet></item>"""


def _group_xml(name: str, numbers: list[int]) -> str:
    template = (
        "<LaunchTemplate><LaunchTemplateId>lt-00000000000000000</LaunchTemplateId>"
        f"<LaunchTemplateName>{CLUSTER}-{name}</LaunchTemplateName><Version>1</Version></LaunchTemplate>"
    )
    members = "".join(
        f"<member><InstanceId>{instance_id(number)}</InstanceId><AvailabilityZone>{_zone(number)}</AvailabilityZone>"
        f"<InstanceType>m7i.xlarge</InstanceType><LifecycleState>InService</LifecycleState>{template}"
        "<HealthStatus>Healthy</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>"
        for number in numbers
    )
    tags = {
        "swarm.aws/cluster": CLUSTER,
        "swarm.aws/group": name,
        "swarm.aws/role": "manager" if name == "manager" else "worker",
    }
    listed = "".join(
        f"<member><ResourceId>{CLUSTER}-{name}</ResourceId><ResourceType>auto-scaling-group</ResourceType>"
        f"<Key>{key}</Key><Value>{value}</Value><PropagateAtLaunch>true</PropagateAtLaunch></member>"
        for key, value in tags.items()
    )
    size = len(numbers)
    return (
        f"<member><AutoScalingGroupName>{CLUSTER}-{name}</AutoScalingGroupName><MinSize>{size}</MinSize>"
        f"<MaxSize>{size}</MaxSize><DesiredCapacity>{size}</DesiredCapacity>{template}"
        f"<Instances>{members}</Instances><Tags>{listed}</Tags></member>"
    )


def _xml(action: str, result: str, service: str) -> bytes:
    return (
        f'<{action}Response xmlns="http://{service}.amazonaws.com/doc/2011-01-01/"><{action}Result>{result}'
        f"</{action}Result></{action}Response>"
    ).encode()


def _set_xml(name: str, kind: str, ttl: int, values: list[str]) -> str:
    records = "".join(f"<ResourceRecord><Value>{value}</Value></ResourceRecord>" for value in values)
    return (
        f"<ResourceRecordSet><Name>{name}.</Name><Type>{kind}</Type><TTL>{ttl}</TTL>"
        f"<ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>"
    )


_OWNER = f"&quot;heritage=swarm.aws,cluster={CLUSTER},region={REGION}&quot;"
_SERVING = [address(number, "198") for number in range(MANAGERS, MANAGERS + EDGES)]
RECORD_SETS = (
    '<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>'
    f"{_set_xml(RECORD, 'A', 10, _SERVING)}{_set_xml(f'_swarm-aws.{RECORD}', 'TXT', 300, [_OWNER])}"
    "</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListResourceRecordSetsResponse>"
)
