"""What of the chart has a source elsewhere is what that source says, under whatever names it is installed."""

from pathlib import Path
from typing import Any, Final

import pytest

import generate_chart
from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.fingerprint import deviations, shipped_fingerprint
from chartmaker import templates, values
from support import charts
from support.charts import Values
from support.guards.shippedobjects import as_stored
from support.objects import Object

NAMES: Final[dict[str, tuple[Values, str]]] = {
    "as it comes": ({}, "bailiwick-system"),
    "another namespace": ({}, "security"),
    "a namespace that looks like a number": ({}, "1234"),
    "a namespace that looks like nothing": ({}, "null"),
    "an overridden namespace": ({"namespaceOverride": "pdp"}, "bailiwick-system"),
    "other names": ({"fullnameOverride": "boundary"}, "security"),
    "other accounts": (
        {
            "webhook": {"serviceAccount": {"create": False, "name": "decider"}},
            "operator": {"serviceAccount": {"name": "keeper"}},
        },
        "security",
    ),
    "one prefix of people": ({"humanUsernamePrefixes": ["oidc:"]}, "bailiwick-system"),
    "many prefixes of people": ({"humanUsernamePrefixes": ["oidc:", "a@b/c+d._-"]}, "security"),
    "labels and annotations": (
        {"commonLabels": {"a": "true"}, "commonAnnotations": {"b": 'one: "two"\n'}},
        "bailiwick-system",
    ),
}


def generated(installation: Installation) -> dict[tuple[str, str], Object]:
    """Return what the models say, by kind and name, without the namespace, which Helm's user makes."""
    documents = [one for file in templates.manifests(installation).values() for one in file]
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one["kind"] != "Namespace"}


@pytest.mark.parametrize(("given", "namespace"), NAMES.values(), ids=NAMES)
def test_everything_that_the_models_make_is_rendered_exactly_so(given: Values, namespace: str) -> None:
    # The roles for notifications and coverage are rendered where these are on.
    given = {**given, "notifications": {"namespaceTargets": "bound"}, "coverage": {"enabled": True}}
    rendering = charts.render(given, namespace=namespace)
    installation = charts.installation(rendering)
    wanted = generated(installation)
    found = {(one["kind"], one["metadata"]["name"]): charts.bare(one) for one in rendering.documents}
    left_out = {
        ("ServiceAccount", name)
        for name, component in ((installation.webhook_name, "webhook"), (installation.operator_name, "operator"))
        if not given.get(component, {}).get("serviceAccount", {}).get("create", True)
    }
    for key in wanted.keys() - left_out:
        expected = charts.bare(wanted[key])
        if key[0] == "ValidatingWebhookConfiguration":
            # It calls the Service, which keeps the Deployment's name where the account has another.
            expected["webhooks"][0]["clientConfig"]["service"]["name"] = service(rendering)
        assert found[key] == expected
    assert not left_out & found.keys()


def service(rendering: charts.Rendering) -> str:
    (found,) = rendering.of("Service")
    return str(found["metadata"]["name"])


@pytest.mark.parametrize(("given", "namespace"), NAMES.values(), ids=NAMES)
def test_the_operator_takes_the_rendered_guards_for_the_shipped_ones(given: Values, namespace: str) -> None:
    rendering = charts.render(given, namespace=namespace)
    installation = charts.installation(rendering)
    stored = [as_stored(document, f"uid-{place}") for place, document in enumerate(rendering.documents)]
    assert deviations(stored, installation) == ()
    assert installation.namespace == given.get("namespaceOverride", namespace)
    assert installation.human_username_prefixes == tuple(given.get("humanUsernamePrefixes", ()))
    # And it would notice: the guards of the same names for one person's prefix more are others.
    other = Installation(installation.namespace, installation.webhook_name, installation.operator_name, ("x:",))
    assert any("differs from the shipped version" in problem for problem in deviations(stored, other))


