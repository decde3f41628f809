"""Every way to make a token pass for what it is not, one row each (RFC 8725, RFC 7515, RFC 7519).

Holds: the API server of this world confirms whatever it is asked, so that a refusal is the offline verification's own;
only the rows of deleted accounts and pods are refused by it.
"""

import json
import string
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from joserfc.jwk import ECKey, RSAKey

from unit.webhook.identity.forgery import compact, part, pem, signing, with_secret
from unit.webhook.identity.world import (
    AGENT,
    AUDIENCE,
    CLUSTER_URL,
    CORP,
    EC,
    NEXT_RSA,
    NOW,
    OTHER,
    PARTNER,
    PARTNER_EC,
    RSA,
    World,
    account_claims,
    account_token,
    jwks,
    merged,
    person_claims,
    person_token,
    reason_of,
)

Make = Callable[[World], str]
INVALID: Final = "identity_invalid"
POSSESSION: Final = "possession_unproven"
AUDIENCES: Final = "audience_mismatch"
GOOD: Final = None

_RS256: Final = {"alg": "RS256", "kid": "cluster-1"}
_ES256: Final = {"alg": "ES256", "kid": "corp-1"}
_ATTACKER: Final = ECKey.generate_key("P-256", {"kid": "evil"})
_P384: Final = ECKey.generate_key("P-384", {"kid": "corp-1"})
with warnings.catch_warnings(action="ignore"):
    _SMALL: Final = RSAKey.generate_key(1024, {"kid": "small"})
_POD: Final = {"name": "crm-agent-0", "uid": "pod-uid"}
_OF_A_POD: Final[dict[str, Any]] = {"kubernetes.io": {**account_claims()["kubernetes.io"], "pod": _POD}}


def _duplicated(member: str, value: str) -> str:
    """Return the payload with a member twice: the first is the attacker's, the last is what most parsers take."""
    return '{"' + member + '":' + value + "," + _text(person_claims())[1:]


def _text(claims: dict[str, Any]) -> str:
    return json.dumps(claims)


