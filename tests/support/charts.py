"""The chart, rendered by Helm's own code as a library: nothing of a cluster is asked.

Holds: what is rendered here is what `helm template` prints; documents come in the order of their files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python import Chart

from bailiwick_api.accounts import Installation
from support.objects import Object

PATH: Final = Path(__file__).resolve().parent.parent.parent / "charts" / "bailiwick"
CI: Final = sorted((PATH / "ci").glob("*-values.yaml"))
RELEASE: Final = "bailiwick"
NAMESPACE: Final = "bailiwick-system"
# What the API server of a test does not know, since other projects define it.
FOREIGN: Final = ("cert-manager.io", "monitoring.coreos.com")
_NOTES: Final = "bailiwick/templates/NOTES.txt"

Values = dict[str, Any]


@cache
def chart() -> Chart:
    """Return the loaded chart."""
    return Chart.load(PATH)


def texts(values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """Return what Helm prints, by the template's path below the chart. Raises `HelmError` where it refuses."""
    found = chart().render(values or {}, name=release, namespace=namespace, is_install=True)
    return {path.removeprefix("bailiwick/templates/"): text for path, text in found.items() if path != _NOTES}


def parsed(text: str) -> list[Object]:
    """Return the documents of a text, by the loader in C: the definitions are long."""
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one is not None]


def notes(values: Values | None = None) -> str:
    """Return what the user is told after an installation."""
    return chart().render(values or {}, name=RELEASE, namespace=NAMESPACE)[_NOTES]


def ci(path: Path) -> Values:
    """Return the values of a file."""
    found: Values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return found


@dataclass(frozen=True, slots=True)
class Rendering:
    """All documents of one rendering."""

    documents: tuple[Object, ...]

    def one(self, kind: str, name: str) -> Object:
        """Return the document of this kind and name, of which there must be exactly one."""
        (found,) = (one for one in self.documents if one["kind"] == kind and one["metadata"]["name"] == name)
        return found

    def of(self, *kinds: str) -> list[Object]:
        """Return the documents of these kinds."""
        return [one for one in self.documents if one["kind"] in kinds]

    def names(self) -> set[str]:
        """Return `Kind/name` of all."""
        return {f"{one['kind']}/{one['metadata']['name']}" for one in self.documents}

    def pods(self) -> dict[str, Object]:
        """Return the spec of every pod that this makes, by `Kind/name`."""
        found = {}
        for one in self.documents:
            if one["kind"] == "Pod":
                found[f"Pod/{one['metadata']['name']}"] = one["spec"]
            elif one["kind"] == "Deployment":
                found[f"Deployment/{one['metadata']['name']}"] = one["spec"]["template"]["spec"]
        return found

    def args(self, component: str) -> list[str]:
        """Return the flags of a Deployment's container, found by the component's label."""
        (found,) = (
            one
            for one in self.of("Deployment")
            if one["metadata"]["labels"]["app.kubernetes.io/component"] == component
        )
        args: list[str] = found["spec"]["template"]["spec"]["containers"][0]["args"]
        return args


def render(values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> Rendering:
    """Return the documents that the values make."""
    return Rendering(
        tuple(
            document
            for text in texts(values, release=release, namespace=namespace).values()
            for document in parsed(text)
        )
    )


def own(documents: Iterable[Object]) -> list[Object]:
    """Return the documents of kinds that every API server, or we ourselves, define."""
    return [one for one in documents if one["apiVersion"].partition("/")[0] not in FOREIGN]


def bare(document: Object) -> Object:
    """Return a document without the labels and annotations that the chart adds."""
    kept = {key: value for key, value in document["metadata"].items() if key not in {"labels", "annotations"}}
    return {**document, "metadata": kept}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """Return values with others over them, objects member by member."""
    found = dict(below)
    for key, value in above.items():
        known = found.get(key)
        found[key] = merged(known, value) if isinstance(value, Mapping) and isinstance(known, Mapping) else value
    return found


def nested(path: tuple[str, ...], value: object) -> Values:
    """Return values in which one path is set."""
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def installation(rendering: Rendering) -> Installation:
    """Return the installation that the rendered flags tell the operator of."""
    flags: dict[str, list[str]] = {}
    for argument in rendering.args("operator"):
        name, _, value = argument.partition("=")
        flags.setdefault(name, []).append(value)
    return Installation(
        flags["--namespace"][0],
        flags["--webhook-account"][0],
        flags["--operator-account"][0],
        tuple(flags.get("--human-username-prefix", ())),
    )
