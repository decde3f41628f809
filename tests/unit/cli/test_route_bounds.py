"""Indirect routes where the API server refuses, or where there is more to ask than is asked."""

from typing import Any

import pytest

from bailiwick_cli.routes import IndirectRoute, RouteReport, indirect_routes
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.questions import who_can
from support.objects import gated_rule, rule
from unit.engine.cases import NOW
from unit.regions.rights.test_rights import KEY, endpoint

SUBJECTS = [
    {"kind": "User", "name": "mallory"},
    {"kind": "Group", "name": "owners"},
    {"kind": "Group", "name": "system:authenticated"},
    {"kind": "Group", "name": "system:unauthenticated"},
    {"kind": "ServiceAccount", "name": "bot"},
    {"kind": "User", "name": "system:serviceaccount:crm:bot"},
]


class Cluster(ClusterClient):
    """Binds some subjects in each namespace, or in the cluster, and allows some verbs to mallory."""

    def __init__(self, *allowed: str, refusing: str = "", whole: bool = False) -> None:
        self.namespace = "crm"
        self.whole = whole
        self.allowed, self.refusing = allowed, refusing
        self.asked: list[dict[str, Any]] = []

    def list_all(self, path: str, **query: str) -> tuple[list[dict[str, Any]], str]:
        if self.refusing and path.endswith(f"/{self.refusing}"):
            raise ApiError("forbidden", 403)
        if path.endswith("/rolebindings") != self.whole:
            return [{"metadata": {"namespace": "crm"}, "subjects": SUBJECTS}], "1"
        return [{"metadata": {}}], "1"

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusing and path.endswith(f"/{self.refusing}"):
            raise ApiError("forbidden", 403)
        self.asked.append(body["spec"])
        wanted = body["spec"]["resourceAttributes"]
        named = f"{wanted['verb']} {wanted['resource']}"
        if "name" in wanted and f"{named} {wanted['name']}" in self.allowed:
            named = f"{named} {wanted['name']}"
        return {"status": {"allowed": body["spec"].get("user") == "mallory" and named in self.allowed}}


def routes(cluster: Cluster, *, limit: int = 1_000, gated: bool = False, groups: tuple[str, ...] = ()) -> RouteReport:
    step = {"name": "owner", "kind": "Human", "count": 1, **({"groups": list(groups)} if groups else {})}
    found = endpoint(gated_rule(actions=["customers.list"], approval={"steps": [step]}) if gated else rule())
    return indirect_routes(
        cluster,
        who_can(CallPlace(KEY, "customers.list", "customer", "1"), found, NOW).rows,
        ["one", "other"],
        limit=limit,
    )


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_whoever_may_write_policies_in_any_way_changes_the_answer(verb: str) -> None:
    assert routes(Cluster(f"{verb} endpointpolicies")).found == (
        IndirectRoute("user mallory", "change the policies of crm"),
    )


@pytest.mark.parametrize("verb", ["update", "patch", "delete"])
def test_whoever_may_write_one_policy_by_its_name_changes_the_answer(verb: str) -> None:
    assert routes(Cluster(f"{verb} endpointpolicies other")).found == (
        IndirectRoute("user mallory", "change the policy other"),
    )


def test_a_right_to_create_what_has_a_name_lets_nobody_create_it() -> None:
    assert routes(Cluster("create endpointpolicies other")).found == ()


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        (("approve endpointpolicies",), 0),
        (("patch approvalgrants",), 0),
        (("approve endpointpolicies", "patch approvalgrants"), 1),
    ],
)
def test_to_approve_takes_both_rights(allowed: tuple[str, ...], found: int) -> None:
    assert len(routes(Cluster(*allowed), gated=True).found) == found


def test_nobody_approves_what_needs_no_approval() -> None:
    assert routes(Cluster("approve endpointpolicies", "patch approvalgrants")).found == ()


@pytest.mark.parametrize(
    ("right", "can"),
    [
        ("create serviceaccounts", "create tokens of sa:agents/crm-agent"),
        ("impersonate serviceaccounts", "impersonate sa:agents/crm-agent"),
        ("create pods", "run pods as sa:agents/crm-agent"),
    ],
)
def test_whoever_acts_as_the_account_is_told(right: str, can: str) -> None:
    assert routes(Cluster(right)).found == (IndirectRoute("user mallory", can),)


