"""The lab's DNS: it answers with the current records of the emulator's hosted zones."""

from __future__ import annotations

import contextlib
import threading

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, TXT, A, DNSRecord
from dnslib.server import DNSHandler, DNSLogger, DNSServer

from lab.aws import view
from lab.state import ECR_HOST, SERVICES_ADDRESS

_KINDS = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "TXT": lambda value: TXT(value.strip('"'))}


class _Zones:
    """Authoritative for the hosted zones, for ECR and for load balancers.

    Refuses every other name: the lab has no connection to the internet.
    """

    def resolve(self, request: DNSRecord, _handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        kind = QTYPE[request.q.qtype]
        address = SERVICES_ADDRESS if name == ECR_HOST else view.load_balancers().get(name)
        if address:
            if kind == "A":
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=60))
            return reply
        records = view.zone_records()
        zones = {record.zone.rstrip(".").lower() for record in records}
        if not any(name == zone or name.endswith(f".{zone}") for zone in zones):
            reply.header.rcode = RCODE.REFUSED
            return reply
        at_name = [record for record in records if record.name.rstrip(".").lower() == name]
        for record in at_name:
            if record.type not in (kind, "CNAME") or record.type not in _KINDS:
                continue
            for value in record.values:
                data = _KINDS[record.type](value)
                reply.add_answer(RR(request.q.qname, getattr(QTYPE, record.type), rdata=data, ttl=record.ttl))
        if not at_name:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


class NameServer:
    """A name server at several addresses: the lab's own and each VPC's resolver."""

    def __init__(self) -> None:
        self._servers: dict[str, list[DNSServer]] = {}
        self._lock = threading.Lock()

    def listen(self, address: str) -> None:
        """Answer at this address too, with its own sockets, so that a reply has the address that was asked."""
        with self._lock:
            if address in self._servers:
                return
            quiet = DNSLogger(log="-request,-reply,-truncated,-error,-recv,-send,-data")
            servers = [DNSServer(_Zones(), address=address, port=53, tcp=tcp, logger=quiet) for tcp in (False, True)]
            for server in servers:
                server.start_thread()
            self._servers[address] = servers

    def stop(self) -> None:
        """Stop answering."""
        for server in (server for servers in self._servers.values() for server in servers):
            with contextlib.suppress(OSError):
                server.stop()
