"""How a node becomes a member of its cluster's one swarm."""
