"""The Secret of the signing keys as the decision point watches it: what is gone is gone."""

import base64
from collections.abc import Sequence
from typing import Any, Final

import pytest

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.signingkeys import SigningKey
from bailiwick_webhook.signing.keyring import NO_KEYS
from bailiwick_webhook.store.keys import Keys
from support.objects import Object
from support.signingkeys import secret, signing_key

NOW: Final = 1_800_000_000.0
ONE, TWO = signing_key(NOW), signing_key(NOW)
NAME: Final = ("bailiwick-system", SIGNING_KEYS_SECRET)


def stored(version: str, *keys: SigningKey, **data: Any) -> Object:  # noqa: ANN401 - any data
    body = secret(keys)
    body["metadata"]["resourceVersion"] = version
    return {**body, "data": data} if data else body


@pytest.fixture
def keys() -> Keys:
    found = Keys(Installation())
    found.sink.replace({NAME: stored("1", ONE)})
    return found


def kids(keys: Keys) -> Sequence[str]:
    return [key.kid for key in keys.keyring.keys]


def test_it_is_one_object_that_is_watched() -> None:
    collection = Keys(Installation(namespace="elsewhere")).collection
    assert collection.path == "/api/v1/namespaces/elsewhere/secrets"
    assert collection.query() == {"fieldSelector": "metadata.name=bailiwick-keys"}


def test_before_the_first_list_there_are_none() -> None:
    assert Keys(Installation()).keyring is NO_KEYS


def test_what_is_listed_and_what_changes_is_taken_up(keys: Keys) -> None:
    assert (kids(keys), keys.why) == ([ONE.kid], "")
    keys.sink.apply("MODIFIED", NAME, stored("2", ONE, TWO))
    assert kids(keys) == [ONE.kid, TWO.kid]


def test_the_same_again_is_not_imported_again(keys: Keys) -> None:
    before = keys.keyring
    keys.sink.replace({NAME: stored("1", ONE)})
    assert keys.keyring is before


def test_what_is_deleted_is_gone(keys: Keys) -> None:
    keys.sink.apply("DELETED", NAME, stored("2", ONE))
    assert keys.keyring is NO_KEYS
    assert keys.why == "secret bailiwick-keys is missing: apply crds/rbac/accounts.yaml"


def test_what_is_no_longer_listed_is_gone_and_may_come_back(keys: Keys) -> None:
    keys.sink.replace({})
    assert keys.keyring is NO_KEYS
    keys.sink.replace({NAME: stored("1", ONE)})
    assert kids(keys) == [ONE.kid]


@pytest.mark.parametrize(
    "garbage",
    [None, {"keys.json": "!"}, {"keys.json": base64.b64encode(b"[{}]").decode()}],
    ids=["no data", "no base64", "no keys"],
)
def test_what_cannot_be_read_is_no_key_and_the_old_ones_are_not_kept(keys: Keys, garbage: object) -> None:
    keys.sink.apply("MODIFIED", NAME, {**stored("2", ONE), "data": garbage})
    assert keys.keyring is NO_KEYS
    assert keys.why.startswith(("entry keys.json is missing", "keys.json"))


@pytest.mark.parametrize("kind", ["kubernetes.io/service-account-token", None])
def test_keys_in_a_secret_of_another_type_are_none(kind: str | None, keys: Keys) -> None:
    keys.sink.replace({NAME: {**stored("2", ONE), "type": kind}})
    assert keys.keyring is NO_KEYS
    assert keys.why == f"secret bailiwick-keys is of type {kind}, not Opaque"


def test_another_secret_is_none_of_ours(keys: Keys) -> None:
    keys.sink.apply("MODIFIED", ("bailiwick-system", "other"), stored("2", TWO))
    assert kids(keys) == [ONE.kid]
