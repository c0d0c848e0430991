"""Terminates ten leaders in a row and measures the time until the cluster has three voters and a correct record again.

    python -m bench.leaders

The time starts at the boot of the replacement and is compared with the time until its engine answers.
"""

from __future__ import annotations

import time

from bench.lab import fresh
from tests.lab.site import Site

TIMES = 10


def main() -> None:
    """Measure, and print a line for each replacement."""
    with fresh("bench-leaders") as site:
        built = site.playbook("site.yml")
        if built.code:
            raise SystemExit(built.output[-3000:])
        site.settle()
        for number in range(1, TIMES + 1):
            booted, whole = replace_the_leader(site)
            voters = [node for node in site.nodes() if node.role == "manager"]
            print(
                f"{number}: {len(voters)} voters and a correct record {whole:.0f} s after the replacement's boot, "
                f"whose engine answered after {booted:.0f} s (ratio {whole / booted:.1f})",
                flush=True,
            )


def replace_the_leader(site: Site) -> tuple[float, float]:
    """Terminate the leader by the API. Returns the seconds from its replacement's boot until the engine answers,
    and until there are exactly three voters, all on running instances, and the record points to them.
    """
    leader = next(
        node.instance for node in site.nodes() if node.reachability == "reachable" and leads(site, node.node_id)
    )
    known = {member["instance_id"] for member in site.instances()}
    site.aws("ec2").terminate_instances(InstanceIds=[leader])
    new = site.wait(
        "the replacement",
        lambda: [member for member in site.instances("manager") if member["instance_id"] not in known],
    )
    began = time.monotonic()
    instance = new[0]["instance_id"]
    site.wait("its engine", lambda: site.on(instance, "docker", "version").code == 0)
    booted = time.monotonic() - began
    site.settle()
    site.wait("the record", lambda: site.addresses() == site.public_addresses())
    return booted, time.monotonic() - began


def leads(site: Site, node: str) -> bool:
    """Whether a node is the Raft leader."""
    shown = site.on(site.managers()[0], "docker", "node", "inspect", node, "--format", "{{.ManagerStatus.Leader}}")
    return shown.output.strip() == "true"


if __name__ == "__main__":
    main()
