from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import Subject, expiry, subject

from tests.unit.join.certificates import pem


def test_the_nodes_own_certificate_is_read_first() -> None:
    own = pem(O="swarm", OU="swarm-worker", CN="node")
    assert subject(own + pem(CN="swarm-ca")) == Subject("swarm", "node", "swarm-worker")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_an_invalid_certificate_is_refused(content: bytes) -> None:
    for read in (subject, expiry):
        with pytest.raises(ValueError, match="certificate"):
            read(content)


def test_a_certificate_of_another_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="not one of a swarm's node"):
        subject(pem(CN="example.com"))


def test_the_expiry_is_that_of_the_nodes_own_certificate() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    own = pem(O="swarm", OU="swarm-manager", CN="node")
    assert expiry(own + pem(CN="swarm-ca")) == (made + timedelta(days=90)).timestamp()


def test_a_year_after_2049_is_read() -> None:
    own = pem(O="swarm", OU="swarm-manager", CN="node", days=30 * 365)
    assert datetime.fromtimestamp(expiry(own), UTC).year == 2055
