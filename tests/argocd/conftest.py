"""Argo CD, the operator and two decision points on one control plane, and a repository that teams keep policies in.

Holds: an application comes from the example that users copy, with only its names, its repository and how it compares
put in.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from argocd.team import Team
from localcluster.argocd import ArgoCD
from support.gitops import Applications, Repository, argocd_on, programs
from support.pdp.processes import Bailiwick

_FOLDER: Final = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    # As for the control plane: a first build takes minutes, and the time of a test is limited. Pytest calls this for
    # every run that has come by this folder, also when all that is in it was deselected.
    ours = any(_FOLDER in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        programs()


@pytest.fixture(scope="session")
def bailiwick() -> Iterator[Bailiwick]:
    """On a control plane of its own: Argo CD would meet what other tests do on theirs."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=2)


@pytest.fixture(scope="session")
def argocd(bailiwick: Bailiwick) -> Iterator[ArgoCD]:
    """Of the control plane of that fixture."""
    with argocd_on(bailiwick.cluster) as running:
        yield running


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository of all teams, a folder for each."""
    return Repository(tmp_path_factory.mktemp("git") / "policies")


@pytest.fixture
def applications(bailiwick: Bailiwick, argocd: ArgoCD, repository: Repository) -> Iterator[Applications]:
    """For what no team has."""
    applications = Applications(bailiwick.callers.admin, repository)
    yield applications
    applications.clean()


@pytest.fixture
def new_team(
    bailiwick: Bailiwick, applications: Applications, request: pytest.FixtureRequest
) -> Iterator[Callable[[bool], Team]]:
    """Make a team whose application compares by a dry run at the server, or as Argo CD does by default."""
    tenants = bailiwick.tenants()

    def make(server_side: bool) -> Team:
        return Team.begin(bailiwick, tenants, applications, request.node.originalname, server_side=server_side)

    yield make
    tenants.namespaces.clean()


@pytest.fixture(params=[False, True], ids=["as advised", "server-side"])
def team(new_team: Callable[[bool], Team], request: pytest.FixtureRequest) -> Team:
    """A team whose policy is synced, and decides; for each way of comparing."""
    return new_team(request.param)
