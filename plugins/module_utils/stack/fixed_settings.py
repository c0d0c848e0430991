"""Settings of networks and volumes that Docker never changes once it has created them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# The engine's own option of a network.
_OWN = "com.docker.network.driver.overlay.vxlanid_list"


def of_networks(stack: str, document: Mapping[str, Any], live: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A phrase for each difference between the document's networks and those of these names in the swarm."""
    for key in sorted(
        {key for service in document["services"].values() for key in service.get("networks") or ["default"]}
    ):
        entry = (document.get("networks") or {}).get(key) or {}
        name = entry.get("name") or f"{stack}_{key}"
        if entry.get("external") or name not in live:
            continue
        found = live[name]
        ranges = {config.get("Subnet") for config in (found.get("IPAM") or {}).get("Config") or []}
        wanted = {config.get("subnet") for config in (entry.get("ipam") or {}).get("config") or []} - {None}
        options = {option: value for option, value in (found.get("Options") or {}).items() if option != _OWN}
        # Until the swarm has allocated the network, the engine shows none of these.
        driver, opts, allocated = entry.get("driver") or "overlay", entry.get("driver_opts") or {}, found.get("Driver")
        for setting, present, future in (
            ("driver", allocated or driver, driver),
            ("internal", bool(found.get("Internal")), bool(entry.get("internal"))),
            ("attachable", bool(found.get("Attachable")), bool(entry.get("attachable"))),
            ("driver_opts", options if allocated else opts, opts),
            ("subnet", sorted(ranges or wanted), sorted(wanted or ranges)),
        ):
            if present != future:
                yield f"{name} has {setting} {json.dumps(present)}, and the compose file wants {json.dumps(future)}"


def of_volumes(stack: str, document: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """The volumes with other settings than in the document that was deployed before."""

    def settings(of: Mapping[str, Any]) -> dict[str, Any]:
        entries = {key: entry or {} for key, entry in (of.get("volumes") or {}).items()}
        return {
            entry.get("name") or f"{stack}_{key}": [entry.get("driver"), entry.get("driver_opts")]
            for key, entry in entries.items()
        }

    old, new = settings(before), settings(document)
    return sorted(name for name in new if name in old and old[name] != new[name])
