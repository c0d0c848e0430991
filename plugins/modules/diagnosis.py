#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis
short_description: Archive logs, versions and states of a node or a cluster, without secrets
version_added: 0.1.0
description:
  - On a node, as root, writes an archive with the logs of the agent, the engine, cloud-init and the kernel, with
    versions, and with the state of the system, the engine and, on a manager, the swarm, as far as the engine answers.
  - With O(folder), on the controller, packs the archives of the nodes and other documents into one archive.
  - Secrets are redacted before anything is written. These are join tokens and unlock keys, the values of all
    environment variables of services and containers, private keys, AWS credentials, and any value of a name such as
    C(password) or C(token). Logs of services are not collected.
author: The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Writes nothing, and collects nothing on a node.
    support: full
  diff_mode:
    description: The archive is new each time.
    support: none
options:
  dest:
    description: Path of the archive, a C(.tar.gz) that only its owner can read. The folder must exist.
    type: path
    required: true
  lines:
    description: Maximum number of lines of each log.
    type: int
    default: 5000
  hours:
    description: Maximum age of log entries in hours.
    type: int
    default: 24
  folder:
    description: Folder of the nodes' archives to pack, each named C(INSTANCE.tar.gz).
    type: path
  documents:
    description: More documents to pack, each becomes a JSON file, by the file's name without an extension.
    type: dict
"""

EXAMPLES = r"""
- name: Collect the diagnosis of a node
  swarm.aws.diagnosis:
    dest: /root/node.tar.gz
  become: true

- name: Pack the diagnosis of the cluster
  swarm.aws.diagnosis:
    folder: /tmp/gathered
    documents:
      aws: "{{ fleet.answers }}"
    dest: diagnosis.tar.gz
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The absolute path of the archive.
  returned: success
  type: str
files:
  description: The files in it.
  returned: success
  type: list
  elements: str
  sample: [docker.log, engine.json, swarm-agent.log, system.txt]
failures:
  description: What could not be collected on the node, and why.
  returned: success
  type: list
  elements: str
nodes:
  description: IDs of the packed instances.
  returned: success
  type: list
  elements: str
size:
  description: The archive's size in bytes.
  returned: success
  type: int
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.redaction import Redactor
from ..module_utils.diagnosis.archive import pack, unpack
from ..module_utils.diagnosis.collect import Collector

ARGUMENTS = {
    "dest": {"type": "path", "required": True},
    "lines": {"type": "int", "default": 5000},
    "hours": {"type": "int", "default": 24},
    "folder": {"type": "path"},
    "documents": {"type": "dict"},
}


def gather(folder, documents, top):
    """The IDs of the nodes and the bundle's files, below a folder of the name ``top``. Raises OSError."""
    archives = sorted(folder.glob("*.tar.gz"))
    nodes = [archive.name[: -len(".tar.gz")] for archive in archives]
    files = {
        f"{top}/{node}/{name}": text for node, archive in zip(nodes, archives) for name, text in unpack(archive).items()
    }
    redactor = Redactor()
    for name, document in documents.items():
        files[f"{top}/{name}.json"] = json.dumps(redactor.document(document), indent=2) + "\n"
    return nodes, files


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_by={"documents": ["folder"]}, supports_check_mode=True)
    given, dest = module.params, Path(module.params["dest"]).absolute()
    for name in ("lines", "hours"):
        if given[name] < 1:
            module.fail_json(msg=f"{name} is {given[name]}, but must be above 0.")
    if not dest.parent.is_dir():
        module.fail_json(msg=f"dest is {dest}, but there is no folder {dest.parent}: create it first.")
    nodes, files, failures = [], {}, []
    try:
        if given["folder"] is not None:
            top = dest.name[: -len(".tar.gz")] if dest.name.endswith(".tar.gz") else dest.name
            nodes, files = gather(Path(given["folder"]), given["documents"] or {}, top)
        elif not module.check_mode:
            module.run_command_environ_update = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
            collector = Collector(module.run_command, given["lines"], given["hours"])
            files, failures = collector.files(), collector.failures
        size = 0 if module.check_mode else pack(files, dest)
    except OSError as error:
        module.fail_json(msg=f"{dest} cannot be written: {error.strerror or error}")
    module.exit_json(changed=True, path=str(dest), files=sorted(files), failures=failures, nodes=nodes, size=size)


if __name__ == "__main__":
    main()
