"""The whole of keeping a cluster true, simulated: the agents' real loop over models of all that it talks to."""
