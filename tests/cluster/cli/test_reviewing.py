"""Approving, denying and revoking by the command line: what a person sees, and what the guards make of it."""

import re
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP
from support import commandline
from support.commandline import Ran
from support.installation import accepted
from support.namespaces import Roles, rule
from support.objects import Object
from support.pdp.tenant import Tenant
from support.waits import until

Cli = Callable[..., Ran]

WHY: Final = ("--reason", "seen with the customer")


def opened(tenant: Tenant, resource: str, **more: object) -> str:
    """Open a grant that the operator has seen, so that nothing but a review changes it."""
    name = tenant.opened("customers.export", resource, **more)
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    return name


def digits(tenant: Tenant, name: str) -> str:
    digest: str = tenant.grant(name)["spec"]["request"]["binding"]["digest"]
    return digest.removeprefix("sha256:")[:8]


def by_binding(tenant: Tenant, name: str) -> tuple[str, ...]:
    return (*WHY, "--yes", "--binding", digits(tenant, name))


def test_an_approval_by_its_binding_makes_the_grant_active(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "approve")
    ran = cli("carol", "approve", name, *by_binding(tenant, name))
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} approved\n"), ran
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert (review["reviewer"], review["group"], review["reason"]) == ("carol", "crm-owners", WHY[1])


@pytest.mark.invariant(9)
def test_the_whole_call_is_shown_before_anything_is_asked(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "shown", args={"fields": ["name", "iban"]}, intent="support")
    ran = cli("carol", "approve", name, *WHY)
    for said in (
        "customers.export",
        "customer/shown",
        tenant.agent,
        "support",
        '["name","iban"]',
        tenant.account("api"),
        "0 of 1",
        "1 use, within 10m of the approval",
    ):
        assert said in ran.err, said
    # And what it is about once more, right before the question.
    about = f"customers.export on customer/shown by {tenant.agent}."
    assert ran.err.index("INC-1 please") < ran.err.index(about)
    assert ran.err.index("own words (unverified)") < ran.err.index("INC-1 please")


