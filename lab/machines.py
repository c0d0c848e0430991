"""Instances: each is a container of a kind (lab/kinds.py), connected to the VPC."""

from __future__ import annotations

import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import docker
from docker.models.containers import Container

from lab import disks, kinds
from lab.aws import view
from lab.aws.ports import InstanceSpec
from lab.engine import KERNEL_LABEL, LABEL, remove_instance
from lab.names import NameServer
from lab.network import Router
from lab.state import Lab

log = logging.getLogger(__name__)
# The exit code of a container whose init reboots: the kernel ends it with SIGHUP, and with SIGINT if it powers off.
_REBOOTED = str(128 + signal.SIGHUP)


class ContainerMachines:
    """The emulator's instances as containers (:class:`lab.aws.ports.Machines`); calls return at once."""

    def __init__(self, lab: Lab, engine: docker.DockerClient, router: Router, names: NameServer) -> None:
        self._lab, self._engine, self._router, self._names = lab, engine, router, names
        self._legacy_cgroups = engine.info()["CgroupVersion"] == "1"
        self._specs: dict[str, InstanceSpec] = {}
        self._died: set[str] = set()
        self._rebooting: set[str] = set()
        self._lock = threading.Lock()
        self._work = ThreadPoolExecutor(max_workers=16, thread_name_prefix="machines")
        self._firewall_stale = threading.Event()
        threading.Thread(target=self._keep_firewall, daemon=True, name="firewall").start()
        threading.Thread(target=self._watch_engine, daemon=True, name="engine-events").start()

    def launch(self, spec: InstanceSpec) -> None:
        with self._lock:
            self._specs[spec.instance_id] = spec
        self._submit("launch", spec.instance_id, self._start, spec)

    def terminate(self, instance_id: str) -> None:
        with self._lock:
            spec = self._specs.pop(instance_id, None)
            self._died.discard(instance_id)
        if spec:
            self._submit("terminate", instance_id, self._remove, spec)

    def reboot(self, instance_id: str) -> None:
        with self._lock:
            spec = self._specs.get(instance_id)
            self._rebooting.add(instance_id)
        if spec:
            self._submit("reboot", instance_id, self._restart, spec)

    def stop(self, instance_id: str) -> None:
        with self._lock:
            spec = self._specs.get(instance_id)
            if instance_id in self._rebooting:
                return  # it is already stopping
            self._rebooting.add(instance_id)
        if spec:
            self._submit("stop", instance_id, self._halt, spec)

    def start(self, instance_id: str) -> None:
        with self._lock:
            spec = self._specs.get(instance_id)
            self._died.discard(instance_id)
        if spec:
            self._submit("start", instance_id, self._resume, spec)

    def is_running(self, instance_id: str) -> bool:
        with self._lock:
            return instance_id in self._specs and instance_id not in self._died

    def vpc_created(self, vpc_id: str, cidr: str) -> None:
        self._names.listen(self._router.add_vpc(vpc_id, cidr))

    def vpc_deleted(self, vpc_id: str) -> None:
        self._router.remove_vpc(vpc_id)

    def firewall_changed(self) -> None:
        self._firewall_stale.set()

    def cut_off(self, instance_id: str, *, cut: bool) -> None:
        """Partition an instance, or heal it. Raises KeyError for an unknown instance."""
        with self._lock:
            spec = self._specs[instance_id]
        self._router.cut_off(spec.private_ip, cut=cut)

    def hang(self, instance_id: str, *, hung: bool) -> None:
        """Freeze an instance, or continue it. Raises KeyError for an unknown instance."""
        with self._lock:
            self._specs[instance_id]
        container = self._engine.containers.get(self._lab.container(instance_id))
        if (container.status == "paused") != hung:
            (container.pause if hung else container.unpause)()

    def _submit(self, verb: str, instance_id: str, work: object, *arguments: object) -> None:
        def logged() -> None:
            try:
                work(*arguments)  # type: ignore[operator]
            except Exception:
                log.exception("%s of %s failed", verb, instance_id)
                with self._lock:
                    self._died.add(instance_id)

        self._work.submit(logged)

    def _start(self, spec: InstanceSpec) -> None:
        name = self._lab.container(spec.instance_id)
        labels = {LABEL: self._lab.name, f"{LABEL}.instance": spec.instance_id, KERNEL_LABEL: self._lab.kernel}
        self._engine.volumes.create(name, labels=labels)
        if self._lab.kernel == "own":
            image, arguments, settings = kinds.on_its_own_kernel(self._lab, spec)
        else:
            image, arguments, settings = kinds.on_the_hosts_kernel(self._lab, spec, legacy_cgroups=self._legacy_cgroups)
        api = self._engine.api
        host = api.create_host_config(
            network_mode="none",
            dns=[self._router.resolver(spec.vpc_id)],
            cgroupns="private",
            **settings,
        )
        # systempaths=unconfined on the command line: an engine writes to /proc/sys.
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
        created = api.create_container(
            image,
            command=arguments,
            name=name,
            hostname=f"ip-{spec.private_ip.replace('.', '-')}",
            labels=labels,
            environment={"container": "docker"},
            host_config=host,
        )
        container = self._engine.containers.get(created["Id"])
        container.start()
        self._wire(container, spec)
        log.info("%s is booting at %s (%s)", spec.instance_id, spec.private_ip, spec.public_ip or "no public address")

    def _wire(self, container: Container, spec: InstanceSpec) -> None:
        container.reload()
        pid = container.attrs["State"]["Pid"]
        self._router.connect(_cable(spec), pid, spec.subnet_cidr, spec.private_ip, spec.public_ip, spec.ipv6)

    def _restart(self, spec: InstanceSpec) -> None:
        container = self._engine.containers.get(self._lab.container(spec.instance_id))
        self._router.disconnect(_cable(spec), spec.private_ip)
        container.restart(timeout=20)
        self._wire(container, spec)
        with self._lock:
            self._rebooting.discard(spec.instance_id)

    def _halt(self, spec: InstanceSpec) -> None:
        self._router.disconnect(_cable(spec), spec.private_ip)
        self._engine.containers.get(self._lab.container(spec.instance_id)).stop(timeout=20)
        with self._lock:
            self._died.add(spec.instance_id)

    def _resume(self, spec: InstanceSpec) -> None:
        container = self._engine.containers.get(self._lab.container(spec.instance_id))
        container.start()
        self._wire(container, spec)
        with self._lock:
            self._rebooting.discard(spec.instance_id)
        log.info("%s was started again at %s", spec.instance_id, spec.private_ip)

    def _remove(self, spec: InstanceSpec) -> None:
        name = self._lab.container(spec.instance_id)
        self._router.disconnect(_cable(spec), spec.private_ip)
        remove_instance(self._engine, name)
        for disk in spec.disks:
            disks.remove(self._lab, disk.volume_id)
        log.info("%s was removed", spec.instance_id)

    def _watch_engine(self) -> None:
        """Notice the containers that end by themselves."""
        wanted = {"label": f"{LABEL}={self._lab.name}", "event": "die"}
        for event in self._engine.events(decode=True, filters=wanted):
            attributes = event["Actor"]["Attributes"]
            self._ended(attributes[f"{LABEL}.instance"], attributes.get("exitCode"))

    def _ended(self, instance_id: str, exit_code: str | None) -> None:
        """Start an instance again whose system rebooted; record any other as dead, so that its group notices."""
        with self._lock:
            spec = self._specs.get(instance_id)
            if spec is None or instance_id in self._rebooting:
                return
            if exit_code != _REBOOTED:
                self._died.add(instance_id)
                return
            self._rebooting.add(instance_id)
        self._submit("reboot", instance_id, self._restart, spec)

    def _keep_firewall(self) -> None:
        while True:
            self._firewall_stale.wait()
            self._firewall_stale.clear()
            try:
                firewall = view.firewall()
                self._router.enforce(firewall.rules, firewall.members, firewall.seen_as)
            except Exception:
                log.exception("the firewall could not be updated")


def _cable(spec: InstanceSpec) -> str:
    # An interface's name has at most 15 characters; the last ten of the ID are random enough.
    return f"i{spec.instance_id[-10:]}"
