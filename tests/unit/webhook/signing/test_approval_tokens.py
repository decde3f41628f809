"""Approval tokens: what is issued for which grant, and every way in which a token proves nothing."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN
from bailiwick_api.signingkeys import SigningKey
from bailiwick_api.voidgrants import VoidGrant, VoidGrants
from bailiwick_engine.approval.binding import hash_of
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Token
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing import approvaltoken, bindingtoken
from bailiwick_webhook.signing.approvaltoken import VerifiedApprovalToken
from bailiwick_webhook.signing.jose import LEEWAY, MAX_TOKEN
from bailiwick_webhook.signing.keyring import NO_KEYS
from bailiwick_webhook.signing.signer import Signer
from support.objects import Object
from support.signingkeys import ring, signing_key
from unit.engine.cases import NOW, approved, approving, asked, read
from unit.webhook.identity.forgery import compact, part, pem, signing, with_secret

BASE: Final = "https://pdp.example/endpoints/crm/crm-api"
OTHER: Final = "https://pdp.example/endpoints/crm/other-api"
KEY: Final = signing_key(NOW - 100)
RING: Final = ring(KEY)
STORED: Final = approved(approving())
GRANT: Final = read(STORED)
MOMENT: Final = int(NOW)


def changed(*path: str, to: object, of: Object = STORED) -> Grant:
    """Return the grant with one member changed."""
    body = json.loads(json.dumps(of))
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return read(body)


def issued(grant: Grant = GRANT, at: float = NOW, base: str = BASE) -> str:
    token = approvaltoken.issue(RING, grant, base, at)
    assert token is not None
    return token


def verified(
    token: str, at: float = NOW, base: str = BASE, namespace: str = "crm"
) -> VerifiedApprovalToken | TokenProblem:
    return approvaltoken.verify(RING, token, base=base, namespace=namespace, now=at)


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, read by the library alone."""
    found = jws.deserialize_compact(token, ECKey.import_key(KEY.pem), algorithms=["ES256"])
    return dict(found.headers()), json.loads(found.payload)


CLAIMS: Final = opened(issued())[1]
HEADER: Final = {"alg": "ES256", "typ": "approval+jwt", "kid": KEY.kid}
_SIGN: Final = signing(ECKey.import_key(KEY.pem), "ES256")


def forged(header: object = HEADER, claims: object = CLAIMS, sign: Callable[[bytes], bytes] = _SIGN) -> str:
    """Return a token that is right in all but what is given."""
    return compact(header, claims, sign)


