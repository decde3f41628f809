"""Security event tokens: the examples of CAEP and RISC do what the table says, and no mutation of one does more."""

import asyncio
import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from bailiwick_api.issuers import IssuerConfig
from bailiwick_operator.reconcile.securityevent import RefusedSet, SecurityEvent
from bailiwick_operator.reconcile.signals import SignalEffect, signal_effect
from bailiwick_operator.signals.verification import SetVerifier
from bailiwick_process.jwt import jwks
from bailiwick_process.jwt.keyset import IssuerKeys, KeySet
from support.signals.caep import AT, EXAMPLES, Example, Members

ISSUER: Final = "https://idp.example.com/123456789/"
AUDIENCE: Final = "https://sp.example.com/caep"
JTI: Final = "24c63f"
NOW: Final = AT + 170
JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "x" * 300,
    "a\x00b",
    2**60,
    [],
    ["x"],
    {},
    {"format": "iss_sub"},
    ISSUER,
)
FOREIGN: Final = "https://idp.example.com/987654321/"


class Judge:
    """Signs claims as the issuer, and verifies them as the operator does."""

    def __init__(self, **issuer: object) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.strangers = ECKey.generate_key("P-256", {"kid": "one"})
        published = IssuerKeys(ISSUER, jwks.keys_of({"keys": [self.key.as_dict(private=False)]}))

        async def keys() -> IssuerKeys:
            return published

        signals = {"pollURL": ISSUER, "tokenFile": "t", "audience": AUDIENCE, "maxTokenSeconds": 3600}
        config = IssuerConfig.model_validate({"name": "corp", "issuer": ISSUER, "signals": signals, **issuer})
        assert config.signals is not None
        self.trusted = True
        self.verifier = SetVerifier(
            config,
            config.signals,
            KeySet("corp", keys, clock=lambda: 1000.0),
            now=lambda: datetime.fromtimestamp(NOW, UTC),
            trusted=lambda: self.trusted,
        )

    def sign(self, claims: Members, key: ECKey | None = None, **header: object) -> str:
        head = {"alg": "ES256", "kid": "one", "typ": "secevent+jwt", **header}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, claims, key or self.key, algorithms=["ES256"])

    def verdict(self, token: str, jti: str = JTI) -> SecurityEvent | RefusedSet | None:
        return asyncio.run(self.verifier.verify(jti, token, 1000.0))

    def judged(self, claims: Members, **header: Any) -> SecurityEvent | RefusedSet | None:  # noqa: ANN401 - of any type
        return self.verdict(self.sign(claims, **header))


JUDGE: Final = Judge()


@pytest.fixture
def judge() -> Judge:
    return JUDGE


def named(example: Example) -> str:
    return example.name


def effect_of(event: SecurityEvent | RefusedSet | None) -> str:
    if not isinstance(event, SecurityEvent):
        return "unmappable"
    effect = signal_effect(event)
    if not isinstance(effect, SignalEffect):
        return "nothing" if effect is None else "unmappable"
    what = {None: "refuse", True: "hold", False: "release"}[effect.hold]
    return f"risk {what}" if effect.risk else what


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_does_what_the_table_says_to_whom_it_names(judge: Judge, example: Example) -> None:
    event = judge.judged(example.claims(ISSUER, AUDIENCE))
    assert effect_of(event) == example.effect
    if example.effect == "unmappable":
        assert isinstance(event, RefusedSet)
        assert event.code == "invalid_request"
        return
    assert isinstance(event, SecurityEvent)
    if example.effect != "nothing":
        assert event.match == example.match
        assert event.at == AT


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        (AT, AT),
        (AT + 0.5, AT + 0.5),
        # The examples of CAEP have milliseconds, though its text says seconds.
        (AT * 1000 + 643, AT + 0.643),
        # What has not happened yet when the token was issued happened then.
        (AT + 100_000, AT + 168),
        ((AT + 100_000) * 1000, AT + 168),
        (0, 0),
    ],
)
def test_the_time_of_an_event_is_never_after_its_token(judge: Judge, stamp: float, at: float) -> None:
    claims = EXAMPLES[0].claims(ISSUER, AUDIENCE)
    claims["events"][EXAMPLES[0].uri]["event_timestamp"] = stamp
    event = judge.judged(claims)
    assert isinstance(event, SecurityEvent)
    assert event.at == at


