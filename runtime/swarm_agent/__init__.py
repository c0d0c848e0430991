"""The agent that systemd runs on every node."""

VERSION = "0.1.0"
DESCRIPTION = "Joins this node to its cluster's swarm and, on a manager, reconciles the cluster."
