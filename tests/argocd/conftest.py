"""Argo CD, the operator and two decision points on one control plane, and a repository that teams keep policies in.

Holds: an application comes from the example that users copy, with only its names, its repository and how it compares
put in.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import yaml

from argocd.team import Team
from localcluster import build
from localcluster.argocd import ArgoCD, Programs
from support.gitops import Applications, Repository
from support.pdp.processes import Bailiwick

_FOLDER: Final = Path(__file__).parent
_ROOT: Final = _FOLDER.parents[1]
SETTINGS: Final = _ROOT / "charts" / "bailiwick" / "argocd" / "argocd-cm.yaml"
IMPERSONATION: Final = "application.sync.impersonation.enabled"


def pytest_collection_finish(session: pytest.Session) -> None:
    # As for the control plane: a first build takes minutes, and the time of a test is limited. Pytest calls this for
    # every run that has come by this folder, also when all that is in it was deselected.
    ours = any(_FOLDER in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        programs()


def programs() -> Programs:
    """Return what runs; built if need be."""
    return Programs(build.ensure(build.argocd()), build.ensure(build.helm()))


@pytest.fixture(scope="session")
def bailiwick() -> Iterator[Bailiwick]:
    """On a control plane of its own: Argo CD would meet what other tests do on theirs."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=2)


@pytest.fixture(scope="session")
def argocd(bailiwick: Bailiwick) -> Iterator[ArgoCD]:
    """As its own install.yaml has it, with our health scripts, and acting as the account that a project names."""
    data = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["data"]
    with (
        tempfile.TemporaryDirectory(prefix="argocd-", ignore_cleanup_errors=True) as folder,
        ArgoCD(
            programs(), bailiwick.cluster, Path(folder), {**data, IMPERSONATION: "true"}, application_sets=True
        ) as running,
    ):
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
