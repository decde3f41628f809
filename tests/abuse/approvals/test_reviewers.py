"""Who reviews: nobody for themselves, nobody in another's name, nobody without the right, nobody twice.

Holds: everybody here has the right to patch grants, and most hold the verb `approve`, so that only the guards refuse;
after each refusal the grant is as it was, and the decision point still waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from localcluster.people import ADMIN
from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.namespaces import Roles, rule as allowed
from support.objects import (
    AGENT,
    POLICY,
    RULE_DIGEST,
    Object,
    adding_review,
    gated_rule,
    grant,
    review,
    rule_reference,
    step,
)
from support.pdp.tenant import OWNERS, RULES, Tenant, Tenants
from support.waits import until

OWN: Final = "you cannot review your own request"
AUTHOR: Final = "reviewer must be you"
TWICE: Final = [{"name": "owner", "kind": "Human", "groups": [OWNERS], "count": 2}]
MANY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
ANYBODY: Final = [{"name": "anybody", "kind": "Human"}]
# Spelled as somebody might who hopes that names are compared by eye.
VARIANTS: Final = (
    "Carol",
    "CAROL",
    "carol ",
    " carol",
    "carol\u200b",
    "\uff43arol",
    "c\u0430rol",
    "carol@corp",
    "oidc:carol",
)


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    """A tenant whose exports two owners approve. Eve, who is no owner, may patch grants as an owner may."""
    two = gated_rule("export", approval={"steps": TWICE, "limits": MANY})
    tenant = tenants.make("reviewers", [RULES[0], two, RULES[2]])
    Roles(tenant.callers.admin, tenant.namespace).give([allowed("bailiwick.dev", "approvalgrants", "patch")], "eve")
    return tenant


def entry(stored: Object, reviewer: str, **fields: Any) -> Object:  # noqa: ANN401 - any field
    """Return an approval of the first step, for its group."""
    first = stored["spec"]["request"]["steps"][0]
    groups = {"group": first["groups"][0]} if "groups" in first else {}
    return review(stored, reviewer, step_name=first["name"], **groups) | fields


def write(client: Rest, stored: Object, *entries: Object) -> Answer:
    changes = [change for one in entries for change in adding_review(one)]
    return client.patch(stored, changes, "json")


def refused(tenant: Tenant, stored: Object, answer: Answer, words: str) -> None:
    """Hold that a write was refused with these words, and that the grant is as it was."""
    assert not answer.ok
    assert words in answer.message
    now = tenant.grant(stored["metadata"]["name"])
    assert now["spec"] == stored["spec"]
    assert tenant.phase(stored["metadata"]["name"]) == "Pending"


def by_hand(tenant: Tenant, requester: str, **request: Any) -> Object:  # noqa: ANN401 - any field
    """Store a grant that this person writes for the agent, who is nobody of this cluster."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-request", requester)
    names = {"rules": [rule_reference()], "steps": [step(groups=[OWNERS])], **request}
    body = grant(tenant.namespace, "by-hand", requester=requester, **names)
    metadata = {"namespace": tenant.namespace, "generateName": "by-hand-"}
    return resolved(tenant, accepted(tenant.callers(requester).create({**body, "metadata": metadata})))


def resolved(tenant: Tenant, stored: Object) -> Object:
    """Say as the operator what the grant names, if it has not; reviews come after that."""
    rules = [{"policy": POLICY, "uid": "policy-uid", "rule": "export", "ruleDigest": RULE_DIGEST}]
    status = {"status": {"phase": "Pending", "resolved": {"subjectUID": "agent-uid", "rules": rules}}}
    tenant.callers(Installation().operator).patch(stored, status, "merge", "status")
    until(lambda: "resolved" in tenant.grant(stored["metadata"]["name"]).get("status", {}), "the grant is resolved")
    return tenant.grant(stored["metadata"]["name"])


@contextmanager
def acting(tenant: Tenant, who: str, as_: str, *groups: str) -> Iterator[Rest]:
    """Call as somebody who says that they act as somebody else, as `kubectl --as --as-group` does."""
    login = tenant.callers(who).login
    headers = {"Impersonate-User": (as_,)} | ({"Impersonate-Group": groups} if groups else {})
    client = Rest(type(login)(login.server, login.authority, token=login.token, acting_as=headers))
    try:
        yield client
    finally:
        client.close()


