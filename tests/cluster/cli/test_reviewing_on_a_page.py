"""The console on a real API server, by plain HTTP: whose rights it has, and what the guards make of its reviews."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP
from bailiwick_console.grants.inbox import PAGE
from support.console import consoleprocess
from support.console.browser import opened
from support.console.plainhttp import Visit, form_of
from support.installation import accepted
from support.namespaces import Roles, rule
from support.objects import grant
from support.pdp.tenant import Tenant
from support.waits import until


@contextmanager
def visiting(tenant: Tenant, person: str, *arguments: str) -> Iterator[Visit]:
    """Open a console as somebody, on the tenant's namespace."""
    kubeconfig = tenant.cluster.kubeconfig(person)
    with consoleprocess.started("-n", tenant.namespace, *arguments, kubeconfig=kubeconfig) as console:
        yield console.site.visit()


def test_who_has_no_right_sees_nothing_and_is_told_which_is_missing(tenant: Tenant) -> None:
    name = opened(tenant, "customers.export", "page-none")
    with visiting(tenant, "mallory") as visit:
        inbox, grant = visit.get("/"), visit.get(f"/grants/{tenant.namespace}/{name}")
    assert (inbox.status, grant.status) == (403, 403)
    assert f"the verb list on approvalgrants in namespace {tenant.namespace}" in inbox.text
    assert f"the verb get on approvalgrants in namespace {tenant.namespace}" in grant.text
    assert "page-none" not in inbox.text + grant.text


@pytest.mark.invariant(2, 3)
def test_who_is_not_of_the_group_has_no_button_and_is_refused_by_the_guards(tenant: Tenant) -> None:
    rights = [rule(GROUP, ENDPOINT_POLICIES, "approve"), rule(GROUP, APPROVAL_GRANTS, "get", "list", "patch")]
    Roles(tenant.callers.admin, tenant.namespace).give(rights, "eve")
    name = opened(tenant, "customers.export", "page-group")
    path = f"/grants/{tenant.namespace}/{name}"
    with visiting(tenant, "eve") as visit:
        shown = visit.get(path)
        assert "/review" not in shown.text
        step = tenant.grant(name)["spec"]["request"]["steps"][0]["name"]
        answer = visit.post(f"{path}/review", form_of(shown, approve=step))
    assert (answer.status, "you are not a member of that group" in answer.text) == (403, True)
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.invariant(7)
def test_the_api_server_itself_refuses_a_review_of_another_state(tenant: Tenant) -> None:
    name = opened(tenant, "customers.export", "page-conflict")
    path = f"/grants/{tenant.namespace}/{name}"
    with visiting(tenant, "carol") as visit:
        shown = visit.get(path)
        tenant.revoke(name, by="dave")
        answer = visit.post(f"{path}/review", form_of(shown))
    assert (answer.status, "Nothing was written." in answer.text) == (409, True)
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.invariant(13)
def test_a_grant_that_is_used_while_its_page_is_open_is_revoked_and_no_other_one_of_its_name_is(tenant: Tenant) -> None:
    name = tenant.approved("customers.export", "page-used")
    path = f"/grants/{tenant.namespace}/{name}"
    with visiting(tenant, "carol") as visit:
        shown = visit.get(path)
        assert tenant.ask("customers.export", "page-used").body["decision"] is True
        assert visit.post(f"{path}/revoke", form_of(shown)).status == 303
    assert tenant.grant(name)["spec"]["revocation"]["by"] == "carol"
    other = tenant.approved("customers.export", "page-other")
    change = {"metadata": {"uid": tenant.grant(name)["metadata"]["uid"]}, "spec": {"revocation": {"by": "carol"}}}
    answer = tenant.callers("carol").patch(tenant.path_of(other), change, "merge")
    assert (answer.status, "revocation" in tenant.grant(other)["spec"]) == (422, False), answer


@pytest.mark.invariant(5)
def test_nobody_reviews_twice(tenant: Tenant) -> None:
    name = opened(tenant, "customers.export", "page-twice")
    path = f"/grants/{tenant.namespace}/{name}"
    with visiting(tenant, "carol") as visit:
        shown = visit.get(path)
        assert visit.post(f"{path}/review", form_of(shown)).status == 303
        assert visit.post(f"{path}/review", form_of(shown)).status == 409
        assert "/review" not in visit.get(path).text
    assert len(tenant.grant(name)["spec"]["reviews"]) == 1


def test_what_the_policy_says_stands_on_the_page_of_who_may_read_it(tenant: Tenant) -> None:
    name = opened(tenant, "customers.export", "page-policy", args={"fields": ["iban"]})
    path = f"/grants/{tenant.namespace}/{name}"
    with visiting(tenant, "carol") as visit:
        text = visit.get(path).text
        assert text.count("not known: you lack the verb list on endpointpolicies in this namespace") == 2
        Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", "carol")
        until(lambda: "list on endpointpolicies" not in visit.get(path).text, "the policy can be read")
        text = visit.get(path).text
    assert "by the tokens of the call, as the endpoint is set now" in text
    assert "crm-agent/export has none: every such call needs an approval" in text
    assert "has changed since" not in text


@pytest.mark.long
def test_the_first_page_of_a_thousand_grants_shows_as_many_as_a_page_holds(tenant: Tenant) -> None:
    namespace = tenant.namespace
    for number in range(1000):
        made = grant(namespace, f"many-{number}", requester="admin", resource={"type": "customer", "id": f"m{number}"})
        accepted(tenant.callers.admin.create(made))
    with visiting(tenant, "carol") as visit:
        assert visit.get("/").text.count('class="card"') == PAGE
