"""Whether the signature of a review counts: whose key, over what, made how, and where."""

import hashlib
import json
import time
from dataclasses import replace
from typing import Any, Final

import pytest

from bailiwick_api.kinds.approvalgrant import GrantStep, Review
from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust
from bailiwick_engine.signatures.reviewsignature import signature_problem
from bailiwick_engine.signatures.sshsig import USER_PRESENT, SshSignature, write_signature
from bailiwick_engine.signatures.statement import ReviewedGrant, SignedReview, review_statement
from support.signatures.keys import ORIGIN, RP_ID, VERIFIED, KeyFile, SecurityKey, entry_line, trust_in

NOW: Final = time.time()
GRANT: Final = ReviewedGrant("crm", "agr-1", "uid-1", "sha256:" + "a" * 64, "sha256:" + "b" * 64)
STEP: Final = "crm-agent.export.owner"
PASSKEY: Final = SecurityKey.make(RP_ID)
YUBIKEY: Final = SecurityKey.make(ed25519=True)
TRUST: Final = trust_in(entry_line("oidc:carol", PASSKEY.public), entry_line("oidc:carol", YUBIKEY.public))


def step(signature: str | None = "Required") -> GrantStep:
    members: dict[str, Any] = {"name": STEP, "policy": "crm-agent", "kind": "Human", "count": 1}
    return GrantStep.model_validate(members | ({"signature": signature} if signature else {}))


def review(signature: SshSignature | str | None = None, **fields: Any) -> Review:  # noqa: ANN401 - any field
    text = write_signature(signature) if isinstance(signature, SshSignature) else signature
    members: dict[str, Any] = {
        "reviewer": "oidc:carol",
        "step": STEP,
        "group": "crm-owners",
        "decision": "Approve",
        "reason": "INC-1: looks right",
        "binding": GRANT.binding,
        **fields,
    }
    return Review.model_validate(members | ({} if text is None else {"signature": text}))


def statement(grant: ReviewedGrant = GRANT, **fields: Any) -> bytes:  # noqa: ANN401 - any field
    return review_statement(grant, SignedReview.from_review(review(**fields)))


def problem(
    found: Review,
    *,
    asked: str | None = "Required",
    grant: ReviewedGrant = GRANT,
    trust: ReviewerTrust = TRUST,
    now: float = NOW,
) -> str:
    return signature_problem(grant, found, step(asked), trust, now) or ""


GOOD: Final = PASSKEY.assertion(statement())


def test_the_statement_is_canonical_json_of_what_is_approved() -> None:
    members = {
        "_type": "https://bailiwick.dev/review/v1",
        "binding": GRANT.binding,
        "decision": "Approve",
        "grant": "agr-1",
        "group": "crm-owners",
        "namespace": "crm",
        "reason": f"sha256:{hashlib.sha256(b'INC-1: looks right').hexdigest()}",
        "request": GRANT.request,
        "reviewer": "oidc:carol",
        "step": STEP,
        "uid": "uid-1",
    }
    assert statement() == json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    assert b"group" not in statement(group=None)
    assert b"reason" not in statement(reason=None)
    assert b'"reason"' in statement(reason="")


def test_a_passkeys_signature_of_ones_own_over_this_review_counts() -> None:
    assert problem(review(GOOD)) == ""
    assert problem(review(GOOD), asked="Key") == ""


def test_without_one_an_approve_does_not_count_and_a_deny_does() -> None:
    assert "needs a signed review" in problem(review())
    assert "needs a signed review" in problem(review(), asked="Key")
    assert problem(review(decision="Deny")) == ""
    assert problem(review(), asked=None) == ""


OTHERS: Final[dict[str, Any]] = {
    "step": "crm-agent.export.second",
    "group": "sec-oncall",
    "decision": "Deny",
    "reviewer": "oidc:dave",
    "reason": "INC-2",
}


@pytest.mark.parametrize("member", OTHERS)
def test_a_signature_over_another_review_does_not_count(member: str) -> None:
    signature = PASSKEY.assertion(statement(**{member: OTHERS[member]}))
    assert "over something else" in problem(review(signature))


@pytest.mark.parametrize("member", ["group", "reason"])
def test_a_signature_over_a_review_without_what_this_has_does_not_count(member: str) -> None:
    without: dict[str, Any] = {member: None}
    assert "over something else" in problem(review(PASSKEY.assertion(statement(**without))))
    assert "over something else" in problem(review(GOOD, **without))


@pytest.mark.parametrize("member", ["namespace", "name", "uid", "request", "binding"])
def test_a_signature_over_another_grant_does_not_count(member: str) -> None:
    other = replace(GRANT, **{member: "other"})
    assert "over something else" in problem(review(PASSKEY.assertion(statement(other))))
    assert "over something else" in problem(review(GOOD), grant=other)


def test_a_key_counts_for_the_person_alone_for_whom_it_is_enrolled() -> None:
    signature = PASSKEY.assertion(statement(reviewer="oidc:dave"))
    assert "is not enrolled for oidc:dave" in problem(review(signature, reviewer="oidc:dave"))
    own = SecurityKey.make(RP_ID)
    assert "is not enrolled for oidc:carol" in problem(review(own.assertion(statement())))


