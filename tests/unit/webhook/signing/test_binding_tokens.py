"""Binding tokens: of which denial they are, and when they are of none."""

import hashlib
import json
from typing import Final

import pytest
from hypothesis import given, strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from bailiwick_engine.approval.binding import hash_of
from bailiwick_engine.call import Call
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing import approvaltoken, bindingtoken
from bailiwick_webhook.signing.bindingtoken import Denial
from bailiwick_webhook.signing.jose import LEEWAY
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring
from bailiwick_webhook.signing.signer import Signer
from support.signingkeys import ring, signing_key
from unit.engine.cases import NOW, approved, approving, read, verdict_of, with_context
from unit.webhook.identity.forgery import compact, signing

BASE: Final = "https://pdp.example/endpoints/crm/crm-api"
KEY: Final = signing_key(NOW - 100)
RING: Final = ring(KEY)
ENDS: Final = NOW + 600
DIGEST: Final = "sha256:" + hashlib.sha256(b"request").hexdigest()


def signer(now: float = NOW, keyring: Keyring = RING) -> Signer:
    return Signer(lambda: keyring, lambda: True, now=lambda: now)


def issued(call: Call | None = None, digest: str = DIGEST) -> str:
    token = signer().denial(call or with_context(), digest, "eval_1", ENDS, BASE)
    assert token is not None
    return token


def test_it_says_which_denial_of_which_request_and_until_when() -> None:
    call = with_context(tenant="t", args={"count": 1}, args_digest="overwritten")
    found = jws.deserialize_compact(issued(call), ECKey.import_key(KEY.pem), algorithms=["ES256"])
    assert found.headers() == {"alg": "ES256", "typ": "binding+jwt", "kid": KEY.kid}
    claims = json.loads(found.payload)
    assert claims == {
        "iss": BASE,
        "aud": BASE,
        "iat": int(NOW),
        "exp": int(ENDS),
        "jti": "eval_1",
        "denial_expires_at": claims["denial_expires_at"],
        "binding_context_members": ["args_digest", "tenant"],
        "evaluation_id": "eval_1",
        "binding_hash": hash_of(DIGEST),
    }


def test_what_was_issued_is_known_again() -> None:
    assert signer().denied(issued(), DIGEST, BASE) == Denial("eval_1", "eval_1", hash_of(DIGEST))


def test_the_digest_is_the_one_that_a_verdict_of_the_same_call_has() -> None:
    call = with_context(tenant="t")
    verdict = verdict_of(approving(), call)
    assert verdict.digest is not None
    token = issued(call, verdict.digest)
    assert isinstance(signer().denied(token, verdict.digest, BASE), Denial)
    assert signer().denied(token, verdict_of(approving(), with_context(tenant="u")).digest, BASE) is TokenProblem.OTHER


def test_what_needs_no_approval_any_more_has_nothing_to_be_compared_with() -> None:
    assert isinstance(signer().denied(issued(), None, BASE), Denial)


@pytest.mark.parametrize(("after", "over"), [(600 + LEEWAY - 1, False), (600 + LEEWAY, True)])
def test_it_is_over_when_the_denial_is(after: float, over: bool) -> None:
    assert (signer(int(NOW) + after).denied(issued(), DIGEST, BASE) is TokenProblem.EXPIRED) is over


def test_it_is_nothing_at_another_endpoint() -> None:
    assert signer().denied(issued(), DIGEST, f"{BASE}-2") is TokenProblem.ISSUER


def test_an_approval_token_is_none() -> None:
    token = approvaltoken.issue(RING, read(approved(approving())), BASE, NOW)
    assert token is not None
    assert signer().denied(token, DIGEST, BASE) is TokenProblem.TYPE


def test_without_keys_none_is_issued_and_none_is_known() -> None:
    alone = signer(keyring=NO_KEYS)
    assert alone.denial(with_context(), DIGEST, "eval_1", ENDS, BASE) is None
    assert alone.denied(issued(), DIGEST, BASE) is TokenProblem.KEY


@pytest.mark.parametrize("lacking", ["jti", "evaluation_id", "binding_hash"])
def test_one_that_does_not_say_all_is_none(lacking: str) -> None:
    header = {"alg": "ES256", "typ": bindingtoken.TYPE, "kid": KEY.kid}
    whole = {"jti": "e", "evaluation_id": "e", "binding_hash": hash_of(DIGEST)}
    claims = {name: value for name, value in whole.items() if name != lacking}
    times = {"iss": BASE, "aud": BASE, "iat": int(NOW), "exp": int(ENDS)}
    token = compact(header, {**claims, **times}, signing(ECKey.import_key(KEY.pem), "ES256"))
    assert signer().denied(token, DIGEST, BASE) is TokenProblem.CLAIMS


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(signer().denied(text, DIGEST, BASE), TokenProblem)


class TestShowing:
    """What the engine and the record are told of an approval that is shown."""

    GRANT: Final = read(approved(approving()))

    def token(self) -> str:
        found = signer().approval(self.GRANT, BASE)
        assert found is not None
        return found

    def test_an_id_alone_is_a_hint(self) -> None:
        shown, told = signer().shown("agr-x.y", None, base=BASE, namespace="crm")
        assert (shown.id, shown.token, shown.invalid, told) == ("agr-x.y", None, False, None)

    def test_a_right_token_is_told_by_its_jti_and_its_digest(self) -> None:
        token = self.token()
        shown, told = signer().shown(self.GRANT.id, token, base=BASE, namespace="crm")
        assert shown.token is not None
        assert not shown.invalid
        assert told is not None
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert (told.jti, told.sha256, told.refused) == (self.GRANT.id, digest, None)

    def test_the_token_of_another_approval_than_the_one_that_is_named_is_refused(self) -> None:
        shown, told = signer().shown("agr-x.y", self.token(), base=BASE, namespace="crm")
        assert (shown.id, shown.token, shown.invalid) == ("agr-x.y", None, True)
        assert told is not None
        assert (told.jti, told.refused) == (self.GRANT.id, "other")

    @pytest.mark.parametrize("state", ["", "no token", "\ud800"])
    def test_what_proves_nothing_is_told_by_its_digest_alone(self, state: str) -> None:
        shown, told = signer().shown(self.GRANT.id, state, base=BASE, namespace="crm")
        assert (shown.token, shown.invalid) == (None, True)
        assert told is not None
        assert (told.jti, told.refused, len(told.sha256)) == (None, "unreadable", 64)
