"""The release notes: what the changelog says of a version."""

import re
from pathlib import Path

from releasemaker.errors import ReleaseError
from releasemaker.source import Source


def build(source: Source, output: Path) -> tuple[Path, bool]:
    """Write the notes into a folder; returns the path, and whether the changelog has a section of this version.

    Where it has none, the section of what is not released yet is taken. Raises `ReleaseError` where neither is there.
    """
    text = (source.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = {
        found[1]: found[2]
        for found in re.finditer(r"^## \[([^\]]+)\][^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    }
    own = sections.get(source.version)
    content = own or sections.get("Unreleased")
    if not content or not content.strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {source.version}: write what users notice, and commit it.")
    path = output / "RELEASE_NOTES.md"
    path.write_text(f"# Bailiwick {source.version}\n\n{content.strip()}\n", encoding="utf-8")
    return path, own is not None
