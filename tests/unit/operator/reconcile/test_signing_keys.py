"""Which signing keys there should be, at every moment of a rotation and after every accident."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies as st

from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.signingkeys import (
    JWKS_MAX_AGE,
    MAX_KEYS,
    MAX_SKEW,
    MAX_TOKEN_LIFETIME,
    SigningKey,
    read_keys,
    secret_data,
    signing,
)
from bailiwick_operator.keys import check, make
from bailiwick_operator.reconcile.keys import KeyPlan, KeyRotation, NewKey, reconcile

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)
ROTATION: Final = KeyRotation()


class Made:
    """Makes keys that are only names."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> NewKey:
        self.count += 1
        return NewKey(f"made-{self.count}", "pem")


def key(name: str = "old", since: timedelta = timedelta(0), until: datetime | None = None) -> SigningKey:
    """Return a key that has signed for so long."""
    return SigningKey(name, "pem", NOW - since, NOW - since, until)


def come_to(*present: SigningKey, now: datetime = NOW, rotation: KeyRotation = ROTATION) -> KeyPlan:
    return reconcile(present, now, rotation, Made())


def kids(outcome: KeyPlan) -> list[str]:
    return [one.kid for one in outcome.keys]


def test_a_new_key_is_published_for_longer_than_clients_keep_what_they_read() -> None:
    assert ROTATION.publish > JWKS_MAX_AGE


def test_the_very_first_key_signs_at_once() -> None:
    outcome = come_to(now=NOW + timedelta(microseconds=7))
    assert outcome.keys == (SigningKey("made-1", "pem", NOW, NOW, None),)
    assert outcome.wake == NOW + ROTATION.every


def test_a_key_that_is_young_enough_is_left_alone() -> None:
    young = key(since=ROTATION.every - SECOND)
    assert come_to(young) == KeyPlan((young,), NOW + SECOND)


def test_the_successor_is_published_before_it_signs_and_the_older_one_stays() -> None:
    outcome = come_to(key(since=ROTATION.every))
    old, new = outcome.keys
    assert (old.kid, new.kid) == ("old", "made-1")
    assert (new.created, new.sign_from, new.until) == (NOW, NOW + ROTATION.publish, None)
    assert old.until == new.sign_from + MAX_TOKEN_LIFETIME + MAX_SKEW
    assert signing(outcome.keys, NOW) == old
    assert signing(outcome.keys, new.sign_from) == new
    assert outcome.wake == old.until


def test_the_older_one_is_removed_at_its_end_and_not_before() -> None:
    pair = (key(since=ROTATION.every, until=NOW + DAY), key("new", since=DAY))
    assert kids(come_to(*pair, now=NOW + DAY - SECOND)) == ["old", "new"]
    assert kids(come_to(*pair, now=NOW + DAY)) == ["new"]


ACCIDENTS: Final[dict[str, tuple[tuple[SigningKey, ...], list[str]]]] = {
    "the only key was ended by hand": ((key(since=DAY, until=NOW),), ["made-1"]),
    "the only key ends soon by hand": ((key(since=DAY, until=NOW + DAY),), ["old", "made-1"]),
    "the successor was taken away": ((key(since=DAY, until=NOW + 2 * DAY),), ["old", "made-1"]),
    "only the successor is left": ((key("next", since=-timedelta(seconds=500)),), ["made-1", "next"]),
    "a clock that ran a year ahead stamped it": ((key("ahead", since=-365 * DAY),), ["made-1"]),
    "a clock that ran half a minute ahead stamped it": ((key("ahead", since=-timedelta(seconds=30)),), ["ahead"]),
}


@pytest.mark.parametrize(("present", "expected"), ACCIDENTS.values(), ids=ACCIDENTS)
def test_whatever_happened_there_is_a_key_to_sign_with(present: tuple[SigningKey, ...], expected: list[str]) -> None:
    outcome = come_to(*present)
    assert kids(outcome) == expected
    assert signing(outcome.keys, NOW + MAX_SKEW) is not None


def test_there_are_never_more_keys_than_are_read() -> None:
    many = tuple(key(f"k{number}", since=DAY - number * SECOND, until=NOW + DAY) for number in range(MAX_KEYS))
    outcome = come_to(*many)
    assert kids(outcome) == [one.kid for one in many]
    assert outcome.wake == NOW + DAY


def test_what_is_as_it_should_be_is_not_changed_by_a_second_look() -> None:
    once = come_to(key(since=ROTATION.every))
    assert come_to(*once.keys) == once


@st.composite
def lives(draw: st.DrawFn) -> tuple[KeyRotation, list[tuple[datetime, tuple[SigningKey, ...]]]]:
    """Draw a rotation, and what the Secret holds after each look of an operator that is late or down now and then."""
    publish = draw(st.integers(1, 3600))
    rotation = KeyRotation(timedelta(seconds=publish + draw(st.integers(1, 200_000))), timedelta(seconds=publish))
    now, keys, made = NOW, tuple[SigningKey, ...](), Made()
    history = []
    for _ in range(draw(st.integers(1, 40))):
        outcome = reconcile(keys, now, rotation, made)
        keys = read_keys(secret_data(outcome.keys))
        history.append((now, keys))
        due = max(outcome.wake, now + SECOND)
        late = timedelta(milliseconds=draw(st.sampled_from([0, 0, 1, 700, 60_000, 90_000_000])))
        now = min(due, now + timedelta(seconds=draw(st.integers(1, 100_000)))) + late
    return rotation, history


