"""Each adapter returns what it documents, for any answer of the engine, AWS, the metadata service or a file."""

from __future__ import annotations

import base64
import copy
import http.client
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Node, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    ClusterRecord,
    InvalidClusterRecord,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.observation import Observer
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns
from ansible_collections.swarm.aws.plugins.module_utils._core.quorum import Quorum
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Registry
from ansible_collections.swarm.aws.plugins.module_utils.adapters import metadata
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.backup_store import Backups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import expiry, subject
from ansible_collections.swarm.aws.plugins.module_utils.adapters.ecr import Ecr
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Queue
from ansible_collections.swarm.aws.plugins.module_utils.adapters.instances import Ec2Instances
from ansible_collections.swarm.aws.plugins.module_utils.adapters.load_balancing import TargetGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_engine import DockerEngine
from ansible_collections.swarm.aws.plugins.module_utils.adapters.route53 import Zone
from ansible_collections.swarm.aws.plugins.module_utils.adapters.s3_store import S3Store
from ansible_collections.swarm.aws.plugins.module_utils.adapters.swarm import DockerSwarm
from ansible_collections.swarm.aws.plugins.module_utils.adapters.unlock_keys import UnlockKeys
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.runtime.swarm_agent import volumes
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import hostile

pytestmark = pytest.mark.fault(47)

