"""How a node joins its cluster's swarm."""
