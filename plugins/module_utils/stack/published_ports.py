"""Where clients find what a stack publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._core.ipvs import INGRESS
from ..aws import tags

_SCHEMES = {80: "http", 443: "https"}


def of_service(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ports of a service of the engine: ``port``, ``protocol`` and ``mode``."""
    found = (service.get("Endpoint") or {}).get("Ports") or (service["Spec"].get("EndpointSpec") or {}).get("Ports")
    return [
        {
            "port": port["PublishedPort"],
            "protocol": port.get("Protocol", "tcp"),
            "mode": port.get("PublishMode", INGRESS),
        }
        for port in found or []
        if port.get("PublishedPort")
    ]


class Published:
    """The published ports of a stack."""

    def __init__(
        self,
        services: Mapping[str, Mapping[str, Any]],
        cluster: Mapping[str, Any],
        hosts: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """``services`` is the result of stack_converged; ``hosts`` are the variables of the inventory's hosts.

        ``cluster`` is the configuration, of which ``node_groups``, ``published_ports``, ``dns`` and ``monitoring`` are
        used.
        """
        self._ports = [(name, port) for name in sorted(services) for port in services[name].get("ports") or []]
        self._dns, self._hosts = cluster.get("dns") or {}, hosts
        self._tls_ports = (cluster.get("monitoring") or {}).get("tls_ports") or []
        self._groups: Sequence[Mapping[str, Any]] = cluster["node_groups"]
        # Only they have the security group that opens the ports.
        self._serving = [group for group in self._groups if group.get("dns") or group.get("target_groups")]
        opened = cluster["published_ports"] if self._serving else []
        self._open = {(int(port["port"]), port.get("protocol", "tcp")) for port in opened}

    def places(self) -> Iterator[str]:
        """The URL, or address and port, of each open port."""
        for name, port in self._ports:
            if self._is_open(port):
                yield f"{self._place(port)} ({name})"

    def warnings(self) -> Iterator[str]:
        """Sentences about clients that do not reach a port."""
        yield from self._closed()
        if self._dns.get("ipv6"):
            for name in sorted({name for name, port in self._ports if port["mode"] == INGRESS and self._is_open(port)}):
                # https://github.com/moby/moby/issues/53091
                yield (
                    f"Docker's routing mesh, through which {name} publishes ports, answers clients with IPv6 only from "
                    "version 29.8 of the engine on. With an older engine, publish the ports with `mode: host`, or set "
                    "dns.ipv6 to false."
                )

    def _closed(self) -> Iterator[str]:
        """A sentence for each port that no group opens, if the groups are known."""
        remedy = "add it to published_ports" if self._serving else "set dns or target_groups of a group"
        for name, port in self._ports if self._groups else ():
            if not self._is_open(port):
                yield (
                    f"{name} publishes the port {port['port']}/{port['protocol']}, but no node group opens it: "
                    f"{remedy} and run site.yml, unless only nodes or clients in your own security groups need it."
                )

    def _is_open(self, port: Mapping[str, Any]) -> bool:
        return (port["port"], port["protocol"]) in self._open

    def _place(self, port: Mapping[str, Any]) -> str:
        number, balanced = port["port"], [arn for group in self._serving for arn in group.get("target_groups") or []]
        if not self._dns and balanced:
            names = ", ".join(sorted({arn.split("/")[1] for arn in balanced}))
            return f"port {number} behind the load balancer of {names}"
        host, scheme = self._host(), "https" if number in self._tls_ports else _SCHEMES.get(number)
        if not host:
            return f"port {number} of a node of {' or '.join(group['name'] for group in self._serving)}"
        if port["protocol"] != "tcp" or scheme is None:
            return f"{host}:{number}/{port['protocol']}"
        return f"{scheme}://{host}/" if number in _SCHEMES else f"{scheme}://{host}:{number}/"

    def _host(self) -> str:
        """The name or address for clients, empty if it is unknown."""
        cloud_map = self._dns.get("cloud_map")
        if cloud_map:
            return f"{cloud_map['service']}.{cloud_map['namespace']}"
        names = {group["name"] for group in self._serving}
        addresses = (
            found.get("aws_public_ip_address") or found.get("aws_private_ip_address") or ""
            for found in self._hosts.values()
            if (found.get("aws_ec2_tags") or {}).get(tags.GROUP) in names
        )
        return str(self._dns.get("record") or next(filter(None, addresses), ""))
