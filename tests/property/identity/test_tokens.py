"""Whatever is shown for a token proves somebody only if it was signed for them, to the letter, and stops nothing.

Holds: the API server of this world confirms whatever it is asked, so that a refusal is the offline verification's own.
"""

import asyncio
import base64
import json
import string
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import assume, example, given, settings, strategies as st

from bailiwick_engine.call import Party
from bailiwick_process.jwt import compact
from bailiwick_webhook.identity.subject import Parties
from bailiwick_webhook.identity.tokens import RefusedToken
from bailiwick_webhook.steps import resolve
from unit.webhook.identity.forgery import compact as written, part, signing
from unit.webhook.identity.world import (
    AGENT,
    AUDIENCE,
    EC,
    RSA,
    World,
    account_claims,
    account_token,
    person_claims,
    person_token,
)

EXAMPLES: Final = 8 * settings().max_examples
LETTERS: Final = string.ascii_letters + string.digits + "-_"
PERSON: Final = person_token()
ACCOUNT: Final = account_token()
TOKENS: Final = {"user": ("dave", PERSON), "serviceAccount": (AGENT, ACCOUNT)}

Prove = Callable[[str, str], Parties]
Run = Callable[[Any], Any]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("issuers"))
    believing = world.cluster.review_token

    async def review(token: str, audiences: list[str]) -> dict[str, Any]:
        # Whatever else it believes, it names an account by texts.
        try:
            said = await believing(token, audiences)
        except (LookupError, TypeError, AttributeError, ValueError):
            return {"authenticated": False}
        named = all(isinstance(value, str) for value in said.get("user", {}).values())
        return said if named else {"authenticated": False}

    world.cluster.review_token = review  # type: ignore[method-assign]  # see above
    return world


@pytest.fixture(scope="module")
def prove(world: World, run: Run) -> Prove:
    """Verify a token of a user or a service account, as the evidence of the usual call."""

    def verify(kind: str, token: str) -> Parties:
        found = run(world.verify(token, kind=kind, name=TOKENS[kind][0]))
        assert isinstance(found, Parties)
        return found

    return verify


def proven(parties: Parties) -> bool:
    return isinstance(parties.subject, Party)


kinds: Final = st.sampled_from(sorted(TOKENS))
base64url: Final = st.text(LETTERS + "=+/.", max_size=40)
texts: Final = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(base64url, min_size=2, max_size=5).map(".".join),
    st.lists(
        st.one_of(st.binary(max_size=20), st.sampled_from([b"{}", b"[]", b"null"])).map(part), min_size=3, max_size=3
    ).map(".".join),
)


def test_the_tokens_that_are_changed_prove_their_subjects(prove: Prove) -> None:
    assert all(proven(prove(kind, token)) for kind, (_, token) in TOKENS.items())


@pytest.mark.parametrize("kind", sorted(TOKENS))
def test_a_token_with_one_letter_changed_proves_nobody_wherever_it_stands(prove: Prove, kind: str) -> None:
    _, token = TOKENS[kind]
    for place, letter in enumerate(token):
        # The next letter differs in the fewest bits, also in those that base64url leaves unused at an end.
        following = LETTERS[(LETTERS.find(letter) + 1) % len(LETTERS)]
        for other in {following, "." if letter != "." else "A", "="}:
            assert not proven(prove(kind, token[:place] + other + token[place + 1 :])), (place, letter, other)


edits: Final = st.tuples(
    st.integers(0, 1000), st.integers(0, 3), st.text(LETTERS + ".=+/ \n\u00e9\ud800\x00", max_size=3)
)


@settings(max_examples=EXAMPLES)
@given(kind=kinds, changes=st.lists(edits, min_size=1, max_size=3))
def test_a_token_that_was_cut_or_added_to_proves_nobody(
    prove: Prove, kind: str, changes: list[tuple[int, int, str]]
) -> None:
    _, token = TOKENS[kind]
    changed = token
    for place, gone, put in changes:
        at = place % (len(changed) + 1)
        changed = changed[:at] + put + changed[at + gone :]
    assume(changed != token)
    assert not proven(prove(kind, changed))


