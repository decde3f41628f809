"""Test files on the disk: which there are, what they include, and the policies that they name.

Standing: above `policies`, the edge under the command `test`; `policytest` is what they are made into. Holds: a file
is read once, a set of policies compiled once, for however many tests; nothing that is wrong is passed over.
"""

import glob
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailiwick_api.documents.policyfiles import SUFFIXES, DirectoryScan, File
from bailiwick_cli.errors import CliError
from bailiwick_cli.policytest import document as reading
from bailiwick_cli.policytest.document import PlacedDocument, UnusableTestError
from bailiwick_cli.policytest.model import AuthzenCases, PolicyTest
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources import policies
from bailiwick_governance.sources.policies import PolicySet

ENDINGS: Final = tuple(f"_test{suffix}" for suffix in SUFFIXES)
_JSON: Final = ".json"


def list_files(names: list[str]) -> list[str]:
    """Return the test files among these: each file, and those of each folder by their names. Raises `CliError`."""
    found: list[str] = []
    for name in names:
        if not Path(name).is_dir():
            found.append(name)
            continue
        try:
            inside = [path for path in DirectoryScan(Path(name)).look() if path.endswith(ENDINGS)]
        except OSError as error:
            raise CliError(f"{name} cannot be read: {error.strerror or error}") from error
        if not inside:
            raise CliError(f"{name} has no test: the names of test files end in {ENDINGS[0]}")
        found += inside
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class SuiteDocument:
    """One `PolicyTest`, with what it includes."""

    own: PlacedDocument[PolicyTest]
    fixtures: tuple[PlacedDocument[PolicyTest], ...]
    cases: tuple[PlacedDocument[AuthzenCases], ...]


def suites(label: str) -> list[SuiteDocument]:
    """Read a test file. Raises `UnusableTestError`."""
    found = []
    for own in reading.policy_tests(label, _bytes(label, label)):
        fixtures: list[PlacedDocument[PolicyTest]] = []
        cases: list[PlacedDocument[AuthzenCases]] = []
        _include(own, (str(Path(label).resolve()),), fixtures, cases)
        found.append(SuiteDocument(own, tuple(fixtures), tuple(cases)))
    return found


def _include(
    document: PlacedDocument[PolicyTest],
    above: tuple[str, ...],
    fixtures: list[PlacedDocument[PolicyTest]],
    cases: list[PlacedDocument[AuthzenCases]],
) -> None:
    for index, name in enumerate(document.read.include):
        path = f"include[{index}]"
        file = Path(document.label).parent / name
        resolved = str(file.resolve())
        if resolved in above:
            chain = " includes ".join(Path(one).name for one in (*above[above.index(resolved) :], resolved))
            raise document.wrong(path, f"the files include each other: {chain}")
        raw = _bytes(str(file), document.place(path))
        if name.endswith(_JSON):
            cases.append(reading.authzen_cases(str(file), raw))
            continue
        for included in reading.policy_tests(str(file), raw):
            fixtures.append(included)
            _include(included, (*above, resolved), fixtures, cases)


def _bytes(name: str, place: str) -> bytes:
    try:
        ((_, file),) = policies.files_of(name) if not Path(name).is_dir() else ((name, None),)
    except UserError as error:
        raise UnusableTestError(str(error) if place == name else f"{place}: {error}") from error
    if file is None or file.unreadable is not None:
        raise UnusableTestError(f"{place}: {name} cannot be read: {'a folder' if file is None else file.unreadable}")
    return file.content


class PolicyShelf:
    """The policies that test files name, each set of them once. `instead` stands in the place of all of them."""

    def __init__(self, instead: list[str] | None, read: Callable[[str], list[tuple[str, File]]]) -> None:
        self._instead = instead
        self._read = read
        self._known: dict[tuple[tuple[str, bool], ...], PolicySet] = {}

    def policies_of(self, document: PlacedDocument[PolicyTest]) -> PolicySet:
        """Return the policies of a test file. Raises `UnusableTestError`."""
        names = tuple((name, True) for name in self._instead) if self._instead else self._names_of(document)
        if names not in self._known:
            try:
                files = [file for name, written in names for file in self._files(name, written=written)]
            except UserError as error:
                raise document.wrong("policies", str(error)) from error
            self._known[names] = policies.policy_set(files)
        found = self._known[names]
        if not found.entries:
            raise document.wrong("policies", f"there is no EndpointPolicy in {', '.join(name for name, _ in names)}")
        return found

    def _files(self, name: str, *, written: bool) -> list[tuple[str, File]]:
        files = self._read(name)
        if written:
            policies.refuse_others(name, files)
        return files

    def _names_of(self, document: PlacedDocument[PolicyTest]) -> tuple[tuple[str, bool], ...]:
        """Return the names, and of each whether somebody wrote it: a pattern can match folders of others."""
        if not document.read.policies:
            raise document.wrong("policies", "is required, or run the test with -f")
        names: dict[str, bool] = {}
        for index, pattern in enumerate(document.read.policies):
            if pattern == STDIN:
                names[pattern] = True
                continue
            whole = Path(document.label).parent / pattern
            found = sorted(glob.glob(str(whole), recursive=True))  # noqa: PTH207 - a pattern may be absolute
            if not found:
                raise document.wrong(f"policies[{index}]", f"there is no file {pattern}")
            for one in found:
                name = str(Path(one).resolve().relative_to(Path.cwd())) if _under(one) else one
                names[name] = names.get(name, False) or one == str(whole)
        return tuple(names.items())


def _under(name: str) -> bool:
    return Path(name).resolve().is_relative_to(Path.cwd())
