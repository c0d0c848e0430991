"""A node's logs, versions and states, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core.redaction import Redactor, environment_values

# Timeouts in seconds of a command, and of the engine's first answer.
SECONDS, PROBE_SECONDS = 30, 10
AGENT = Path("/usr/local/lib/swarm-agent/swarm-agent.pyz")
Run = Callable[[List[str]], Tuple[int, str, str]]


class Collector:
    """Collects the files on a node and redacts its secrets."""

    def __init__(self, run: Run, lines: int, hours: int) -> None:
        """``run`` returns a command's exit code, output and errors. ``lines`` and ``hours`` limit the logs."""
        self._run = run
        self._journal = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--since=-{hours}h"]
        self._redactor = Redactor()
        # Failures to collect, as sentences.
        self.failures: List[str] = []

    def files(self) -> Dict[str, str]:
        """The files by their names."""
        engine = self._answers()
        if engine:
            self._learn()
        else:
            self.failures.append("The engine does not answer, so its state is missing.")
        files = {
            "system.txt": self._texts(
                ["uname", "-a"],
                ["cat", "/etc/os-release"],
                ["uptime"],
                ["date", "--utc", "+%Y-%m-%dT%H:%M:%S.%NZ"],
                ["df", "-h"],
                ["df", "-i"],
                ["free", "-m"],
                ["systemctl", "--failed", "--no-pager"],
                ["systemctl", "status", "--no-pager", "--lines=0", "docker", "containerd", "swarm-agent"],
                ["ip", "-brief", "address"],
                ["ip", "route"],
                ["python3", "--version"],
                [str(AGENT), "--version"],
                ["docker", "version"] if engine else ["docker", "--version"],
            ),
            "swarm-agent.log": self._log("swarm-agent"),
            "docker.log": self._log("docker", "containerd"),
            "cloud-init.log": self._log(
                *(f"cloud-{stage}" for stage in ("init-local", "init", "config", "final", "init-main"))
            ),
            "kernel.log": self._text([*self._journal, "--dmesg"]),
            "agent.json": self._json([str(AGENT), "status"]),
        }
        if engine:
            files.update(self._engine())
        return files

    def _answers(self) -> bool:
        return self._run(["timeout", str(PROBE_SECONDS), "docker", "info", "--format", "{{.ID}}"])[0] == 0

    def _learn(self) -> None:
        """Read the secrets: environments of services and containers, join tokens and the unlock key."""
        known: List[str] = []
        public: List[str] = []
        for role in ("manager", "worker"):
            known.append(self._output(["docker", "swarm", "join-token", "--quiet", role]) or "")
        known.append(self._output(["docker", "swarm", "unlock-key", "--quiet"]) or "")
        for kind in ("service", "container"):
            known.extend(environment_values(self._inspected(kind)))
        # The engine's own names are not secret, even if they are in a service's environment.
        for listing in (
            ["node", "ls", "--format={{.Hostname}}"],
            ["service", "ls", "--format={{.Name}}"],
            ["info", "--format={{.Name}}"],
        ):
            public.extend((self._output(["docker", *listing]) or "").split())
        self._redactor = Redactor(set(known) - set(public))

    def _engine(self) -> Dict[str, str]:
        manager = self._output(["docker", "node", "ls"]) is not None
        files = {
            "engine.json": self._json(["docker", "info", "--format", "{{json .}}"]),
            "containers.json": self._dump(self._inspected("container")),
            "networks.json": self._dump(self._inspected("network")),
            "containers.txt": self._texts(["docker", "ps", "--all", "--no-trunc"], ["docker", "images"]),
        }
        if manager:
            services = self._names("service")
            files["nodes.json"] = self._dump(self._inspected("node"))
            files["services.json"] = self._dump(self._inspected("service"))
            files["swarm.txt"] = self._texts(
                ["docker", "node", "ls"],
                ["docker", "service", "ls"],
                *(["docker", "service", "ps", "--no-trunc", name] for name in services),
                ["docker", "config", "ls"],
                ["docker", "secret", "ls"],
            )
        return files

    def _names(self, kind: str) -> List[str]:
        listing = ["docker", kind, "ls", "--quiet"] + (["--all"] if kind == "container" else [])
        return (self._output(listing) or "").split()

    def _inspected(self, kind: str) -> Any:
        names = self._names(kind)
        if not names:
            return []
        try:
            return json.loads(self._output(["docker", kind, "inspect", *names]) or "[]")
        except ValueError:
            # It was deleted meanwhile.
            return []

    # Commands

    def _log(self, *units: str) -> str:
        return self._text([*self._journal, *(f"--unit={unit}" for unit in units)])

    def _texts(self, *commands: Sequence[str]) -> str:
        return "\n".join(f"$ {' '.join(command)}\n{self._text(command)}" for command in commands)

    def _text(self, command: Sequence[str]) -> str:
        code, output, errors = self._run(["timeout", str(SECONDS), *command])
        end = f"(exit code {code})\n" if code else ""
        return self._redactor.text(f"{output}{errors}") + end

    def _json(self, command: Sequence[str]) -> str:
        code, output, errors = self._run(["timeout", str(SECONDS), *command])
        try:
            return self._dump(json.loads(output))
        except ValueError:
            self.failures.append(f"`{' '.join(command[:3])}` failed with exit code {code}.")
            return self._redactor.text(f"{output}{errors}")

    def _dump(self, document: Any) -> str:
        return json.dumps(self._redactor.document(document), indent=2) + "\n"

    def _output(self, command: Sequence[str]) -> Optional[str]:
        """A command's output; None if it failed."""
        code, output, _dummy = self._run(["timeout", str(SECONDS), *command])
        return output if code == 0 else None