@settings(max_examples=EXAMPLES)
@given(kind=kinds, token=texts)
@example(kind="user", token="\ud800")
@example(kind="user", token="a.\u0661.b")
def test_any_text_is_taken_apart_or_refused_and_proves_nobody(prove: Prove, kind: str, token: str) -> None:
    found = compact.parse(token)
    if found is not None:
        header, claims, _ = (base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in token.split("."))
        assert json.loads(claims) == found.claims
        assert json.loads(header)["alg"] == found.algorithm
    assert not proven(prove(kind, token))


# ------------------------------------------------------------------ tokens that are signed, of any content

values: Final = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(min_value=10**300, max_value=10**400),
        st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8"), max_size=6),
        st.sampled_from(["dave", AGENT, AUDIENCE, "ES256", "RS256", "none", "JWT", "corp-1"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=5,
)
REGISTERED: Final = (
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "act",
    "groups",
    "kubernetes.io",
    "may_act",
    "_claim_names",
    "cnf",
)
claims: Final = st.dictionaries(st.sampled_from(REGISTERED) | st.text(max_size=4), values, max_size=3)
headers: Final = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "cty", "crit", "jwk", "x5t"]) | st.text(max_size=4), values, max_size=2
)


def _signed(kind: str, header: dict[str, Any], said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if kind == "user":
        whole = person_claims() | said
        return written({"alg": "ES256", "kid": "corp-1", "typ": "at+jwt"} | header, whole, signing(EC, "ES256")), whole
    whole = account_claims() | said
    return written({"alg": "RS256", "kid": "cluster-1"} | header, whole, signing(RSA, "RS256")), whole


@settings(max_examples=EXAMPLES)
@given(kind=kinds, header=headers, said=claims)
@example(kind="user", header={}, said={"exp": 10**400})
@example(kind="serviceAccount", header={}, said={"exp": 10**400})
@example(kind="serviceAccount", header={}, said={"nbf": -(10**400)})
@example(kind="user", header={}, said={"iat": 10**400})
def test_a_signed_token_of_any_content_proves_whom_it_names_or_nobody(
    prove: Prove, kind: str, header: dict[str, Any], said: dict[str, Any]
) -> None:
    name, _ = TOKENS[kind]
    token, whole = _signed(kind, header, said)
    parties = prove(kind, token)
    if not proven(parties):
        return
    assert whole["sub"] == name
    listed = whole["aud"] if isinstance(whole["aud"], list) else [whole["aud"]]
    assert AUDIENCE in listed
    assert "act" not in whole or parties.actors
    assert "cnf" not in whole
    assert all(type(whole[time]) in {int, float} for time in ("exp", "iat"))


@given(kind=kinds, said=claims, key=values)
def test_a_token_that_names_a_key_proves_nobody_however_it_names_it(
    prove: Prove, kind: str, said: dict[str, Any], key: object
) -> None:
    token, _ = _signed(kind, {}, said | {"cnf": key})
    assert not proven(prove(kind, token))


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose API server does not tell its keys, and confirms nobody."""

    async def refuse(token: str, audiences: list[str]) -> dict[str, Any]:
        return {"authenticated": False}

    world = World(tmp_path_factory.mktemp("refusing"))
    world.cluster.keys_down = True
    world.cluster.review_token = refuse  # type: ignore[method-assign]  # whatever stands in the token
    return world


@settings(max_examples=EXAMPLES)
@given(header=headers, said=claims)
@example(header={}, said={"exp": 10**400})
@example(header={}, said={"exp": -(10**400)})
def test_where_no_keys_are_known_no_content_of_a_token_stops_what_asks_the_api_server(
    refusing: World, run: Run, header: dict[str, Any], said: dict[str, Any]
) -> None:
    token, _ = _signed("serviceAccount", header, said)
    assert isinstance(run(resolve(refusing.identity.caller(f"Bearer {token}"))), RefusedToken)