def test_without_a_terminal_the_command_to_run_instead_is_told_and_nothing_is_sent(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "instead")
    for more in ((), ("--yes",)):
        ran = cli("carol", "approve", name, *WHY, *more)
        assert ran.code == 2, ran
        instead = f"approve {name} -n {tenant.namespace} --reason '{WHY[1]}' --yes --binding {digits(tenant, name)}"
        assert instead in ran.err
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.invariant(7)
@pytest.mark.parametrize(
    ("given", "said"), [("00000000", "--binding does not match agr-"), ("abc", "at least the first 8 hex digits")]
)
def test_another_binding_than_the_grants_is_refused(tenant: Tenant, cli: Cli, given: str, said: str) -> None:
    name = opened(tenant, f"other-{given}")
    ran = cli("carol", "approve", name, *WHY, "--yes", "--binding", given)
    assert ran.code == 2, ran
    assert said in ran.err
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.long
@pytest.mark.parametrize(("typed", "code", "reviews"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
def test_at_a_terminal_a_yes_sends_and_anything_else_does_not(
    tenant: Tenant, typed: str, code: int, reviews: int
) -> None:
    name = opened(tenant, f"terminal-{typed.strip()}")
    ran = commandline.run_at_terminal(
        *("approve", name, "-n", tenant.namespace, *WHY),
        kubeconfig=tenant.cluster.kubeconfig("carol"),
        typed={"[y/N]": typed},
    )
    assert ran.code == code, ran
    assert len(tenant.grant(name)["spec"]["reviews"]) == reviews


def test_at_a_terminal_the_reason_is_asked_for_before_the_yes(tenant: Tenant) -> None:
    name = opened(tenant, "reason-asked")
    ran = commandline.run_at_terminal(
        *("approve", name, "-n", tenant.namespace),
        kubeconfig=tenant.cluster.kubeconfig("carol"),
        typed={"The reason, for the record:": "asked and told\n", "[y/N]": "y\n"},
    )
    assert (ran.code, ran.err.count("customers.export on customer/reason-asked")) == (0, 1), ran
    assert [one["reason"] for one in tenant.grant(name)["spec"]["reviews"]] == ["asked and told"]


@pytest.mark.long
def test_without_a_reason_at_the_terminal_no_review_is_sent(tenant: Tenant) -> None:
    name = opened(tenant, "no-reason")
    ran = commandline.run_at_terminal(
        *("approve", name, "-n", tenant.namespace),
        kubeconfig=tenant.cluster.kubeconfig("carol"),
        typed={"The reason, for the record:": " \n"},
    )
    assert (ran.code, "no review was sent: an approval needs a reason" in ran.err) == (2, True), ran
    assert tenant.grant(name)["spec"]["reviews"] == []


def test_a_denial_needs_no_reason(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "denied-without-reason")
    ran = cli("dave", "deny", name, "--yes", "--binding", digits(tenant, name))
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} denied\n"), ran
    (review,) = tenant.grant(name)["spec"]["reviews"]
    assert (review["decision"], review.get("reason")) == ("Deny", None)


def test_without_a_terminal_a_reason_is_a_flag(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "reason-flag")
    ran = cli("carol", "approve", name, "--yes", "--binding", digits(tenant, name))
    assert (ran.code, "without a terminal, give the reason for the record with --reason" in ran.err) == (2, True), ran
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.invariant(7)
def test_a_grant_that_changed_since_it_was_shown_is_not_reviewed(tenant: Tenant) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    name = tenant.opened("customers.merge", "changed")
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")

    def change() -> str:
        accepted(tenant.review(name, by="grace", step=1))
        return "y\n"

    ran = commandline.run_at_terminal(
        *("approve", name, "-n", tenant.namespace, "--step", "owner", *WHY),
        kubeconfig=tenant.cluster.kubeconfig("carol"),
        typed={"[y/N]": change},
    )
    assert (ran.code, "has changed in the meantime: it is Pending; your change was not applied" in ran.err) == (
        2,
        True,
    ), ran
    assert [one["reviewer"] for one in tenant.grant(name)["spec"]["reviews"]] == ["grace"]


@pytest.mark.invariant(5)
def test_of_several_steps_each_reviewer_fills_the_one_that_is_theirs(tenant: Tenant, cli: Cli) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
    name = tenant.opened("customers.merge", "two")
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    several = cli("erin", "approve", name, *by_binding(tenant, name))
    assert (several.code, "choose one with --step: crm-agent.merge.owner, crm-agent.merge.security" in several.err) == (
        2,
        True,
    ), several
    assert cli("erin", "approve", name, *by_binding(tenant, name), "--step", "owner").code == 0
    until(lambda: tenant.grant(name)["status"].get("counted"), "the first review was counted")
    second = cli("grace", "approve", name, *by_binding(tenant, name))
    assert (second.code, f"`kubectl bailiwick wait {name} -n {tenant.namespace}`" in second.err) == (0, True), second
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    assert [(one["reviewer"], one["step"]) for one in tenant.grant(name)["spec"]["reviews"]] == [
        ("erin", "crm-agent.merge.owner"),
        ("grace", "crm-agent.merge.security"),
    ]


@pytest.mark.invariant(13)
def test_a_denial_is_final(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "deny")
    assert cli("dave", "deny", name, *by_binding(tenant, name)).code == 0
    until(lambda: tenant.phase(name) == "Denied", f"{name} is denied")
    ran = cli("carol", "approve", name, *WHY)
    assert (ran.code, f"{name} is Denied" in ran.err) == (2, True), ran


@pytest.mark.invariant(2, 3)
def test_who_is_not_of_the_group_is_refused_in_the_guards_words(tenant: Tenant, cli: Cli) -> None:
    approving = rule(GROUP, ENDPOINT_POLICIES, "approve")
    Roles(tenant.callers.admin, tenant.namespace).give([approving, rule(GROUP, APPROVAL_GRANTS, "get", "patch")], "eve")
    name = opened(tenant, "group")
    ran = cli("eve", "approve", name, *by_binding(tenant, name))
    assert (ran.code, "you are not a member of that group" in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("who", "given", "missing"),
    [
        ("ivy", [rule(GROUP, APPROVAL_GRANTS, "get", "patch")], "the verb approve on endpointpolicies/crm-agent"),
        (
            "judy",
            [rule(GROUP, ENDPOINT_POLICIES, "approve"), rule(GROUP, APPROVAL_GRANTS, "get")],
            "the verb patch on approvalgrants/{name}",
        ),
    ],
    ids=["no verb on the policy", "no verb on the grant"],
)
def test_who_lacks_a_right_is_told_which_before_anything_is_said_to_be_approved(
    tenant: Tenant, cli: Cli, who: str, given: list[Object], missing: str
) -> None:
    name = opened(tenant, f"right-{who}")
    Roles(tenant.callers.admin, tenant.namespace).give(given, who)
    ran = cli("admin", "approve", name, *by_binding(tenant, name), "--as", who)
    right = missing.format(name=name)
    assert ran.code == 2, ran
    assert f"error: {who} is not allowed to approve this: {right} in namespace {tenant.namespace} is missing" in ran.err
    assert "Approve step" not in ran.err


def test_who_may_not_see_grants_is_told_so(cli: Cli) -> None:
    ran = cli("carol", "approve", "agr-any", *WHY, "-n", "kube-system")
    assert (ran.code, 'User "carol" cannot get resource' in ran.err) == (2, True), ran


@pytest.mark.invariant(5)
def test_nobody_reviews_twice(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "twice")
    assert cli("carol", "approve", name, *by_binding(tenant, name)).code == 0
    ran = cli("carol", "deny", name, *by_binding(tenant, name))
    assert ran.code == 2, ran
    assert re.search("has already reviewed|is Active", ran.err)


@pytest.mark.invariant(19)
def test_several_names_are_refused(tenant: Tenant, cli: Cli) -> None:
    ran = cli("carol", "approve", "agr-one", "agr-two", *WHY)
    assert (ran.code, "review each request separately" in ran.err) == (2, True), ran


def test_a_missing_grant_is_one_clear_line(tenant: Tenant, cli: Cli) -> None:
    ran = cli("carol", "approve", "agr-none", *WHY)
    assert (ran.code, ran.err) == (2, 'error: approvalgrants.bailiwick.dev "agr-none" not found\n'), ran


@pytest.mark.invariant(13)
def test_revoking_ends_what_was_approved(tenant: Tenant, cli: Cli) -> None:
    name = tenant.approved("customers.export", "revoke")
    ran = cli("carol", "revoke", name, "--reason", "incident closed")
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} revoked\n"), ran
    assert tenant.grant(name)["spec"]["revocation"] == {"by": "carol", "reason": "incident closed"}
    assert cli("carol", "revoke", name, "--reason", "again").code == 2


