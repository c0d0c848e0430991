"""The lab's network: a single namespace is the VPC's router, its internet gateway and its firewall.

A cable connects each instance to the namespace, which routes every packet between them, as in a VPC: an instance has
its private address, a public address is translated one to one in both directions, and the forward chain applies the
security groups. The namespace is connected only to the host, so nothing leaves the machine, and deleting it deletes
every cable, address, route and rule.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lab.aws.ports import Rule
from lab.commands import run
from lab.errors import LabError
from lab.state import ECR_PORT, ENDPOINT_PORT, METADATA_ADDRESS, SERVICES_ADDRESS, Lab

# The router's address at the end of every cable: link-local, as on AWS.
_ROUTER = "fe80::1"


@dataclass
class Wiring:
    """The router's data of the instances: addresses, security groups and partitions."""

    public: dict[str, str] = field(default_factory=dict)
    """Private to public address."""
    ipv6: dict[str, str] = field(default_factory=dict)
    """Private to IPv6 address."""
    vpcs: dict[str, str] = field(default_factory=dict)
    """VPC ID to CIDR."""
    cut_off: set[str] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    """Security group ID to the private and IPv6 addresses in it."""
    seen_as: dict[str, str | None] = field(default_factory=dict)
    """Private address to the public address outside the VPC, or None without a route to the internet."""


def create(lab: Lab) -> None:
    """Create the lab's namespace and the cable between it and the host, if they do not exist."""
    if Path(f"/run/netns/{lab.namespace}").exists():
        return
    run("ip", "netns", "add", lab.namespace)
    _ip_batch(
        f"link add {lab.host_link} type veth peer name host netns {lab.namespace}",
        f"addr add {lab.host_address}/30 dev {lab.host_link}",
        f"link set {lab.host_link} up",
    )
    _ip_batch(
        "link set lo up",
        f"addr add {lab.address}/30 dev host",
        "link set host up",
        f"addr add {SERVICES_ADDRESS}/32 dev lo",
        f"addr add {METADATA_ADDRESS}/32 dev lo",
        "route add unreachable default",
        namespace=lab.namespace,
    )
    run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.ip_nonlocal_bind=1", namespace=lab.namespace)
    _ip_batch(f"route add {lab.public_pool} via {lab.address}")
    if ipv6_works():
        _create_ipv6(lab)


def ipv6_works() -> bool:
    """Whether this machine's kernel supports IPv6."""
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    return disabled.exists() and disabled.read_text().strip() == "0"


def _create_ipv6(lab: Lab) -> None:
    ours, theirs = lab.ipv6_cable
    # nodad: duplicate address detection would take a second.
    _ip_batch(f"addr add {ours}/126 dev {lab.host_link} nodad", f"route add {lab.ipv6_pool} via {theirs}")
    _ip_batch(f"addr add {theirs}/126 dev host nodad", "route add unreachable ::/0", namespace=lab.namespace)
    run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", namespace=lab.namespace)


def delete(lab: Lab) -> None:
    """Remove the namespace and everything connected to it."""
    if Path(f"/run/netns/{lab.namespace}").exists():
        run("ip", "netns", "delete", lab.namespace)
    # The kernel deletes the cable with the namespace once its last process has ended, which may be much later.
    with contextlib.suppress(LabError):
        run("ip", "link", "delete", lab.host_link)
    if Path(f"/sys/class/net/{lab.host_link}").exists():
        raise LabError(f"The interface {lab.host_link} was not removed: `ip link delete {lab.host_link}` shows why.")


