"""The control plane: the agents' real loop over models of AWS and Docker."""
