"""A cluster in virtual time, in which the real joining code runs under weather that a seed decides."""
