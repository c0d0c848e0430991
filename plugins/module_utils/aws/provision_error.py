"""Errors while provisioning, as sentences for the operator."""

from __future__ import annotations


class ProvisionError(Exception):
    """The message says in a sentence what the operator must do."""
