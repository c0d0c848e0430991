"""The nodes' engine: where its packages come from, its options, and the addresses of its networks."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Interface, IPv4Network, collapse_addresses
from itertools import combinations, islice, product
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from . import configuration_schema, subnets

# Docker's own packages, of download.docker.com.
DOCKER_CE = "docker-ce"
# What they need of the user data: the repository, its key's checksum and the pin.
DOCKER_CE_ROOM = 1024
# The oldest version that has what the agents use.
OLDEST = 25
VERSION = re.compile(r"(\d+)(\.\d+){0,2}")
# Maximum size of the options in the user data.
OPTIONS_LIMIT = 2048
# The engine takes a pool's networks in order. A swarm rarely has more of them.
FIRST_NETWORKS = 256
SMALLEST_NETWORK = 29
BRIDGE = "172.17.0.0/16"
# The largest packet between instances, in bytes (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-mtu.html).
VPC_MTU = 9001
# The packets below an overlay network, whose own are smaller by VXLAN's and ESP's headers (moby,
# daemon/libnetwork/drivers/overlay/ov_network.go).
OVERLAY_MTU = "com.docker.network.driver.mtu"
# Options that are set here, or that a swarm cannot have.
FIXED = {
    "containerd": "the engine's systemd unit sets it",
    "hosts": "the engine's systemd unit sets it, and nobody should reach the engine over the network",
    "labels": "the agents find nodes by these labels; labels for services belong to node_groups",
    "live-restore": "a swarm's engine cannot have it",
    "metrics-addr": "the engine's metrics are on 127.0.0.1:9323",
    "swarm-default-advertise-addr": "the agents set the address",
    "userns-remap": "with user namespaces services have no host ports",
}
# Options that the swarm's networks need, which are true by default.
NEEDED = ("ip-forward", "iptables")
# Drivers that rotate files.
ROTATING = ("json-file", "local")
_KINDS: Sequence[tuple[Mapping[str, Any], str]] = (
    (
        {"type": "bool"},
        "debug experimental icc init ip-forward ip-masq ip6tables iptables ipv6 no-new-privileges raw-logs "
        "selinux-enabled userland-proxy",
    ),
    (
        {"type": "int"},
        "max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu network-control-plane-mtu "
        "shutdown-timeout",
    ),
    (
        {"type": "str"},
        "bip bridge cgroup-parent data-root default-cgroupns-mode default-gateway default-ipc-mode default-runtime "
        "default-shm-size fixed-cidr fixed-cidr-v6 group init-path ip log-driver log-format log-level "
        "seccomp-profile storage-driver userland-proxy-path",
    ),
    (
        {"type": "list", "elements": "str"},
        "authorization-plugins dns dns-opts dns-search exec-opts insecure-registries node-generic-resources "
        "registry-mirrors storage-opts",
    ),
    ({"type": "dict"}, "default-network-opts default-ulimits features log-opts proxies runtimes"),
    (
        {
            "type": "list",
            "elements": "dict",
            "options": {
                "base": {"required": True, "description": "The range"},
                "size": {"type": "int", "required": True, "description": "The prefix length of its networks"},
            },
        },
        "default-address-pools",
    ),
)
# The options whose types are checked (https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file).
OPTIONS = {
    name: {"description": "See the reference of dockerd", **kind} for kind, names in _KINDS for name in names.split()
}


class Network(NamedTuple):
    """Addresses that the engine gives to its networks, and the key that decides about them."""

    block: IPv4Network
    owner: str
    setting: str


def daemon(config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of daemon.json without the labels: the options over ours, with the strings that Docker wants."""
    own = {key: value for key, value in config["daemon_options"].items() if value is not None}
    rotation = {"max-size": "10m", "max-file": "5"} if own.get("log-driver", ROTATING[0]) in ROTATING else {}
    if "default-network-opts" in own:
        by_driver = own["default-network-opts"].items()
        own["default-network-opts"] = {driver: configuration_schema.texts(opts or {}) for driver, opts in by_driver}
    return {
        "icc": False,
        "live-restore": False,
        "log-driver": ROTATING[0],
        "metrics-addr": "127.0.0.1:9323",
        **own,
        "log-opts": {**rotation, **configuration_schema.texts(own.get("log-opts", {}))},
    }


def room(config: Mapping[str, Any]) -> int:
    """The bytes of the user data that the options and Docker's packages need."""
    return _size(config["daemon_options"]) + (DOCKER_CE_ROOM if config["engine"] == DOCKER_CE else 0)


def _size(options: Mapping[str, Any]) -> int:
    # Indented as in the user data.
    return len(json.dumps(options, indent=10)) if options else 0


