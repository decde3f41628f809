"""Reviewers whose names have characters that few names have: their word counts, and they hold up nobody else's."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.guards import REVIEW
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.guards.sabotage import Guards
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, adding_review, review
from support.waits import until_ok

pytestmark = pytest.mark.long

NAMES: Final = {
    "beyond the basic plane": "\U0002083f",
    "an emoji": "eve\U0001f600",
    "a control character": "a\x80b",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "the last of the basic plane": "a\uffffb",
    "quotes and backslashes": 'a"b\\ud842\\udfb7',
}


# No header has these, but tokens and certificates do.
FORGED: Final = {**NAMES, "delete": "a\x7fb", "nul": "a\x00b", "newline": "a\nb"}


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--guard-settle", "1")


@pytest.fixture
def reviewed(callers: Callers, roles: Roles) -> Iterator[Callable[..., Answer]]:
    """Let somebody of any name review a grant: the administrator acts as them, which the API server takes for them."""
    login, clients = callers.admin.login, []

    def write(grant: Object, name: str, **fields: object) -> Answer:
        # A header has bytes, and these are those of UTF-8.
        acting = {"Impersonate-User": (name.encode().decode("latin-1"),)}
        clients.append(Rest(replace(login, acting_as=acting)))
        roles.bind("bailiwick-approve", name)
        return clients[-1].patch(grant, adding_review(review(grant, name) | fields), "json")

    yield write
    for client in clients:
        client.close()


@pytest.mark.invariant(5, 27)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(("decision", "phase"), [("Approve", "Active"), ("Deny", "Denied")])
def test_their_word_counts(
    operator: Operator, grants: Grants, reviewed: Callable[..., Answer], name: str, decision: str, phase: str
) -> None:
    body = grants.open()
    grants.await_phase(body, "Pending")
    accepted(reviewed(body, name, decision=decision))
    counted = grants.await_phase(body, phase)["status"]["counted"]
    assert [entry["reviewer"] for entry in counted] == [name]


@pytest.mark.invariant(27)
def test_what_they_wrote_under_a_loose_guard_is_void_and_everybody_else_goes_on(
    operator: Operator, grants: Grants, callers: Callers, installed: Installation
) -> None:
    forged = [grants.open() for _ in FORGED]
    for body in forged:
        grants.await_phase(body, "Pending")
    guards = Guards(callers, installed)
    guards.loosen(REVIEW)
    try:
        until_ok(lambda: grants.forge_review(forged[0]), "the review guard lets a forged review through")
        for body, name in zip(forged, FORGED.values(), strict=True):
            accepted(grants.forge_review(body, name))
    finally:
        guards.restore()
    for body, name in zip(forged, FORGED.values(), strict=True):
        assert {"reviewer": name} in grants.await_phase(body, "Expired")["status"]["voided"]
    guards.await_recorded()
    assert grants.approved()["status"]["phase"] == "Active"