def test_revoking_tells_what_was_done_by_it_before(tenant: Tenant, cli: Cli) -> None:
    name = tenant.approved("customers.export", "spent")
    assert tenant.ask("customers.export", "spent").body["decision"] is True
    ran = cli("carol", "revoke", name, "--reason", "too late")
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} revoked\n"), ran
    assert ran.err.endswith(": 1 of 1 uses were made.\n"), ran


def test_revoking_tells_what_still_lets_the_call_through(tenant: Tenant, cli: Cli) -> None:
    request = (
        "customers.rotate",
        "customer/again",
        "--endpoint",
        "crm-api",
        "--subject",
        f"sa:{tenant.namespace}/agent",
    )
    names = []
    for _ in range(2):
        asked = cli("admin", "request", *request, "--reason", "twice", "--property", "env=prod")
        names.append(asked.out.strip().rpartition("/")[2])
        until(lambda: "resolved" in tenant.grant(names[-1]).get("status", {}), "it is resolved")
        uid = tenant.grant(names[-1])["metadata"]["uid"]
        assert cli("carol", "approve", names[-1], *WHY, "--yes", "--binding", uid).code == 0
        until(lambda: tenant.phase(names[-1]) == "Active", "it is active")
    shown = cli("carol", "show", names[0])
    assert f"Overlap:      {names[1]} also allows such calls, until " in shown.out, shown
    first = cli("carol", "revoke", names[0], "--reason", "over")
    assert f"{names[1]} still allows such a call" in first.err, first
    assert f"kubectl bailiwick revoke {names[1]} -n {tenant.namespace}" in first.err
    assert f"Overlap:      {names[1]} also allows such calls, until " in cli("carol", "show", names[0]).out
    last = cli("carol", "revoke", names[1], "--reason", "over")
    assert "still allows" not in last.err, last


def test_revoking_what_waits_withdraws_it(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "withdraw")
    ran = cli("carol", "revoke", name, "--reason", "not needed")
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} withdrawn\n"), ran


@pytest.mark.invariant(13)
def test_who_may_not_revoke_is_refused(tenant: Tenant, cli: Cli) -> None:
    Roles(tenant.callers.admin, tenant.namespace).give([rule(GROUP, APPROVAL_GRANTS, "get", "patch")], "mallory")
    name = opened(tenant, "not-mine")
    ran = cli("mallory", "revoke", name, "--reason", "no")
    assert (ran.code, "or need the verb revoke or approve" in ran.err) == (2, True), ran
