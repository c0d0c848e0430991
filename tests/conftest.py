"""Makes the checkout importable as ``ansible_collections.swarm.aws``, the name its modules run under."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
# How long an example takes is the machine's business.
settings.register_profile("swarm", deadline=None)
settings.load_profile("swarm")
for path in (ROOT / ".collections", ROOT):
    sys.path.insert(0, str(path))


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers here, since ansible-test brings a configuration file of its own."""
    config.addinivalue_line("markers", "lab: runs on the lab's real engines")
    config.addinivalue_line("markers", "real(what): needs a real server, program or package build, and says why")
    config.addinivalue_line("markers", "fault(number): a row of the table in docs/faults.md")
