"""The signing keys as the operator keeps them in a real Secret: made, rotated, cleared and made again.

Holds: what is seen here is what any reader of the Secret sees; the operator's log never holds a key.
"""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bailiwick_api.signingkeys import SigningKey, signing, written
from bailiwick_operator.keys import make
from cluster.operator.keys import Secret
from cluster.operator.running import Operator
from support.waiting import until


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--key-interval", "0.5")


def now() -> datetime:
    return datetime.now(UTC)


def test_the_first_key_is_there_soon_and_signs(operator: Operator, secret: Secret) -> None:
    until(secret.names, "the first key")
    (key,) = secret.held()
    assert signing([key], now()) == key
    assert (key.until, secret.body()["type"]) == (None, "Opaque")
    assert key.kid in [entry["kid"] for entry in operator.await_said("signing key published")]


def test_keys_that_are_as_they_should_be_are_not_written_again(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    version = secret.body()["metadata"]["resourceVersion"]
    operator.await_said("the signing keys are as they should be")
    quiet = now() + timedelta(seconds=2)
    until(lambda: now() > quiet, "a few looks")
    assert secret.body()["metadata"]["resourceVersion"] == version


def test_what_was_emptied_is_made_anew_and_the_old_key_does_not_come_back(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    before = secret.names()
    secret.empty()
    secret.await_others(before)


def test_applying_the_installation_again_empties_nothing(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    before = secret.body()["data"]
    secret.apply()
    assert secret.body()["data"] == before


def test_a_secret_that_was_deleted_is_not_made_but_asked_for(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    before = secret.names()
    secret.delete()
    await_told(operator, "is missing: apply crds/rbac/accounts.yaml")
    secret.apply()
    secret.await_others(before)


def await_told(operator: Operator, problem: str) -> None:
    """Wait until this is what is wrong, among what was wrong before."""
    until(lambda: any(problem in said["problem"] for said in operator.said(NOT_SO)), f"told: {problem}")


NOT_SO: Final = "the signing keys are not as they should be"


GARBAGE: Final = {
    "no JSON": {"keys.json": base64.b64encode(b"once upon a time").decode()},
    "keys of nobody": {"keys.json": base64.b64encode(json.dumps([{"kid": "k", "pem": "p"}]).encode()).decode()},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_what_cannot_be_read_is_replaced_and_that_is_said(
    garbage: dict[str, str], operator: Operator, secret: Secret
) -> None:
    until(secret.names, "keys")
    before = secret.names()
    said = len(operator.said(REPLACED))
    secret.write({**garbage, "other": "b3RoZXI="})
    secret.await_others(before)
    assert len(operator.said(REPLACED)) == said + 1
    # What is not ours stays.
    assert secret.body()["data"]["other"] == "b3RoZXI="


REPLACED: Final = "the signing keys cannot be read and are replaced: approval tokens shown until now are refused"


def test_a_key_in_the_name_of_another_is_replaced(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    one, other = make(), make()
    forged = SigningKey(one.kid, other.pem, now(), now(), None)
    secret.write(written([forged]))
    secret.await_others({one.kid})


def test_a_key_that_has_ended_is_removed(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    old = make()
    ended = SigningKey(old.kid, old.pem, now() - timedelta(days=32), now() - timedelta(days=32), now())
    kept = secret.held()
    secret.write(written([ended, *kept]))
    until(lambda: old.kid not in secret.names(), "the ended key is gone")
    assert secret.held() == kept
    assert operator.await_said("signing key removed")[-1]["kid"] == old.kid


def test_where_it_may_not_be_written_that_is_told_and_mended_later(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    secret.write({}, immutable=True)
    await_told(operator, "immutable")
    secret.delete()
    secret.apply()
    until(secret.names, "keys again", seconds=15)


def test_no_key_is_ever_logged(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    log = operator.log.read_text()
    assert "PRIVATE" not in log
    for key in secret.held():
        assert not any(line in log for line in key.pem.splitlines() if line)