def networks(config: Mapping[str, Any]) -> Iterator[Network]:
    """The addresses of the swarm's first networks and of the engine's local networks; none of invalid values."""
    if not list(_pool_problems(config)):
        first = islice(
            (
                network
                for base in config["swarm_address_pool"]
                for network in IPv4Network(base).subnets(new_prefix=config["swarm_subnet_size"])
            ),
            FIRST_NETWORKS,
        )
        for block in collapse_addresses(first):
            yield Network(block, "the swarm's first overlay networks", "swarm_address_pool")
    if any(not isinstance(sentence, configuration_schema.Advice) for sentence in _option_problems(config)):
        return
    options = config["daemon_options"]
    pools = options.get("default-address-pools") or []
    if options.get("bip") or not pools:
        block = IPv4Interface(options.get("bip") or BRIDGE).network
        yield Network(block, "Docker's bridge network", "daemon_options.bip")
    for pool in pools:
        setting = "daemon_options.default-address-pools"
        yield Network(IPv4Network(pool["base"]), "Docker's local networks", setting)


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each error that can be found without AWS."""
    yield from _version_problems(config)
    yield from _option_problems(config)
    yield from _pool_problems(config)
    found = list(networks(config))
    overlays = [network for network in found if network.setting == "swarm_address_pool"]
    for overlay, local in product(overlays, found[len(overlays) :]):
        if overlay.block.overlaps(local.block):
            yield (
                f"{overlay.block}, used by {overlay.owner}, overlaps {local.block}, used by {local.owner}: set "
                f"{overlay.setting} or {local.setting} to other addresses."
            )


def _version_problems(config: Mapping[str, Any]) -> Iterator[str]:
    version = config["engine_version"]
    if config["engine"] != DOCKER_CE:
        if version is not None:
            yield (
                f"engine_version is {version}, but the distribution has a single version: set engine to {DOCKER_CE}, "
                "or remove engine_version."
            )
        return
    if config["node_os"] == "amazonlinux2023":
        yield (
            f"engine is {DOCKER_CE}, but Docker has no packages for amazonlinux2023: remove engine, or use another "
            "node_os."
        )
    if version is None:
        return
    found = VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        yield f"engine_version is {version}, but must be a version in quotes, such as '28.5' or '28.5.1'."
    elif int(found[1]) < OLDEST:
        yield f"engine_version is {version}, but the agents need {OLDEST} or newer."


def _option_problems(config: Mapping[str, Any]) -> Iterator[str]:
    options = config["daemon_options"]
    for key, reason in FIXED.items():
        if key in options:
            yield f"daemon_options has {key}, which cannot be set, since {reason}: remove it."
    for key in set(options) - {*OPTIONS, *FIXED}:
        hint = configuration_schema.suggestion(key, OPTIONS)
        if hint:
            yield configuration_schema.Advice(
                f"daemon_options has '{key}', which is passed on to the engine without a check{hint}"
            )
    wrong = configuration_schema.check(options, OPTIONS, "daemon_options")
    yield from wrong
    if wrong:
        return
    for key in NEEDED:
        if options.get(key) is False:
            yield f"daemon_options.{key} is false, but the swarm's networks need it: remove it."
    by_driver = options.get("default-network-opts") or {}
    for where, values in (
        ("log-opts", options.get("log-opts")),
        *((f"default-network-opts.{driver}", values) for driver, values in by_driver.items()),
    ):
        if not isinstance(values or {}, Mapping):
            yield f"daemon_options.{where} is {values!r}, but must be a mapping of strings."
            continue
        for key, value in (values or {}).items():
            if value is None or isinstance(value, (list, Mapping)):
                yield f"daemon_options.{where}.{key} is {value!r}, but must be a string."
            elif key == OVERLAY_MTU and not (str(value).isdecimal() and int(value) <= VPC_MTU):
                yield (
                    f"daemon_options.{where}.{key} is {value}, but a VPC carries packets of at most {VPC_MTU} bytes: "
                    "use 1500, or up to that."
                )
    if options.get("bip"):
        yield from _bridge_problems(options["bip"])
    for pool in options.get("default-address-pools") or []:
        where = "daemon_options.default-address-pools"
        wrong = list(subnets.cidr_problems(where, str(pool["base"])))
        yield from wrong
        if not wrong:
            yield from _size_problems(where, "size", pool["base"], pool["size"])
    if _size(options) > OPTIONS_LIMIT:
        yield (
            f"daemon_options needs {_size(options)} bytes of the user data, but the maximum is {OPTIONS_LIMIT}: use "
            "fewer options."
        )


def _bridge_problems(text: str) -> Iterator[str]:
    try:
        address = IPv4Interface(text)
    except ValueError:
        address = None
    if address is None or "/" not in text or address.ip == address.network.network_address:
        yield (
            f"daemon_options.bip is '{text}', but must be the address of the bridge with its prefix length, such as "
            "172.26.0.1/16."
        )


def _size_problems(where: str, key: str, base: str, size: int) -> Iterator[str]:
    prefix = IPv4Network(base).prefixlen
    if not prefix <= size <= SMALLEST_NETWORK:
        yield (
            f"{where} has {base} with networks of the size /{size}, but the size must be between /{prefix} and "
            f"/{SMALLEST_NETWORK}: correct {key}."
        )


def _pool_problems(config: Mapping[str, Any]) -> Iterator[str]:
    pool = config["swarm_address_pool"]
    if not pool:
        yield "swarm_address_pool is empty: list ranges such as 172.30.0.0/15, or remove it for 10.0.0.0/8."
    wrong = [sentence for base in pool for sentence in subnets.cidr_problems("swarm_address_pool", str(base))]
    yield from wrong
    if wrong:
        return
    for base in pool:
        yield from _size_problems("swarm_address_pool", "swarm_subnet_size", base, config["swarm_subnet_size"])
    for one, other in combinations(pool, 2):
        if IPv4Network(one).overlaps(IPv4Network(other)):
            yield f"swarm_address_pool has {one} and {other}, which overlap: use separate ranges."