def test_without_a_time_of_its_own_an_event_happened_when_its_token_was_issued(judge: Judge) -> None:
    claims = EXAMPLES[0].claims(ISSUER, AUDIENCE)
    del claims["events"][EXAMPLES[0].uri]["event_timestamp"]
    event = judge.judged(claims)
    assert isinstance(event, SecurityEvent)
    assert event.at == AT + 168


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"iss": FOREIGN}, "invalid_issuer"),
        ({"iss": [ISSUER]}, "invalid_issuer"),
        ({"iss": None}, "invalid_issuer"),
        ({"aud": "https://another.example"}, "invalid_audience"),
        ({"aud": [AUDIENCE, 1]}, "invalid_audience"),
        ({"aud": None}, "invalid_audience"),
        ({"jti": "another"}, "invalid_request"),
        ({"jti": None}, "invalid_request"),
        ({"iat": NOW + 31}, "invalid_request"),
        ({"iat": None}, "invalid_request"),
        ({"iat": "1"}, "invalid_request"),
        ({"iat": True}, "invalid_request"),
        ({"iat": -1}, "invalid_request"),
        ({"exp": NOW + 600}, "invalid_request"),
        ({"sub": "dave"}, "invalid_request"),
        ({"events": None}, "invalid_request"),
        ({"events": {}}, "invalid_request"),
        ({"events": {one.uri: {} for one in EXAMPLES[:6]}}, "invalid_request"),
        ({"events": {EXAMPLES[0].uri: None}}, "invalid_request"),
        ({"events": [EXAMPLES[0].uri]}, "invalid_request"),
        ({"sub_id": None}, "invalid_request"),
        ({"sub_id": "dave"}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "iss": FOREIGN, "sub": "dave"}}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "sub": "dave"}}, "invalid_request"),
        ({"sub_id": {"format": "email", "email": ["a@b"]}}, "invalid_request"),
        ({"sub_id": {"format": "opaque", "id": ""}}, "invalid_request"),
        ({"sub_id": {"format": "account", "uri": "acct:dave@example.com"}}, "invalid_request"),
        ({"sub_id": {"format": "complex"}}, "invalid_request"),
        (
            {
                "sub_id": {
                    "format": "complex",
                    "user": {"format": "iss_sub", "iss": FOREIGN, "sub": "dave"},
                    "session": {"format": "opaque", "id": "s1"},
                }
            },
            "invalid_request",
        ),
        ({"sub_id": {"format": "complex", "user": {"format": "complex", "user": {}}}}, "invalid_request"),
    ],
)
def test_a_token_of_another_shape_is_refused_with_the_reason(judge: Judge, change: Members, code: str) -> None:
    claims = EXAMPLES[0].claims(ISSUER, AUDIENCE) | change
    verdict = judge.judged({name: value for name, value in claims.items() if value is not None})
    assert isinstance(verdict, RefusedSet)
    assert (verdict.code, verdict.early) == (code, change == {"iat": NOW + 31})


def test_what_is_early_is_not_refused_while_our_own_clock_is_wrong(judge: Judge) -> None:
    early = EXAMPLES[0].claims(ISSUER, AUDIENCE) | {"iat": NOW + 31}
    judge.trusted = False
    try:
        assert judge.judged(early) is None
        assert isinstance(judge.judged(early | {"exp": 1}), RefusedSet)
    finally:
        judge.trusted = True


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": "JWT"}, "invalid_request"),
        ({"typ": "at+jwt"}, "invalid_request"),
        ({"typ": None}, "invalid_request"),
        ({"kid": "another"}, "invalid_key"),
        ({"cty": "JWT"}, "invalid_request"),
        ({"jku": "https://evil.example/keys"}, "invalid_request"),
    ],
)
def test_a_header_that_means_something_else_is_refused(judge: Judge, header: Members, code: str) -> None:
    verdict = judge.judged(EXAMPLES[0].claims(ISSUER, AUDIENCE), **header)
    assert isinstance(verdict, RefusedSet)
    assert verdict.code == code