@pytest.mark.parametrize(
    ("allowed", "can"),
    [
        (("impersonate groups owners",), ["impersonate the group owners"]),
        (("impersonate groups",), ["impersonate the group leads", "impersonate the group owners"]),
        (("impersonate users",), []),
        (
            ("approve endpointpolicies", "patch approvalgrants", "impersonate users mallory"),
            ["approve for the policy one", "impersonate the user mallory"],
        ),
    ],
    ids=" ".join,
)
def test_whoever_may_pass_for_somebody_who_reviews_is_told(allowed: tuple[str, ...], can: list[str]) -> None:
    cluster = Cluster(*allowed, whole=True)
    report = routes(cluster, gated=True, groups=("owners", "leads"))
    assert report.found == tuple(IndirectRoute("user mallory", one) for one in can)
    asked = [one["resourceAttributes"] for one in cluster.asked if one["resourceAttributes"]["verb"] == "impersonate"]
    passing = [one for one in asked if one["resource"] in {"groups", "users"}]
    # Users and groups are in no namespace.
    assert [one for one in passing if "namespace" in one] == []
    assert {one["name"] for one in passing if one["resource"] == "groups"} == {"leads", "owners"}


def test_nobody_passes_for_a_reviewer_by_a_binding_of_a_namespace() -> None:
    cluster = Cluster("impersonate groups owners")
    assert routes(cluster, gated=True, groups=("owners",)).found == ()
    assert "groups" not in {one["resourceAttributes"]["resource"] for one in cluster.asked}


def test_nobody_passes_for_a_reviewer_where_nothing_is_reviewed() -> None:
    assert routes(Cluster("impersonate groups owners", whole=True)).found == ()


def test_more_reviewers_than_are_asked_about_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_cli.routes._MOST_REVIEWERS", 2)
    report = routes(Cluster("impersonate groups", whole=True), gated=True, groups=("a", "b", "c"))
    assert [one.can for one in report.found] == ["impersonate the group a", "impersonate the group b"]
    assert report.notes == ("who could impersonate a reviewer was asked of the first 2 of 3",)


def test_candidates_are_asked_about_as_the_api_server_knows_them_and_once() -> None:
    cluster = Cluster()
    routes(cluster)
    asked = {(one.get("user", ""), *one["groups"]) for one in cluster.asked}
    accounts = ("system:serviceaccounts", "system:serviceaccounts:crm", "system:authenticated")
    assert asked == {
        ("mallory", "system:authenticated"),
        ("", "owners", "system:authenticated"),
        ("", "system:authenticated"),
        ("", "system:unauthenticated"),
        ("system:serviceaccount:crm:bot", *accounts),
    }
    tokens = [one for one in cluster.asked if one["resourceAttributes"].get("subresource") == "token"]
    assert {one["resourceAttributes"]["namespace"] for one in tokens} == {"agents"}
    assert len(tokens) == len(asked)


def test_more_questions_than_the_bound_are_said_not_to_be_asked() -> None:
    cluster = Cluster("create pods")
    report = routes(cluster, limit=5)
    assert (len(cluster.asked), report.found) == (5, ())
    assert report.notes == ("not all indirect routes were asked about: there are more than 5 questions",)


def test_a_name_with_a_bar_in_it_is_one_cell_of_markdown() -> None:
    report = RouteReport((IndirectRoute("user a|b<i>", "approve"),))
    assert report.markdown().splitlines()[-1] == "| user a\\|b&lt;i> | approve |"


def test_without_reviews_no_route_is_told_and_that_is_said() -> None:
    report = routes(Cluster("create pods", refusing="subjectaccessreviews"))
    assert report.found == ()
    assert report.notes[0].startswith("indirect routes are not listed, because the API server does not say")


@pytest.mark.parametrize("kind", ["rolebindings", "clusterrolebindings"])
def test_bindings_that_cannot_be_listed_are_named(kind: str) -> None:
    report = routes(Cluster("create pods", refusing=kind))
    assert report.notes == (f"subjects named only by {kind} are left out: forbidden",)
    assert bool(report.found) == (kind == "clusterrolebindings")
