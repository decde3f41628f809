"""The console in the cluster on a real API server that trusts an issuer: who acts, and who does not."""

import html
import re
import signal
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import GROUP
from bailiwick_console.hosted.entrance import SESSION_COOKIE
from support import charts
from support.console.clusterconsole import RunningHosted
from support.console.issuertrust import TrustingServer, configured
from support.console.plainhttp import form_of
from support.installation import accepted, apply
from support.waits import until

NAMESPACE: Final = Installation().namespace
RULES_REVIEW: Final = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}


@pytest.fixture(scope="module")
def console(trusting: TrustingServer) -> Iterator[RunningHosted]:
    with trusting.console() as running:
        until(lambda: running.health() == 200, "the console has its certificate")
        yield running


def test_a_person_logs_in_and_approves_and_the_api_server_names_them(
    trusting: TrustingServer, console: RunningHosted
) -> None:
    path = trusting.wanted("carols")
    browser = console.browser()
    shown = browser.log_in(trusting.issuer, "carol", path)
    assert "You act as" in shown.text
    assert "oidc:carol" in shown.text
    assert "oidc:crm-owners" in shown.text
    assert "customers.export" in browser.load("/").text
    answer = browser.post(f"{path}/review", form_of(browser.load(path)))
    assert answer.status == 303, answer.text
    (review,) = trusting.reviews("carols")
    assert (review["reviewer"], review["decision"], review["group"]) == ("oidc:carol", "Approve", "oidc:crm-owners")


def test_everything_that_is_asked_is_asked_as_whoever_is_logged_in(
    trusting: TrustingServer, console: RunningHosted
) -> None:
    path = trusting.wanted("audited")
    carol, dave = console.browser(), console.browser()
    carol.log_in(trusting.issuer, "carol")
    dave.log_in(trusting.issuer, "dave")
    assert carol.post(f"{path}/review", form_of(carol.load(path))).status == 303
    assert dave.post(f"{path}/revoke", form_of(dave.load(path))).status == 303
    until(lambda: any(_of(event, "dave") and event["verb"] == "patch" for event in trusting.audited()), "it is audited")
    asked = [event for event in trusting.audited() if event["userAgent"] == "kubectl-bailiwick"]
    assert {event["user"]["username"] for event in asked} <= {"oidc:carol", "oidc:dave", "oidc:mallory"}
    writes = {(event["user"]["username"], event["verb"]) for event in asked if event["verb"] not in {"get", "list"}}
    assert {("oidc:carol", "patch"), ("oidc:dave", "patch")} <= writes
    assert not any("impersonatedUser" in event for event in asked)


def test_who_has_no_right_sees_nothing_and_is_told_which_is_missing(
    trusting: TrustingServer, console: RunningHosted
) -> None:
    path = trusting.wanted("unseen")
    browser = console.browser()
    assert "oidc:mallory" in browser.log_in(trusting.issuer, "mallory").text
    inbox, grant = browser.load("/"), browser.load(path)
    assert (inbox.status, grant.status) == (403, 403)
    assert f"the verb list on approvalgrants in namespace {trusting.namespace}" in inbox.text
    assert "customers.export" not in inbox.text + grant.text


def test_whom_the_api_server_does_not_accept_is_told_what_it_has_to_be_told(trusting: TrustingServer) -> None:
    with trusting.console(client="unheard") as console:
        until(lambda: console.health() == 200, "the console has its certificate")
        browser = console.browser()
        page = browser.come_back(trusting.issuer, "carol", browser.begin())
    assert (page.status, SESSION_COOKIE in browser.cookies) == (403, False)
    told = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)[0])
    assert configured(told, trusting.issuer) == configured(trusting.told("unheard"), trusting.issuer)


def test_the_account_of_the_console_may_do_what_every_account_may(trusting: TrustingServer) -> None:
    admin = trusting.callers.admin
    (values,) = (charts.ci(path) for path in charts.CI if path.stem == "console-values")
    kinds = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    apply(admin, charts.render(values, namespace=NAMESPACE).of(*kinds))
    metadata = {"name": "any-other", "namespace": NAMESPACE}
    accepted(admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
    for namespace in (NAMESPACE, trusting.namespace):
        rules = []
        for name in ("bailiwick-console", "any-other"):
            body = {**RULES_REVIEW, "spec": {"namespace": namespace}}
            rest = trusting.cluster.rest_as_service_account(NAMESPACE, name)
            status = accepted(rest.create(body, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"))["status"]
            # In whatever order the API server came to them.
            rules.append([sorted(map(str, status[kind])) for kind in ("resourceRules", "nonResourceRules")])
            groups = {group for rule in status["resourceRules"] for group in rule["apiGroups"]}
            assert groups.isdisjoint({"", "*", GROUP, "rbac.authorization.k8s.io"})
        assert rules[0] == rules[1]


def test_it_ends_when_it_is_told_to_and_forgets_everybody(trusting: TrustingServer) -> None:
    with trusting.console(client="ending") as console:
        until(lambda: console.health() == 200, "the console has its certificate")
        assert console.health("/healthz") == 200
        assert console.console.end(signal.SIGTERM) == 0
        assert "The console has ended" in console.console.said


def _of(event: dict[str, object], person: str) -> bool:
    user = event["user"]
    return isinstance(user, dict) and user["username"] == f"oidc:{person}"