class TestAb01SelfApproval:
    @pytest.mark.invariant(1)
    def test_an_owner_does_not_review_what_they_asked_for_by_any_group_or_step(self, tenant: Tenant) -> None:
        stored = by_hand(tenant, "erin", steps=[step(groups=[OWNERS, "sec-oncall"]), step(name="export.anybody")])
        for fields in ({}, {"group": "sec-oncall"}, {"step": "crm-agent.export.anybody", "group": OWNERS}):
            for decision in ("Approve", "Deny"):
                answer = write(tenant.callers("erin"), stored, entry(stored, "erin", **fields, decision=decision))
                refused(tenant, stored, answer, OWN)

    @pytest.mark.invariant(1)
    def test_an_administrator_does_not_review_what_they_asked_for(self, tenant: Tenant) -> None:
        stored = by_hand(tenant, ADMIN, steps=[step()])
        refused(tenant, stored, write(tenant.callers.admin, stored, entry(stored, ADMIN)), OWN)

    @pytest.mark.invariant(1)
    @pytest.mark.parametrize("account", ["agent", "api"])
    def test_subject_and_enforcer_review_nothing_though_they_hold_the_verb(self, tenant: Tenant, account: str) -> None:
        Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", tenant.account(account))
        stored = tenant.grant(tenant.opened("customers.export", f"own-{account}"))
        name = tenant.account(account)
        refused(tenant, stored, write(tenant.callers(name), stored, entry(stored, name)), OWN)

    @pytest.mark.invariant(1, 3)
    def test_acting_as_oneself_with_more_groups_is_still_oneself(self, tenant: Tenant) -> None:
        stored = by_hand(tenant, "carol")
        with acting(tenant, ADMIN, "carol", OWNERS, "system:masters") as client:
            refused(tenant, stored, write(client, stored, entry(stored, "carol")), OWN)

    @pytest.mark.invariant(3)
    @pytest.mark.parametrize("who", ["eve", "mallory", "carol", "agent", "api"])
    def test_who_may_not_act_as_a_reviewer_is_refused_before_any_guard(self, tenant: Tenant, who: str) -> None:
        stored = tenant.grant(tenant.opened("customers.export", "acting"))
        caller = who if who in {"eve", "mallory", "carol"} else tenant.account(who)
        with acting(tenant, caller, "dave", OWNERS) as client:
            answer = write(client, stored, entry(stored, "dave"))
        refused(tenant, stored, answer, "cannot impersonate")

    @pytest.mark.invariant(2, 3)
    def test_an_administrator_who_acts_as_somebody_has_their_rights_and_no_others(self, tenant: Tenant) -> None:
        stored = tenant.grant(tenant.opened("customers.export", "as-eve"))
        with acting(tenant, ADMIN, "eve", OWNERS, "system:authenticated") as client:
            # Acting as eve, the review is eve's: it can name neither who acts nor anybody else.
            for name in (ADMIN, "dave"):
                refused(tenant, stored, write(client, stored, entry(stored, name)), f"{AUTHOR}: eve")
        with acting(tenant, ADMIN, "eve", "support", "system:authenticated") as client:
            answer = write(client, stored, entry(stored, "eve"))
        refused(tenant, stored, answer, "eve lacks the verb approve on endpointpolicies/crm-agent")

    @pytest.mark.invariant(2)
    @pytest.mark.parametrize("name", VARIANTS)
    def test_a_name_spelled_otherwise_is_not_ones_own(self, tenant: Tenant, name: str) -> None:
        stored = tenant.grant(tenant.opened("customers.export", "spelled"))
        answer = write(tenant.callers("carol"), stored, entry(stored, name))
        refused(tenant, stored, answer, f"{AUTHOR}: carol")

    @pytest.mark.invariant(2)
    @pytest.mark.parametrize("name", VARIANTS)
    def test_nobody_asks_under_a_name_spelled_otherwise(self, tenant: Tenant, name: str) -> None:
        Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-request", "carol")
        body = grant(tenant.namespace, "spelled", requester=name, excludedReviewers=[])
        answer = tenant.callers("carol").create(body)
        assert not answer.ok
        assert "requester must be you: carol" in answer.message

    @pytest.mark.invariant(3)
    @pytest.mark.parametrize("name", ["Dave", "DAVE", "dave@corp"])
    def test_rights_are_of_the_exact_name(self, tenants: Tenants, name: str) -> None:
        made = tenants.make("exact-names", [RULES[0], gated_rule("export", approval={"steps": ANYBODY})])
        Roles(made.callers.admin, made.namespace).bind("bailiwick-approve", "dave")
        Roles(made.callers.admin, made.namespace).give([allowed("bailiwick.dev", "approvalgrants", "patch")], name)
        stored = made.grant(made.opened("customers.export", "exact"))
        with acting(made, ADMIN, name) as client:
            answer = write(client, stored, entry(stored, name))
        refused(made, stored, answer, f"{name} lacks the verb approve")


