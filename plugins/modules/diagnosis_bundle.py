#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_bundle
short_description: Pack the diagnosis of a cluster into an archive
version_added: 0.1.0
description:
  - Packs the archives of M(swarm.aws.node_diagnosis) and other documents. Secrets in the documents are redacted.
  - Runs on the controller.
author: The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Writes nothing.
    support: full
  diff_mode:
    description: The archive is new each time.
    support: none
options:
  folder:
    description: Folder of the nodes' archives, each named C(INSTANCE.tar.gz).
    type: path
    required: true
  documents:
    description: More documents, each becomes a JSON file, by the file's name without an extension.
    type: dict
    default: {}
  dest:
    description: Path of the bundle, a C(.tar.gz) that only its owner can read. The folder must exist.
    type: path
    required: true
seealso:
  - module: swarm.aws.node_diagnosis
"""

EXAMPLES = r"""
- name: Pack the diagnosis
  swarm.aws.diagnosis_bundle:
    folder: /tmp/gathered
    documents:
      aws: "{{ fleet.answers }}"
    dest: diagnosis.tar.gz
"""

RETURN = r"""
path:
  description: The absolute path of the bundle.
  returned: success
  type: str
nodes:
  description: IDs of the instances in it.
  returned: success
  type: list
  elements: str
files:
  description: Number of files in it.
  returned: success
  type: int
  sample: 52
size:
  description: Its size in bytes.
  returned: success
  type: int
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.redaction import Redactor
from ..module_utils.diagnosis.archive import pack, unpack

ARGUMENTS = {
    "folder": {"type": "path", "required": True},
    "documents": {"type": "dict", "default": {}},
    "dest": {"type": "path", "required": True},
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
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    dest = Path(module.params["dest"]).absolute()
    if not dest.parent.is_dir():
        module.fail_json(msg=f"dest is {dest}, but there is no folder {dest.parent}: create it first.")
    try:
        top = dest.name[: -len(".tar.gz")] if dest.name.endswith(".tar.gz") else dest.name
        nodes, files = gather(Path(module.params["folder"]), module.params["documents"], top)
        size = 0 if module.check_mode else pack(files, dest)
    except OSError as error:
        module.fail_json(msg=f"{dest} cannot be written: {error.strerror or error}")
    module.exit_json(changed=True, path=str(dest), nodes=nodes, files=len(files), size=size)


if __name__ == "__main__":
    main()
