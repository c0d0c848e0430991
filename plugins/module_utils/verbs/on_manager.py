"""The common parts of modules that run on a manager of the swarm, with the node's own credentials."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Tuple

from ansible.module_utils.basic import AnsibleModule

from .._core.cluster import Cluster
from .._core.errors import SwarmError
from .._core.policy import Policy
from ..adapters.control_plane import ControlPlane
from ..adapters.node_config import Config
from ..adapters.swarm import manager_here

ARGUMENTS = {
    "cluster": {"type": "str"},
    "region": {"type": "str"},
    "bucket": {"type": "str"},
}


def run(arguments: Mapping[str, Any], work: Callable[[AnsibleModule], Mapping[str, Any]], **rules: Any) -> None:
    """Parse the module's arguments and these, do the work and exit with the result. Never returns.

    A SwarmError is the module's error. ``rules`` are about several arguments, such as ``required_by``.
    """
    module = AnsibleModule(argument_spec={**arguments, **ARGUMENTS}, supports_check_mode=True, **rules)
    try:
        result = {"changed": False, **work(module)}
    except SwarmError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)


def place(params: Mapping[str, Any]) -> Mapping[str, str]:
    """Cluster, region and bucket from the options, or from the node's own configuration. Raises SwarmError."""
    given = {name: params.get(name) for name in ARGUMENTS}
    if not all(given.values()):
        config = Config.load()
        given = {name: value or getattr(config, name) for name, value in given.items()}
    return given


def control_plane(params: Mapping[str, Any]) -> ControlPlane:
    """The cluster from the options, or from the node's own configuration. Raises SwarmError."""
    return ControlPlane(**place(params))


def look(plane: ControlPlane) -> Tuple[Policy, Cluster]:
    """The policy and the observed cluster. Raises SwarmError unless this host is a manager that can observe it."""
    manager_here(plane.swarm)
    policy, _flaw = plane.policy_or_last()
    observed = plane.observe(policy)
    if plane.observer.failures:
        raise SwarmError(" ".join(failure.message for failure in plane.observer.failures))
    return policy, observed
