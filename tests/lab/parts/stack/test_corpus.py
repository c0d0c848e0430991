"""Public shapes of compose files on real engines: deploy.yml creates the services that plain Docker creates."""

from __future__ import annotations

import base64
import json
import re
import shutil
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from tests.lab.site import ROOT, Site

CORPUS = ROOT / "tests/unit/stack/corpus"
VARIABLES = {"FROM_OUTSIDE": "outside", "DB_PASSWORD": "p$w", "EMAIL": "ops@example.com", "TAG": "1.2"}
IMAGE = "python:3.13-slim"
# Their tasks do not run: the lab has none of their images, and only the services are compared.
FILES = [
    *("voting-app", "wordpress", "swarmprom", "gitlab", "sentry"),
    *("logging-anchors", "jobs", "templates", "haproxy-config", "octal-modes"),
]


@pytest.fixture(scope="module")
def swarm(site: Site) -> Site:
    """A cluster without the example stack, whose ports some files want."""
    stopped = site.playbook("playbooks/stop.yml", "-e", "stack_name=example")
    assert stopped.code == 0, stopped.output[-3000:]
    return site


def _with_image(name: str, folder: Path) -> Path:
    """The file in a folder, with an image that the lab has, and with the files that it names."""
    shutil.copytree(CORPUS / "files", folder / "files")
    path = folder / f"{name}.yml"
    text = (CORPUS / path.name).read_text()
    path.write_text(re.sub(r"\bimage: *(\"[^\"]*\"|(\$\{[^}]*\}|[^\s,}])+)", f"image: {IMAGE}", text))
    return path


def _plainly(site: Site, path: Path) -> None:
    """Deploy the file with Docker's own command on a manager."""
    manager = site.managers()[0]
    for file in (path, *(path.parent / "files").iterdir()):
        where = f"/run/corpus/{file.relative_to(path.parent)}"
        content = base64.b64encode(file.read_bytes()).decode()
        site.must(manager, "sh", "-c", f"mkdir -p $(dirname {where}) && echo {content} | base64 -d > {where}")
    given = [f"{name}={value}" for name, value in VARIABLES.items()]
    site.must(manager, "env", *given, "docker", "stack", "deploy", "--compose-file", f"/run/corpus/{path.name}", "shop")


def _services(site: Site) -> dict[str, Any]:
    """The specifications of the stack's services; configs by their content, secrets by their name in the file."""
    manager = site.managers()[0]

    def shown(kind: str, *words: str) -> Any:
        names = site.must(manager, "docker", kind, "ls", "-q", *words).split()
        return json.loads(site.must(manager, "docker", kind, "inspect", *names)) if names else []

    configs = {config["ID"]: config["Spec"] for config in shown("config")}
    networks = {network["Id"]: network["Name"] for network in shown("network", "--filter", "driver=overlay")}
    found = {}
    for service in shown("service", "--filter", "label=com.docker.stack.namespace=shop"):
        spec = service["Spec"]
        template, container = spec["TaskTemplate"], spec["TaskTemplate"]["ContainerSpec"]
        spec["Labels"]["com.docker.stack.image"] = spec["Labels"]["com.docker.stack.image"].partition("@")[0]
        for network in template.get("Networks") or []:
            network["Target"] = networks[network["Target"]]
        for config in container.get("Configs") or []:
            its = configs[config.pop("ConfigID")]
            config["ConfigName"] = [its["Data"], its.get("Templating"), {**its["Labels"]}]
        for secret in container.get("Secrets") or []:
            del secret["SecretID"]
            secret["SecretName"] = re.sub("_[0-9a-f]{12}$", "", secret["SecretName"])
        found[spec["Name"]] = spec
    return found


def _lines(services: dict[str, Any]) -> list[str]:
    return json.dumps(services, indent=1, sort_keys=True).splitlines()


def _remove(site: Site) -> None:
    manager = site.managers()[0]
    site.must(manager, "docker", "stack", "rm", "shop")
    owned = ["--filter", "label=com.docker.stack.namespace=shop", "-q"]
    site.wait(
        "Docker to remove the stack",
        lambda: not any(site.must(manager, "docker", kind, "ls", *owned) for kind in ("service", "network", "config")),
    )


@pytest.mark.parametrize("name", FILES)
def test_a_public_stack_gets_the_services_that_docker_makes(swarm: Site, tmp_path: Path, name: str) -> None:
    path = _with_image(name, tmp_path)
    wanted = {"stack_file": str(path), "stack_name": "shop", "stack_environment": VARIABLES, "stack_timeout": 5}
    run = swarm.playbook("playbooks/deploy.yml", "-vvv", "-e", json.dumps(wanted))
    try:
        ours = _services(swarm)
        assert ours, run.output[-3000:]
        assert run.code == 0 or "The stack 'shop' did not converge" in run.said, run.output[-3000:]
    finally:
        _remove(swarm)
    assert (CORPUS / "files/password.txt").read_text() not in run.output, "a secret was printed at -vvv"
    try:
        _plainly(swarm, path)
        plain = _services(swarm)
        assert ours == plain, "\n".join(unified_diff(_lines(plain), _lines(ours), "plain", "ours", lineterm=""))
    finally:
        _remove(swarm)
