from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import Subject, subject

from tests.unit.join.certificates import pem


def test_the_nodes_own_certificate_comes_first() -> None:
    own = pem(O="swarm", OU="swarm-worker", CN="node")
    assert subject(own + pem(CN="swarm-ca")) == Subject("swarm", "node", "swarm-worker")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(content: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        subject(content)


def test_a_certificate_of_something_else() -> None:
    with pytest.raises(ValueError, match="not one of a swarm's node"):
        subject(pem(CN="example.com"))
