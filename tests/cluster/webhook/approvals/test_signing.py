"""Keys and approval tokens on a running Bailiwick: what the operator made is what every decision point signs with.

Holds: whoever disturbs the keys puts them back as they were, so that the tests that share them go on.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
import requests
from joserfc import jws
from joserfc.jwk import KeySet

from bailiwick_api.signingkeys import read_keys
from cluster.operator.keys.keys import Secret
from demo.stack import DecisionPoint
from localcluster import process
from support.installation import accepted
from support.objects import Object, gated_rule
from support.pdp import questions
from support.pdp.processes import Bailiwick, readiness
from support.pdp.questions import Said
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.signingkeys import secret as secret_of, signing_key
from support.waits import until

REPLICAS_LEARN_SECONDS: Final = 10.0


@pytest.fixture
def secret(pdp: Bailiwick) -> Secret:
    return Secret(pdp.callers, pdp.installation)


@pytest.fixture
def disturbed(pdp: Bailiwick, secret: Secret) -> Iterator[Secret]:
    """The Secret, put back afterwards and known everywhere."""
    before = secret.body()["data"]
    yield secret
    put(pdp, secret, {"data": before})
    await_kids(pdp, {key.kid for key in read_keys(before)})


def put(pdp: Bailiwick, secret: Secret, changed: Object) -> None:
    """Write the Secret, whether or not the operator has made it anew meanwhile."""

    def written() -> bool:
        found = pdp.callers.admin.get(secret.path)
        if found.ok:
            return pdp.callers.admin.replace({**found.body, **changed}).ok
        return pdp.callers.admin.create({**secret_of([]), **changed}).ok

    until(written, "the keys are written")


def published(url: str) -> Object:
    answer = requests.get(f"{url}/.well-known/jwks.json", timeout=10)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=300")
    found: Object = answer.json()
    return found


def kids(url: str) -> set[str]:
    return {key["kid"] for key in published(url)["keys"]}


def await_kids(pdp: Bailiwick, expected: set[str]) -> None:
    """Wait until every decision point has these keys."""
    for point in pdp.points:
        until(lambda: kids(point.url) == expected, "the keys are known", REPLICAS_LEARN_SECONDS)  # noqa: B023 - at once


def approval_of(tenant: Tenant, grant: str, point: int = 0) -> Object:
    """Return what the task of an approved grant says that the caller may show."""
    task = tenant.poll(f"{grant}.{tenant.grant(grant)['metadata']['uid']}", point).task
    found: Object = task["result"]["approval"]
    return found


@pytest.fixture(scope="module")
def strict(tenants: Tenants) -> Tenant:
    """A tenant whose approvals serve only whoever shows the token."""
    rules = [RULES[0], gated_rule("export", approval={"steps": STEPS, "presentation": "Token", "maxUses": 5})]
    return tenants.make("by-token", rules)


def await_usable(tenant: Tenant, resource: str) -> None:
    """Wait until every decision point would take the token of the approval."""
    tenant.await_known(lambda said: said.reason == "approval_token_required", "customers.export", resource)


def test_every_decision_point_publishes_what_the_operator_made(pdp: Bailiwick, secret: Secret) -> None:
    await_kids(pdp, {key.kid for key in secret.held()})
    assert all(readiness(point)[1]["keys"]["why"] == "" for point in pdp.points)


def test_the_metadata_says_where_the_keys_are(tenant: Tenant) -> None:
    url = tenant.points[0]
    path = f"/.well-known/authzen-configuration/endpoints/{tenant.namespace}/crm-api"
    assert requests.get(url + path, timeout=10).json()["jwks_uri"] == f"{url}/.well-known/jwks.json"


def test_the_token_of_an_approval_is_verified_by_anybody_with_the_published_keys(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "published")
    shown = approval_of(tenant, name)
    keys = KeySet.import_key_set(published(tenant.points[1]))  # type: ignore[arg-type]
    found = jws.deserialize_compact(shown["state"], keys, algorithms=["ES256"])
    claims = json.loads(found.payload)
    stored = tenant.grant(name)
    base = f"{tenant.points[0]}/endpoints/{tenant.namespace}/crm-api"
    assert found.headers()["typ"] == "approval+jwt"
    assert (claims["iss"], claims["aud"], claims["jti"]) == (base, base, shown["id"])
    assert claims["grant"] == {"ns": tenant.namespace, "name": name, "uid": stored["metadata"]["uid"]}
    assert (claims["sub"], claims["sub_uid"]) == (tenant.agent, stored["spec"]["request"]["subject"]["uid"])
    assert claims["approvals"] == [{"sub": "carol", "kind": "human"}]
    assert claims["approved_until"] == shown["approved_until"] == stored["status"]["notAfterTime"]
    assert claims["exp"] > time.time()


@pytest.mark.invariant(24)
def test_a_rule_by_token_lets_through_whoever_shows_it_and_nobody_else(strict: Tenant) -> None:
    name = strict.opened("customers.export", "shown")
    strict.approve(name)
    await_usable(strict, "shown")
    assert strict.ask("customers.export", "shown").reason == "approval_token_required"
    shown = approval_of(strict, name)
    assert strict.ask("customers.export", "shown", approval={"id": shown["id"]}).reason == "approval_token_required"
    told = strict.ask("customers.export", "shown", approval=shown)
    assert told.decision is True
    assert (told.context["approval"]["id"], strict.uses(name)) == (shown["id"], 1)
    assert strict.ask("customers.export", "other", approval=shown).reason == "approval_token_invalid"
    wrong = {**shown, "state": shown["state"][:-4] + "AAAA"}
    assert strict.ask("customers.export", "shown", approval=wrong).reason == "approval_token_invalid"
    assert strict.uses(name) == 1


def test_a_token_of_one_replica_is_good_at_every_other(strict: Tenant) -> None:
    name = strict.opened("customers.export", "replicas")
    strict.approve(name)
    await_usable(strict, "replicas")
    tokens = [approval_of(strict, name, point) for point in range(len(strict.points))]
    issued = {claims_of(shown)["iss"] for shown in tokens}
    assert issued == {f"{strict.points[0]}/endpoints/{strict.namespace}/crm-api"}
    for point in range(len(strict.points)):
        # Each shows the one of its neighbour.
        shown = tokens[(point + 1) % len(tokens)]
        assert strict.ask("customers.export", "replicas", point=point, approval=shown).decision is True
    assert strict.uses(name) == len(strict.points)


def test_a_token_is_nothing_at_a_decision_point_with_another_url(pdp: Bailiwick, strict: Tenant) -> None:
    elsewhere = pdp.start_point("--external-url", "https://elsewhere.example")
    try:
        beside = replace(strict, points=[strict.points[0], elsewhere.url])
        name = beside.opened("customers.export", "elsewhere")
        beside.approve(name)
        await_usable(beside, "elsewhere")
        tokens = [approval_of(beside, name, point) for point in (0, 1)]
        base = f"https://elsewhere.example/endpoints/{strict.namespace}/crm-api"
        assert claims_of(tokens[1])["iss"] == base
        before = refused(elsewhere)
        for point, foreign in ((0, tokens[1]), (1, tokens[0])):
            told = beside.ask("customers.export", "elsewhere", point=point, approval=foreign)
            assert (told.decision, told.reason) == (False, "approval_token_invalid")
        assert refused(elsewhere) == before + 1
        for point, own in ((0, tokens[0]), (1, tokens[1])):
            assert beside.ask("customers.export", "elsewhere", point=point, approval=own).decision is True
        assert beside.uses(name) == 2
    finally:
        process.stop([elsewhere.process.id])


def claims_of(shown: Object) -> Object:
    """Return the claims of the token of an approval, as it says them."""
    found: Object = json.loads(jws.extract_compact(shown["state"].encode()).payload)
    return found


def refused(point: DecisionPoint) -> int:
    """Return how many tokens a decision point counted as issued by somebody else."""
    text = requests.get(f"{point.status_url}/metrics", timeout=10).text
    (count,) = re.findall(r'^bailiwick_approval_tokens_refused_total\{why="issuer"\} (\S+)$', text, re.MULTILINE)
    return int(float(count))


def test_whoever_asks_again_for_what_is_approved_gets_the_token(strict: Tenant) -> None:
    name = strict.opened("customers.export", "again")
    strict.approve(name)
    await_usable(strict, "again")
    told = strict.submit("customers.export", "again")
    assert (told.status, told.grant_name) == (201, name)
    assert strict.ask("customers.export", "again", approval=told.task["result"]["approval"]).decision is True


@pytest.mark.invariant(13, 24)
def test_a_token_is_nothing_once_the_grant_is_revoked(strict: Tenant) -> None:
    name = strict.opened("customers.export", "revoked")
    strict.approve(name)
    await_usable(strict, "revoked")
    shown = approval_of(strict, name)
    strict.revoke(name)
    assert strict.ask("customers.export", "revoked", approval=shown).reason == "approval_revoked"
    until(lambda: strict.phase(name) == "Revoked", "the operator has seen it")
    assert "state" not in approval_of(strict, name)


def test_a_request_that_follows_its_own_denial_is_taken(tenant: Tenant) -> None:
    denied = tenant.ask("customers.export", "bound").context
    request = denied["access_request"]
    denial = {"evaluation_id": denied["evaluation_id"], **request, "reason": denied["reason"]}
    body = {**tenant.body("customers.export", "bound"), "denial": denial}
    # Another replica than the one that denied.
    assert questions.post(tenant.url("requests", 1), body, tenant.pep).status == 202
    assert questions.post(tenant.url("requests", 0), body, tenant.pep).status == 202
    other = {**tenant.body("customers.export", "unbound"), "denial": denial}
    refused = questions.post(tenant.url("requests", 0), other, tenant.pep)
    assert refused.body["type"] == "urn:openid:authzen:access-request:error:invalid_denial_binding"


def test_a_request_that_was_made_in_time_is_told_again_later_and_no_other_is(tenant: Tenant) -> None:
    late = {"denial": {"evaluation_id": "eval_1", "expires_at": "2020-01-01T00:00:00Z"}}
    body, key = tenant.body("customers.export", "late"), {"Idempotency-Key": "late-1"}

    def submit(more: Object, headers: dict[str, str]) -> Said:
        return questions.post(tenant.url("requests"), {**body, **more}, tenant.pep, headers)

    assert submit(late, key).body["type"] == "urn:openid:authzen:access-request:error:expired_denial"
    made = submit({}, key)
    assert made.status == 202
    until(lambda: submit(late, key).status == 202, "the task is known by its key")
    assert submit(late, key).task["id"] == made.task["id"]
    assert submit(late, {}).status == 410


@pytest.mark.long
class TestWithoutKeys:
    def test_deleted_keys_are_gone_at_once_and_all_but_tokens_goes_on(
        self, pdp: Bailiwick, disturbed: Secret, strict: Tenant, tenant: Tenant
    ) -> None:
        name = strict.opened("customers.export", "keyless")
        strict.approve(name)
        await_usable(strict, "keyless")
        shown = approval_of(strict, name)
        before = kids(pdp.points[0].url)
        tenant.approved("customers.export", "lookup")
        disturbed.delete()
        try:
            await_kids(pdp, set())
            why = "secret bailiwick-keys is missing: apply crds/rbac/accounts.yaml"
            assert readiness(pdp.points[0])[1]["keys"]["why"] == why
            assert strict.ask("customers.export", "keyless", approval=shown).reason == "approval_token_invalid"
            assert "state" not in approval_of(strict, name)
            denied = tenant.ask("customers.export", "unasked")
            assert (denied.reason, "binding_token" in denied.context["access_request"]) == ("approval_required", False)
            assert tenant.ask("customers.list").decision is True
            assert tenant.ask("customers.export", "lookup").decision is True
            # All else of the operator's goes on too: a new approval becomes active, and is used.
            tenant.approved("customers.export", "approved-without-keys")
            assert tenant.ask("customers.export", "approved-without-keys").decision is True
        finally:
            disturbed.apply()
        until(lambda: all(kids(point.url) for point in pdp.points), "the operator made a key anew")
        assert not kids(pdp.points[0].url) & before
        # The old token stays refused, and the task tells a new one.
        assert strict.ask("customers.export", "keyless", approval=shown).reason == "approval_token_invalid"
        assert strict.ask("customers.export", "keyless", approval=approval_of(strict, name)).decision is True

    def test_keys_in_a_secret_of_another_type_are_none(self, pdp: Bailiwick, disturbed: Secret) -> None:
        keys = disturbed.held()
        disturbed.delete()
        try:
            accepted(pdp.callers.admin.create({**secret_of(keys), "type": "example.com/other"}))
            for point in pdp.points:
                expected = "secret bailiwick-keys is of type example.com/other, not Opaque"
                until(lambda: readiness(point)[1]["keys"]["why"] == expected, "it is refused")  # noqa: B023 - at once
            await_kids(pdp, set())
        finally:
            disturbed.delete()
            disturbed.apply()
        until(lambda: kids(pdp.points[0].url), "the operator made a key anew")

    @pytest.mark.parametrize("garbage", [{}, {"keys.json": "Z2FyYmFnZQ=="}], ids=["nothing", "no JSON"])
    def test_garbage_signs_nothing_and_keeps_nothing(
        self, garbage: dict[str, str], pdp: Bailiwick, disturbed: Secret
    ) -> None:
        pdp.stop_operator()
        try:
            put(pdp, disturbed, {"data": garbage})
            await_kids(pdp, set())
        finally:
            pdp.start_operator()
        until(lambda: kids(pdp.points[0].url), "the operator made a key anew")


def test_a_key_that_is_added_is_known_before_it_signs_and_the_old_token_stays_good(
    pdp: Bailiwick, disturbed: Secret, strict: Tenant
) -> None:
    name = strict.opened("customers.export", "rotated")
    strict.approve(name)
    await_usable(strict, "rotated")
    old = approval_of(strict, name)
    keys = disturbed.held()
    now = time.time()
    following = signing_key(now, begins=3)
    put(pdp, disturbed, {"data": secret_of([*keys, following])["data"]})
    await_kids(pdp, {*(key.kid for key in keys), following.kid})

    def signer(approval: Object) -> str:
        found = jws.extract_compact(approval["state"].encode())
        return str(found.headers()["kid"])

    assert signer(approval_of(strict, name)) in {key.kid for key in keys}
    until(lambda: signer(approval_of(strict, name)) == following.kid, "the new key signs", 10)
    assert strict.ask("customers.export", "rotated", approval=old).decision is True
    assert strict.ask("customers.export", "rotated", approval=approval_of(strict, name)).decision is True


def test_nobody_else_of_ours_reads_the_keys(pdp: Bailiwick, secret: Secret, tenant: Tenant) -> None:
    for who in (tenant.account("api"), tenant.agent, "carol"):
        assert pdp.callers(who).get(secret.path).status == 403
    assert accepted(pdp.callers(pdp.installation.webhook).get(secret.path))["data"]
    refused = pdp.callers(pdp.installation.webhook).patch(secret.path, {"data": {}})
    assert refused.status == 403