class TestAb02WithoutTheVerb:
    @pytest.mark.invariant(3, 4)
    def test_who_may_patch_grants_and_knows_the_task_does_not_review(self, tenant: Tenant) -> None:
        opened = tenant.submit("customers.export", "no-verb")
        stored = tenant.grant(opened.grant_name)
        for group in ({}, {"group": OWNERS}, {"group": "support"}):
            answer = write(tenant.callers("eve"), stored, review(stored, "eve", **group))
            refused(tenant, stored, answer, "eve lacks the verb approve on endpointpolicies/crm-agent")
        assert tenant.poll(opened.task["id"]).task["status"] == "pending"

    @pytest.mark.invariant(2)
    def test_the_verb_alone_does_not_fill_a_step_of_a_group(self, tenant: Tenant) -> None:
        Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", "grace")
        stored = tenant.grant(tenant.opened("customers.export", "no-member"))
        refused(
            tenant, stored, write(tenant.callers("grace"), stored, entry(stored, "grace")), "not a member of that group"
        )
        answer = write(tenant.callers("grace"), stored, entry(stored, "grace", group="sec-oncall"))
        refused(tenant, stored, answer, "set group to the group of this step for which you review")


class TestAb03Forgery:
    @pytest.mark.invariant(2)
    @pytest.mark.parametrize("writer", ["carol", ADMIN])
    def test_a_review_in_anothers_name_is_refused_however_it_is_written(self, tenant: Tenant, writer: str) -> None:
        stored = tenant.grant(tenant.opened("customers.export", f"forged-{writer}"))
        client, forged = tenant.callers(writer), entry(stored, "dave")
        body = {key: stored[key] for key in ("apiVersion", "kind")} | {
            "metadata": {key: stored["metadata"][key] for key in ("namespace", "name")},
            "spec": {"reviews": [forged]},
        }
        for answer in (
            write(client, stored, forged),
            client.patch(stored, {"spec": {"reviews": [forged]}}),
            client.apply(body, "dave", force=True),
        ):
            refused(tenant, stored, answer, f"{AUTHOR}: {writer}")

    @pytest.mark.invariant(2, 5)
    def test_a_review_of_ones_own_does_not_bring_another_along(self, tenant: Tenant) -> None:
        stored = tenant.grant(tenant.opened("customers.export", "along"))
        answer = write(tenant.callers("carol"), stored, entry(stored, "carol"), entry(stored, "dave"))
        refused(tenant, stored, answer, "add one review at a time")

    @pytest.mark.invariant(2, 20)
    @pytest.mark.parametrize("name", ["system:auto", "system:bailiwick", AGENT])
    def test_nobody_is_the_system(self, tenant: Tenant, name: str) -> None:
        stored = tenant.grant(tenant.opened("customers.export", "system"))
        refused(tenant, stored, write(tenant.callers("carol"), stored, entry(stored, name)), f"{AUTHOR}: carol")

    @pytest.mark.invariant(7)
    def test_a_review_of_one_request_is_no_review_of_another(self, tenant: Tenant) -> None:
        one, other = (tenant.grant(tenant.opened("customers.export", f"swapped-{n}")) for n in (1, 2))
        for binding in (other["spec"]["request"]["binding"]["digest"], one["metadata"]["uid"], ""):
            answer = write(tenant.callers("carol"), one, entry(one, "carol", binding=binding))
            assert not answer.ok
            assert tenant.grant(one["metadata"]["name"])["spec"]["reviews"] == []

    @pytest.mark.invariant(7)
    def test_a_review_stays_with_the_object_that_it_was_written_to(self, tenant: Tenant) -> None:
        """Of a grant made anew under its name, as by a backup that is restored, nothing is left that counts."""
        old = by_hand(tenant, "eve")
        name, until_then = old["metadata"]["name"], entry(old, "carol")
        body = {**old, "metadata": {"namespace": tenant.namespace, "name": f"{name}-restored"}}
        with_review = {**body, "spec": {**body["spec"], "reviews": [until_then]}}
        answer = tenant.callers("eve").create(with_review)
        assert "a new grant cannot have reviews" in answer.message
        anew = resolved(tenant, accepted(tenant.callers("eve").create(body)))
        refused(tenant, anew, write(tenant.callers("carol"), anew, until_then), "the review is for another request")