def test_a_removed_key_an_expired_line_and_an_expired_file_do_not_count() -> None:
    only_other = trust_in(entry_line("oidc:carol", YUBIKEY.public))
    assert "is not enrolled" in problem(review(GOOD), trust=only_other)
    ended = trust_in(entry_line("oidc:carol", PASSKEY.public, ',valid-before="20200101Z"'))
    assert "is not valid at this time" in problem(review(GOOD), trust=ended)
    to_come = trust_in(entry_line("oidc:carol", PASSKEY.public, ',valid-after="21000101Z"'))
    assert "is not valid at this time" in problem(review(GOOD), trust=to_come)
    assert TRUST.keys is not None
    assert "has expired" in problem(review(GOOD), now=TRUST.keys.expires)
    assert problem(review(GOOD), now=TRUST.keys.expires - 1) == ""
    assert "has no registrars" in problem(review(GOOD), trust=NO_REVIEWER_KEYS)


def test_required_needs_a_verified_user_and_each_security_key_a_touch(tmp_path_factory: pytest.TempPathFactory) -> None:
    touched, neither = PASSKEY.assertion(statement(), flags=USER_PRESENT), PASSKEY.assertion(statement(), flags=0x04)
    assert "verifies its user" in problem(review(touched))
    assert problem(review(touched), asked="Key") == ""
    for asked in ("Key", "Required"):
        assert "was not touched" in problem(review(neither), asked=asked)
        assert "was not touched" in problem(review(YUBIKEY.sign(statement(), flags=0)), asked=asked)
    assert problem(review(YUBIKEY.sign(statement(), flags=VERIFIED))) == ""
    file = KeyFile.make(tmp_path_factory.mktemp("k") / "k")
    of_file = trust_in(entry_line("oidc:carol", file.entry))
    signed = review(file.sign(statement()))
    assert problem(signed, asked="Key", trust=of_file) == ""
    assert "verifies its user" in problem(signed, trust=of_file)


ELSEWHERE: Final[dict[str, Any]] = {
    "another site": {"origin": "https://evil.example"},
    "a name that ends alike": {"origin": f"https://x{RP_ID}"},
    "a name that begins alike": {"origin": f"{ORIGIN}.evil.example"},
    "an origin without encryption": {"origin": f"http://{RP_ID}"},
    "an app": {"origin": "android:apk-key-hash:abc"},
    "a path": {"origin": f"{ORIGIN}/x"},
    "a user": {"origin": f"https://x@{RP_ID}"},
    "a page inside another": {"more": ',"crossOrigin":true'},
    "a page inside another, in words": {"more": ',"crossOrigin":"false"'},
    "a page that names the one above": {"more": ',"crossOrigin":false,"topOrigin":"https://evil.example"'},
    "two origins": {"more": ',"origin":"https://evil.example"'},
    "two answers on the page": {"more": ',"crossOrigin":false,"crossOrigin":true'},
    "a page inside another, in other letters": {"more": ',"crossorigin":true'},
    "a page inside another, in other letters and not": {"more": ',"crossOrigin":false,"CROSSORIGIN":true'},
    "a number that JSON does not have": {"more": ',"x":NaN'},
    "client data that is not JSON": {"more": ","},
    "client data that is too deep": {"more": ',"x":' + "[" * 1_200},
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_assertion_does_not_count_with(name: str) -> None:
    for asked in ("Key", "Required"):
        assert problem(review(PASSKEY.assertion(statement(), **ELSEWHERE[name])), asked=asked)


@pytest.mark.invariant(30)
def test_an_assertion_counts_at_the_exact_origins_of_consoles_alone() -> None:
    lines = entry_line("oidc:carol", PASSKEY.public)
    for origin in (f"{ORIGIN}:8443", f"https://console.{RP_ID}"):
        signed = review(PASSKEY.assertion(statement(), origin=origin))
        assert f"used at {origin}" in problem(signed)
        assert problem(signed, trust=trust_in(lines, origins=frozenset({ORIGIN, origin}))) == ""
        assert problem(signed, trust=trust_in(lines, origins=None)) == ""
    listed = frozenset({"https://other.example"})
    signed = review(PASSKEY.assertion(statement(), origin="https://other.example"))
    assert "used at https://other.example" in problem(signed, trust=trust_in(lines, origins=listed))


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        ("http://r0123456789abcdef.bailiwick.localhost:41234", True),
        ("http://bailiwick.localhost:1", True),
        ("http://localhost:41234", False),
        ("http://xbailiwick.localhost:41234", False),
        ("http://bailiwick.localhost.evil.example", False),
    ],
)
def test_an_assertion_of_a_console_on_loopback_counts_at_any_port_below_its_name(origin: str, *, counts: bool) -> None:
    local = SecurityKey.make("bailiwick.localhost")
    lines, signed = entry_line("oidc:carol", local.public), review(local.assertion(statement(), origin=origin))
    assert (problem(signed, trust=trust_in(lines, origins=frozenset({LOCAL_CONSOLES}))) == "") is counts
    assert (problem(signed, trust=trust_in(lines, origins=None)) == "") is counts
    assert problem(signed, trust=trust_in(lines))


def test_an_enrolled_passkey_of_another_host_does_not_count() -> None:
    other = SecurityKey.make("other.example")
    lines = entry_line("oidc:carol", other.public)
    signed = review(other.assertion(statement(), origin="https://other.example"))
    assert "--passkey-origin" in problem(signed, trust=trust_in(lines))
    assert problem(signed, trust=trust_in(lines, origins=None)) == ""


def test_text_that_is_no_signature_does_not_count() -> None:
    assert "cannot be read" in problem(review("x"))
