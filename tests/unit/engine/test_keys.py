"""Keys as people write them, and by which uid a grant is bound to somebody whom no API server knows."""

import pytest

from bailiwick_api.usernames import ASSERTED
from bailiwick_engine.keys import (
    MAX_UID,
    Key,
    entity,
    group,
    is_hashed,
    issuer_of,
    label,
    service_account,
    uid_of,
    user,
)


def test_a_uid_is_the_issuer_and_the_name() -> None:
    assert uid_of("corp", "carol@corp") == "corp#carol@corp"
    assert uid_of(ASSERTED, "r2") == "asserted#r2"


def test_a_uid_that_a_grant_could_not_hold_is_hashed() -> None:
    name = "n" * (MAX_UID - len("corp#"))
    assert uid_of("corp", name) == f"corp#{name}"
    hashed = uid_of("corp", name + "n")
    assert hashed.startswith("sha256:")
    assert len(hashed) <= MAX_UID
    assert hashed != uid_of("corp", name + "m")


@pytest.mark.parametrize(
    ("uid", "name", "issuer"),
    [
        ("corp#carol", "carol", "corp"),
        ("corp#a#b", "b", "corp#a"),
        ("corp#carol", "dave", None),
        ("corp#carol", "arol", None),
        ("#carol", "carol", None),
        ("carol", "carol", None),
        ("", "carol", None),
        (uid_of("corp", "n" * MAX_UID), "n" * MAX_UID, None),
    ],
)
def test_a_uid_tells_the_issuer_of_its_own_name_alone(uid: str, name: str, issuer: str | None) -> None:
    assert issuer_of(uid, name) == issuer


def test_a_hashed_uid_is_that_of_one_of_the_issuers_that_there_are() -> None:
    name = "n" * MAX_UID
    hashed = uid_of("corp", name)
    assert issuer_of(hashed, name, ("partner", "corp")) == "corp"
    assert issuer_of(hashed, name, ("partner",)) is None
    assert issuer_of(hashed, name + "m", ("partner", "corp")) is None
    assert issuer_of("0b1a", name, ("partner", "corp")) is None
    assert (is_hashed(hashed), is_hashed("corp#n"), is_hashed("0b1a")) == (True, False, False)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (service_account("system:serviceaccount:agents:crm-agent"), "sa:agents/crm-agent"),
        (service_account("bot"), "sa:bot"),
        (user("corp", "carol@corp.example"), "user:corp/carol@corp.example"),
        (group("corp", "a/b"), "group:corp/a/b"),
        (entity("agent", "bot"), "entity:agent/bot"),
    ],
)
def test_each_kind_of_subject_has_one_spelling(key: Key, said: str) -> None:
    assert label(key) == said