class TestAb05TwoByOne:
    @pytest.mark.invariant(5)
    def test_two_reviews_of_one_person_are_not_two_people(self, tenant: Tenant) -> None:
        name = tenant.opened("customers.export", "twice")
        accepted(write(tenant.callers("carol"), tenant.grant(name), entry(tenant.grant(name), "carol")))
        stored = tenant.grant(name)
        for again in (entry(stored, "carol"), entry(stored, "carol", reason="again"), entry(stored, "Carol")):
            answer = write(tenant.callers("carol"), stored, again)
            assert not answer.ok
        until(
            lambda: [one["reviewer"] for one in tenant.grant(name).get("status", {}).get("counted", ())] == ["carol"],
            "one review is counted",
        )
        assert tenant.phase(name) == "Pending"
        assert tenant.ask("customers.export", "twice").reason == "approval_pending"
        accepted(write(tenant.callers("dave"), stored, entry(stored, "dave")))
        until(lambda: tenant.phase(name) == "Active", "two people are two people")
        tenant.await_known(lambda said: said.decision is True, "customers.export", "twice")
        assert tenant.ask("customers.export", "twice").decision is True

    @pytest.mark.invariant(5)
    def test_one_person_with_two_groups_fills_one_of_two_steps(self, tenants: Tenants) -> None:
        steps = [{"name": name, "kind": "Human", "groups": [name]} for name in (OWNERS, "sec-oncall")]
        made = tenants.make("two-steps", [RULES[0], gated_rule("export", approval={"steps": steps})])
        Roles(made.callers.admin, made.namespace).bind("bailiwick-approve", "group:sec-oncall")
        name = made.opened("customers.export", "two-steps")
        stored = made.grant(name)
        first, second = ({"step": one["name"], "group": one["groups"][0]} for one in stored["spec"]["request"]["steps"])
        accepted(write(made.callers("erin"), stored, entry(stored, "erin", **first)))
        assert not write(made.callers("erin"), stored, entry(stored, "erin", **second)).ok
        accepted(write(made.callers("dave"), stored, entry(stored, "dave", **first)))
        until(lambda: len(made.grant(name).get("status", {}).get("counted", [])) == 2, "both reviews are counted")
        assert made.ask("customers.export", "two-steps").reason == "approval_pending"
        accepted(write(made.callers("grace"), stored, entry(stored, "grace", **second)))
        until(lambda: made.phase(name) == "Active", "both steps are met")


@pytest.mark.invariant(2, 3)
def test_ab_09_whoever_brings_grants_from_git_is_no_person(tenants: Tenants) -> None:
    made = tenants.make("git", [RULES[0], gated_rule("export", approval={"steps": ANYBODY})])
    tenants.account(made.namespace, "argocd")
    argocd = made.account("argocd")
    for role in ("bailiwick-approve", "bailiwick-request", "bailiwick-edit"):
        Roles(made.callers.admin, made.namespace).bind(role, argocd)
    stored = made.grant(made.opened("customers.export", "git"))
    refused(
        made,
        stored,
        write(made.callers(argocd), stored, entry(stored, argocd)),
        "only people can review a Human step",
    )
    born = {"steps": [step(name="export.anybody")], "rules": [rule_reference()]}
    body = grant(made.namespace, "from-git", requester=argocd, **born)
    body["spec"]["reviews"] = [review({**body, "metadata": {"uid": "none-yet"}}, "dave")]
    assert "a new grant cannot have reviews" in made.callers(argocd).create(body).message


@pytest.mark.invariant(13)
def test_ab_10_an_approval_outlives_the_right_of_who_gave_it_until_somebody_revokes_it(tenants: Tenants) -> None:
    made = tenants.make("lost-right", [RULES[0], gated_rule("export", approval={"steps": ANYBODY, "maxUses": 3})])
    Roles(made.callers.admin, made.namespace).bind("bailiwick-approve", "grace")
    name = made.opened("customers.export", "lost-right")
    accepted(write(made.callers("grace"), made.grant(name), entry(made.grant(name), "grace")))
    until(lambda: made.phase(name) == "Active", "the grant is active")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{made.namespace}/rolebindings"
    for binding in accepted(made.callers.admin.get(bindings))["items"]:
        if binding["subjects"][0]["name"] == "grace":
            accepted(made.callers.admin.delete(f"{bindings}/{binding['metadata']['name']}"))
    made.await_known(lambda said: said.decision is True, "customers.export", "lost-right")
    assert made.ask("customers.export", "lost-right").decision is True
    made.revoke(name, "dave")
    answer = made.ask("customers.export", "lost-right")
    assert (answer.decision, answer.reason) == (False, "approval_revoked")
