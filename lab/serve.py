"""The lab's only long-running process: AWS, DNS, registry and router, in the lab's namespace."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack
from dataclasses import replace

from lab import registry
from lab.aws import ecr, imds, server
from lab.aws.account import PROFILES
from lab.balancers import Balancers
from lab.engine import connect
from lab.machines import ContainerMachines
from lab.names import NameServer
from lab.network import Router
from lab.state import ECR_PORT, ENDPOINT_PORT, METADATA_ADDRESS, REGISTRY_PORT, SERVICES_ADDRESS, Lab


def serve(lab: Lab) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        names = NameServer()
        stack.callback(names.stop)
        names.listen(lab.address)
        stack.enter_context(registry.serving("0.0.0.0", REGISTRY_PORT))
        router = Router()
        router.apply()
        machines = ContainerMachines(lab, connect(), router, names)
        aws = server.start(
            machines,
            "0.0.0.0",
            ENDPOINT_PORT,
            public_pool=lab.public_pool,
            ipv6_pool=lab.ipv6_pool,
            profile=replace(PROFILES[lab.account], seed=lab.seed),
        )
        stack.callback(aws.stop)
        metadata = imds.Metadata(METADATA_ADDRESS, 80)
        stack.callback(metadata.stop)
        private = ecr.Registry(SERVICES_ADDRESS, ECR_PORT, (lab.address, REGISTRY_PORT), aws.calls)
        stack.callback(private.stop)
        stack.callback(Balancers().stop)
        stop.wait()
