"""Rules that reach further than they say, or that a laxer one would get around: names, empty lists, overlaps."""

import time
from typing import Final

import pytest

from support.full_objects import full_policy
from support.installation import accepted
from support.objects import Object, changed, gated_rule, policy, rule, subject
from support.pdp.tenant import STEPS, Tenant, Tenants
from support.schemas.empties import EMPTIES, nothing
from support.waits import until

STARRED: Final = rule(
    "starred",
    actions=["customers.*", "/admin/*", "a:*", "caf\u00e9.read", "exact"],
    resources=[{"type": "customer", "ids": ["eu/*", "42"]}],
)
REACHES: Final = [
    ("customers.list", "42", True),
    ("customers.list.all", "42", True),
    ("customers", "42", False),
    ("customers.", "42", False),
    ("customersX.list", "42", False),
    ("Customers.list", "42", False),
    ("xcustomers.list", "42", False),
    (" customers.list", "42", False),
    ("/admin/users", "42", True),
    ("/administrator", "42", False),
    ("/admin", "42", False),
    ("/admin/", "42", False),
    ("/admin%2Fusers", "42", False),
    ("//admin/users", "42", False),
    ("/x/../admin/users", "42", False),
    ("/ADMIN/users", "42", False),
    ("a:b", "42", True),
    ("a.b", "42", False),
    ("caf\u00e9.read", "42", True),
    ("cafe\u0301.read", "42", False),
    ("exact", "42", True),
    ("exact ", "42", False),
    ("exact\u0000", "42", False),
    ("exac\u0442", "42", False),
    ("*", "42", False),
    ("customers.list", "eu/1", True),
    ("customers.list", "eu/", False),
    ("customers.list", "europe/1", False),
    ("customers.list", "eu%2F1", False),
    ("customers.list", "042", False),
    ("customers.list", "42\n", False),
    ("customers.list", "*", False),
]


@pytest.fixture(scope="module")
def starred(tenants: Tenants) -> Tenant:
    tenant = tenants.make("starred", [STARRED])
    tenant.await_known(lambda said: said.decision is True, "exact")
    return tenant


@pytest.mark.parametrize(("action", "resource", "reached"), REACHES, ids=repr)
def test_ab_28_a_star_reaches_what_stands_behind_its_separator_and_nothing_else(
    starred: Tenant, action: str, resource: str, *, reached: bool
) -> None:
    answer = starred.ask(action, resource)
    assert (answer.status, answer.decision) == (200, reached)


@pytest.mark.parametrize("action", ["/admin*", "admin*", "*min", "a*n", "**", "customers.*.get"])
def test_ab_28_a_star_that_would_reach_further_is_refused_by_the_schema(tenant: Tenant, action: str) -> None:
    body = policy(tenant.namespace, "reaching", rules=[rule(actions=[action])])
    assert tenant.callers.admin.create(body, dry_run=True).status == 422


SLOW: Final = "(a|aa)+$"
LONG: Final = "a" * 3_000 + "!"


def test_ab_28_a_pattern_that_others_backtrack_on_takes_no_longer_than_its_text(tenants: Tenants) -> None:
    matching = {"name": "c", "expression": f"context.text.matches('^{SLOW}')"}
    approval = {"steps": STEPS, "reason": {"required": True, "pattern": SLOW}}
    rules = [
        rule("read", actions=["customers.list"], conditions=[matching]),
        gated_rule("export", actions=["customers.export"], approval=approval),
    ]
    tenant = tenants.make("slow-pattern", rules)
    began = time.monotonic()
    assert tenant.ask("customers.list", text="a" * 3_000).decision is True
    assert tenant.ask("customers.list", text=LONG).reason == "condition_false"
    assert tenant.submit("customers.export", "slow", business_justification=LONG).status == 400
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", EMPTIES)
def test_ab_29_an_empty_list_is_refused_by_the_schema(tenant: Tenant, path: str) -> None:
    whole = full_policy(tenant.namespace, "emptied")
    assert tenant.callers.admin.create(whole, dry_run=True).message == ""
    assert tenant.callers.admin.create(changed(whole, path, nothing(path)), dry_run=True).status == 422


OVERLAPS: Final = [
    (strict, lax, first, reason)
    for strict, lax, reason in (
        ("Deny", "Allow", "policy_denied"),
        ("Deny", "RequireApproval", "policy_denied"),
        ("RequireApproval", "Allow", "approval_required"),
    )
    for first in ("strict", "lax")
]


def _rule(effect: str, action: str, ids: list[str]) -> Object:
    make = gated_rule if effect == "RequireApproval" else rule
    return make(effect.lower(), effect=effect, actions=[action], resources=[{"type": "customer", "ids": ids}])


@pytest.mark.invariant(16)
@pytest.mark.parametrize(("strict", "lax", "first", "reason"), OVERLAPS)
def test_ab_30_a_laxer_exception_never_beats_the_stricter_rule_whichever_came_first(
    tenant: Tenant, strict: str, lax: str, first: str, reason: str
) -> None:
    action = f"overlap.{strict}.{lax}.{first}".lower()
    seen = {one: f"{action}.seen-{one}" for one in ("strict", "lax")}
    # The exception names the very resource, the stricter rule all of them.
    rules = {"strict": _rule(strict, action, ["*"]), "lax": _rule(lax, action, ["42"])}
    for one in (first, "lax" if first == "strict" else "strict"):
        name = f"{one}-{strict}-{lax}-{first}".lower()
        shown = rule("seen", actions=[seen[one]])
        subjects = [subject(namespace=tenant.namespace, account="agent")]
        accepted(
            tenant.callers.admin.create(policy(tenant.namespace, name, subjects=subjects, rules=[rules[one], shown]))
        )
        until(lambda: tenant.ask(seen[one]).decision, "the policy is served")  # noqa: B023 - asked at once
    answer = tenant.ask(action)
    assert (answer.decision, answer.reason) == (False, reason)
