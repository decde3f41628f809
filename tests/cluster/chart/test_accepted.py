"""Everything that the chart can render is taken by a real API server, which is told to be strict about every field.

Standing: server-side dry runs, so that one control plane serves all values; definitions and guards come first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from localcluster import foreign
from localcluster.rest import Answer, Rest
from support import charts, releases
from support.callers import Callers
from support.installation import apply
from support.objects import Object

FOREIGN_KINDS: Final = {"Issuer", "Certificate", "ServiceMonitor", "PodMonitor", "PrometheusRule"}


@pytest.fixture(scope="module")
def admin(callers: Callers) -> Rest:
    releases.install(callers, {}, charts.NAMESPACE)
    # What cert-manager and the Prometheus operator define, as they publish it.
    paths = foreign.definitions(foreign.CERT_MANAGER, foreign.PROMETHEUS_OPERATOR)
    definitions = [one for path in paths for one in charts.parsed(path.read_text(encoding="utf-8"))]
    assert {one["spec"]["names"]["kind"] for one in definitions} == FOREIGN_KINDS
    apply(callers.admin, definitions)
    return callers.admin


@pytest.fixture
def rendered(admin: Rest, path: Path) -> Sequence[Object]:
    """What the values make, with the namespace there that it is made for."""
    rendering = charts.render(charts.ci(path))
    namespace = charts.installation(rendering).namespace
    metadata = {"name": namespace, "labels": releases.RESTRICTED}
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, releases.MANAGER)
    return rendering.documents


def refusals(admin: Rest, documents: Sequence[Object]) -> list[str]:
    def told(answer: Answer, document: Object) -> str:
        return f"{document['kind']} {document['metadata']['name']}: {answer.status} {answer.message}"

    answers = [(releases.strictly(admin, one), one) for one in documents]
    return [told(answer, one) for answer, one in answers if not answer.ok]


@pytest.mark.long
@pytest.mark.parametrize("path", charts.CI, ids=lambda path: path.stem)
def test_every_object_is_accepted_strictly(admin: Rest, rendered: Sequence[Object]) -> None:
    # A pod is created by an account that must be there; the API server's own pods test follows below.
    assert refusals(admin, [one for one in rendered if one["kind"] != "Pod"]) == []


@pytest.mark.long
@pytest.mark.parametrize("path", charts.CI, ids=lambda path: path.stem)
def test_every_pod_is_let_into_a_namespace_of_the_restricted_profile(admin: Rest, path: Path) -> None:
    rendering = charts.render(charts.ci(path))
    for name, spec in rendering.pods().items():
        # In the namespace of the release that is there, whose accounts are.
        account = {"serviceAccountName": "default", "priorityClassName": None} if "serviceAccountName" in spec else {}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "dry", "namespace": charts.NAMESPACE},
            "spec": {key: value for key, value in {**spec, **account}.items() if value is not None},
        }
        answer = admin.create(pod, dry_run=True)
        assert answer.ok, f"{name}: {answer.message}"
        assert "Warning" not in answer.headers, answer.headers["Warning"]


def test_the_server_is_strict_and_the_profile_is_enforced(admin: Rest) -> None:
    # The tests above would be worth nothing if it let everything through.
    deployment = charts.render().one("Deployment", "bailiwick-webhook")
    mistyped = {**deployment, "spec": {**deployment["spec"], "minReadySecond": 1}}
    assert "minReadySecond" in releases.strictly(admin, mistyped).message
    spec = charts.render().pods()["Pod/bailiwick-test"]
    loose = {**spec, "securityContext": {}}
    metadata = {"name": "dry", "namespace": charts.NAMESPACE}
    answer = admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": loose}, dry_run=True)
    assert answer.status == 403
    assert "PodSecurity" in answer.message


def test_objects_of_other_projects_are_judged_by_their_own_definitions(admin: Rest) -> None:
    documents = [one for path in charts.CI for one in charts.render(charts.ci(path)).documents]
    assert {one["kind"] for one in documents} - {one["kind"] for one in charts.own(documents)} == FOREIGN_KINDS
    rendering = charts.render({"monitoring": {"prometheusRule": {"enabled": True}}})
    (rule,) = rendering.of("PrometheusRule")
    wrong = {**rule, "spec": {"groups": [{"name": "x", "rules": [{"alert": "X"}]}]}}
    assert "expr: Required value" in releases.strictly(admin, wrong).message


def test_what_is_stored_is_what_was_rendered_but_for_what_the_server_adds(admin: Rest) -> None:
    # GA-05: a default that is left out would be filled in, and show as a difference to whoever compares whole.
    for one in charts.render().of("ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "NetworkPolicy"):
        stored = admin.get(one).body
        key = "webhooks" if "webhooks" in one else "spec"
        assert stored[key] == one[key]