@pytest.mark.parametrize("path", charts.CI, ids=lambda path: path.stem)
def test_both_processes_are_told_of_the_same_installation(path: Path) -> None:
    rendering = charts.render(charts.ci(path))
    told = [
        [
            flag
            for flag in rendering.args(component)
            if flag.startswith(("--namespace=", "--webhook-account", "--oper", "--human", "--issuers"))
        ]
        for component in ("webhook", "operator")
    ]
    assert told[0] == told[1]
    accounts = {pod["serviceAccountName"] for pod in rendering.pods().values() if "serviceAccountName" in pod}
    installation = charts.installation(rendering)
    # The console's is nobody to the others.
    assert accounts - {"bailiwick-console"} == {installation.webhook_name, installation.operator_name}


def test_what_is_generated_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_chart.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_a_changed_file_and_a_stray_one_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = generate_chart.rendered()
    gone = generate_chart.CHART / "templates" / "guards" / "open.yaml"
    changed = {path: text.replace("Fail", "Ignore") for path, text in wanted.items() if path != gone}
    monkeypatch.setattr(generate_chart, "rendered", lambda: changed)
    assert generate_chart.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "+  failurePolicy: Ignore" in said
    assert "charts/bailiwick/templates/guards/open.yaml: not generated by anything" in said


def _manifests(monkeypatch: pytest.MonkeyPatch, path: str, document: Object) -> None:
    monkeypatch.setattr(templates, "manifests", lambda installation: {path: [document]})


@pytest.mark.parametrize(
    ("path", "document", "why"),
    [
        ("rbac/new.yaml", {"kind": "Job", "metadata": {"name": "x"}}, "no place for Job x"),
        ("elsewhere/x.yaml", {"kind": "Role", "metadata": {"name": "x"}}, "no place for Role x"),
        ("rbac/x.yaml", {"kind": "Role", "metadata": {"name": "x"}, "rules": ["{{ .Values }}"]}, "has braces"),
        ("rbac/x.yaml", {"kind": "Role", "metadata": {"name": "x", "finalizers": []}}, "metadata that the chart"),
    ],
    ids=["kind", "folder", "braces", "metadata"],
)
def test_what_the_generator_does_not_know_it_refuses(
    path: str, document: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _manifests(monkeypatch, path, document)
    with pytest.raises(templates.UnexpectedError, match=why):
        templates.rendered()


def test_prefixes_that_are_tested_in_another_way_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def manifests(installation: Installation) -> dict[str, list[Object]]:
        rules = [f"people={installation.human_username_prefixes}"]
        return {"rbac/x.yaml": [{"kind": "Role", "metadata": {"name": "x"}, "rules": rules}]}

    monkeypatch.setattr(templates, "manifests", manifests)
    with pytest.raises(templates.UnexpectedError, match="prefixes of people in another way"):
        templates.rendered()


@pytest.mark.parametrize("gone", ["  - patch\n", "  - bailiwick-serving\n"])
def test_a_role_of_the_operator_that_cannot_be_narrowed_is_refused(gone: str) -> None:
    text = (generate_chart.CHART.parents[1] / "crds" / "rbac" / "operator.yaml").read_text(encoding="utf-8")
    assert templates.narrowed(text) != text
    with pytest.raises(templates.UnexpectedError, match="what the chart narrows"):
        templates.narrowed(text.replace(gone, ""))


def test_the_rendered_guards_are_all_that_the_fingerprint_covers() -> None:
    names = charts.render().names()
    assert {f"{one['kind']}/{one['metadata']['name']}" for one in shipped_fingerprint(Installation())} <= names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\n", "a has no comment"),
        ("# A.\na:\n  b: 1\n", "a.b has no comment"),
        ('# @schema {"type": }\n# A.\na: 1\n', "a: @schema is no JSON"),
        ("[]\n", "no mapping"),
    ],
    ids=["value", "nested value", "schema", "list"],
)
def test_values_that_are_not_documented_are_refused(text: str, why: str) -> None:
    with pytest.raises(values.UndocumentedError, match=why):
        values.read(text)
