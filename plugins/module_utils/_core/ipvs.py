"""IPVS, the kernel's load balancer: Docker's routing mesh and virtual addresses (VIPs) need it on every node."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence

# The engine's label of a node whose kernel lacks it, which the node's setup writes.
LABEL, LACKS = "swarm.aws.lacks", "ip_vs"
# Docker's default mode of a published port, that of the routing mesh.
INGRESS = "ingress"


def needed(spec: Mapping[str, Any]) -> bool:
    """Whether tasks are reached by it: whether a service's specification has a virtual address."""
    endpoint = spec.get("EndpointSpec") or {}
    if endpoint.get("Mode", "vip") != "vip":
        return False
    ports = endpoint.get("Ports") or []
    return bool(spec["TaskTemplate"].get("Networks")) or any(
        port.get("PublishMode", INGRESS) == INGRESS for port in ports
    )


def missing(nodes: Sequence[str], services: Sequence[str]) -> List[str]:
    """A sentence if nodes without it, by their instances, are in a swarm with services that need it."""
    if not nodes or not services:
        return []
    return [
        f"The kernel has no IPVS (ip_vs) on {_listed(nodes)}, so {_listed(services)} cannot be reached from there by "
        "virtual address or routing mesh."
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names))