@given(life=lives(), data=st.data())
def test_every_token_verifies_to_its_end_wherever_the_keys_were_read_lately(
    life: tuple[KeyRotation, list[tuple[datetime, tuple[SigningKey, ...]]]], data: st.DataObject
) -> None:
    rotation, history = life
    moments = st.integers(0, int((history[-1][0] - NOW).total_seconds())).map(lambda after: NOW + after * SECOND)
    stale = st.integers(0, int(rotation.publish.total_seconds())).map(lambda seconds: seconds * SECOND)

    def seen(moment: datetime) -> tuple[SigningKey, ...]:
        return [keys for written_at, keys in history if written_at <= max(moment, NOW)][-1]

    issued = data.draw(moments, "issued")
    signer = signing(seen(issued - data.draw(stale, "the issuer is behind by")), issued)
    assert signer is not None
    expires = issued + data.draw(st.integers(0, int(MAX_TOKEN_LIFETIME.total_seconds()))) * SECOND
    verified = min(issued + (expires - issued) * data.draw(st.floats(0, 1)), expires)
    known = seen(verified - data.draw(stale, "the verifier is behind by"))
    assert any(one.kid == signer.kid and one.is_accepted(verified) for one in known)


def entry(text: str) -> dict[str, str]:
    return {"keys.json": base64.b64encode(text.encode()).decode()}


NOT_OURS: Final[dict[str, tuple[dict[str, Any] | None, str]]] = {
    "nothing": (None, "is missing"),
    "another entry": ({"other": "e30="}, "is missing"),
    "a number": ({"keys.json": 7}, "is missing"),
    "no base64": ({"keys.json": "!"}, "not valid JSON"),
    "half a base64": ({"keys.json": "e30"}, "not valid JSON"),
    "no JSON": (entry("{"), "not valid JSON"),
    "no UTF-8": ({"keys.json": "/w=="}, "not valid JSON"),
    "very deep": (entry("[" * 100_000), "not valid JSON"),
    "no list": (entry("{}"), "not a list"),
    "an empty list": (entry("[]"), "not a list"),
    "too many": (secret_data([replace(key(), kid=f"{number}") for number in range(MAX_KEYS + 1)]), "not a list"),
    "a key that is a number": (entry("[1]"), "not an object"),
    "a key without a name": (entry('[{"pem": "p"}]'), "no kid"),
    "a key without itself": (entry('[{"kid": "k"}]'), "no pem"),
    "a key without times": (entry('[{"kid": "k", "pem": "p"}]'), "an invalid time"),
    "a time without a zone": (
        entry('[{"kid": "k", "pem": "p", "createdTime": "2026-11-25T12:00:00"}]'),
        "an invalid time",
    ),
    "a time before all calendars": (
        entry('[{"kid": "k", "pem": "p", "createdTime": "0001-01-01T00:00:00+23:00"}]'),
        "an invalid time",
    ),
    "a key twice": (secret_data([key(), key()]), "has a duplicate key"),
}


class TestContent:
    def test_what_is_written_is_read(self) -> None:
        keys = come_to(key(since=ROTATION.every)).keys
        assert read_keys(secret_data(keys)) == keys

    @pytest.mark.parametrize(("data", "why"), NOT_OURS.values(), ids=NOT_OURS)
    def test_what_is_not_ours_is_unreadable_as_a_whole(self, data: dict[str, Any] | None, why: str) -> None:
        with pytest.raises(UnreadableListError, match=why):
            read_keys(data)

    def test_a_made_key_is_one_that_can_sign(self) -> None:
        fresh = make()
        check(SigningKey(fresh.kid, fresh.pem, NOW, NOW, None))

    @pytest.mark.parametrize("wrong", ["nothing", "another's name", "another curve", "a public key"])
    def test_a_key_that_cannot_sign_in_its_name_is_not_ours(self, wrong: str) -> None:
        fresh = make()
        damaged = {
            "nothing": SigningKey(fresh.kid, "nothing", NOW, NOW, None),
            "another's name": SigningKey(make().kid, fresh.pem, NOW, NOW, None),
            "another curve": SigningKey(fresh.kid, pem_of(ec.SECP384R1()), NOW, NOW, None),
            "a public key": SigningKey(fresh.kid, public_pem(), NOW, NOW, None),
        }
        with pytest.raises(UnreadableListError) as refused:
            check(damaged[wrong])
        assert "PRIVATE" not in str(refused.value)

    def test_no_key_is_shown_by_its_representation(self) -> None:
        assert "pem" not in repr(key())


def pem_of(curve: ec.EllipticCurve) -> str:
    made = ec.generate_private_key(curve)
    coded = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(*coded).decode()


def public_pem() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
