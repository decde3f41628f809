"""A generated page of the documentation: sections written by hand, the page written or held against its source."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


def section(folder: str, name: str) -> str:
    """Return a section of a generated page that is written by hand: hack/FOLDER/sections/NAME.md."""
    return (ROOT / "hack" / folder / "sections" / f"{name}.md").read_text(encoding="utf-8")


def main(path: Path, rendered: Callable[[], str], source: str, about: str | None, arguments: list[str] | None) -> int:
    """Write or check the page at `path`. Returns 0, or 1 when --check found a difference from `source`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; print what differs and exit 1")
    options = parser.parse_args(arguments)
    present, wanted = path.read_text(encoding="utf-8") if path.exists() else "", rendered()
    if present == wanted:
        return 0
    if not options.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
        return 0
    was, will = present.splitlines(keepends=True), wanted.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(was, will, path.name, "generated"))
    print(f"{path.name} is not what {source} says: run `make generate` and commit the result")
    return 1