NODE = {
    "ID": "n1",
    "Version": {"Index": 7},
    "Spec": {"Role": "manager", "Availability": "active", "Labels": {"a": "1"}},
    "Description": {
        "Hostname": "h",
        "Engine": {"Labels": {"swarm.aws.instance": "i-1"}, "EngineVersion": "29"},
        "Platform": {"OS": "linux", "Architecture": "x86_64"},
        "Resources": {"MemoryBytes": 1, "NanoCPUs": 1},
    },
    "Status": {"State": "ready", "Addr": "10.0.0.1"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "10.0.0.1:2377"},
}
SERVICE = {
    "ID": "s1",
    "Version": {"Index": 3},
    "Spec": {
        "Name": "web",
        "Labels": {"swarm.aws.surge": "1+1@5"},
        "Mode": {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "x", "StopGracePeriod": 10, "Healthcheck": {"Test": ["CMD", "x"]}},
            "RestartPolicy": {"Condition": "on-failure", "MaxAttempts": 2},
            "Placement": {"Constraints": ["node.role==worker"], "Preferences": [{"Spread": {"SpreadDescriptor": "x"}}]},
            "Resources": {"Reservations": {"MemoryBytes": 1, "NanoCPUs": 1}},
        },
        "UpdateConfig": {"Order": "start-first", "Parallelism": 1},
        "EndpointSpec": {"Ports": [{"PublishMode": "host", "PublishedPort": 80}]},
    },
    "UpdateStatus": {"State": "completed"},
}
TASKS = [
    {
        "ServiceID": "s1",
        "NodeID": "n1",
        "Slot": 1,
        "DesiredState": "running",
        "Status": {"State": state, "Timestamp": "2026-01-01T00:00:00Z", "Err": "no"},
    }
    for state in ("running", "pending", "failed")
]
RECORD = ClusterRecord("formed", "i-1", "", 2, "swarm").line()
LABELS = {"swarm.aws.epoch": "1", "swarm.aws.cluster-record": RECORD, "swarm.aws.made-by": "x"}
INFO = {
    "Swarm": {
        "LocalNodeState": "active",
        "NodeID": "n1",
        "ControlAvailable": True,
        "Nodes": 1,
        "Error": "",
        "Cluster": {"ID": "swarm", "Spec": {"Labels": LABELS}},
    },
    "DockerRootDir": "/nowhere",
}
TAGS = [{"Key": "swarm.aws/group", "Value": "worker"}, {"Key": "swarm.aws/role", "Value": "worker"}]
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
INSTANCES = {
    "Reservations": [
        {
            "Instances": [
                {
                    "InstanceId": "i-1",
                    "State": {"Name": "running"},
                    "Tags": TAGS,
                    "Placement": {"AvailabilityZone": "a"},
                    "PrivateIpAddress": "10.0.0.1",
                    "LaunchTime": STARTED,
                    "NetworkInterfaces": [
                        {"Attachment": {"DeviceIndex": 0}, "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}
                    ],
                    "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeId": "vol-1"}}],
                }
            ]
        }
    ]
}
MEMBER = {
    "InstanceId": "i-1",
    "AutoScalingGroupName": "g",
    "LifecycleState": "InService",
    "HealthStatus": "Healthy",
    "LaunchTemplate": {"Version": "1"},
}
GROUPS = {
    "AutoScalingGroups": [
        {
            "AutoScalingGroupName": "g",
            "MinSize": 1,
            "MaxSize": 3,
            "DesiredCapacity": 2,
            "Tags": [*TAGS, {"Key": "swarm.aws/usual-size", "Value": "3"}],
            "Instances": [MEMBER],
            "LaunchTemplate": {"Version": "1"},
        }
    ]
}
SETS = {
    "ResourceRecordSets": [
        {"Name": "www.example.com.", "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "198.51.100.1"}]},
        {"Name": "_swarm-aws.www.example.com.", "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"x"'}]},
    ],
    "IsTruncated": False,
}
ANSWERS: dict[str, Any] = {
    "describe_instances": INSTANCES,
    "describe_auto_scaling_groups": GROUPS,
    "describe_auto_scaling_instances": {"AutoScalingInstances": [MEMBER]},
    "list_resource_record_sets": SETS,
    "describe_target_health": {
        "TargetHealthDescriptions": [{"Target": {"Id": "i-1"}, "TargetHealth": {"State": "healthy"}}]
    },
    "get_authorization_token": {
        "authorizationData": [
            {
                "authorizationToken": base64.b64encode(b"AWS:hunter2").decode(),
                "expiresAt": datetime(2099, 1, 1, tzinfo=UTC),
            }
        ]
    },
    "get_secret_value": {"SecretString": '{"keys": ["hunter2"]}'},
    "list_objects_v2": {"Contents": [{"Key": "backups/20260101T000000Z-i-01.json"}]},
    "receive_message": {"Messages": [{"ReceiptHandle": "r", "Body": "b", "MessageId": "m"}]},
    "get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "3"}},
    "get_queue_url": {"QueueUrl": "https://queue"},
}


class HostileAws(AwsSession):
    """A fake AWS that answers each call with a given value."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(lambda: None, "eu-west-1")
        self.answers = answers

    def client(self, service: str) -> Any:
        return self

    def get_paginator(self, call: str) -> Any:
        answer = self.answers[call]
        return type("Pages", (), {"paginate": lambda self, **arguments: [answer]})()

    def __getattr__(self, call: str) -> Any:
        if call.startswith("__"):
            raise AttributeError(call)
        return lambda **arguments: self.answers[call]


class HostileEngine:
    """A fake engine API that answers each call with a given value."""

    def __init__(self, **answers: Any) -> None:
        for call, answer in answers.items():
            setattr(self, call, lambda *_, answer=answer: answer)


def swarm_of(**answers: Any) -> DockerSwarm:
    result = DockerSwarm()
    result._connected = HostileEngine(**{"info": INFO, "nodes": [], "tasks": [], "services": [], **answers})
    return result


@given(hostile.spoiled([NODE, {**NODE, "ID": "n2"}]), hostile.spoiled(TASKS))
def test_every_node_is_listed_whatever_the_engine_answers(nodes: Any, tasks: Any) -> None:
    swarm = swarm_of(nodes=nodes, tasks=tasks)
    try:
        found, versions = swarm.nodes(), swarm.versions()
    except Unavailable:
        assert not (isinstance(nodes or [], list) and isinstance(tasks or [], list))
        return
    assert len(found) == len(nodes or [])
    assert all(_is_typed(node, Node) for node in found)
    assert all(isinstance(version, int) for version in versions.values())


def test_an_unreadable_node_counts_as_an_unreachable_voter() -> None:
    found = swarm_of(nodes=[None, NODE, {**NODE, "ID": "n2", "ManagerStatus": "?"}]).nodes()
    assert Quorum.of(found) == Quorum(3, 1)
    assert [bool(node.flaw) for node in found] == [True, False, True]


@given(hostile.spoiled([SERVICE, {**SERVICE, "ID": "s2"}]), hostile.spoiled(TASKS))
def test_every_service_is_read_or_named_whatever_the_engine_answers(services: Any, tasks: Any) -> None:
    try:
        found = swarm_of(services=services, tasks=tasks).services()
    except Unavailable:
        assert not (isinstance(services or [], list) and isinstance(tasks or [], list))
        return
    assert len(found) == len(services or [])
    assert all(_is_typed(service, Service) for service in found)


def test_an_unreadable_service_is_skipped_and_named() -> None:
    bad = copy.deepcopy(SERVICE)
    bad["Spec"] = {"Name": "bad", "Mode": {"Replicated": {"Replicas": "many"}}, "TaskTemplate": {}}
    swarm = swarm_of(nodes=[NODE], services=[bad, SERVICE], tasks=TASKS)
    world = type("World", (), {"swarm": swarm, "peers": None, "lock": None, "balancing": None})()
    world.tokens = type("Tokens", (), {"published": lambda _: None, "stale": lambda _: ()})()
    world.scaling = AutoScalingGroups(HostileAws(ANSWERS), "example", lambda: 0.0)
    observer = Observer(world, lambda: 1000.0)
    policy = type("Wanted", (), {"dns": None, "target_groups": (), "autolock": False})()
    observed = observer.observe(policy)
    assert [service.name for service in observed.services or ()] == ["web"]
    assert [failure.message for failure in observer.failures] == [
        "The service bad cannot be read and is left out: the engine's answer has an unexpected shape."
    ]


def _is_typed(found: Any, kind: type) -> bool:
    """Whether the texts, counts and labels have their types."""
    for name, field in kind.__dataclass_fields__.items():  # type: ignore[attr-defined]
        value = getattr(found, name)
        if field.type in ("str", "int", "bool") and type(value).__name__ != field.type:
            return False
        if name.endswith("labels") and not all(isinstance(text, str) for pair in value.items() for text in pair):
            return False
    return True


@given(hostile.spoiled(INFO))
def test_any_state_of_the_engine_is_read_or_unavailable(info: Any) -> None:
    engine = DockerEngine("10.0.0.1", unfinished=Path("/nowhere/joining"))
    engine._connected = HostileEngine(info=info)
    swarm = swarm_of(info=info)
    for question in (engine.membership, engine.root, swarm.memory, swarm.here):
        _ask(question)


@pytest.mark.parametrize("label", [hostile.DEEP, "9" * 5000, "nan", "-3", None, 7, "{}"])
def test_an_unreadable_label_of_the_swarm_counts_as_missing(label: Any) -> None:
    info = copy.deepcopy(INFO)
    info["Swarm"]["Cluster"]["Spec"]["Labels"] = {"swarm.aws.epoch": label, "swarm.aws.cluster-record": label}
    memory = swarm_of(info=info).memory()
    assert (memory.swarm_id, memory.epoch if label != 7 else 0, memory.remembered) == ("swarm", 0, None)


def _ask(question: Any, documented: type[SwarmError] = Unavailable) -> None:
    try:
        question()
    except documented as error:
        assert "hunter2" not in str(error)


@given(st.data())
def test_any_answer_of_aws_is_read_or_unavailable(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(sorted(ANSWERS)))
    aws = HostileAws({**ANSWERS, call: data.draw(hostile.spoiled(ANSWERS[call]))})
    fleet = AutoScalingGroups(aws, "example", lambda: 1000.0)
    instances, queue = Ec2Instances(aws, "example"), Queue(aws, "events")
    for question in (
        fleet.instances,
        fleet.groups,
        lambda: fleet.gone("i-1"),
        lambda: fleet.owner("i-1"),
        lambda: fleet.sizes("g"),
        lambda: fleet.gone_or_going("i-1"),
        instances.running_managers,
        lambda: instances.state("i-1"),
        lambda: instances.launching(["i-1"]),
        lambda: Zone(aws, lambda: 1000.0).read(Dns("Z1", "www.example.com", 10)),
        lambda: TargetGroups(aws).health("arn"),
        lambda: Ecr(aws, lambda: 1000.0).grant(Registry("h", "1", "eu-west-1")),
        Backups(aws, "bucket").names,
        lambda: queue.receive(1),
        queue.depth,
        lambda: volumes.attached(aws, "i-1"),
    ):
        _ask(question)
    _ask(UnlockKeys(aws, "example").read, SwarmError)


OBJECTS = {
    "cluster.json": json.loads(RECORD),
    "worker/token": {"cluster_id": "swarm", "token": "hunter2"},
    "worker/nodes.json": {"cluster_id": "swarm", "nodes": ["n1"]},
    "manager/status.json": {"quorum": {}},
}


@given(st.one_of([hostile.encoded(document) for document in OBJECTS.values()]))
def test_any_object_in_the_bucket_is_read_or_counts_as_missing(text: str) -> None:
    body = text.encode(errors="surrogatepass")
    aws = HostileAws({"get_object": {"ETag": "e"}})
    aws.get_object = lambda **_: {"Body": io.BytesIO(body), "ETag": "e"}  # type: ignore[attr-defined]
    store = S3Store(aws, "bucket")
    _ask(store.read, InvalidClusterRecord)
    assert isinstance(store.status(), dict)
    token, nodes = store.read_token("worker"), store.read_nodes("swarm")
    assert token is not None and isinstance(token.value.secret, str)
    assert nodes is None or all(isinstance(node, str) for node in nodes.value)
    _ask(lambda: Backups(aws, "bucket").manifest("x"), SwarmError)


CONFIG = {
    **dict.fromkeys(("cluster", "region", "account_id", "bucket", "group"), "x"),
    "role": "worker",
    "logs": {"group": "g", "mib_per_day": 10},
}


@given(hostile.encoded(CONFIG))
def test_any_file_of_the_node_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    _ask(lambda: Config.load(path), SwarmError)
    _ask(lambda: volumes.load(path), SwarmError)


@given(st.binary(max_size=300))
def test_any_certificate_is_read_or_a_value_error(content: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(content) + b"\n-----END CERTIFICATE-----\n"
    for read in (expiry, subject):
        for text in (pem, content):
            try:
                read(text)
            except ValueError:
                continue


@given(
    st.sampled_from([200, 404, 500]),
    st.sampled_from(
        ["", "Content-Length: 999999999999999999\r\n", "Content-Length: x\r\n", "Transfer-Encoding: chunked\r\n"]
    ),
    st.one_of(st.binary(max_size=50), hostile.texts.map(lambda text: text.encode(errors="surrogatepass"))),
)
def test_any_answer_of_the_metadata_service_is_read_or_unavailable(status: int, header: str, body: bytes) -> None:
    wire = f"HTTP/1.1 {status} x\r\n{header}\r\n".encode() + body

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = type(
                "Wire",
                (),
                {"sendall": lambda *_: None, "makefile": lambda *_: io.BytesIO(wire), "close": lambda *_: None},
            )()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata.http.client, "HTTPConnection", Connection)
        _ask(lambda: metadata.Metadata().identity())
        _ask(lambda: metadata.Metadata().read("spot/instance-action"))
