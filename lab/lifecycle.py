"""Starts and stops labs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3

from lab import disks, images, network, packages, registry
from lab import engine as outer_engine
from lab.commands import run
from lab.engine import LABEL, remove_instance
from lab.errors import LabError
from lab.state import ACCOUNT_ID, HOME, REGION, Lab, claim, labs
from lab.waiting import answers, until

Say = Callable[[str], None]
ZONE = "swarm.test"
KEY_NAME = "lab"
_NEEDED = {"ip": "iproute2", "losetup": "mount", "nft": "nftables", "ssh-keygen": "openssh-client", "sysctl": "procps"}


def up(name: str, say: Say, account: str | None = None, seed: int | None = None, kernel: str | None = None) -> Lab:
    """Start the lab if it is not up: engine, images, network, services and an account with a key pair and a zone.

    ``account``, ``seed`` and ``kernel`` as :func:`lab.state.claim` takes them.
    """
    if sys.platform != "linux" or os.geteuid():
        raise LabError("The lab creates network namespaces, which needs root on Linux: run this as root on Linux.")
    with one_at_a_time(say):
        missing = [package for program, package in _NEEDED.items() if not shutil.which(program)]
        if missing:
            packages.install(*missing, say=say, needed_for="Software for the lab's network")
        client = outer_engine.ensure(say)
        registry.program()
        images.ensure(client, say)
        if "own" in (kernel, *(lab.kernel for lab in labs() if lab.name == name)):
            images.ensure_kernel(client, say)
        lab = claim(name, account, seed, kernel)
    network.create(lab)
    if not _serving(lab):
        say("starting the lab's AWS, DNS and registry")
        _start(lab)
    _prepare_account(lab)
    return lab


@contextmanager
def one_at_a_time(say: Say) -> Iterator[None]:
    """Wait until no other process prepares this machine for a lab: its packages, its engine and its images."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "preparing.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another lab that is being prepared on this machine")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def down(lab: Lab, say: Say) -> None:
    """Remove the lab's instances, disks, processes, network and files. The images stay for the next lab."""
    say("stopping the lab's AWS, DNS and registry")
    _stop(lab)
    _remove_instances(lab, say)
    disks.remove_all(lab)
    network.delete(lab)
    with one_at_a_time(say):
        shutil.rmtree(lab.folder)
        if not labs():
            outer_engine.stop_own()


def environment(lab: Lab) -> dict[str, str]:
    """The variables that point an AWS client and Ansible at the lab."""
    return {
        "AWS_ENDPOINT_URL": lab.endpoint,
        "AWS_ACCESS_KEY_ID": "lab",
        # Not a common word, since Ansible masks it everywhere in its output.
        "AWS_SECRET_ACCESS_KEY": "nothing-to-hide",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANSIBLE_INVENTORY": "inventories/lab",
        "ANSIBLE_PRIVATE_KEY_FILE": str(lab.private_key),
        "SWARM_LAB_NAME": lab.name,
        "SWARM_LAB_DNS": lab.address,
    }


def client(lab: Lab, service: str) -> Any:
    """A boto3 client with the credentials of the lab's administrator."""
    return boto3.client(
        service, endpoint_url=lab.endpoint, region_name=REGION, aws_access_key_id="lab", aws_secret_access_key="lab"
    )


def _start(lab: Lab) -> None:
    command = ["ip", "netns", "exec", lab.namespace, sys.executable, "-m", "lab", "serve", "--name", lab.name]
    with lab.log_file.open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # `ip netns exec` replaces itself with the program, so this is the server's process ID.
    lab.pid_file.write_text(str(process.pid))

    def answering() -> bool:
        if process.poll() is not None:
            raise LabError(
                f"The lab's server ended immediately; the end of its log:\n{lab.log_file.read_text()[-2000:]}"
            )
        return _serving(lab)

    until("the lab's AWS endpoint to answer", answering, seconds=60)


def _stop(lab: Lab) -> None:
    pid = _server_pid(lab)
    if pid:
        os.kill(pid, signal.SIGTERM)
        try:
            until("the lab's server to stop", lambda: ended(pid), seconds=15)
        except LabError:
            os.kill(pid, signal.SIGKILL)
            until("the lab's server to be killed", lambda: ended(pid), seconds=15)


def ended(pid: int) -> bool:
    """Whether a process has ended. A process that is ending may still exist without a command line."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def _server_pid(lab: Lab) -> int | None:
    """The server's process ID, if the process in the file is still the server."""
    try:
        pid = int(lab.pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ValueError):
        return None
    return pid if "serve" in words and lab.name in words else None


def _serving(lab: Lab) -> bool:
    return bool(_server_pid(lab)) and answers(f"{lab.endpoint}/_lab/instances", seconds=2)


def _prepare_account(lab: Lab) -> None:
    """Create the prerequisites of a cluster: a key pair and a hosted zone."""
    if not lab.private_key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{lab.name}", "-f", str(lab.private_key))
    ec2 = client(lab, "ec2")
    if not ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [KEY_NAME]}])["KeyPairs"]:
        public = lab.private_key.with_suffix(".pub").read_bytes()
        ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=public)
    route53 = client(lab, "route53")
    if not route53.list_hosted_zones_by_name(DNSName=ZONE)["HostedZones"]:
        route53.create_hosted_zone(Name=ZONE, CallerReference=f"{ACCOUNT_ID}-{ZONE}")


def _remove_instances(lab: Lab, say: Say) -> None:
    try:
        docker_client = outer_engine.connect()
    except LabError:
        return  # no engine, no instances
    mine = {"label": f"{LABEL}={lab.name}"}
    names = {container.name for container in docker_client.containers.list(all=True, filters=mine)}
    names |= {volume.name for volume in docker_client.volumes.list(filters=mine)}
    if names:
        say(f"removing instances: {len(names)}")
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda name: remove_instance(docker_client, name), sorted(names)))
