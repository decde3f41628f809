"""Keys and tokens over HTTP, without a cluster: what is published, what is shown, what a denial is bound by."""

import hashlib
import json
import time
from typing import Any, Final

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from bailiwick_webhook.signing import bindingtoken
from bailiwick_webhook.signing.keyring import STALE_KEYS
from contract.asking_alone import AGENT, asking, body, stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone
from support.signingkeys import ring, signing_key

BASE: Final = "https://pdp.example/endpoints/crm/crm-api"
JWKS: Final = "/.well-known/jwks.json"
ARAP: Final = "urn:openid:authzen:access-request:error:"
EXPORT: Final = "customers.export"


@pytest.fixture
def alone() -> Alone:
    """A decision point with a key that signs, and one that soon will."""
    found = Alone([stored(rule("read"), gated_rule("export", actions=[EXPORT]))], url="https://pdp.example")
    now = time.time()
    found.store.keyring = ring(signing_key(now - 60), signing_key(now, begins=600))
    return found


@pytest.fixture
def keyless() -> Alone:
    return Alone([stored(rule("read"), gated_rule("export", actions=[EXPORT]))], url="https://pdp.example")


class TestThePublishedKeys:
    async def test_are_told_to_anybody_and_may_be_kept_five_minutes(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.get(JWKS)
        assert said.status == 200
        assert said.headers["Cache-Control"] == "public, max-age=300"
        assert said.headers["Content-Type"] == "application/json"
        assert [key["kid"] for key in said.body["keys"]] == [key.kid for key in alone.store.keyring.keys]
        assert {name for key in said.body["keys"] for name in key} == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert alone.tokens.asked == []

    async def test_are_none_where_there_are_none(self, keyless: Alone) -> None:
        async with asking(keyless) as pdp:
            said = await pdp.get(JWKS)
        assert (said.status, said.body) == (200, {"keys": []})

    async def test_are_not_told_while_one_may_be_gone_unheard_of_so_that_no_reader_keeps_an_empty_set(
        self, alone: Alone
    ) -> None:
        alone.store.keyring = STALE_KEYS
        async with asking(alone) as pdp:
            said = await pdp.get(JWKS)
        assert (said.status, said.body["type"].rpartition("/")[2]) == (503, "unavailable")
        assert "Cache-Control" not in said.headers or "max-age" not in said.headers["Cache-Control"]

    async def test_are_read_and_not_written(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            assert (await pdp.get(JWKS, "POST")).status == 405


def claims_of(token: str, keys: Object) -> dict[str, Any]:
    """Verify a token as any client would, by the published keys."""
    found = jws.deserialize_compact(token, KeySet.import_key_set(keys), algorithms=["ES256"])  # type: ignore[arg-type]
    claims: dict[str, Any] = json.loads(found.payload)
    return claims


class TestADenial:
    async def test_is_bound_by_a_token_that_the_published_keys_verify(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", body(action=EXPORT, tenant="t", args={"count": 1}))
            keys = (await pdp.get(JWKS)).body
        asked = said.context["access_request"]
        claims = claims_of(asked["binding_token"], keys)
        assert (claims["iss"], claims["aud"]) == (BASE, BASE)
        assert claims["jti"] == claims["evaluation_id"] == said.context["evaluation_id"]
        assert claims["denial_expires_at"] == asked["expires_at"]
        assert claims["binding_context_members"] == ["args_digest", "tenant"]

    async def test_of_a_batch_is_bound_one_by_one(self, alone: Alone) -> None:
        whole = {**body(action=EXPORT), "evaluations": [{}, {"resource": {"type": "customer", "id": "43"}}]}
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", whole)
            keys = (await pdp.get(JWKS)).body
        contexts = [one["context"] for one in said.body["evaluations"]]
        claims = [claims_of(one["access_request"]["binding_token"], keys) for one in contexts]
        assert [one["jti"] for one in claims] == [one["evaluation_id"] for one in contexts]
        assert len({one["binding_hash"] for one in claims}) == 2

    @pytest.mark.parametrize("action", ["customers.list", "customers.unheard"])
    async def test_that_no_approval_lifts_and_an_allow_have_no_token(self, alone: Alone, action: str) -> None:
        async with asking(alone) as pdp:
            assert b"binding_token" not in (await pdp.post("evaluation", body(action=action))).raw

    async def test_without_keys_is_told_by_its_evaluation_alone(self, keyless: Alone) -> None:
        async with asking(keyless) as pdp:
            said = await pdp.post("evaluation", body(action=EXPORT))
        assert said.reason == "approval_required"
        assert "access_request" in said.context
        assert "binding_token" not in said.context["access_request"]


APPROVAL: Final[dict[str, Any]] = {"id": "agr-x.y"}
WRONG: Final[dict[str, tuple[object, str, str]]] = {
    "a text": ("agr-x.y", "context.approval", "must be an object"),
    "a list": ([], "context.approval", "must be an object"),
    "nothing in it": ({}, "context.approval.id", "is missing"),
    "an id that is a number": ({"id": 7}, "context.approval.id", "must be a string"),
    "an empty id": ({"id": ""}, "context.approval.id", "must not be empty"),
    "a state that is an object": ({**APPROVAL, "state": {}}, "context.approval.state", "must be a string"),
    "a start that is a number": ({**APPROVAL, "approved_at": 1}, "context.approval.approved_at", "must be a string"),
    "an end that is a number": (
        {**APPROVAL, "approved_until": 1},
        "context.approval.approved_until",
        "must be a string",
    ),
}


class TestAnApprovalThatIsShown:
    @pytest.mark.parametrize(("approval", "field", "detail"), WRONG.values(), ids=WRONG)
    async def test_is_refused_where_it_is_none(self, alone: Alone, approval: object, field: str, detail: str) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", body(action=EXPORT, approval=approval))
        assert (said.status, said.body["field"], said.body["detail"]) == (400, field, detail)

    @pytest.mark.parametrize("more", [{}, {"state": None, "approved_at": None, "approved_until": "x", "other": 7}])
    async def test_without_a_token_is_a_hint_and_part_of_no_digest(self, alone: Alone, more: Object) -> None:
        async with asking(alone) as pdp:
            plain = await pdp.post("evaluation", body(action=EXPORT))
            said = await pdp.post("evaluation", body(action=EXPORT, approval={**APPROVAL, **more}))
            keys = (await pdp.get(JWKS)).body
        assert said.reason == plain.reason == "approval_required"
        hashes = {
            claims_of(one.context["access_request"]["binding_token"], keys)["binding_hash"] for one in (plain, said)
        }
        assert len(hashes) == 1

    @pytest.mark.parametrize("state", ["", "no token", "a.b.c", "x" * 10_000])
    async def test_with_a_token_that_proves_nothing_is_denied(self, alone: Alone, state: str) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", body(action=EXPORT, approval={**APPROVAL, "state": state}))
        assert (said.decision, said.reason) == (False, "approval_token_invalid")

    async def test_where_none_is_needed_changes_nothing(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", body(approval={**APPROVAL, "state": "no token"}))
        assert said.decision is True

    async def test_plays_no_part_in_a_search(self, alone: Alone) -> None:
        sought = body(approval={**APPROVAL, "state": "no token"})
        async with asking(alone) as pdp:
            said = await pdp.post("search/action", sought)
        assert said.body["results"] == [{"name": "customers.list"}]

    async def test_of_one_item_of_a_batch_is_nothing_to_the_others(self, alone: Alone) -> None:
        context = body()["context"]
        shown = {"context": {**context, "approval": {**APPROVAL, "state": "no token"}}}
        wrong = {"context": {**context, "approval": []}}
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", {**body(action=EXPORT), "evaluations": [{}, shown, wrong]})
        first, second, third = (one["context"] for one in said.body["evaluations"])
        assert (first["reason"], second["reason"]) == ("approval_required", "approval_token_invalid")
        assert third["error"]["message"] == "context.approval must be an object"

    async def test_is_in_the_record_by_its_digest_and_never_itself(self, alone: Alone) -> None:
        state = "a-token-of-somebody"
        async with asking(alone) as pdp:
            await pdp.post("evaluation", body(action=EXPORT, approval={**APPROVAL, "state": state}))
            await pdp.post("evaluation", body(action=EXPORT, approval={"id": "x" * 9_000}))
            await pdp.post("evaluation", body(action=EXPORT))
        first, second, third = (json.loads(line) for line in alone.records.lines)
        digest = hashlib.sha256(state.encode()).hexdigest()
        assert first["approval"] == {
            "id": "agr-x.y",
            "token": {"jti": None, "sha256": digest, "refused": "unreadable"},
        }
        assert state not in alone.records.lines[0].decode()
        endless = hashlib.sha256(b"x" * 9_000).hexdigest()
        assert second["approval"] == {"id": f"sha256:{endless}", "token": None}
        assert "approval" not in third

    async def test_whose_id_is_a_token_is_in_the_record_by_a_digest(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            await pdp.post("evaluation", body(action=EXPORT, approval={"id": "eyJhbGciOiJF.eyJzdWIi.c2lnbmF0dXJl"}))
        (line,) = alone.records.lines
        assert b"eyJ" not in line


def requested(alone: Alone, **claims: object) -> str:
    """Return a binding token of ours with these claims."""
    kid, key = alone.store.keyring.signing(time.time()) or ("", None)
    assert key is not None
    now = int(time.time())
    whole = {
        "iss": BASE,
        "aud": BASE,
        "iat": now,
        "exp": now + 600,
        "jti": "eval_1",
        "evaluation_id": "eval_1",
        "binding_hash": "h",
        **claims,
    }
    header = {"alg": "ES256", "typ": bindingtoken.TYPE, "kid": kid}
    return jws.serialize_compact(header, json.dumps(whole), key, algorithms=["ES256"])


class TestARequestThatFollowsADenial:
    async def refused(self, alone: Alone, denial: object) -> tuple[int, str, str | None]:
        async with asking(alone) as pdp:
            said = await pdp.post("requests", {**body(action=EXPORT), "denial": denial})
        return said.status, said.body["type"].removeprefix(ARAP), said.body.get("field") or said.body.get("why")

    async def test_of_another_request_is_refused(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            denied = await pdp.post("evaluation", body(action=EXPORT, resource="43"))
            token = denied.context["access_request"]["binding_token"]
            said = await pdp.post("requests", {**body(action=EXPORT), "denial": {"binding_token": token}})
        assert (said.status, said.body["type"], said.body["why"]) == (400, f"{ARAP}invalid_denial_binding", "other")

    async def test_that_names_another_evaluation_than_its_token_is_refused(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            denied = await pdp.post("evaluation", body(action=EXPORT))
            token = denied.context["access_request"]["binding_token"]
            denial = {"binding_token": token, "evaluation_id": "eval_of_another"}
            said = await pdp.post("requests", {**body(action=EXPORT), "denial": denial})
        assert (said.status, said.body["type"]) == (400, f"{ARAP}invalid_denial_binding")

    @pytest.mark.parametrize("token", ["", "no token", "a.b.c"])
    async def test_with_a_token_that_is_none_is_refused(self, alone: Alone, token: str) -> None:
        status, kind, _ = await self.refused(alone, {"binding_token": token})
        assert (status, kind) == (400, "invalid_denial_binding")

    async def test_that_is_over_by_its_token_is_refused(self, alone: Alone) -> None:
        now = int(time.time())
        token = requested(alone, iat=now - 700, exp=now - 100)
        assert (await self.refused(alone, {"binding_token": token}))[:2] == (410, "expired_denial")

    async def test_that_is_over_by_its_own_word_is_refused(self, alone: Alone) -> None:
        denial = {"evaluation_id": "eval_1", "expires_at": "2020-01-01T00:00:00Z"}
        assert (await self.refused(alone, denial))[:2] == (410, "expired_denial")

    @pytest.mark.parametrize(
        ("denial", "field"),
        [
            ("eval_1", "denial"),
            ({"binding_token": 7}, "denial.binding_token"),
            ({"evaluation_id": {}}, "denial.evaluation_id"),
            ({"expires_at": "soon"}, "denial.expires_at"),
            ({"expires_at": "2026-11-25T12:00:00"}, "denial.expires_at"),
        ],
    )
    async def test_that_cannot_be_read_is_refused_with_its_field(
        self, alone: Alone, denial: object, field: str
    ) -> None:
        assert (await self.refused(alone, denial))[0::2] == (400, field)

    async def test_of_what_needs_no_approval_is_told_so(self, alone: Alone) -> None:
        token = requested(alone)
        async with asking(alone) as pdp:
            said = await pdp.post("requests", {**body(AGENT), "denial": {"binding_token": token}})
        assert (said.status, said.body["type"]) == (400, f"{ARAP}not_requestable")