def test_an_algorithm_that_the_issuer_does_not_use_is_refused_though_its_key_could() -> None:
    verdict = Judge(algorithms=["RS256"]).judged(EXAMPLES[0].claims(ISSUER, AUDIENCE))
    assert isinstance(verdict, RefusedSet)
    assert verdict.code == "invalid_key"


def test_a_type_may_be_written_as_a_media_type(judge: Judge) -> None:
    assert isinstance(judge.judged(EXAMPLES[0].claims(ISSUER, AUDIENCE), typ="application/secevent+jwt"), SecurityEvent)


def test_the_signature_is_of_a_key_of_the_issuer_over_this_very_text(judge: Judge) -> None:
    claims = EXAMPLES[0].claims(ISSUER, AUDIENCE)
    forged = judge.sign(claims, judge.strangers)
    good = judge.sign(claims)
    head, payload, signature = good.split(".")
    other = judge.sign(claims | {"txn": 1}).split(".")
    for token in (forged, f"{head}.{other[1]}.{signature}", f"{other[0]}.{payload}.{other[2]}"):
        verdict = judge.verdict(token)
        assert isinstance(verdict, RefusedSet)
        assert verdict.code == "invalid_key"
    for token in (
        f"{head}.{payload}.",
        "",
        "x",
        "x" * 16_385,
        good + "=",
        judge.sign({"a": "x" * 13_000}),
    ):
        verdict = judge.verdict(token)
        assert isinstance(verdict, RefusedSet)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    """Yield the place of every member, at any depth."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(claims: Members, place: tuple[Any, ...], value: object) -> Members:
    claims = copy.deepcopy(claims)
    *above, last = place
    holder: Any = claims
    for key in above:
        holder = holder[key]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return claims


@given(st.sampled_from(EXAMPLES), st.data())
def test_no_mutation_of_a_member_makes_an_event_about_anybody_else(example: Example, data: st.DataObject) -> None:
    claims = example.claims(ISSUER, AUDIENCE)
    place = data.draw(st.sampled_from([*places(claims)]))
    value = data.draw(st.sampled_from([..., FOREIGN, *JUNK]))
    event = JUDGE.judged(changed(claims, place, value))
    if isinstance(event, RefusedSet):
        return
    assert isinstance(event, SecurityEvent)
    # Only what the mutation itself wrote can be in it beside what was there.
    texts = set(example.match.values()) | ({value} if isinstance(value, str) else set())
    subject = changed(claims, place, value).get("sub_id")
    assert set(event.match.values()) <= texts | set(leaves(subject))
    assert FOREIGN not in [part.get("iss") for part in identifiers(subject) if part.get("sub") in event.match.values()]
    assert event.at <= claims["iat"] or place == ("iat",)
    assert event.at <= NOW + 30
    required = {("iss",), ("aud",), ("jti",), ("events",)}
    assert place not in required or changed(claims, place, value) == claims or accepted_anyway(place, value)
    effect = signal_effect(event)
    if isinstance(effect, SignalEffect):
        assert effect.match


def accepted_anyway(place: tuple[Any, ...], value: object) -> bool:
    """Tell whether a value is as good as the one of the example."""
    return place == ("iss",) and value == ISSUER


def leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, str):
        yield value


def identifiers(subject: object) -> list[Members]:
    if not isinstance(subject, dict):
        return []
    return [subject, *(part for name in ("user", "session") if isinstance(part := subject.get(name), dict))]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_text_whatever_breaks_the_reader(raw: bytes) -> None:
    assert isinstance(JUDGE.verdict(raw.decode("utf-8", "replace")), RefusedSet)
