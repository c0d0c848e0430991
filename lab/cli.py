"""The lab's command line: ``python -m lab``, or ``make lab-up`` and its siblings."""

from __future__ import annotations

import os
import shlex
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import images, lifecycle, pages, status, tunnel
from lab.authority import Authority
from lab.engine import connect, execute
from lab.errors import LabError
from lab.state import Lab, default_name, find, labs

app = typer.Typer(
    help="A small AWS on this machine, whose instances are real hosts running a real Docker engine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)
Name = Annotated[
    str, typer.Option("--name", help="Which lab; several can be up at once.", default_factory=default_name)
]
Instance = Annotated[str, typer.Argument(help="An instance ID of the lab, as `lab status` shows it.")]


def say(line: str) -> None:
    console.print(f"lab: {line} …", highlight=False, soft_wrap=True)


@app.command()
def up(name: Name) -> None:
    """Start the lab, installing and building what it needs; a lab that is up is left as it is."""
    lab = lifecycle.up(name, say)
    console.print(f"lab: '{lab.name}' is up at {lab.endpoint}; `lab env` prints what points a client at it.")


@app.command()
def down(name: Name) -> None:
    """Stop the lab and remove all that it made; nothing of its cluster stays."""
    if name not in {lab.name for lab in labs()}:
        say(f"there is no lab called '{name}'; nothing to take down")
        return
    lifecycle.down(find(name), say)


@app.command()
def env(name: Name) -> None:
    """Print `export` lines that point an AWS client, and Ansible, at the lab."""
    for key, value in lifecycle.environment(find(name)).items():
        print(f"export {key}={shlex.quote(value)}")


@app.command(name="status")
def show_status(name: Name) -> None:
    """Show the instances: zone, health, addresses and what their engines say of the swarm."""
    # Rows stay whole where the output goes to a file or a pipe.
    screen = Console() if sys.stdout.isatty() else Console(width=160)
    screen.print(status.table(find(name), connect()))


@app.command()
def ssh(instance: Instance, name: Name, command: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Open a shell on an instance over SSH, or run a command there."""
    lab = find(name)
    known = _known(lab, instance)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    if not known["public_ip"]:
        options.append(f"ProxyCommand={sys.executable} -m lab tunnel --name {name} %h %p")
    arguments = ["ssh", "-i", str(lab.private_key), *(word for option in options for word in ("-o", option))]
    os.execvp("ssh", [*arguments, f"admin@{known['public_ip'] or known['private_ip']}", *(command or [])])


@app.command(name="tunnel")
def open_tunnel(
    address: Annotated[str, typer.Argument(help="An instance's private address.")],
    name: Name,
    port: Annotated[int, typer.Argument(help="The port.")] = 22,
) -> None:
    """Be SSH's ProxyCommand to an instance without a public address, as Session Manager would be."""
    tunnel.tunnel(find(name), address, port)


@app.command()
def logs(
    name: Name, instance: Annotated[str | None, typer.Argument(help="An instance; the lab itself if none.")] = None
) -> None:
    """Print an instance's journal, or the log of the lab's own server."""
    lab = find(name)
    if instance is None:
        sys.stdout.write(lab.log_file.read_text())
        return
    _known(lab, instance)
    container = connect().containers.get(lab.container(instance))
    sys.stdout.write(execute(container, "journalctl", "--no-pager", "--output=short-precise")[1])


@app.command()
def kill(instance: Instance, name: Name) -> None:
    """Kill an instance hard, as a failing host would: no shutdown, no API call."""
    lab = find(name)
    _known(lab, instance)
    connect().containers.get(lab.container(instance)).kill()


@app.command()
def partition(instance: Instance, name: Name) -> None:
    """Cut an instance off from everything; it runs on."""
    _control(find(name), "partition", instance)


@app.command()
def heal(instance: Instance, name: Name) -> None:
    """Connect a partitioned instance again."""
    _control(find(name), "heal", instance)


@app.command(name="spot-interrupt")
def spot_interrupt(instance: Instance, name: Name) -> None:
    """Send the two-minute warning of a spot interruption, then take the instance away."""
    _control(find(name), "spot-interrupt", instance)


@app.command()
def publish() -> None:
    """Build the images that only stacks/ci needs, and have the lab's registry serve them."""
    images.ensure_all(connect(), say)


@app.command()
def get(
    url: Annotated[str, typer.Argument(help="A page of the lab's, such as http://www.swarm.test/.")], name: Name
) -> None:
    """Fetch a page as a browser would whose name server is the lab's, and print it.

    Over TLS, the lab's certificate authority is the only one that it trusts.
    """
    print(pages.fetch(find(name), url).body)


@app.command()
def certificate(
    host: Annotated[str, typer.Argument(help="The name that it is for, such as www.swarm.test.")],
    folder: Annotated[Path, typer.Argument(help="Where fullchain.pem and privkey.pem are written to.")],
    name: Name,
) -> None:
    """Have the lab's certificate authority sign a certificate, in the place of an ACME server."""
    Authority(find(name).folder).issue(host, folder)


@app.command(hidden=True)
def serve(name: Name) -> None:
    """Be the lab's server; `lab up` starts this in the lab's network namespace."""
    from lab.serve import serve  # the emulator takes seconds to import, and only the server needs it

    serve(find(name))


def _known(lab: Lab, instance: str) -> dict[str, str]:
    for known in status.instances(lab):
        if known["instance_id"] == instance and known["state"] != "terminated":
            return known
    raise LabError(f"Lab '{lab.name}' runs no instance '{instance}'; `lab status` lists those it does.")


def _control(lab: Lab, verb: str, instance: str) -> None:
    _known(lab, instance)
    query = urllib.parse.urlencode({"instance": instance})
    request = urllib.request.Request(f"{lab.endpoint}/_lab/{verb}?{query}", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


def main() -> None:
    """Run the command line; the lab's own errors become one line and exit code 1."""
    try:
        app(prog_name="lab")
    except LabError as error:
        console.print(f"lab: {error}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
