"""That the fixtures give what they promise; everything else on a cluster stands on them."""

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles, rule
from support.objects import adding_review, grant, opened_grant, policy, review


def test_the_minimal_policy_is_accepted(callers: Callers, installed: Installation, namespace: str) -> None:
    assert callers.admin.create(policy(namespace)).message == ""


def test_a_person_with_the_role_opens_a_grant_and_another_reviews_it(
    callers: Callers, installed: Installation, namespace: str, roles: Roles
) -> None:
    roles.bind("bailiwick-request", "carol")
    roles.bind("bailiwick-approve", "dave")
    opened = callers("carol").create(grant(namespace, requester="carol"))
    assert opened.message == ""
    resolved = {"subjectUID": "agent-uid", "rules": opened.body["spec"]["request"]["rules"]}
    accepted(callers(installed.operator).patch(opened.body, {"status": {"resolved": resolved}}, "merge", "status"))
    assert callers("dave").patch(opened.body, adding_review(review(opened.body, "dave")), "json").message == ""


def test_the_decision_point_opens_a_grant(callers: Callers, installed: Installation, namespace: str) -> None:
    assert callers(installed.webhook).create(opened_grant(namespace)).message == ""


def test_a_role_is_given_to_those_named_and_to_nobody_else(
    callers: Callers, installed: Installation, namespace: str, roles: Roles
) -> None:
    roles.give([rule(GROUP, ENDPOINT_POLICIES, "create")], "carol", "group:sec-oncall")
    answers = {name: callers(name).create(policy(namespace), dry_run=True).status for name in ("carol", "grace", "eve")}
    assert answers == {"carol": 201, "grace": 201, "eve": 403}
