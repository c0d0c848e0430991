"""The lab's errors."""


class LabError(Exception):
    """A sentence for the person at the terminal: what is wrong and what to do."""
