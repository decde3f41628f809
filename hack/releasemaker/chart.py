"""The chart of a release: an archive as Helm reads it, and the same as an OCI artefact.

Holds: the archive depends on the commit and on the images alone, unlike that of `helm package`, which holds the time at
which it was made. What `.helmignore` names is in no release.
"""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from releasemaker.archives import Entry, folder_entries, tar_gzip
from releasemaker.errors import ReleaseError
from releasemaker.layouts import Blob, canonical, layout, manifest
from releasemaker.source import CHART, Source

NAME: Final = "bailiwick"
# Media types and annotations of Helm's support of OCI registries.
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CONTENT: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ANNOTATION: Final = "org.opencontainers.image."


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """Where the chart was written, and the digest of its manifest."""

    archive: Path
    layout: Path
    digest: str


def build(source: Source, output: Path, registry: str, digests: Mapping[str, str]) -> ChartFiles:
    """Write the chart into a folder, with this registry and these digests of images, by component, as its defaults.

    Raises `ReleaseError`.
    """
    entries = chart_entries(source.folder / CHART)
    values = f"{NAME}/values.yaml"
    entries[values] = Entry(with_images(entries[values].content.decode(), registry, digests).encode())
    stated = f"{NAME}/Chart.yaml"
    references = image_references(yaml.safe_load(entries[values].content), registry, digests)
    entries[stated] = Entry(with_annotation(entries[stated].content.decode(), references).encode())
    archive = tar_gzip(entries, source.created)
    metadata = yaml.safe_load(entries[stated].content)
    config, content = Blob(_CONFIG, canonical(metadata)), Blob(_CONTENT, archive)
    annotations = {
        f"{_ANNOTATION}title": metadata["name"],
        f"{_ANNOTATION}version": metadata["version"],
        f"{_ANNOTATION}description": metadata["description"],
        f"{_ANNOTATION}revision": source.commit,
        f"{_ANNOTATION}created": datetime.fromtimestamp(source.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    top = manifest(config, [content], annotations)
    written = ChartFiles(
        output / f"{NAME}-chart-{source.version}.tgz", output / f"{NAME}-chart-{source.version}.oci.tar", top.digest
    )
    written.archive.write_bytes(archive)
    written.layout.write_bytes(layout(top, source.version, [config, content], source.created))
    return written


def chart_entries(folder: Path) -> dict[str, Entry]:
    """Return the files of a chart that a release has, below its name."""
    patterns = _patterns((folder / ".helmignore").read_text(encoding="utf-8"))
    entries = {name: entry for name, entry in folder_entries(folder).items() if not _is_ignored(name, patterns)}
    return {f"{NAME}/{name}": entry for name, entry in entries.items()}


def with_images(values: str, registry: str, digests: Mapping[str, str]) -> str:
    """Return the default values with this registry, and with the digests of images, by component.

    The text is changed line by line, as its comments are the chart's documentation. Raises `ReleaseError` where it is
    not as expected.
    """
    lines = values.splitlines(keepends=True)
    path: list[str] = []
    # The one that a parent chart, or image.registry, can still override.
    wanted: dict[tuple[str, ...], str] = {("global", "imageRegistry"): registry}
    wanted |= {(component, "image", "digest"): digest for component, digest in digests.items()}
    for number, line in enumerate(lines):
        found = re.match(r"^( *)([A-Za-z]\w*):(.*)$", line)
        if found is None:
            continue
        path = [*path[: len(found[1]) // 2], found[2]]
        replacement = wanted.pop(tuple(path), None)
        if replacement is not None:
            if found[3].strip() not in {'""', "''"}:
                raise ReleaseError(f"values.yaml: {'.'.join(path)} is not empty, so a release cannot set it.")
            lines[number] = f'{found[1]}{found[2]}: "{replacement}"\n'
    if wanted:
        raise ReleaseError(f"values.yaml has no {', '.join('.'.join(one) for one in wanted)}.")
    return "".join(lines)


def image_references(values: Mapping[str, Any], registry: str, digests: Mapping[str, str]) -> dict[str, str]:
    """Return what the chart's own values make of the images of these components, by component."""
    return {name: f"{registry}/{values[name]['image']['repository']}@{digest}" for name, digest in digests.items()}


def with_annotation(text: str, references: Mapping[str, str]) -> str:
    """Return Chart.yaml with the annotation by which Artifact Hub shows and scans these images; unchanged for none.

    Raises `ReleaseError` where it has no annotations.
    """
    if not references:
        return text
    before, heading, after = text.partition("\nannotations:\n")
    if not heading:
        raise ReleaseError("Chart.yaml has no annotations, so a release cannot add one.")
    listed = [{"name": name, "image": image} for name, image in sorted(references.items())]
    lines = yaml.safe_dump(listed, sort_keys=False, width=500).splitlines()
    return f"{before}{heading}  artifacthub.io/images: |\n" + "".join(f"    {line}\n" for line in lines) + after


def _patterns(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if unknown := [line for line in found if line.startswith(("!", "/")) or "/" in line.rstrip("/")]:
        raise ReleaseError(f".helmignore: this program does not know {unknown}. Write names without a path.")
    return found


def _is_ignored(name: str, patterns: list[str]) -> bool:
    """Return whether a pattern fits a part of this path; one that ends with a slash fits folders alone."""
    *folders, file = name.split("/")
    return any(
        any(fnmatch.fnmatchcase(part, pattern.rstrip("/")) for part in folders)
        or (not pattern.endswith("/") and fnmatch.fnmatchcase(file, pattern))
        for pattern in patterns
    )
