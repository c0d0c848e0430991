"""A joiner for this node."""

from __future__ import annotations

from typing import Callable, Optional

from .._core.join.join_decision import Me
from .._core.join.joiner import Joiner
from .._core.join.ports import Clock, Reporter
from .._core.policy import Policy
from ..aws.aws_session import AwsSession
from .commands import Commands
from .instances import Ec2Instances
from .metadata import Metadata
from .node_engine import DockerEngine
from .s3_store import S3Store
from .unlock_keys import UnlockKeys


def joiner(
    cluster: str,
    region: str,
    bucket: str,
    role: str,
    clock: Clock,
    report: Reporter,
    alive: Callable[[], None] = lambda: None,
    commands: Optional[Commands] = None,
) -> Joiner:
    """``commands`` is needed to join, but not to tell what would be done. ``alive`` is called before each AWS request,
    which takes less than 90 seconds.

    Raises SwarmError if an SDK is missing, Unavailable if the metadata service does not answer."""
    identity = Metadata().identity()
    aws = AwsSession.on_node(region, alive)
    store = S3Store(aws, bucket, UnlockKeys(aws, cluster))
    return Joiner(
        Me(cluster, identity.instance, role),
        store,
        Ec2Instances(aws, cluster),
        DockerEngine(identity.private_address, commands=commands, policy=lambda: Policy.read(store.policy())),
        clock,
        report,
    )
