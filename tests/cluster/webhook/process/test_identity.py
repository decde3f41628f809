"""Who asks, for whom, and how both are proven."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from localcluster import kubeconfig
from support.installation import accepted
from support.pdp import badtokens, questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

Make = Callable[[Tenant, Path], str | None]
CALLERS: Final[dict[str, Make]] = {
    "none": lambda tenant, key: None,
    "an empty one": lambda tenant, key: "",
    "garbage": lambda tenant, key: "garbage",
    "one that is too long": lambda tenant, key: "a" * 6000,
    "three parts of nothing": lambda tenant, key: "e30.e30.e30",
    "claims that are no object": lambda tenant, key: "e30.W10.e30",
    "the agent's": lambda tenant, key: tenant.token("agent", tenant.audience),
    "one for the API server": lambda tenant, key: tenant.token("api"),
    "one for several others": lambda tenant, key: tenant.token("api", "somebody", tenant.audience),
    "an expired one": lambda tenant, key: badtokens.ended(key, tenant.pep),
    "a tampered one": lambda tenant, key: badtokens.tampered(tenant.pep, sub=tenant.account("stranger")),
    "an unsigned one": lambda tenant, key: badtokens.unsigned(tenant.pep),
    "one of another issuer": lambda tenant, key: badtokens.signed(key, tenant.pep, iss="https://elsewhere"),
}


@pytest.fixture(scope="module")
def key(pdp: Bailiwick) -> Path:
    """The key that signs tokens of service accounts."""
    if pdp.plane is None:
        pytest.skip("the signing key of this cluster is not ours")
    return pdp.plane.folder / "pki" / "service-accounts.key"


def test_what_we_mint_is_a_good_token_but_for_what_a_test_changes(tenant: Tenant, key: Path) -> None:
    body = tenant.body("customers.list")
    assert questions.post(tenant.url(), body, badtokens.signed(key, tenant.pep)).decision is True


@pytest.mark.parametrize("made", CALLERS)
def test_ab_36_a_caller_that_is_not_proven_gets_401(tenant: Tenant, key: Path, made: str) -> None:
    answer = questions.post(
        tenant.url(), tenant.body("customers.list"), CALLERS[made](tenant, key), {"X-Request-ID": "who-am-i"}
    )
    assert (answer.status, answer.decision) == (401, None)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"] == "who-am-i"


@pytest.mark.parametrize("path", ["evaluation", "requests"])
def test_who_asks_is_judged_before_what_is_asked(tenant: Tenant, path: str) -> None:
    statuses = [questions.post(tenant.url(path), b"{", token).status for token in (None, tenant.pep)]
    assert statuses == [401, 400]


def test_another_scheme_than_bearer_proves_nobody(tenant: Tenant) -> None:
    headers = {"Authorization": f"Basic {tenant.pep}"}
    assert questions.post(tenant.url(), tenant.body("customers.list"), None, headers).status == 401


def test_a_person_is_no_enforcer(tenant: Tenant, pdp: Bailiwick) -> None:
    token = kubeconfig.read([pdp.cluster.kubeconfig("carol")]).user["token"]
    assert questions.post(tenant.url(), tenant.body("customers.list"), token).status == 401


def test_a_token_that_was_just_accepted_for_one_audience_is_not_accepted_for_another(tenant: Tenant) -> None:
    agent = tenant.token("agent", tenant.audience)
    assert tenant.ask("customers.list").decision is True
    assert questions.post(tenant.url(), tenant.body("customers.list"), agent).status == 401
    body = questions.evaluation(tenant.account("api"), "customers.list", token=tenant.pep)
    assert questions.post(tenant.url(), body, tenant.pep).reason == "audience_mismatch"


SUBJECTS: Final[dict[str, tuple[Callable[[Tenant, Path, dict[str, Any]], object], str]]] = {
    "no evidence": (lambda t, key, b: b["context"].pop("evidence"), "identity_invalid"),
    "an empty token": (lambda t, key, b: b["context"]["evidence"].update(subject_token=""), "identity_invalid"),
    "garbage": (lambda t, key, b: b["context"]["evidence"].update(subject_token="a.b.c"), "identity_invalid"),
    "a token for the enforcers' audience": (
        lambda t, key, b: b["context"]["evidence"].update(subject_token=t.token("agent", ENFORCER_AUDIENCE)),
        "audience_mismatch",
    ),
    "another account's token": (
        lambda t, key, b: b["context"]["evidence"].update(subject_token=t.token("stranger", t.audience)),
        "identity_invalid",
    ),
    "an expired token": (
        lambda t, key, b: b["context"]["evidence"].update(
            subject_token=badtokens.ended(key, t.token("agent", t.audience))
        ),
        "identity_invalid",
    ),
    "a tampered token": (
        lambda t, key, b: b["context"]["evidence"].update(
            subject_token=badtokens.tampered(t.token("stranger", t.audience), sub=t.agent)
        ),
        "identity_invalid",
    ),
    "another id than the token's": (
        lambda t, key, b: b["subject"].update(id=t.account("stranger")),
        "identity_invalid",
    ),
    "another type than the token's": (lambda t, key, b: b["subject"].update(type="user"), "identity_invalid"),
    "an actor's token": (
        lambda t, key, b: b["context"]["evidence"].update(actor_token=t.token("agent", t.audience)),
        "delegation_invalid",
    ),
    "a subject that acts for somebody": (
        lambda t, key, b: b["subject"].update(properties={"act": {"sub": "somebody"}}),
        "delegation_invalid",
    ),
}


@pytest.mark.parametrize("evidence", SUBJECTS)
def test_a_subject_that_is_not_proven_is_denied(tenant: Tenant, key: Path, evidence: str) -> None:
    spoil, reason = SUBJECTS[evidence]
    body = tenant.body("customers.list")
    spoil(tenant, key, body)
    answer = questions.post(tenant.url(), body, tenant.pep)
    assert (answer.status, answer.decision, answer.reason) == (200, False, reason)
    assert questions.post(tenant.url("requests"), body, tenant.pep).status == 400


def test_ab_36_stranger_and_unknown_endpoint_are_told_the_same_byte_for_byte(tenant: Tenant) -> None:
    stranger = tenant.token("stranger", ENFORCER_AUDIENCE)
    body = tenant.body("customers.list")
    answers = [
        questions.post(tenant.url(path, endpoint=endpoint), body, token, {"X-Request-ID": "same"})
        for path in ("evaluation", "requests")
        for endpoint, token in (("crm-api", stranger), ("no-such", stranger), ("no-such", tenant.pep))
    ]
    assert {answer.status for answer in answers} == {403}
    assert len({answer.raw for answer in answers}) == 1
    assert len({_lasting(answer) for answer in answers}) == 1


def test_an_enforcer_may_ask_about_its_own_endpoint_only(tenant: Tenant, tenants: Tenants) -> None:
    other = tenants.make("the-other-tenant")
    assert questions.post(other.url(), other.body("customers.list"), tenant.pep).status == 403
    assert questions.post(other.url(), other.body("customers.list"), other.pep).decision is True


# AB-14
@pytest.mark.invariant(11)
def test_a_subject_that_asks_about_itself_gets_a_dry_run_that_uses_nothing(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "dry-run")
    answers = [tenant.ask_itself("customers.export", "dry-run") for _ in range(3)]
    assert [(answer.decision, answer.context["dry_run"]) for answer in answers] == [(True, True)] * 3
    assert tenant.uses(name) == 0
    assert tenant.ask("customers.export", "dry-run").decision is True
    assert tenant.uses(name) == 1


@pytest.mark.invariant(11, 19)
def test_a_subject_that_asks_about_itself_opens_nothing(tenant: Tenant) -> None:
    body = questions.evaluation(tenant.agent, "customers.export", "self-service")
    answer = questions.post(tenant.url("requests"), body, tenant.token("agent", ENFORCER_AUDIENCE))
    assert answer.status == 403
    assert "access_request" not in tenant.ask_itself("customers.export", "self-service").context


@pytest.mark.parametrize("about", ["stranger", "agent", "api"])
def test_whom_no_rule_names_may_not_ask_about_itself_nor_about_others(tenant: Tenant, about: str) -> None:
    body = questions.evaluation(tenant.account(about), "customers.list")
    assert questions.post(tenant.url(), body, tenant.token("stranger", ENFORCER_AUDIENCE)).status == 403


def test_a_subject_may_not_ask_about_another_subject(tenant: Tenant) -> None:
    body = questions.evaluation(tenant.account("api"), "customers.list", token=tenant.token("api", tenant.audience))
    assert questions.post(tenant.url(), body, tenant.token("agent", ENFORCER_AUDIENCE)).status == 403


@pytest.mark.long
def test_a_deleted_account_is_refused_at_once_where_its_token_is_new_and_soon_where_it_was_in_use(
    tenants: Tenants,
) -> None:
    tenant = tenants.make("deleted-accounts")
    used, unused = tenant.pep, tenant.cluster.service_account_token(tenant.namespace, "api", ["bailiwick"], 3000)
    assert tenant.ask("customers.list", point=0).decision is True
    _delete(tenant, "api")
    body = tenant.body("customers.list")
    assert questions.post(tenant.url(), body, unused).status == 401
    # We keep an answer for ten seconds, and so does the API server itself.
    for point in (0, 1):
        until(lambda: questions.post(tenant.url(point=point), body, used).status == 401, "the token is refused", 25)  # noqa: B023 - asked at once


@pytest.mark.parametrize("who", ["api", "agent"])
def test_a_token_of_an_account_that_was_made_anew_is_as_good_as_none(tenants: Tenants, who: str) -> None:
    tenant = tenants.make(f"made-anew-{who}")
    old = tenant.pep, tenant.token("agent", tenant.audience)
    _delete(tenant, who)
    tenants.account(tenant.namespace, who)
    answer = questions.post(tenant.url(point=1), tenant.body("customers.get"), old[0])
    assert (answer.status, answer.reason) == ((401, None) if who == "api" else (200, "identity_invalid"))
    tenant.tokens.clear()
    assert tenant.ask("customers.get", point=1).decision is True


def _delete(tenant: Tenant, account: str) -> None:
    accepted(tenant.callers.admin.delete(f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/{account}"))


def _lasting(answer: Said) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in answer.headers.items() if name != "Date"))
