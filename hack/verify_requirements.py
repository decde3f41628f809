"""Whether the lock files still hold what the sources ask for: run by `make verify`, without a network.

Standing: reads `pyproject.toml`, `requirements/` and the metadata of what is installed, changes nothing. A lock file is
names, extras, versions, markers and hashes; an address in it would tie every user to one machine's registry, so there
is none. A pin has the extras by which other packages ask for it: pip 23.2, which comes with Python 3.11, looks
at `name[extra]` apart from `name`, takes its newest version, and refuses it for want of a hash. So a lock without them
would break with the next release of any such package.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
EVERYTHING: Final = "dev"
BUILD: Final = "build"
# The extras that an image or a person installs by hash; in an application, the SDK's are the application's to pin.
LOCKED: Final = {
    "webhook": ("grpc", "tracing"),
    "operator": ("operator",),
    "cli": ("cli", "console", "notifications", "objects"),
    "gateway": ("mcp",),
}
"""The extras of each; [grpc] and [tracing] hold [webhook], [console] and [objects] hold [cli], [operator] holds
[notifications]."""
_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}(?=\s|$)")
_CONTINUED: Final = re.compile(r"\\\n\s*")
_PINNED: Final = re.compile(r"==[^=,*]+")


@dataclass(frozen=True, slots=True)
class StatedRequirement:
    """One requirement and the file that states it."""

    source: str
    requirement: Requirement

    @property
    def name(self) -> str:
        """The name as lock files spell it."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock file; `via` are the packages and files that it is there for."""

    name: str
    version: str
    via: tuple[str, ...] = ()
    extras: frozenset[str] = frozenset()

    @property
    def only_direct(self) -> bool:
        """Whether nothing but our own files asks for it."""
        origins = [origin for origin in self.via if not origin.startswith("-c ")]
        return bool(origins) and all(origin.startswith("-r ") or "(pyproject.toml)" in origin for origin in origins)


def main() -> int:
    """Print what is wrong, a line each, and return the exit code."""
    found = list(problems(ROOT))
    for problem in found:
        print(f"requirements: {problem}", file=sys.stderr)
    if found:
        print("'make requirements' writes the lock files again.", file=sys.stderr)
        return 1
    print("requirements: the lock files hold what is asked for")
    return 0


