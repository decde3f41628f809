"""Indirect routes where the API server refuses, or where there is more to ask than is asked."""

from typing import Any

import pytest

from bailiwick_cli.cluster import ClusterClient
from bailiwick_cli.errors import ApiError
from bailiwick_cli.rights.circumstances import CallPlace
from bailiwick_cli.rights.questions import who_can
from bailiwick_cli.routes import IndirectRoute, RouteReport, indirect_routes
from support.objects import gated_rule, rule
from unit.cli.test_rights import KEY, endpoint
from unit.engine.cases import NOW

SUBJECTS = [
    {"kind": "User", "name": "mallory"},
    {"kind": "Group", "name": "owners"},
    {"kind": "ServiceAccount", "name": "bot"},
    {"kind": "User", "name": "system:serviceaccount:crm:bot"},
]


class Cluster(ClusterClient):
    """Binds some subjects in each namespace, and allows some verbs to mallory."""

    def __init__(self, *allowed: str, refusing: str = "") -> None:
        self.namespace = "crm"
        self.allowed, self.refusing = allowed, refusing
        self.asked: list[dict[str, Any]] = []

    def listed(self, path: str, **query: str) -> tuple[list[dict[str, Any]], str]:
        if self.refusing and path.endswith(f"/{self.refusing}"):
            raise ApiError("forbidden", 403)
        namespaced = path.endswith("/rolebindings")
        return ([{"metadata": {"namespace": "crm"}, "subjects": SUBJECTS}] if namespaced else [{"metadata": {}}]), "1"

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusing and path.endswith(f"/{self.refusing}"):
            raise ApiError("forbidden", 403)
        self.asked.append(body["spec"])
        wanted = body["spec"]["resourceAttributes"]
        named = f"{wanted['verb']} {wanted['resource']}"
        return {"status": {"allowed": body["spec"].get("user") == "mallory" and named in self.allowed}}


def routes(cluster: Cluster, *, limit: int = 1_000, gated: bool = False) -> RouteReport:
    found = endpoint(gated_rule(actions=["customers.list"]) if gated else rule())
    return indirect_routes(
        cluster, who_can(CallPlace(KEY, "customers.list", "customer", "1"), found, NOW).rows, limit=limit
    )


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_whoever_may_write_policies_in_any_way_changes_the_answer(verb: str) -> None:
    assert routes(Cluster(f"{verb} endpointpolicies")).found == (
        IndirectRoute("user mallory", "change the policies of crm"),
    )


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


def test_candidates_are_asked_about_as_the_api_server_knows_them_and_once() -> None:
    cluster = Cluster()
    routes(cluster)
    asked = {(one.get("user", ""), *one["groups"]) for one in cluster.asked}
    accounts = ("system:serviceaccounts", "system:serviceaccounts:crm", "system:authenticated")
    assert asked == {
        ("mallory", "system:authenticated"),
        ("", "owners"),
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


def test_without_reviews_no_route_is_told_and_that_is_said() -> None:
    report = routes(Cluster("create pods", refusing="subjectaccessreviews"))
    assert report.found == ()
    assert report.notes[0].startswith("indirect routes are not told, because the API server does not say")


@pytest.mark.parametrize("kind", ["rolebindings", "clusterrolebindings"])
def test_bindings_that_cannot_be_listed_are_named(kind: str) -> None:
    report = routes(Cluster("create pods", refusing=kind))
    assert report.notes == (f"whoever is named only by {kind} is not asked about: forbidden",)
    assert bool(report.found) == (kind == "clusterrolebindings")
