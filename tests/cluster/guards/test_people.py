"""Who counts as a person: by default whoever is not `system:`, else whoever has one of the installation's prefixes.

Holds: the review guard and `Installation.is_person` draw the line at the same place; each name is a real reviewer.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from bailiwick_api.manifests.guards import REVIEW
from localcluster.access import Cluster
from localcluster.login import Login
from localcluster.people import ADMIN
from localcluster.rest import Rest
from support.callers import Callers
from support.guards import variants
from support.guards.ground import ROBOT, Ground
from support.guards.variants import PERSON_PREFIX, PREFIXED, STRICT
from support.namespaces import Namespaces, Roles, rule
from support.objects import POLICY, adding_review, review, step
from support.waits import until

BY_PREFIX: Final = Installation(human_username_prefixes=(PERSON_PREFIX,))
NAMES: Final = (
    "carol",
    "oidc:carol",
    "OIDC:carol",
    "oidc",
    "oidc:",
    "carol:oidc:",
    "systems-carol",
    "system",
    "system:carol",
    "system:oidc:carol",
    "system:node:carol",
    "oidc:system:carol",
)


class Anybody:
    """Calls under any username, as an administrator who acts for them."""

    def __init__(self, cluster: Cluster) -> None:
        self._admin = cluster.rest(ADMIN).login
        self._clients: list[Rest] = []

    def __call__(self, username: str) -> Rest:
        acting_as = {"Impersonate-User": (username,)}
        client = Rest(Login(self._admin.server, self._admin.authority, token=self._admin.token, acting_as=acting_as))
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def anybody(cluster: Cluster) -> Iterator[Anybody]:
    anybody = Anybody(cluster)
    yield anybody
    anybody.close()


@pytest.fixture(scope="module")
def by_default(callers: Callers, shipped: Ground) -> Ground:
    """The shipped guards; each of the names may approve."""
    _let_approve(callers, shipped.namespace)
    return shipped


@pytest.fixture(scope="module")
def by_prefix(callers: Callers, installed: Installation, lacking: None, ground_namespaces: Namespaces) -> Ground:
    """A review guard that knows people by a prefix; each of the names may approve."""
    namespace = ground_namespaces.make("test_people_by_prefix", {variants.label(REVIEW): PREFIXED})
    ground = Ground(callers, installed, STRICT, namespace)
    ground.prepare()
    _let_approve(callers, namespace)
    stored = ground.stored()
    until(
        lambda: PREFIXED in ground.send(ground.review(stored, "carol"), dry_run=True).message,
        "the guard that knows people by a prefix is in force",
    )
    return ground


def _let_approve(callers: Callers, namespace: str) -> None:
    approving = rule(GROUP, ENDPOINT_POLICIES, "approve", names=[POLICY])
    Roles(callers.admin, namespace).give([approving, rule("*", "approvalgrants", "patch")], *NAMES)


@pytest.mark.long
@pytest.mark.invariant(2, 3)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("where", "installation"), [("by_default", Installation()), ("by_prefix", BY_PREFIX)])
def test_the_guard_takes_as_a_person_whom_the_installation_does(
    where: str, installation: Installation, name: str, anybody: Anybody, request: pytest.FixtureRequest
) -> None:
    ground: Ground = request.getfixturevalue(where)
    stored = ground.stored()
    answer = anybody(name).patch(stored, adding_review(review(stored, name)), "json", dry_run=True)
    assert answer.message.partition("denied request: ")[2] == (
        "" if installation.is_person(name) else "only people can review a Human step"
    )
    assert answer.ok == installation.is_person(name)


@pytest.mark.parametrize("where", ["by_default", "by_prefix"])
def test_a_system_step_takes_a_service_account_whatever_people_are_called(
    where: str, request: pytest.FixtureRequest
) -> None:
    ground: Ground = request.getfixturevalue(where)
    stored = ground.stored(steps=[step(kind="System")])
    assert ground.send(ground.review(stored, ROBOT)).message == ""


@pytest.mark.invariant(2, 20)
@pytest.mark.parametrize("where", ["by_default", "by_prefix"])
@pytest.mark.parametrize("name", ["system:node:carol", "system:carol", "oidc:carol", "carol"])
def test_a_system_step_takes_nobody_else(
    where: str, name: str, anybody: Anybody, request: pytest.FixtureRequest
) -> None:
    ground: Ground = request.getfixturevalue(where)
    stored = ground.stored(steps=[step(kind="System")])
    answer = anybody(name).patch(stored, adding_review(review(stored, name)), "json", dry_run=True)
    assert answer.message.endswith("denied request: only a service account can review a System step")
