from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters.certificate import Subject, expiry, subject

from tests.unit.join.certificates import pem


def test_the_nodes_own_certificate_comes_first() -> None:
    own = pem(O="swarm", OU="swarm-worker", CN="node")
    assert subject(own + pem(CN="swarm-ca")) == Subject("swarm", "node", "swarm-worker")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(content: bytes) -> None:
    for read in (subject, expiry):
        with pytest.raises(ValueError, match="certificate"):
            read(content)


def test_a_certificate_of_something_else() -> None:
    with pytest.raises(ValueError, match="not one of a swarm's node"):
        subject(pem(CN="example.com"))


def test_when_a_certificate_expires() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    own = pem(O="swarm", OU="swarm-manager", CN="node")
    assert expiry(own + pem(CN="swarm-ca")) == (made + timedelta(days=90)).timestamp()


def test_from_2050_on_a_year_has_four_digits() -> None:
    own = pem(O="swarm", OU="swarm-manager", CN="node", days=30 * 365)
    assert datetime.fromtimestamp(expiry(own), UTC).year == 2055
