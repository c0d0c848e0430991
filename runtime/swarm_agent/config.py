"""What the instance's user data tells the agent."""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.module_utils.adapters.config import DRILL, PATH, Config, Logs

__all__ = ["DRILL", "PATH", "Config", "Logs"]