def _next(letter: str) -> str:
    """Return the letter after this one: of the last, base64url leaves bits unused."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return alphabet[(alphabet.index(letter) + 1) % 64]


def _cut(token: str, index: int, text: str) -> str:
    parts = token.split(".")
    parts[index] = text
    return ".".join(parts)


def _published(keys: dict[str, Any], token: str) -> Make:
    def make(world: World) -> str:
        world.cluster.published = keys
        return token

    return make


def _gone(uid: str, token: str) -> Make:
    def make(world: World) -> str:
        world.cluster.gone.add(uid)
        return token

    return make


def _person(header: dict[str, Any] | None = None, **claims: Any) -> Make:  # noqa: ANN401 - claims
    return lambda _: person_token(header, **claims)


def _account(header: dict[str, Any] | None = None, **claims: Any) -> Make:  # noqa: ANN401 - claims
    return lambda _: account_token(header, **claims)


def _raw(header: object, payload: object, key: RSAKey | ECKey = EC, algorithm: str = "ES256") -> Make:
    return lambda _: compact(header, payload, signing(key, algorithm))


PEOPLE: Final[dict[str, tuple[Make, str | None]]] = {
    "a good one": (_person(), GOOD),
    "without typ, which is a JWT": (_person({"typ": ...}), GOOD),
    "a type in full and in capitals": (_person({"typ": "application/AT+JWT"}), GOOD),
    "a transaction token": (_person({"typ": "txntoken+jwt"}, txn="t-1", req_wl="w"), GOOD),
    # The algorithm (RFC 8725, 2.1, 3.1, 3.2).
    "alg none": (lambda _: compact({"alg": "none"}, person_claims(), lambda _: b"x"), INVALID),
    "alg none without a signature": (lambda _: part({"alg": "none"}) + "." + part(person_claims()) + ".", INVALID),
    "alg None in other letters": (lambda _: compact({"alg": "nOnE"}, person_claims(), lambda _: b"x"), INVALID),
    "HS256 with the public key for a secret": (
        lambda _: compact({**_ES256, "alg": "HS256"}, person_claims(), with_secret(pem(EC))),
        INVALID,
    ),
    "an algorithm that is not this issuer's": (
        _raw({**_ES256, "alg": "ES384"}, person_claims(), _P384, "ES384"),
        INVALID,
    ),
    "RS256 by a key of another type": (_raw({**_ES256, "alg": "RS256"}, person_claims(), RSA, "RS256"), INVALID),
    "no alg": (_person({"alg": ...}), INVALID),
    "an alg that is no string": (_person({"alg": ["ES256"]}), INVALID),
    "an empty signature": (lambda _: _cut(person_token(), 2, ""), INVALID),
    "a signature of zeros": (lambda _: _cut(person_token(), 2, part(b"\0" * 64)), INVALID),
    "a signature written in another way": (lambda _: person_token()[:-1] + _next(person_token()[-1]), INVALID),
    "a signature in DER": (lambda _: _cut(person_token(), 2, part(b"\x30\x06\x02\x01\x01\x02\x01\x01")), INVALID),
    "somebody else's payload under the signature": (
        lambda _: _cut(person_token(), 1, part(person_claims(groups=["admins"]))),
        INVALID,
    ),
    # The key (RFC 8725, 2.5, 3.10; RFC 7515, 4.1).
    "a wrong kid": (_person({"kid": "corp-9"}), INVALID),
    "a kid of a path": (_person({"kid": "../../dev/null"}), INVALID),
    "a kid that is no string": (_person({"kid": 1}), INVALID),
    "a kid without end": (_person({"kid": "k" * 300}), INVALID),
    "no kid where there is one key": (_person({"kid": ...}), GOOD),
    "a jku header": (_person({"jku": "https://evil.example/keys"}), INVALID),
    "an x5u header": (_person({"x5u": "https://evil.example/cert"}), INVALID),
    "an x5c header": (_person({"x5c": ["MIIB"]}), INVALID),
    "the attacker's key brought along": (
        lambda _: compact(
            {"alg": "ES256", "kid": "evil", "jwk": _ATTACKER.as_dict(private=False)},
            person_claims(),
            signing(_ATTACKER, "ES256"),
        ),
        INVALID,
    ),
    "the attacker's key under the kid of ours": (_raw(_ES256, person_claims(), _ATTACKER), INVALID),
    "a key of the cluster": (_raw({**_RS256, "kid": "cluster-1"}, person_claims(), RSA, "RS256"), INVALID),
    # The header.
    "a crit header": (_person({"crit": ["exp"], "exp": 1}), INVALID),
    "an empty crit": (_person({"crit": []}), INVALID),
    "a payload that is not encoded": (_person({"b64": False, "crit": ["b64"]}), INVALID),
    "b64 true": (_person({"b64": True}), INVALID),
    "a nested token": (_raw({**_ES256, "cty": "JWT"}, person_token()), INVALID),
    "claims that are said to be a token": (_person({"cty": "JWT"}), INVALID),
    "a payload that is a token": (_raw(_ES256, person_token()), INVALID),
    "an encrypted token": (
        lambda _: ".".join([part({"alg": "RSA-OAEP", "enc": "A256GCM"}), "a", "b", "c", "d"]),
        INVALID,
    ),
    "a compressed one": (_person({"zip": "DEF"}), INVALID),
    "a header member twice": (_raw('{"alg":"none","alg":"ES256","kid":"corp-1"}', person_claims()), INVALID),
    "another member of the header": (_person({"x5t": "abc"}), GOOD),
    # The type (RFC 8725, 3.11).
    "an approval token": (_person({"typ": "approval+jwt"}), INVALID),
    "a logout token": (_person({"typ": "logout+jwt"}), INVALID),
    "a type that is no string": (_person({"typ": 1}), INVALID),
    # Times (RFC 7519, 4.1.4 to 4.1.6): no leeway to accept by.
    "expired for a second": (_person(exp=int(NOW) - 1), INVALID),
    "expired for a minute": (_person(exp=int(NOW) - 60), INVALID),
    "expiring this very second": (_person(exp=int(NOW)), INVALID),
    "expiring in a second": (_person(exp=int(NOW) + 1), GOOD),
    "no exp": (_person(exp=...), INVALID),
    "an exp of null": (_person(exp=None), INVALID),
    "an exp of text": (_person(exp=str(int(NOW) + 600)), INVALID),
    "an exp of true": (_person(exp=True), INVALID),
    "an exp without end": (_raw(_ES256, _text(person_claims()).replace(str(int(NOW) + 600), "1e999")), INVALID),
    "an exp that is not a number": (_raw(_ES256, _text(person_claims()).replace(str(int(NOW) + 600), "NaN")), INVALID),
    "valid from the next second": (_person(nbf=int(NOW) + 1), INVALID),
    "an nbf of true": (_person(nbf=True), INVALID),
    "an nbf of text": (_person(nbf="0"), INVALID),
    "issued in the future": (_person(iat=int(NOW) + 1), INVALID),
    "an iat of text": (_person(iat="0"), INVALID),
    # The audience (RFC 8725, 3.9).
    "another audience": (_person(aud="grafana"), AUDIENCES),
    "a list of audiences with ours": (_person(aud=["grafana", AUDIENCE]), GOOD),
    "a list without ours": (_person(aud=["grafana", "wiki"]), AUDIENCES),
    "no audience": (_person(aud=...), AUDIENCES),
    "an empty list of audiences": (_person(aud=[]), AUDIENCES),
    "a list with something else than text": (_person(aud=[AUDIENCE, 1]), AUDIENCES),
    "an audience that begins like ours": (_person(aud=AUDIENCE + ".evil"), AUDIENCES),
    "an audience in other letters": (_person(aud=AUDIENCE.upper()), AUDIENCES),
    # The issuer (RFC 8725, 2.8, 3.8).
    "another issuer": (_person(iss="https://evil.example"), INVALID),
    "an issuer with a slash more": (_person(iss=CORP + "/"), INVALID),
    "no issuer": (_person(iss=...), INVALID),
    "a list of issuers": (_person(iss=[CORP]), INVALID),
    "the cluster's name for an issuer": (_person(iss=CLUSTER_URL), INVALID),
    "our name for the issuer": (_person(iss="corp"), INVALID),
    "the other issuer's name, signed by ours": (_person(iss=PARTNER), INVALID),
    "the other issuer's key under the same kid": (_raw(_ES256, person_claims(), PARTNER_EC), INVALID),
    # A key that its bearer has to hold (RFC 7800, 3.1; RFC 8705, 3.1; RFC 9449, 6.1): here nobody shows one.
    "bound to a key by its thumbprint": (
        _person(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        POSSESSION,
    ),
    "bound to a certificate": (_person(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}), POSSESSION),
    "bound to a key of its own": (_person(cnf={"jwk": _ATTACKER.as_dict(private=False)}), POSSESSION),
    "bound to a key in a way that nobody knows": (_person(cnf={"of": "tomorrow"}), POSSESSION),
    "bound to no key in particular": (_person(cnf={}), POSSESSION),
    "a cnf of null": (_person(cnf=None), POSSESSION),
    "a cnf of text": (_person(cnf="none"), POSSESSION),
    "bound to a key, and expired": (_person(cnf={"jkt": "x"}, exp=int(NOW) - 1), INVALID),
    "bound to a key, by somebody else's signature": (_raw(_ES256, person_claims(cnf={"jkt": "x"}), _ATTACKER), INVALID),
    # The subject (RFC 8725, 3.8), and what decides about it.
    "no subject": (_person(sub=...), INVALID),
    "an empty subject": (_person(sub=""), INVALID),
    "a subject that is no text": (_person(sub={"name": "dave"}), INVALID),
    "another subject than the body says": (_person(sub="erin"), INVALID),
    "a subject in other letters": (_person(sub="Dave"), INVALID),
    "a subject of letters that look the same": (_person(sub="d\u0430ve"), INVALID),
    "a subject with an invisible letter": (_person(sub="dave\u200b"), INVALID),
    "a subject with a NUL": (_person(sub="dave\0"), INVALID),
    "a subject that is written backwards": (_person(sub="\u202edave"), INVALID),
    "a lone surrogate": (_raw(_ES256, _text(person_claims(note="x")).replace('"x"', '"\\ud800"')), INVALID),
    "a member twice": (_raw(_ES256, _duplicated("sub", '"erin"')), INVALID),
    "a member twice, deep down": (_raw(_ES256, _text(person_claims(a=1)).replace("1}", '{"b":1,"b":2}}')), INVALID),
    "groups that are no list": (_person(groups={"admins": True}), INVALID),
    "a group that is no text": (_person(groups=["support", 1]), INVALID),
    "groups that are elsewhere": (_person(_claim_names={"groups": "src1"}), INVALID),
    # The text itself (RFC 7515, 7.1).
    "no token": (lambda _: "", INVALID),
    "a huge one": (_person(padding="a" * 20_000), INVALID),
    "claims of great depth": (_raw(_ES256, '{"a":' + "[" * 5000 + "]" * 5000 + "}"), INVALID),
    "a payload that is no object": (_raw(_ES256, [person_claims()]), INVALID),
    "a payload that is no JSON": (_raw(_ES256, "sub=dave"), INVALID),
    "a payload that is no UTF-8": (_raw(_ES256, b'{"sub":"\xff"}'), INVALID),
    "padding": (lambda _: person_token() + "=", INVALID),
    "a line break": (lambda _: person_token() + "\n", INVALID),
    "blanks around": (lambda _: f" {person_token()} ", INVALID),
    "four parts": (lambda _: person_token() + ".e30", INVALID),
    "another alphabet": (lambda _: person_token().replace(".", ".+", 1), INVALID),
    "letters that are not ASCII": (lambda _: person_token() + "ä", INVALID),
}

ACCOUNTS: Final[dict[str, tuple[Make, str | None]]] = {
    "a good one": (_account(), GOOD),
    "bound to a pod": (_account(**_OF_A_POD), GOOD),
    "alg none": (lambda _: compact({"alg": "none"}, account_claims(), lambda _: b"x"), INVALID),
    "HS256 with the public key for a secret": (
        lambda _: compact({**_RS256, "alg": "HS256"}, account_claims(), with_secret(pem(RSA))),
        INVALID,
    ),
    "PS256, by which Kubernetes never signs": (
        _raw({**_RS256, "alg": "PS256"}, account_claims(), RSA, "PS256"),
        INVALID,
    ),
    "RS512, by which Kubernetes never signs": (
        _raw({**_RS256, "alg": "RS512"}, account_claims(), RSA, "RS512"),
        INVALID,
    ),
    "a wrong kid": (_account({"kid": "cluster-9"}), INVALID),
    "a jku header": (_account({"jku": "https://evil.example/keys"}), INVALID),
    "another key under the same kid": (_raw(_RS256, account_claims(), NEXT_RSA, "RS256"), INVALID),
    "a key of corp": (_raw(_ES256, account_claims(), EC), INVALID),
    "the type of another token": (_account({"typ": "at+jwt"}), INVALID),
    "expired for a second": (_account(exp=int(NOW) - 1), INVALID),
    "expired for longer than a leeway": (_account(exp=int(NOW) - 61), INVALID),
    "no exp, as tokens from secrets": (_account(exp=...), INVALID),
    "valid from the next second": (_account(nbf=int(NOW) + 1), INVALID),
    "bound to a key": (_account(cnf={"jkt": "x"}), POSSESSION),
    "a cnf of null": (_account(cnf=None), POSSESSION),
    "for the API server": (_account(aud=[CLUSTER_URL]), AUDIENCES),
    "for nobody in particular": (_account(aud=...), AUDIENCES),
    "another issuer": (_account(iss="https://elsewhere"), INVALID),
    "the issuer of tokens from secrets": (_account(iss="kubernetes/serviceaccount"), INVALID),
    "corp's name for an issuer": (_account(iss=CORP), INVALID),
    "another account": (_account(username=OTHER), INVALID),
    "the account's name in other letters": (_account(sub=AGENT.upper()), INVALID),
    "a member twice": (
        _raw(_RS256, '{"sub":"' + OTHER + '",' + _text(account_claims())[1:], RSA, "RS256"),
        INVALID,
    ),
    "a key that is no longer published": (_published(jwks(NEXT_RSA), account_token()), INVALID),
    "a kid that another key has now": (
        _published({"keys": [merged(NEXT_RSA.as_dict(private=False), {"kid": "cluster-1"})]}, account_token()),
        INVALID,
    ),
    "a key that is for encryption": (
        _published(
            {"keys": [merged(RSA.as_dict(private=False), {"use": "enc"}), *jwks(NEXT_RSA)["keys"]]}, account_token()
        ),
        INVALID,
    ),
    "a key that is for another algorithm": (
        _published(
            {"keys": [merged(RSA.as_dict(private=False), {"alg": "RS512"}), *jwks(NEXT_RSA)["keys"]]}, account_token()
        ),
        INVALID,
    ),
    "a key that is for the other padding": (
        _published({"keys": [merged(RSA.as_dict(private=False), {"alg": "PS256"})]}, account_token()),
        INVALID,
    ),
    "a key that is too small": (
        _published(
            jwks(_SMALL, NEXT_RSA),
            compact({"alg": "RS256", "kid": "small"}, account_claims(), signing(_SMALL, "RS256")),
        ),
        INVALID,
    ),
    "a key that was published whole": (
        _published({"keys": [RSA.as_dict(private=True), *jwks(NEXT_RSA)["keys"]]}, account_token()),
        INVALID,
    ),
    "somebody who acts for somebody": (_account(act={"sub": OTHER, "iss": CLUSTER_URL}), "delegation_invalid"),
}
# Only the API server knows.
DELETED: Final[dict[str, tuple[Make, str | None]]] = {
    "a deleted account's": (_gone("agent-uid", account_token()), INVALID),
    "one of a pod that was deleted": (
        _gone("pod-uid", account_token(**_OF_A_POD)),
        INVALID,
    ),
    "an old one of an account that was made anew": (_gone("old-uid", account_token(uid="old-uid")), INVALID),
    "a new one of an account that was made anew": (_gone("old-uid", account_token(uid="agent-uid")), GOOD),
}
_ANOTHERS: Final = {"another account", "the account's name in other letters"}
# What is refused before it reaches the API server, and what only that one can tell.
TABLE: Final = {
    **{f"a person's: {row}": ("user", "dave", False, *PEOPLE[row]) for row in PEOPLE},
    **{
        f"an account's: {row}": (
            "serviceAccount",
            AGENT,
            ACCOUNTS[row][1] is GOOD or row in _ANOTHERS,
            *ACCOUNTS[row],
        )
        for row in ACCOUNTS
    },
    **{f"an account's: {row}": ("serviceAccount", AGENT, True, *DELETED[row]) for row in DELETED},
}


@pytest.mark.parametrize("row", TABLE)
async def test_a_token_proves_no_more_than_it_says(tmp_path: Path, row: str) -> None:
    kind, name, reviewed, make, expected = TABLE[row]
    world = World(tmp_path)
    token = make(world)
    first = reason_of(await world.verify(token, kind=kind, name=name))
    # Asked again it is no other token.
    assert [first, reason_of(await world.verify(token, kind=kind, name=name))] == [expected] * 2
    assert bool(world.cluster.reviewed) is reviewed