class TestIssuing:
    def test_it_says_who_may_do_what_by_whose_approval_until_when(self) -> None:
        header, claims = opened(issued())
        request = GRANT.request
        assert header == HEADER
        assert claims == {
            "iss": BASE,
            "aud": BASE,
            "sub": request.subject.id,
            "sub_uid": request.subject.uid,
            "iat": MOMENT,
            "nbf": MOMENT,
            "exp": int(GRANT.status.not_after_time.timestamp()),  # type: ignore[union-attr]
            "jti": GRANT.id,
            "approval_id": GRANT.id,
            "task_id": GRANT.id,
            "grant": {"ns": "crm", "name": GRANT.name, "uid": GRANT.uid},
            "binding_hash": hash_of(request.binding.digest or ""),
            "approved_at": claims["approved_at"],
            "approved_until": claims["approved_until"],
            "uses": 1,
            "approvals": [{"sub": "carol", "kind": "human"}],
            "policy": [
                {"name": of.policy, "uid": of.uid, "rule": of.rule, "digest": of.rule_digest} for of in request.rules
            ],
        }

    def test_what_it_proves_is_what_the_engine_asks_for(self) -> None:
        expected = Token(GRANT.id, hash_of(GRANT.request.binding.digest or ""), str(GRANT.request.subject.uid))
        assert verified(issued()) == VerifiedApprovalToken(expected, GRANT.id)

    def test_it_names_the_bound_members_of_the_context(self) -> None:
        grant = changed("spec", "request", "binding", "members", to=["args_digest", "tenant"])
        assert opened(issued(grant))[1]["binding_context_members"] == ["args_digest", "tenant"]

    def test_the_chain_of_actors_is_nested_with_the_outermost_first(self) -> None:
        actors = [
            {"issuer": "cluster", "id": "system:serviceaccount:agents:outer", "uid": "o"},
            {"id": "inner", "uid": "corp#inner"},
        ]
        token = issued(changed("spec", "request", "actors", to=actors))
        assert opened(token)[1]["act"] == {
            "iss": "cluster",
            "sub": "system:serviceaccount:agents:outer",
            "sub_uid": "o",
            "act": {"sub": "inner", "sub_uid": "corp#inner"},
        }
        found = verified(token)
        assert isinstance(found, VerifiedApprovalToken)
        assert found.token.actors == (
            ("cluster", "system:serviceaccount:agents:outer", "o"),
            (None, "inner", "corp#inner"),
        )

    def test_of_a_scope_there_is_no_digest(self) -> None:
        token = issued(changed("spec", "request", "binding", to={"mode": "Scope"}))
        assert "binding_hash" not in opened(token)[1]
        found = verified(token)
        assert isinstance(found, VerifiedApprovalToken)
        assert found.token.binding_hash is None

    def test_it_ends_with_the_approval_and_never_lives_longer_than_a_key_is_kept(self) -> None:
        year = changed("status", "notAfterTime", to="2100-01-01T00:00:00Z")
        assert opened(issued(year))[1]["exp"] == MOMENT + 24 * 3600

    NONE: Final[dict[str, Grant]] = {
        "pending": read(asked(approving())),
        "denied": changed("status", "phase", to="Denied"),
        "revoked": changed("spec", "revocation", to={"by": "carol"}),
        "revoked and seen": changed("status", "phase", to="Revoked"),
        "deleted": changed("metadata", "deletionTimestamp", to="2026-11-25T12:00:00Z"),
        "over": changed("status", "notAfterTime", to="2020-01-01T00:00:00Z"),
        "void": changed(
            "status",
            "conditions",
            to=[
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": GUARD_UNPROVEN,
                    "message": "",
                    "lastTransitionTime": "2026-11-25T12:00:00Z",
                }
            ],
        ),
        "without an end": changed("status", "notAfterTime", to=None),
        "of an actor without uid": changed("spec", "request", "actors", to=[{"id": "x"}]),
        "of a subject without uid": changed("spec", "request", "subject", "uid", to=None),
    }

    @pytest.mark.parametrize("grant", NONE.values(), ids=NONE)
    def test_there_is_none_for_a_grant_that_is(self, grant: Grant) -> None:
        assert approvaltoken.issue(RING, grant, BASE, NOW) is None

    @pytest.mark.parametrize("guarded", [True, False])
    def test_there_is_one_only_while_the_guards_are_proven(self, guarded: bool) -> None:
        signer = Signer(lambda: RING, lambda: guarded, now=lambda: NOW)
        assert (signer.approval(GRANT, BASE) is not None) is guarded

    @pytest.mark.parametrize("uid", ["grant-uid", "another"])
    def test_there_is_none_of_a_grant_that_is_void_by_name(self, uid: str) -> None:
        void = VoidGrants({uid: VoidGrant(GRANT.namespace, GRANT.name)})
        signer = Signer(lambda: RING, lambda: True, lambda: void, now=lambda: NOW)
        assert (signer.approval(GRANT, BASE) is None) is (uid == GRANT.uid)

    def test_there_is_none_where_no_key_signs(self) -> None:
        assert approvaltoken.issue(NO_KEYS, GRANT, BASE, NOW) is None
        assert approvaltoken.issue(ring(signing_key(NOW, begins=600)), GRANT, BASE, NOW) is None

    def test_of_a_grant_that_says_much_it_says_what_is_needed(self) -> None:
        members = [f"{number:0>63}" for number in range(64)]
        reviews = [{**STORED["spec"]["reviews"][0], "reviewer": f"{number}-" + "r" * 240} for number in range(20)]
        body = json.loads(json.dumps(STORED))
        body["spec"]["request"]["binding"]["members"] = members
        body["spec"]["reviews"] = reviews
        body["status"]["counted"] = [{"reviewer": review["reviewer"]} for review in reviews]
        token = issued(read(body))
        assert len(token) <= MAX_TOKEN
        assert isinstance(verified(token), VerifiedApprovalToken)
        assert "approvals" not in opened(token)[1]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def _unsigned(_: bytes) -> bytes:
    return b""


RSA: Final = RSAKey.generate_key(2048)
STRANGER: Final = ECKey.generate_key("P-256")
PUBLIC: Final = ECKey.import_key(KEY.pem).as_dict(private=False)
PARTS: Final = issued().split(".")

