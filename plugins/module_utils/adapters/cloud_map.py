"""The serving nodes as the instances of the cluster's Cloud Map service."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.cluster import Instance, Record, is_ipv6
from .._core.dns import BOTH
from .._core.dns_propagation import Propagation
from .._core.errors import Unavailable
from .._core.policy import Dns, Policy
from ..aws.aws_session import AwsSession, ClientError, code

OWNER_TAG = "swarm.aws/cluster"
IPV4, IPV6 = "AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"
# An instance's addresses by those two names.
Attributes = Mapping[str, str]


class CloudMapRecords:
    """The core's ``Records``. An instance is registered with its EC2 ID.

    Cloud Map accepts a registration before it is done, and its operation tells the result. Until then it counts as done
    but not in sync, like a change in Route 53.
    """

    def __init__(self, aws: AwsSession, now: Callable[[], float], instances: Callable[[], Sequence[Instance]]) -> None:
        """``now`` gives epoch seconds; ``instances`` gives the cluster's, to find the instance of an address."""
        self._aws, self._now, self._instances = aws, now, instances
        # By service and instance: the operation, and the attributes it sets; None if it deregisters the instance.
        self._begun: Dict[Tuple[str, str], Tuple[str, Optional[Attributes]]] = {}
        self._propagation = _propagation()

    def read(self, wanted: Dns) -> Record:
        self._settle(wanted)
        record = self._read(wanted)
        if any(service == wanted.service_id for service, _dummy in self._begun):
            return replace(record, in_sync=False)
        # Cloud Map does not tell the ID of its change in Route 53, so from here on only time counts.
        return replace(record, in_sync=self._propagation.over(record, self._now()))

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        present = self._registered(wanted)
        due = self._due(wanted, after, present)
        self._propagation = _propagation()
        for identifier, attributes in sorted(due.items()):
            if present.get(identifier) != attributes:
                self._register(wanted, identifier, attributes)
        if any((wanted.service_id or "", identifier) not in self._begun for identifier in due):
            for identifier in sorted(set(present) - set(due)):
                self._deregister(wanted, identifier)
        # Otherwise none of the new instances is registered yet: a later pass deregisters the others.

    def _read(self, wanted: Dns) -> Record:
        with self._aws.asked(f"read the Cloud Map service {wanted.record}"):
            client = self._aws.client("servicediscovery")
            service = client.get_service(Id=wanted.service_id)["Service"]
            tags = client.list_tags_for_resource(ResourceARN=service["Arn"])["Tags"]
            ttls = {
                dns_record["Type"]: int(dns_record["TTL"])
                for dns_record in (service.get("DnsConfig") or {}).get("DnsRecords") or ()
            }
            cluster = next((tag["Value"] for tag in tags if tag["Key"] == OWNER_TAG), None)
        owner = None
        if cluster is not None:
            owner = Policy(cluster, {}, region=self._aws.region).owner + (BOTH if wanted.ipv6 else "")
        addresses = {address for own in self._registered(wanted).values() for address in own.values()}
        kinds = {is_ipv6(address) for address in addresses}
        # A service of an HTTP namespace has no DNS records: clients poll at the configured TTL.
        return Record(
            tuple(sorted(addresses)),
            ttls.get("A", wanted.ttl) if False in kinds else None,
            owner,
            ipv6_ttl=ttls.get("AAAA", wanted.ttl) if True in kinds else None,
        )

    def _registered(self, wanted: Dns) -> Dict[str, Attributes]:
        """The instances' addresses by ID, as they will be once all pending operations are done."""
        with self._aws.asked(f"list the instances of the Cloud Map service {wanted.record}"):
            pages = self._aws.client("servicediscovery").get_paginator("list_instances")
            listed = [
                instance for page in pages.paginate(ServiceId=wanted.service_id) for instance in page["Instances"]
            ]
            found: Dict[str, Attributes] = {
                instance["Id"]: _addresses(instance.get("Attributes") or {}) for instance in listed
            }
        for (service, identifier), (_dummy, attributes) in self._begun.items():
            if service == wanted.service_id:
                found[identifier] = attributes or {}
        return {identifier: attributes for identifier, attributes in found.items() if attributes}

    def _due(self, wanted: Dns, after: Record, present: Mapping[str, Attributes]) -> Dict[str, Attributes]:
        """The attributes to register, by instance ID."""
        # An address that no instance in EC2 has keeps the instance that it is registered for.
        at = {address: identifier for identifier, own in present.items() for address in own.values()}
        for instance in self._instances():
            at.update(dict.fromkeys(instance.addresses(wanted.addresses, ipv6=True), instance.id))
        due: Dict[str, Dict[str, str]] = {}
        for address in after.addresses:
            if address in at:
                due.setdefault(at[address], {})[IPV6 if is_ipv6(address) else IPV4] = address
        return {**due}

    def _register(self, wanted: Dns, identifier: str, attributes: Attributes) -> None:
        with self._aws.asked(f"register {identifier} in the Cloud Map service {wanted.record}"):
            self._begin(wanted, identifier, attributes, "register_instance", Attributes=dict(attributes))

    def _deregister(self, wanted: Dns, identifier: str) -> None:
        with self._aws.asked(f"deregister {identifier} from the Cloud Map service {wanted.record}"):
            self._begin(wanted, identifier, None, "deregister_instance")

    def _begin(
        self, wanted: Dns, identifier: str, attributes: Optional[Attributes], call: str, **more: Attributes
    ) -> None:
        ask = getattr(self._aws.client("servicediscovery"), call)
        try:
            operation = ask(ServiceId=wanted.service_id, InstanceId=identifier, **more)["OperationId"]
        except ClientError as error:
            if code(error) == "InstanceNotFound" and attributes is None:
                return
            if code(error) != "DuplicateRequest":
                raise
            # Another agent requested it, or this agent before it was restarted.
            operation = error.response.get("DuplicateOperationId")
        if operation:
            self._begun[(wanted.service_id or "", identifier)] = (operation, attributes)

    def _settle(self, wanted: Dns) -> None:
        """Forget the operations that are done. Raises Unavailable if any failed; the registered state then counts."""
        failed: List[str] = []
        for key, (operation, _dummy) in list(self._begun.items()):
            with self._aws.asked(f"read the progress of {key[1]} in the Cloud Map service {wanted.record}"):
                try:
                    found = self._aws.client("servicediscovery").get_operation(OperationId=operation)["Operation"]
                except ClientError as error:
                    if code(error) != "OperationNotFound":
                        raise
                    found = {"Status": "SUCCESS"}
            if found["Status"] in ("SUCCESS", "FAIL"):
                del self._begun[key]
            if found["Status"] == "FAIL":
                failed.append(f"{key[1]}: {found.get('ErrorMessage') or found.get('ErrorCode') or 'no reason given'}")
        if failed:
            raise Unavailable(f"Cloud Map could not change the service {wanted.record} for {', '.join(failed)}.")


def _propagation() -> Propagation:
    """The propagation of a change whose state cannot be queried."""
    return Propagation(lambda _dummy: False)


def _addresses(attributes: Mapping[str, str]) -> Attributes:
    return {key: attributes[key] for key in (IPV4, IPV6) if attributes.get(key)}
