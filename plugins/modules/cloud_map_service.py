#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_map_service
short_description: Manage the Cloud Map service for the nodes of a swarm
version_added: 0.1.0
description:
  - Creates or updates a service in an existing namespace. In a DNS namespace the service has A records, or A and AAAA
    records, with multivalue answers. In an HTTP namespace it has no records.
  - The agents register and deregister its instances.
  - Fails if a service of that name does not have the cluster's tag C(swarm.aws/cluster), or has records of other types,
    which Cloud Map cannot change.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  namespace:
    description: Name of the namespace, which may be public, private or HTTP.
    type: str
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  ttl:
    description: TTL of the records in seconds.
    type: int
    required: true
  ipv6:
    description: Whether the instances have IPv6 addresses too.
    type: bool
    default: false
seealso:
  - module: swarm.aws.dns_sync
"""

EXAMPLES = r"""
- name: Create the Cloud Map service
  swarm.aws.cloud_map_service:
    region: eu-west-1
    cluster_name: example
    namespace: example.internal
    service: www
    ttl: 60
  register: dns_service
"""

RETURN = r"""
service_id:
  description: The service's ID. Null if it does not exist yet in check mode.
  returned: success
  type: str
  sample: srv-0123456789abcdef
service_arn:
  description: The service's ARN. Null if it does not exist yet in check mode.
  returned: success
  type: str
  sample: arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-0123456789abcdef
zone_id:
  description: ID of the hosted zone in which Cloud Map keeps the namespace's records. Null for an HTTP namespace.
  returned: success
  type: str
  sample: Z0123456789ABCDEFGHIJ
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the Cloud Map service www.example.internal]
"""

from ..module_utils.account.cloud_map_service import CloudMapService
from ..module_utils.aws.module_runner import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "namespace": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "ttl": {"type": "int", "required": True},
    "ipv6": {"type": "bool", "default": False},
}


def work(aws, params, changes):
    service = CloudMapService(aws, params["cluster_name"], params["tags"], changes)
    return service.keep(params["namespace"], params["service"], params["ttl"], ipv6=params["ipv6"])


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
