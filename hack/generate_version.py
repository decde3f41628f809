"""`python hack/generate_version.py [--check]`: write the version of `pyproject.toml` wherever else it stands, or fail.

Holds: chart, Dockerfiles, and the commands and file names of documentation and examples name that version alone;
`make verify` runs it with --check. What is said of releases before, in prose and in ADRs, is not touched.
"""

import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Final

import page

_VERSION: Final = r"\d+\.\d+\.\d+"
_CHART: Final = page.ROOT / "charts" / "bailiwick" / "Chart.yaml"
_OF_CHART: Final = re.compile(rf"^((?:version|appVersion): ){_VERSION}$", re.MULTILINE)
# `ARG VERSION=1.2.3`, `make release VERSION=1.2.3`, `bailiwick-webhook:1.2.3`, `bailiwick_authz-1.2.3.tar.gz`.
_OF_TEXT: Final = re.compile(rf"(\bVERSION=|bailiwick[\w$-]*[-:]){_VERSION}")


def paths() -> list[Path]:
    """Return the files that name the version in a place that is known."""
    folders = [(page.ROOT / "docs", "*.md"), (page.ROOT / "examples", "*.md"), (page.ROOT / "examples", "*.yaml")]
    texts = [path for folder, pattern in folders for path in folder.rglob(pattern) if path.parent.name != "adr"]
    candidates = [page.ROOT / "Makefile", *page.ROOT.glob("*/Dockerfile"), *texts]
    named = [path for path in candidates if _OF_TEXT.search(path.read_text(encoding="utf-8"))]
    return sorted([_CHART, *named])


def rendered(path: Path, version: str) -> str:
    """Return the text of a file with this version in each of its places."""
    pattern = _OF_CHART if path.name == _CHART.name else _OF_TEXT
    return pattern.sub(rf"\g<1>{version}", path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files. Returns 0, or 1 when --check found a difference."""
    project = tomllib.loads((page.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return max(
        page.main(path, partial(rendered, path, project["version"]), "pyproject.toml", __doc__, arguments)
        for path in paths()
    )


if __name__ == "__main__":
    raise SystemExit(main())
