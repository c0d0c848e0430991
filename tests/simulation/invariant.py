"""What the simulators raise."""


class Broken(AssertionError):
    """An invariant does not hold."""
