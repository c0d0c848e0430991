"""A lab's name, its addresses and its files."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lab.errors import LabError

HOME = Path(os.environ.get("SWARM_LAB_HOME", "/var/lib/swarm-aws-lab"))
"""All files of the labs: the engine's data, the registry's images, a folder for each lab."""

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"
ENDPOINT_PORT = 4566
REGISTRY_PORT = 5000
SERVICES_ADDRESS = "198.19.0.1"
"""The address of the AWS endpoint and the registry for instances; the same in every lab, since the image has it."""
ECR_HOST = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com"
"""The account's own registry."""
ECR_PORT = 80
METADATA_ADDRESS = "169.254.169.254"
PUBLIC_RANGES = ("198.51.100.0/24", "203.0.113.0/24")
"""Documentation ranges (RFC 5737) as public addresses: nothing on the internet has them. IPv6 addresses are in RFC
3849's range, 2001:db8::/32."""
POOL_PREFIX = 26
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


def default_name() -> str:
    """The lab that commands use without ``--name``."""
    return os.environ.get("SWARM_LAB_NAME", "lab")


@dataclass(frozen=True)
class Lab:
    """A lab's identity; ``slot`` makes the addresses of several labs on a machine distinct."""

    name: str
    slot: int
    account: str = "strict"
    """The name of the account's profile."""
    seed: int = 1
    kernel: str = "container"
    """``container``: the instances share the host's kernel; ``own``: each has its own."""

    @property
    def folder(self) -> Path:
        return HOME / "labs" / self.name

    @property
    def namespace(self) -> str:
        return f"swarm-{self.name}"

    @property
    def host_link(self) -> str:
        """The host's end of the cable into the lab: at most 15 characters, hence the slot instead of the name."""
        return f"swarmlab{self.slot}"

    @property
    def host_address(self) -> str:
        return f"198.18.{self.slot}.1"

    @property
    def address(self) -> str:
        """The address of the lab's AWS endpoint, DNS and registry for the host."""
        return f"198.18.{self.slot}.2"

    @property
    def public_pool(self) -> str:
        return str(_pools()[self.slot])

    @property
    def ipv6_pool(self) -> str:
        return f"2001:db8:{self.slot + 1:x}::/48"

    @property
    def ipv6_cable(self) -> tuple[str, str]:
        """The addresses of both ends of the cable, the host's first; a /126."""
        return f"2001:db8:ffff:{self.slot + 1:x}::1", f"2001:db8:ffff:{self.slot + 1:x}::2"

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{ENDPOINT_PORT}"

    @property
    def pid_file(self) -> Path:
        return self.folder / "serve.pid"

    @property
    def log_file(self) -> Path:
        return self.folder / "serve.log"

    @property
    def private_key(self) -> Path:
        return self.folder / "id_ed25519"

    def container(self, instance_id: str) -> str:
        """The outer engine's name for an instance and for its disk."""
        return f"{self.namespace}-{instance_id}"


def _pools() -> list[ipaddress.IPv4Network]:
    return [pool for block in PUBLIC_RANGES for pool in ipaddress.IPv4Network(block).subnets(new_prefix=POOL_PREFIX)]


def labs() -> list[Lab]:
    """The labs on this machine that are up or were not removed."""
    return sorted((_read(path) for path in HOME.glob("labs/*/lab.json")), key=lambda lab: lab.slot)


def _read(path: Path) -> Lab:
    """A lab's file, without the fields of a newer checkout's lab."""
    known = {field.name for field in fields(Lab)}
    return Lab(**{key: value for key, value in json.loads(path.read_text()).items() if key in known})


def find(name: str) -> Lab:
    """The lab of that name. Raises LabError if it does not exist."""
    for lab in labs():
        if lab.name == name:
            return lab
    raise LabError(f"The lab '{name}' does not exist on this machine; start it with `lab up --name {name}`.")


def claim(name: str, account: str | None = None, seed: int | None = None, kernel: str | None = None) -> Lab:
    """The lab of that name, registered on this machine if it is new. Raises LabError.

    :param account: ``strict`` or ``kind``; None: as it is, or strict.
    :param seed: None: as it is, or 1.
    :param kernel: ``container`` or ``own``; None: as it is, or container.
    """
    if not NAME.fullmatch(name):
        raise LabError(
            f"'{name}' is not a valid name for a lab: use up to 20 of a-z, 0-9 and '-', starting with a letter."
        )
    known = {lab.name: lab for lab in labs()}
    if name in known:
        lab = known[name]
        if (account or lab.account, seed or lab.seed, kernel or lab.kernel) != (lab.account, lab.seed, lab.kernel):
            raise LabError(
                f"The lab '{name}' has the account '{lab.account}' with the seed {lab.seed} and the kernel "
                f"'{lab.kernel}': for others, run `lab down --name {name}` first, which removes its cluster."
            )
        return lab
    free = set(range(len(_pools()))) - {lab.slot for lab in known.values()}
    if not free:
        raise LabError(
            f"{len(known)} labs are already up, and there are no addresses for another: stop a lab first (`lab down`)."
        )
    lab = Lab(name, min(free), account or Lab.account, seed or Lab.seed, kernel or Lab.kernel)
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "lab.json").write_text(json.dumps(asdict(lab)))
    return lab