def problems(root: Path) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong in the tree at `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    locks: dict[str, list[Pin]] = {}
    for name, asked in sources(root, project).items():
        path = root / "requirements" / f"{name}.txt"
        if not path.exists():
            yield f"{name}.txt is missing"
            continue
        text = path.read_text(encoding="utf-8")
        locks[name] = list(pins(text))
        held = locks[name]
        for problem in (*form_problems(text), *range_problems(held, asked), *extra_problems(held, requirements_of)):
            yield f"{name}.txt: {problem}"
    yield from _untested(locks)


def sources(root: Path, project: Mapping[str, Any]) -> dict[str, list[StatedRequirement]]:
    """Return what each lock file must hold: one for each of these extras, one for building, one for everything."""
    base = project["project"]["dependencies"]
    extras = {name: list(_expanded(project, texts)) for name, texts in _extras(project).items()}
    from_project = {name: [*base, *(text for one in of for text in extras[one])] for name, of in LOCKED.items()}
    from_project[EVERYTHING] = [*base, *(text for texts in extras.values() for text in texts)]
    from_project[BUILD] = project["build-system"]["requires"]
    return {
        name: [StatedRequirement("pyproject.toml", Requirement(text)) for text in texts]
        + list(_lines(root / "requirements" / f"{name}.in"))
        for name, texts in from_project.items()
    }


def pins(text: str) -> Iterator[Pin]:
    """Read the entries of a lock file. What is not an entry is left to `form_problems`."""
    last: Pin | None = None
    for line in _CONTINUED.sub(" ", text).splitlines():
        requirement = _requirement(_HASH.sub("", line))
        if requirement:
            if last:
                yield last
            version = str(requirement.specifier).removeprefix("==")
            last = Pin(canonicalize_name(requirement.name), version, extras=_names(requirement.extras))
        elif last and line.strip().startswith("# via "):
            last = replace(last, via=tuple(line.strip().removeprefix("# via ").split(", ")))
    if last:
        yield last


def form_problems(text: str) -> Iterator[str]:
    """Find what is neither a pinned name with its hashes nor a harmless comment in a lock file."""
    for line in _CONTINUED.sub(" ", text).splitlines():
        if line.lstrip().startswith("#"):
            if "://" in line or " /" in line:
                yield f"a comment with an address or a path: {line.strip()}"
        elif line.strip():
            yield from _entry_problems(line)


def range_problems(held: Sequence[Pin], asked: Iterable[StatedRequirement]) -> Iterator[str]:
    """Find what is asked for and missing, what is out of its range, and what nobody asks for any more."""
    wanted = list(asked)
    for one in wanted:
        matching = [pin for pin in held if pin.name == one.name]
        if not matching:
            yield f"{one.name} is missing, and {one.source} asks for it"
        for pin in matching:
            if not one.requirement.specifier.contains(pin.version, prereleases=True):
                yield f"{pin.name} {pin.version} is out of range: {one.source} asks for {one.requirement.specifier}"
    names = {one.name for one in wanted}
    for pin in held:
        if pin.only_direct and pin.name not in names:
            yield f"{pin.name} is there for {', '.join(pin.via)}, which no longer asks for it"


def extra_problems(held: Sequence[Pin], asked_by: Callable[[Pin], Iterable[Requirement]]) -> Iterator[str]:
    """Find pins without the extras by which other packages of the lock ask for them."""
    pinned = {pin.name: pin for pin in held}
    for pin in held:
        for requirement in asked_by(pin):
            found = pinned.get(canonicalize_name(requirement.name))
            if found is not None and (lacking := _names(requirement.extras) - found.extras):
                yield f"{found.name} has no [{','.join(sorted(lacking))}], and {pin.name} asks for it"


def requirements_of(pin: Pin) -> Iterator[Requirement]:
    """Yield what a package asks for with the extras of its pin, if it is installed here, as it is on each platform."""
    try:
        texts = metadata.requires(pin.name) or ()
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *pin.extras)):
            yield requirement


def _names(extras: Iterable[str]) -> frozenset[str]:
    return frozenset(map(canonicalize_name, extras))


def _entry_problems(line: str) -> Iterator[str]:
    requirement = _requirement(_HASH.sub("", line))
    if requirement is None or requirement.url:
        yield f"not a name, a version and hashes: {line.strip()[:80]}"
    elif not _PINNED.fullmatch(str(requirement.specifier)):
        yield f"{requirement.name} is not pinned to one version"
    elif not _HASH.search(line):
        yield f"{requirement.name} has no hash"


def _untested(locks: Mapping[str, Sequence[Pin]]) -> Iterator[str]:
    tested = {(pin.name, pin.version) for pin in locks.get(EVERYTHING, ())}
    for name, held in locks.items():
        for pin in held:
            if (pin.name, pin.version) not in tested:
                yield f"{name}.txt: {pin.name} {pin.version} is not what {EVERYTHING}.txt has, so it is not tested"


def _extras(project: Mapping[str, Any]) -> Mapping[str, list[str]]:
    found: Mapping[str, list[str]] = project["project"]["optional-dependencies"]
    return found


def _expanded(project: Mapping[str, Any], texts: Iterable[str]) -> Iterator[str]:
    """Yield what an extra asks for, and what the extras of our own that it names ask for."""
    for text in texts:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != project["project"]["name"]:
            yield text
        for extra in sorted(requirement.extras) if requirement.name == project["project"]["name"] else ():
            yield from _expanded(project, _extras(project)[extra])


def _lines(path: Path) -> Iterator[StatedRequirement]:
    for line in path.read_text(encoding="utf-8").splitlines():
        content = line.partition("#")[0].strip()
        if content.startswith("-r "):
            yield from _lines(path.parent / content.removeprefix("-r ").strip())
        elif content and not content.startswith("-c "):
            yield StatedRequirement(f"requirements/{path.name}", Requirement(content))


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text.strip())
    except InvalidRequirement:
        return None


if __name__ == "__main__":
    sys.exit(main())
