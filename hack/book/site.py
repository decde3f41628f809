"""Site: the pages as HTML, a folder for each version.

Holds: a build is whole or fails: a warning of Sphinx, a broken link, an anchor that is not there and a load from
another host each fail it.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from book.links import problems
from book.stage import INDEX, stage

ROOT: Final = Path(__file__).resolve().parents[2]
SITE: Final = ROOT / "build" / "docs"
_CONFIGURATION: Final = Path(__file__).parent / "sphinx"
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# The state of the branch that is built. Any other name is a version.
LATEST: Final = "latest"


class BookError(Exception):
    """The site cannot be built; the message says why."""


def build(version: str = LATEST, root: Path = ROOT, site: Path = SITE) -> Path:
    """Build one version below `site`, beside those that are there. Returns its folder; raises `BookError`."""
    if not _VERSION.fullmatch(version):
        raise BookError(f"{version!r} is no name of a version: use letters, digits, '.', '_' and '-'")
    target = site / version
    with tempfile.TemporaryDirectory(prefix="bailiwick-book-") as temporary:
        pages, built = Path(temporary) / "pages", Path(temporary) / version
        try:
            stage(root, pages)
        except OSError as error:
            raise BookError(f"a page links to what is not there: {error}") from error
        _sphinx(pages, built, Path(temporary) / "doctrees", version)
        shutil.copytree(pages / "docs" / "images", built / "docs" / "images", dirs_exist_ok=True)
        (built / "index.html").write_text(_redirect(INDEX.with_suffix(".html").as_posix()), encoding="utf-8")
        # Each page names the list of versions, which stands beside the folders.
        (Path(temporary) / "versions.js").touch()
        if found := list(problems(built)):
            raise BookError("\n".join(found))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(built, target)
    versions = names(site)
    (site / "versions.js").write_text(f"window.bailiwickVersions = {json.dumps(versions)};\n", encoding="utf-8")
    (site / "index.html").write_text(_redirect(f"{versions[0]}/index.html"), encoding="utf-8")
    return target


def names(site: Path) -> list[str]:
    """Return the versions that were built: the newest release first, what is not released last."""
    found = [path.name for path in site.iterdir() if (path / "index.html").is_file()]
    return sorted(found, key=_order, reverse=True)


def _order(name: str) -> tuple[bool, list[int], bool, list[int], str]:
    # A candidate, such as 1.0.0-rc.1, comes before its release.
    release, _, candidate = name.partition("-")
    return name != LATEST, _numbers(release), not candidate, _numbers(candidate), name


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _sphinx(pages: Path, built: Path, doctrees: Path, version: str) -> None:
    command = [
        *(sys.executable, "-m", "sphinx", "--builder", "html", "--quiet"),
        # A warning is an error, and all of them are shown.
        *("--fail-on-warning", "--keep-going"),
        *("--conf-dir", str(_CONFIGURATION), "--doctree-dir", str(doctrees), "--define", f"release={version}"),
        *(str(pages), str(built)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BookError(done.stderr.strip().replace(f"{pages}/", "") or done.stdout.strip())


def _redirect(address: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Bailiwick</title>\n'
        f'<meta http-equiv="refresh" content="0; url={address}"></head>\n'
        f'<body><a href="{address}">The documentation of Bailiwick</a></body></html>\n'
    )
