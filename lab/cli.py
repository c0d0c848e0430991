"""The lab's command line: ``python -m lab``, ``make lab-up``, ``make lab-down`` and ``make lab-env``."""

from __future__ import annotations

import os
import shlex
import sys
import urllib.parse
import urllib.request
from enum import StrEnum
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
    str, typer.Option("--name", help="The lab's name; several labs can run at once.", default_factory=default_name)
]
Instance = Annotated[str, typer.Argument(help="An instance ID of the lab, as `lab status` shows it.")]


class AccountName(StrEnum):
    """The names of :data:`lab.aws.account.PROFILES`, which take seconds to import with the emulator."""

    STRICT = "strict"
    KIND = "kind"


class Kernel(StrEnum):
    """The kinds of instances."""

    CONTAINER = "container"
    OWN = "own"


def _done(sentence: str) -> None:
    console.print(sentence, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    console.print(f"lab: {line} …", highlight=False, soft_wrap=True)


@app.command()
def up(
    name: Name,
    account: Annotated[
        AccountName | None, typer.Option(help="How strict the AWS account is.", show_default="strict")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides which calls are throttled.", show_default="1")] = None,
    kernel: Annotated[
        Kernel | None,
        typer.Option(help="Whether instances share the host's kernel or have their own.", show_default="container"),
    ] = None,
) -> None:
    """Start the lab and install and build what it needs. Changes nothing if the lab is up."""
    lab = lifecycle.up(name, say, account and account.value, seed, kernel and kernel.value)
    console.print(
        f"lab: '{lab.name}' is up at {lab.endpoint}, account '{lab.account}', seed {lab.seed}, kernel '{lab.kernel}'; "
        "`lab env` prints the variables that point a client at it."
    )


@app.command()
def down(name: Name) -> None:
    """Stop the lab and delete everything in it, including its cluster."""
    if name not in {lab.name for lab in labs()}:
        say(f"the lab '{name}' does not exist; nothing to stop")
        return
    lifecycle.down(find(name), say)


@app.command()
def env(name: Name) -> None:
    """Print `export` lines that point an AWS client, and Ansible, at the lab."""
    for key, value in lifecycle.environment(find(name)).items():
        print(f"export {key}={shlex.quote(value)}")


@app.command(name="status")
def show_status(name: Name) -> None:
    """Show the instances: zone, health, addresses and their engines' swarm state."""
    # Do not wrap rows if the output goes to a file or a pipe.
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
    """Serve as SSH's ProxyCommand to an instance without a public address, as Session Manager does on AWS."""
    tunnel.tunnel(find(name), address, port)


@app.command()
def logs(
    name: Name,
    instance: Annotated[str | None, typer.Argument(help="An instance ID; without it, the lab's own server.")] = None,
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
    """Kill an instance as a failing host would: no shutdown, no API call."""
    lab = find(name)
    _known(lab, instance)
    connect().containers.get(lab.container(instance)).kill()
    _done(f"The host of {instance} has failed.")


@app.command()
def partition(instance: Instance, name: Name) -> None:
    """Cut an instance off from the network; it keeps running."""
    _control(find(name), "partition", instance)
    _done(f"{instance} is disconnected. `lab heal` connects it again.")


@app.command()
def heal(instance: Instance, name: Name) -> None:
    """Reconnect a partitioned instance."""
    _control(find(name), "heal", instance)
    _done(f"{instance} is connected again.")


@app.command()
def hang(instance: Instance, name: Name) -> None:
    """Freeze an instance as a hanging host would: it does nothing, and its connections stay open."""
    _control(find(name), "hang", instance)
    _done(f"{instance} hangs. `lab resume` continues it.")


@app.command()
def resume(instance: Instance, name: Name) -> None:
    """Continue a hanging instance."""
    _control(find(name), "resume", instance)
    _done(f"{instance} continues.")


@app.command()
def netem(
    instance: Instance,
    name: Name,
    settings: Annotated[
        list[str] | None, typer.Argument(help="As in tc-netem(8); without them, it sends as before.")
    ] = None,
) -> None:
    """Delay, lose or reorder what an instance sends, for example `loss 5% delay 50ms`."""
    lab = find(name)
    _known(lab, instance)
    verb = ["replace", "dev", "eth0", "root", "netem", *settings] if settings else ["delete", "dev", "eth0", "root"]
    code, output = execute(connect().containers.get(lab.container(instance)), "tc", "qdisc", *verb)
    if code:
        raise LabError(
            f"The kernel of {instance} did not change how it sends ({output.partition(chr(10))[0]}): use a lab with "
            "`--kernel own`, whose instances have netem, and settings of tc-netem(8)."
        )
    _done(f"{instance} sends with {' '.join(settings)}." if settings else f"{instance} sends as before.")


@app.command(name="spot-interrupt")
def spot_interrupt(instance: Instance, name: Name) -> None:
    """Send the two-minute warning of a spot interruption, then terminate the instance."""
    _control(find(name), "spot-interrupt", instance)
    _done(f"{instance} has two minutes left.")


@app.command()
def publish() -> None:
    """Build the images that only stacks/ci needs and push them to the lab's registry."""
    images.ensure_all(connect(), say)


@app.command()
def get(
    url: Annotated[str, typer.Argument(help="A page of the lab, such as http://www.swarm.test/.")], name: Name
) -> None:
    """Fetch a page as a browser that uses the lab's name server, and print it.

    Over TLS it trusts only the lab's certificate authority.
    """
    print(pages.fetch(find(name), url).body)


@app.command()
def certificate(
    host: Annotated[str, typer.Argument(help="The certificate's DNS name, such as www.swarm.test.")],
    folder: Annotated[Path, typer.Argument(help="The folder for fullchain.pem and privkey.pem.")],
    name: Name,
) -> None:
    """Have the lab's certificate authority sign a certificate, in place of an ACME server."""
    Authority(find(name).folder).issue(host, folder)


@app.command(hidden=True)
def serve(name: Name) -> None:
    """Run the lab's server; `lab up` starts it in the lab's network namespace."""
    from lab.serve import serve  # the emulator takes seconds to import and only the server needs it

    serve(find(name))


def _known(lab: Lab, instance: str) -> dict[str, str]:
    for known in status.instances(lab):
        if known["instance_id"] == instance and known["state"] != "terminated":
            return known
    raise LabError(f"Lab '{lab.name}' runs no instance '{instance}'; `lab status` lists its instances.")


def _control(lab: Lab, verb: str, instance: str) -> None:
    _known(lab, instance)
    query = urllib.parse.urlencode({"instance": instance})
    request = urllib.request.Request(f"{lab.endpoint}/_lab/{verb}?{query}", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


def main() -> None:
    """Run the command line; a LabError becomes a single line and exit code 1."""
    try:
        app(prog_name="lab")
    except LabError as error:
        console.print(f"lab: {error}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
