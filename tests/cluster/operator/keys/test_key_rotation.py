"""The rotation of the signing keys on a real API server, with times so short that several can be watched.

Standing: the rule itself is a property test (`unit/operator/test_signing_keys`); here is that it is kept by a clock.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bailiwick_api.signingkeys import signing
from cluster.operator.keys.keys import Secret
from cluster.operator.operatorprocess import Operator
from support.waits import until

pytestmark = pytest.mark.long

ROTATION_SECONDS: Final = 4
PUBLISH_SECONDS: Final = 2


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return (
        *("--key-rotation-seconds", str(ROTATION_SECONDS), "--key-publish-seconds", str(PUBLISH_SECONDS)),
        *("--key-interval", "0.5", "--proof-interval", "3"),
    )


def test_at_every_moment_one_key_signs_that_was_known_before_and_stays_known(
    operator: Operator, secret: Secret
) -> None:
    until(secret.names, "keys")
    known: dict[str, datetime] = {}
    signed: list[str] = []
    deadline = datetime.now(UTC) + timedelta(seconds=3.2 * (ROTATION_SECONDS + PUBLISH_SECONDS))
    while (looked := datetime.now(UTC)) < deadline:
        keys = secret.held()
        for key in keys:
            known.setdefault(key.kid, looked)
        signer = signing(keys, looked)
        assert signer is not None
        if signer.kid not in signed:
            if signed:
                # A second for our looks: they may be late to see it published.
                assert (looked - known[signer.kid]).total_seconds() > PUBLISH_SECONDS - 1
            signed.append(signer.kid)
        assert set(signed) <= {key.kid for key in keys if key.is_accepted(looked)}
    assert len(signed) >= 3
