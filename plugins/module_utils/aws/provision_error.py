"""What can go wrong while provisioning, as sentences for the operator."""

from __future__ import annotations


class ProvisionError(Exception):
    """The operator must do something; the message is one clear sentence."""