TAMPERED: Final[dict[str, tuple[str, TokenProblem]]] = {
    "nothing": ("", TokenProblem.UNREADABLE),
    "no token": ("approval", TokenProblem.UNREADABLE),
    "two parts": (".".join(PARTS[:2]), TokenProblem.UNREADABLE),
    "four parts": (f"{issued()}.e30", TokenProblem.UNREADABLE),
    "other letters": (issued() + "é", TokenProblem.UNREADABLE),
    "half a character": (issued() + "\ud800", TokenProblem.UNREADABLE),
    "one letter too many for its size": ("a" * (MAX_TOKEN + 1), TokenProblem.OVERSIZED),
    "a right one that is too large": (forged(claims={**CLAIMS, "more": "m" * MAX_TOKEN}), TokenProblem.OVERSIZED),
    "a claim twice": (forged(claims=json.dumps(CLAIMS)[:-1] + ', "jti": "x"}'), TokenProblem.UNREADABLE),
    "a header member twice": (forged(json.dumps(HEADER)[:-1] + ', "alg": "ES256"}'), TokenProblem.UNREADABLE),
    "claims that are a list": (forged(claims=[CLAIMS]), TokenProblem.UNREADABLE),
    "no signature": (f"{PARTS[0]}.{PARTS[1]}.", TokenProblem.UNREADABLE),
    "crit": (forged({**HEADER, "crit": ["exp"], "exp": 1}), TokenProblem.UNREADABLE),
    "an address of keys": (forged({**HEADER, "jku": "https://evil.example/jwks"}), TokenProblem.UNREADABLE),
    "an address of a certificate": (forged({**HEADER, "x5u": "https://evil.example/c"}), TokenProblem.UNREADABLE),
    "a key of its own": (
        forged({**HEADER, "jwk": STRANGER.as_dict(private=False)}, sign=signing(STRANGER, "ES256")),
        TokenProblem.UNREADABLE,
    ),
    "no algorithm": (forged({**HEADER, "alg": None}), TokenProblem.UNREADABLE),
    "alg none": (forged({**HEADER, "alg": "none"}, sign=lambda _: b"x"), TokenProblem.ALGORITHM),
    "the public key as a secret": (
        forged({**HEADER, "alg": "HS256"}, sign=with_secret(pem(ECKey.import_key(KEY.pem)))),
        TokenProblem.ALGORITHM,
    ),
    "RS256": (forged({**HEADER, "alg": "RS256"}, sign=signing(RSA, "RS256")), TokenProblem.ALGORITHM),
    "ES384": (forged({**HEADER, "alg": "ES384"}), TokenProblem.ALGORITHM),
    "es256": (forged({**HEADER, "alg": "es256"}), TokenProblem.ALGORITHM),
    "no type": (forged({"alg": "ES256", "kid": KEY.kid}), TokenProblem.TYPE),
    "type JWT": (forged({**HEADER, "typ": "JWT"}), TokenProblem.TYPE),
    "type of an access token": (forged({**HEADER, "typ": "at+jwt"}), TokenProblem.TYPE),
    "type of a binding token": (forged({**HEADER, "typ": bindingtoken.TYPE}), TokenProblem.TYPE),
    "no kid": (forged({"alg": "ES256", "typ": "approval+jwt"}), TokenProblem.KEY),
    "an unknown kid": (
        forged({**HEADER, "kid": STRANGER.thumbprint()}, sign=signing(STRANGER, "ES256")),
        TokenProblem.KEY,
    ),
    "no issuer": (forged(claims=without("iss")), TokenProblem.ISSUER),
    "the issuer of another endpoint": (issued(base=OTHER), TokenProblem.ISSUER),
    "no audience": (forged(claims=without("aud")), TokenProblem.AUDIENCE),
    "another audience": (forged(claims={**CLAIMS, "aud": OTHER}), TokenProblem.AUDIENCE),
    "a list of audiences": (forged(claims={**CLAIMS, "aud": [BASE, OTHER]}), TokenProblem.AUDIENCE),
    "another's signature under our kid": (forged(sign=signing(STRANGER, "ES256")), TokenProblem.SIGNATURE),
    "other claims under our signature": (
        f"{PARTS[0]}.{part({**CLAIMS, 'uses': 50})}.{PARTS[2]}",
        TokenProblem.SIGNATURE,
    ),
    "another header over our signature": (f"{part({**HEADER, 'x': 1})}.{PARTS[1]}.{PARTS[2]}", TokenProblem.SIGNATURE),
    "half a signature": (f"{PARTS[0]}.{PARTS[1]}.{PARTS[2][:43]}", TokenProblem.SIGNATURE),
    "a signature of zeros": (forged(sign=lambda _: bytes(64)), TokenProblem.SIGNATURE),
    "no end": (forged(claims=without("exp")), TokenProblem.CLAIMS),
    "no beginning": (forged(claims=without("iat")), TokenProblem.CLAIMS),
    "an end in words": (forged(claims={**CLAIMS, "exp": "soon"}), TokenProblem.CLAIMS),
    "an end that is true": (forged(claims={**CLAIMS, "exp": True}), TokenProblem.CLAIMS),
    "an end beyond all time": (forged(claims={**CLAIMS, "exp": 1e308}), TokenProblem.CLAIMS),
    "an end that was": (forged(claims={**CLAIMS, "exp": MOMENT - LEEWAY}), TokenProblem.EXPIRED),
    "a beginning to come": (forged(claims={**CLAIMS, "nbf": MOMENT + LEEWAY + 1}), TokenProblem.EARLY),
    "issued in the future": (forged(claims={**CLAIMS, "iat": MOMENT + LEEWAY + 1}), TokenProblem.EARLY),
    "no grant": (forged(claims=without("grant")), TokenProblem.CLAIMS),
    "no subject": (forged(claims=without("sub_uid")), TokenProblem.CLAIMS),
    "another jti": (forged(claims={**CLAIMS, "jti": "agr-x.y"}), TokenProblem.CLAIMS),
    "another approval": (forged(claims={**CLAIMS, "approval_id": "agr-x.y"}), TokenProblem.CLAIMS),
    "another task": (forged(claims={**CLAIMS, "task_id": "agr-x.y"}), TokenProblem.CLAIMS),
    "another approval and task": (
        forged(claims={**CLAIMS, "approval_id": "agr-x.y", "task_id": "agr-x.y"}),
        TokenProblem.CLAIMS,
    ),
    "another approval, task and token id": (
        forged(claims={**CLAIMS, "jti": "agr-x.y", "approval_id": "agr-x.y", "task_id": "agr-x.y"}),
        TokenProblem.CLAIMS,
    ),
    "a chain in words": (forged(claims={**CLAIMS, "act": "me"}), TokenProblem.CLAIMS),
    "a chain without uids": (forged(claims={**CLAIMS, "act": {"sub": "x"}}), TokenProblem.CLAIMS),
    "a chain that is very deep": (
        forged(claims=json.dumps(CLAIMS)[:-1] + ', "act": ' + '{"act":' * 600 + "1" + "}" * 601),
        TokenProblem.CLAIMS,
    ),
    "a grant of another namespace": (
        forged(claims={**CLAIMS, "grant": {**CLAIMS["grant"], "ns": "hr"}}),
        TokenProblem.NAMESPACE,
    ),
}


