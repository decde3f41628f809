"""The plain manifests of a release, for those without Helm: rendered from the chart's archive by the pinned Helm.

Holds: one command applies `install.yaml`, since the namespace and the definitions come first; it holds no key, so
applying it again takes none away.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from releasemaker.errors import ReleaseError
from releasemaker.source import Source

NAMESPACE: Final = "bailiwick-system"
# The oldest version that the chart accepts; what it renders is the same for each that is supported.
_KUBERNETES: Final = "1.35.0"
_DEFINITION: Final = "CustomResourceDefinition"
_NAMESPACE: Final = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_HEAD: Final = """\
# Bailiwick {version}, rendered from its chart. {what}
#
#   kubectl apply --server-side -f {name}
"""
_ALL: Final = "The whole installation, with the chart's defaults, in the namespace bailiwick-system."
_DEFINITIONS: Final = "The definitions of its kinds alone."


def build(source: Source, chart: Path, helm: Path, output: Path) -> tuple[Path, Path]:
    """Write `install.yaml` and `crds.yaml` into a folder; returns their paths. Raises `ReleaseError`."""
    return write(source.version, _render(chart, helm), output)


def write(version: str, rendered: str, output: Path) -> tuple[Path, Path]:
    """Write both files from what Helm prints; returns their paths. Raises `ReleaseError` where something is missing."""
    documents = list(_documents(rendered))
    definitions = [text for kind, text in documents if kind == _DEFINITION]
    others = [text for kind, text in documents if kind != _DEFINITION]
    if not definitions or not others:
        raise ReleaseError(f"The chart rendered {len(definitions)} definitions and {len(others)} other objects.")
    install = _write(output / "install.yaml", version, _ALL, [_NAMESPACE, *definitions, *others])
    return install, _write(output / "crds.yaml", version, _DEFINITIONS, definitions)


def images(manifest: Path) -> list[str]:
    """Return the images that the Deployments of a manifest name."""
    found = []
    for document in yaml.safe_load_all(manifest.read_text(encoding="utf-8")):
        if document and document["kind"] == "Deployment":
            found += [one["image"] for one in document["spec"]["template"]["spec"]["containers"]]
    return found


def _render(chart: Path, helm: Path) -> str:
    where = ("--namespace", NAMESPACE, "--kube-version", _KUBERNETES, "--skip-tests")
    answer = subprocess.run(  # noqa: S603 - the Helm that we built
        [helm, "template", "bailiwick", chart, *where], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise ReleaseError(f"Helm does not render {chart.name}: {answer.stderr.strip()[-1500:]}")
    return answer.stdout


def _documents(text: str) -> Iterator[tuple[str, str]]:
    """Yield each document with its kind; empty ones are left out."""
    for part in text.split("\n---\n"):
        content = part.removeprefix("---\n").strip("\n")
        document = yaml.load(content, Loader=yaml.CSafeLoader)
        if document:
            yield document["kind"], f"{content}\n"


def _write(path: Path, version: str, what: str, documents: list[str]) -> Path:
    head = _HEAD.format(version=version, what=what, name=path.name)
    path.write_text(f"{head}---\n" + "---\n".join(documents), encoding="utf-8")
    return path
