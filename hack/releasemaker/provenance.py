"""The provenance of a release: an in-toto statement of what was built from what, as SLSA describes it.

Holds: it claims no more than is so. A release that is made on a machine of its maker is SLSA Build Level 1: the
statement exists, and whoever holds the key made it. Level 2 needs a hosted build that signs for itself.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from releasemaker.layouts import canonical
from releasemaker.source import Source
from releasemaker.sums import sha256

NAME: Final = "provenance.json"
LEVEL: Final = "SLSA Build Level 1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_BUILD_TYPE: Final = "https://bailiwick.dev/make-release/v1"
_BUILDER: Final = "https://bailiwick.dev/builders/local"


def build(source: Source, output: Path, files: list[Path], images: Mapping[str, str], chart: str) -> Path:
    """Write the statement into a folder. Its subjects are the files, and the images and the chart by their digests."""
    subjects = [_subject(path.name, sha256(path)) for path in sorted(files)]
    subjects += [_subject(f"oci:{name}", digest.removeprefix("sha256:")) for name, digest in sorted(images.items())]
    subjects.append(_subject("oci:charts/bailiwick", chart.removeprefix("sha256:")))
    path = output / NAME
    statement = {"_type": _STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": predicate(source)}
    path.write_bytes(canonical(statement) + b"\n")
    return path


def predicate(source: Source) -> dict[str, Any]:
    """Return how the release was built, without the artefacts."""
    time = datetime.fromtimestamp(source.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {"version": source.version},
            "internalParameters": {"level": LEVEL},
            "resolvedDependencies": [{"name": "source", "digest": {"gitCommit": source.commit}}],
        },
        # The time of the commit, not of the build: two builds of one commit give the same statement.
        "runDetails": {"builder": {"id": _BUILDER}, "metadata": {"invocationId": f"{source.commit}@{time}"}},
    }


def _subject(name: str, sha256_digits: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256_digits}}