class Router:
    """Runs inside the lab's namespace and applies the wiring: cables, translations and rules."""

    def __init__(self) -> None:
        self._wiring = Wiring()
        self._lock = threading.Lock()

    def add_vpc(self, vpc_id: str, cidr: str) -> str:
        """Add a VPC's resolver address (its base plus two) and return it."""
        with self._lock:
            self._wiring.vpcs[vpc_id] = cidr
        resolver = str(ipaddress.ip_network(cidr)[2])
        _ip_batch(f"addr replace {resolver}/32 dev lo")
        self.apply()
        return resolver

    def remove_vpc(self, vpc_id: str) -> None:
        """Remove a VPC's resolver address."""
        with self._lock:
            cidr = self._wiring.vpcs.pop(vpc_id, None)
        if cidr:
            _ip_batch(f"addr del {ipaddress.ip_network(cidr)[2]}/32 dev lo")
            self.apply()

    def resolver(self, vpc_id: str) -> str:
        """The address of the VPC's own name server."""
        return str(ipaddress.ip_network(self._wiring.vpcs[vpc_id])[2])

    def connect(
        self, cable: str, pid: int, subnet: str, private_ip: str, public_ip: str | None, ipv6: str | None = None
    ) -> None:
        """Connect the network namespace of process ``pid`` to the VPC; the default route comes last."""
        network = ipaddress.ip_network(subnet)
        gateway = str(network[1])
        _ip_batch(
            f"addr replace {gateway}/32 dev lo",
            f"link add {cable} type veth peer name eth0 netns {pid}",
            f"link set {cable} up",
            f"route add {private_ip}/32 dev {cable}",
        )
        # The router answers ARP for every neighbour without delay: all traffic of a subnet passes through it.
        settings = Path("/proc/sys/net/ipv4")
        (settings / f"conf/{cable}/proxy_arp").write_text("1")
        (settings / f"neigh/{cable}/proxy_delay").write_text("0")
        with self._lock:
            if public_ip:
                self._wiring.public[private_ip] = public_ip
            if ipv6:
                self._wiring.ipv6[private_ip] = ipv6
        self.apply()
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
        commands = ["link set lo up", f"addr add {private_ip}/{network.prefixlen} dev eth0", "link set eth0 up"]
        if ipv6 and ipv6_works():
            _ip_batch(f"addr add {_ROUTER}/64 dev {cable} nodad", f"route add {ipv6}/128 dev {cable}")
            # The outer engine disables IPv6 in containers without a network.
            run(*inside, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.eth0.disable_ipv6=0")
            commands += [f"addr add {ipv6}/128 dev eth0 nodad", f"route add ::/0 via {_ROUTER} dev eth0"]
        commands.append(f"route add default via {gateway}")
        run(*inside, "ip", "-batch", "-", stdin="\n".join(commands))

    def disconnect(self, cable: str, private_ip: str) -> None:
        """Forget an instance, and delete its cable if the kernel has not deleted it with the instance's namespace."""
        if Path(f"/sys/class/net/{cable}").exists():
            run("ip", "link", "delete", cable)
        with self._lock:
            self._wiring.public.pop(private_ip, None)
            self._wiring.ipv6.pop(private_ip, None)
            self._wiring.cut_off.discard(private_ip)
        self.apply()

    def cut_off(self, private_ip: str, *, cut: bool) -> None:
        """Start or stop dropping every packet from and to an address."""
        with self._lock:
            (self._wiring.cut_off.add if cut else self._wiring.cut_off.discard)(private_ip)
        self.apply()

    def enforce(self, rules: list[Rule], members: dict[str, set[str]], seen_as: dict[str, str | None]) -> None:
        """Let in only what these security groups allow, and out only instances with a route to the internet."""
        with self._lock:
            self._wiring.rules, self._wiring.members, self._wiring.seen_as = rules, members, seen_as
        self.apply()

    def apply(self) -> None:
        """Replace the whole ruleset atomically; established connections continue."""
        with self._lock:
            also = ipv6_ruleset(self._wiring) if ipv6_works() else ""
            run("nft", "-f", "-", stdin=ruleset(self._wiring) + also)


def ruleset(wiring: Wiring) -> str:
    """The firewall and the address translation as a single atomic nft script."""
    lines = ["table ip lab {}", "delete table ip lab", "table ip lab {"]
    lines += _map("public_to_private", {public: private for private, public in wiring.public.items()})
    translated = {private: public for private, public in wiring.seen_as.items() if public}
    lines += _map("private_to_public", wiring.public | translated)
    lines += _set("cut_off", wiring.cut_off)
    lines += _set("shut_in", {private for private, public in wiring.seen_as.items() if public is None})
    lines += _set("vpc", set(wiring.vpcs.values()), flags="flags interval;")
    for group in sorted(_used(wiring)):
        lines += _set(_set_name(group), {address for address in wiring.members.get(group, set()) if ":" not in address})
    lines += [
        "chain before { type nat hook prerouting priority -100; dnat to ip daddr map @public_to_private; }",
        "chain local { type nat hook output priority -100; dnat to ip daddr map @public_to_private; }",
        "chain after { type nat hook postrouting priority 100;"
        " ip saddr @vpc ip daddr != @vpc snat to ip saddr map @private_to_public; }",
        "chain services { type filter hook input priority 0; ip saddr @cut_off drop;"
        # Instances without a route to the internet reach AWS, which looks for a VPC endpoint, and ECR only.
        f" ip saddr @shut_in ip daddr {SERVICES_ADDRESS} tcp dport {{ {ECR_PORT}, {ENDPOINT_PORT} }} accept;"
        # The engine asks ECR by TLS first, which the lab does not have. Elsewhere this is refused too.
        f" ip saddr @shut_in ip daddr {SERVICES_ADDRESS} tcp dport 443 reject with tcp reset;"
        f" ip saddr @shut_in ip daddr {SERVICES_ADDRESS} drop; }}",
        "chain replies { type filter hook output priority 0; ip daddr @cut_off drop; }",
        "chain passing { type filter hook forward priority 0; policy drop;",
        "ip saddr @cut_off drop; ip daddr @cut_off drop;",
        "ct state established,related accept;",
        "ip saddr @shut_in ip daddr != @vpc drop;",
    ]
    lines += _admissions(wiring, "ip")
    return "\n".join([*lines, "}", "}", ""])


def ipv6_ruleset(wiring: Wiring) -> str:
    """The firewall for IPv6, whose addresses need no translation."""
    lines = ["table ip6 lab {}", "delete table ip6 lab", "table ip6 lab {"]
    cut_off = {address for private, address in wiring.ipv6.items() if private in wiring.cut_off}
    lines += _set("cut_off", cut_off, kind="ipv6_addr")
    for group in sorted(_used(wiring)):
        own = {address for address in wiring.members.get(group, set()) if ":" in address}
        lines += _set(_set_name(group), own, kind="ipv6_addr")
    lines += [
        "chain passing { type filter hook forward priority 0; policy drop;",
        "ip6 saddr @cut_off drop; ip6 daddr @cut_off drop;",
        "ct state established,related accept;",
    ]
    lines += _admissions(wiring, "ip6")
    return "\n".join([*lines, "}", "}", ""])


def _used(wiring: Wiring) -> set[str]:
    return {rule.group_id for rule in wiring.rules} | {
        identifier for rule in wiring.rules for identifier in rule.source_group_ids
    }


def _admissions(wiring: Wiring, family: str) -> list[str]:
    lines = []
    for rule in wiring.rules:
        target = f"{family} daddr @{_set_name(rule.group_id)}"
        ranges = [cidr for cidr in rule.cidrs if (":" in cidr) == (family == "ip6")]
        for source in (*ranges, *(f"@{_set_name(group)}" for group in rule.source_group_ids)):
            lines.append(f"{target} {family} saddr {source} {_match(rule)} accept;")
    return lines


def _match(rule: Rule) -> str:
    if rule.protocol == "-1":
        return ""
    if rule.protocol in ("tcp", "udp"):
        return f"{rule.protocol} dport {rule.from_port}-{rule.to_port}"
    return f"meta l4proto {rule.protocol}"


def _map(name: str, pairs: dict[str, str]) -> list[str]:
    elements = ", ".join(f"{key} : {value}" for key, value in sorted(pairs.items()))
    return [f"map {name} {{ type ipv4_addr : ipv4_addr; {f'elements = {{ {elements} }}' if pairs else ''} }}"]


def _set(name: str, values: set[str], flags: str = "", kind: str = "ipv4_addr") -> list[str]:
    elements = ", ".join(sorted(values))
    return [f"set {name} {{ type {kind}; {flags} {f'elements = {{ {elements} }}' if values else ''} }}"]


def _set_name(group_id: str) -> str:
    return group_id.replace("-", "_")


def _ip_batch(*commands: str, namespace: str | None = None) -> None:
    run("ip", *(("-n", namespace) if namespace else ()), "-batch", "-", stdin="\n".join(commands))
