"""The chart as an application of Argo CD: what the operator writes into the release is no drift, and an outage shows.

Holds: there is no node, so the release has no replicas, and the operator runs beside it as the account that the release
made for it. Nothing of Bailiwick is in the cluster before Argo CD brings it.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from argocd.team import COMPARE, from_example, usual
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.gitops import Application, Applications, Repository, argocd_on
from support.installation import accepted
from support.namespaces import Namespaces
from support.objects import Object
from support.stacks import stack_on

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "gitops" / "install.yaml"
NAMESPACE: Final = "bailiwick-system"
CONFIGURATION: Final = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/bailiwick-endpointpolicies"
)
KEYS: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets/bailiwick-keys"
SERVING: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets/bailiwick-serving"
VALUES: Final[dict[str, Any]] = {"webhook": {"replicas": 0}, "operator": {"replicas": 0}}


@dataclass(frozen=True, slots=True)
class Release:
    """The release, its application, and the operator that works on it."""

    admin: Rest
    app: Application
    applications: Applications

    def compare(self, *, server_side: bool) -> None:
        """Say how Argo CD compares from now on."""
        annotations = {COMPARE: "ServerSideDiff=true" if server_side else None}
        accepted(self.admin.patch(self.app.path, {"metadata": {"annotations": annotations}}, "merge"))


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    """On a control plane of its own, since a release has the whole cluster."""
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="chart-", ignore_cleanup_errors=True)))
        plane = closing.enter_context(ControlPlane(build.ensure()))
        callers = closing.enter_context(Callers(plane.cluster))
        closing.enter_context(argocd_on(plane.cluster, application_sets=False))
        repository = Repository(folder / "git")
        shutil.copytree(ROOT / "charts" / "bailiwick", repository.path("charts/bailiwick"))
        allow_no_pods(repository.path("charts/bailiwick/values.schema.json"))
        repository.commit("The chart")
        applications = Applications(callers.admin, repository)
        app = applications.apply(*installing(repository))
        app.await_settled(seconds=90)

        stack = closing.enter_context(stack_on(plane.cluster, folder))
        stack.start_operator()
        callers.admin.wait(CONFIGURATION, lambda answer: bool(bundle(answer)), 60)
        for secret in (KEYS, SERVING):
            callers.admin.wait(secret, lambda answer: bool(answer.body.get("data")), 60)
        yield Release(callers.admin, app, applications)


def allow_no_pods(schema: Path) -> None:
    """Accept no replicas in this copy of the chart: on a cluster without nodes no pod ever becomes ready."""
    described = json.loads(schema.read_text(encoding="utf-8"))
    described["properties"]["webhook"]["properties"]["replicas"]["minimum"] = 0
    schema.write_text(json.dumps(described), encoding="utf-8")


def installing(repository: Repository) -> list[Object]:
    """The documents of the example, with this repository, and without replicas."""
    text = EXAMPLE.read_text(encoding="utf-8")
    url = "https://git.example.com/platform/bailiwick.git"
    assert url in text
    documents = list(yaml.safe_load_all(text.replace(url, repository.url)))
    documents[1]["spec"]["source"]["helm"]["valuesObject"] = VALUES
    return documents


def bundle(answer: Answer) -> str | None:
    """The caBundle of our webhook."""
    found: str | None = answer.body["webhooks"][0]["clientConfig"].get("caBundle")
    return found


@pytest.mark.parametrize("server_side", [False, True], ids=["three-way diff", "server-side diff"])
def test_nothing_drifts_once_the_operator_has_written_keys_certificates_and_cabundle(
    release: Release,
    server_side: bool,
) -> None:
    release.compare(server_side=server_side)
    written = [accepted(release.admin.get(path)) for path in (CONFIGURATION, KEYS, SERVING)]
    for how in ("hard", "normal"):
        status = release.app.refresh(how)
        assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy")
        assert {entry["status"] for entry in status["resources"]} == {"Synced"}
    again = [accepted(release.admin.get(path)) for path in (CONFIGURATION, KEYS, SERVING)]
    assert [body["metadata"]["resourceVersion"] for body in again] == [
        body["metadata"]["resourceVersion"] for body in written
    ]


@pytest.mark.parametrize("server_side", [False, True], ids=["three-way diff", "server-side diff"])
def test_a_new_version_of_the_chart_leaves_what_the_operator_wrote(
    release: Release,
    server_side: bool,
) -> None:
    release.compare(server_side=server_side)
    before = [accepted(release.admin.get(path)) for path in (CONFIGURATION, KEYS, SERVING)]
    chart = release.applications.repository.path("charts/bailiwick/Chart.yaml")
    text = chart.read_text(encoding="utf-8")
    # Changes a label of every object, so that each is applied again.
    newer = f"99.0.{int(server_side)}"
    chart.write_text(re.sub(r"(?m)^version: .*", f"version: {newer}", text), encoding="utf-8")
    release.applications.repository.commit("A new version")
    release.app.await_settled(seconds=90)
    after = [accepted(release.admin.get(path)) for path in (CONFIGURATION, KEYS, SERVING)]
    assert after[0]["metadata"]["labels"]["helm.sh/chart"] == f"bailiwick-{newer}"
    assert after[0]["webhooks"] == before[0]["webhooks"]
    assert [body["data"] for body in after[1:]] == [body["data"] for body in before[1:]]


@pytest.mark.parametrize("server_side", [False, True], ids=["three-way diff", "server-side diff"])
def test_a_decision_point_that_is_down_holds_up_policies_and_says_so(
    release: Release,
    server_side: bool,
) -> None:
    namespaces = Namespaces(release.admin)
    namespace = namespaces.make("outage")
    try:
        release.applications.repository.write(f"{namespace}/policy.yaml", usual(namespace))
        app = release.applications.apply(
            *from_example(namespace, release.applications.repository, server_side=server_side)
        )
        # Nobody answers behind the Service, as when every decision point is down.
        app.await_refused('failed calling webhook "endpointpolicies.bailiwick.dev"')
        assert app.status()["sync"]["status"] != "Synced"
    finally:
        namespaces.clean()
