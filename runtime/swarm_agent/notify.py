"""Telling systemd the agent's state, by its notification socket."""

from __future__ import annotations

import os
import socket
from typing import Mapping


class Notifier:
    """Sends states; does nothing when systemd is not listening."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """The agent has started."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Set the text that `systemctl status` shows. Also a watchdog signal."""
        self._send("STATUS=" + " ".join(text.split()) + "\nWATCHDOG=1")

    def alive(self) -> None:
        """Send the watchdog signal; without it for WatchdogSec, systemd restarts the agent."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            try:
                channel.sendto(state.encode(), self._address)
            except OSError:
                # systemd may be reloading. The next state will arrive.
                return
