"""The command line: `python -m mutants`, by `make mutants`.

Holds: it fails on a survivor that nobody argued for, and on an argument for what does not survive.
"""

import argparse
import os
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from mutants.changes import Name
from mutants.play import Player, Result
from mutants.targets import Target

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1]
_ROOMS: Final = _HERE / "rooms.toml"
_SURVIVORS: Final = _HERE / "survivors.toml"
_Known = tuple[str, Name]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    rooms = tomllib.loads(_ROOMS.read_text(encoding="utf-8"))
    files = [file for file in rooms["files"] if not parsed.files or file in parsed.files]
    if unknown := set(parsed.files) - set(files):
        print(f"{_ROOMS.relative_to(_ROOT)} does not name {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    os.chdir(_ROOT)
    began = time.monotonic()
    player = Player([Target.of(file) for file in files], parsed.workers, began + 60 * parsed.minutes, _tell)
    code = pytest.main(
        [
            "--quiet",
            "--no-header",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--timeout=0",
            *rooms["tests"],
        ],
        plugins=[player],
    )
    if code:
        print("The tests fail without any change: mend that first.", file=sys.stderr)
        return int(code)
    _table(player.results, files)
    print(f"{time.monotonic() - began:.0f} s")
    return _judge(player, files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="as in rooms.toml; all of them if none is given")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--minutes", type=float, default=60, help="start no mutant after so long, and fail")
    return parser


def _table(results: Sequence[Result], files: Sequence[str]) -> None:
    made = Counter(result.file for result in results)
    survived = Counter(result.file for result in results if result.survived)
    print(f"\n{'':28}{'mutants':>8}{'killed':>8}{'survived':>10}")
    for file in files:
        print(f"{file:28}{made[file]:8}{made[file] - survived[file]:8}{survived[file]:10}")
    print(f"{'all':28}{made.total():8}{made.total() - survived.total():8}{survived.total():10}")


def _judge(player: Player, files: Sequence[str]) -> int:
    """Compare what survived with what was argued for, of the files that were played."""
    survivors = {(result.file, result.name): result for result in player.results if result.survived}
    argued = {known for known in _argued() if known[0] in files}
    for file, name in sorted(survivors.keys() - argued, key=str):
        print(f"\nNo test is red for this one, and nobody argued why:\n{_entry(file, name)}", file=sys.stderr)
    if player.left:
        print(f"\n{player.left} mutants were not played: out of time.", file=sys.stderr)
        return 1
    for file, name in sorted(argued - survivors.keys(), key=str):
        print(
            f"\nThis one does not survive, or is no more, and can be forgotten:\n{_entry(file, name)}", file=sys.stderr
        )
    return int(survivors.keys() != argued)


def _argued() -> set[_Known]:
    """Read the list of survivors; each says why no test can tell it from the original."""
    listed = tomllib.loads(_SURVIVORS.read_text(encoding="utf-8")).get("survivors", [])
    if any(not one["why"].strip() for one in listed):
        raise SystemExit(f"{_SURVIVORS.name}: every survivor needs a why.")
    return {(one["file"], Name(one["function"], one["was"], one["now"], one["nth"])) for one in listed}


def _tell(result: Result) -> None:
    """Say at once what survived: a run takes long."""
    if result.survived:
        print(f"{result.file}:{result.line} survived {result.tests} tests: {result.name}", flush=True)


def _entry(file: str, name: Name) -> str:
    """Return a mutant as the list of survivors has it."""
    fields = {"file": file, "function": name.function, "was": name.was, "now": name.now}
    return "\n".join(
        ["[[survivors]]", *(f"{field} = {_toml(text)}" for field, text in fields.items()), f"nth = {name.nth}"]
    )


def _toml(text: str) -> str:
    return f"'{text}'" if "'" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    sys.exit(main())