class TestVerifying:
    @pytest.mark.parametrize(("token", "why"), TAMPERED.values(), ids=TAMPERED)
    def test_a_token_that_was_tampered_with_proves_nothing(self, token: str, why: TokenProblem) -> None:
        assert verified(token) is why

    def test_what_the_table_begins_with_is_right(self) -> None:
        assert verified(forged()) == verified(issued())

    @pytest.mark.parametrize("kind", ["APPROVAL+JWT", "application/approval+jwt"])
    def test_a_type_may_be_spelled_as_media_types_are(self, kind: str) -> None:
        assert isinstance(verified(forged({**HEADER, "typ": kind})), VerifiedApprovalToken)

    def test_it_is_nothing_at_another_endpoint(self) -> None:
        assert verified(issued(), base=OTHER) is TokenProblem.ISSUER

    @pytest.mark.parametrize(
        ("after", "why"),
        [
            (-LEEWAY - 1, TokenProblem.EARLY),
            (-LEEWAY, None),
            (540 + LEEWAY - 1, None),
            (540 + LEEWAY, TokenProblem.EXPIRED),
        ],
    )
    def test_clocks_may_be_half_a_minute_apart(self, after: float, why: TokenProblem | None) -> None:
        found = verified(issued(), at=MOMENT + after)
        assert (found if isinstance(found, TokenProblem) else None) is why

    def test_it_counts_as_long_as_its_key_is_kept_and_no_longer(self) -> None:
        older = signing_key(NOW - 100, ends=200)
        token = approvaltoken.issue(ring(older), GRANT, BASE, NOW)
        assert token is not None

        def at(moment: float, *keys: SigningKey) -> VerifiedApprovalToken | TokenProblem:
            return approvaltoken.verify(ring(*keys), token, base=BASE, namespace="crm", now=moment)

        younger = signing_key(NOW)
        assert isinstance(at(NOW + 99, older, younger), VerifiedApprovalToken)
        assert at(NOW + 100, older, younger) is TokenProblem.KEY
        assert at(NOW, younger) is TokenProblem.KEY
        assert approvaltoken.verify(NO_KEYS, token, base=BASE, namespace="crm", now=NOW) is TokenProblem.KEY

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        assert isinstance(verified(text), TokenProblem)

    @given(st.data())
    def test_no_change_of_one_letter_proves_another_thing(self, data: st.DataObject) -> None:
        token = issued()
        place = data.draw(st.integers(0, len(token) - 1))
        letter = data.draw(st.characters(codec="utf-8"))
        found = verified(token[:place] + letter + token[place + 1 :])
        assert isinstance(found, TokenProblem) or found == verified(token)

    @given(
        claims=st.dictionaries(
            st.sampled_from(sorted(CLAIMS)),
            st.recursive(
                st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                max_leaves=4,
            ),
        )
    )
    def test_no_claims_of_ours_raise(self, claims: dict[str, Any]) -> None:
        found = verified(forged(claims={**CLAIMS, **claims}))
        assert isinstance(found, TokenProblem | VerifiedApprovalToken)
