"""Whether the tree holds text that only makes sense on somebody's own machine: run by `make verify`.

Standing: reads every text file that Git knows or would add, changes nothing. A path of a home folder, of this very
checkout or of a scratch folder, a registry's host name, a bare issue number and the marks of an unfinished merge all
point at something that the reader does not have.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_SHORT: Final = 2


@dataclass(frozen=True, slots=True)
class UnwantedPattern:
    """A pattern, why it is not wanted, and the names of files that may have it."""

    pattern: re.Pattern[str]
    reason: str
    allowed_in: tuple[str, ...] = ()


# Written so that no pattern matches its own source.
UNWANTED: Final = (
    UnwantedPattern(
        re.compile(r"(?<![\w.$}])/(?:root|work|Users/\w+|home/\w+|tmp/\w+)/[\w.]"),
        "a path of one machine",
        ("Dockerfile",),
    ),
    UnwantedPattern(
        re.compile(r"\b(?:pypi|pythonhosted|npmjs|crates|maven|golang)\s*\.\s*(?:org|io|com)\b(?!/(?:x|api))"),
        "the host name of a package registry",
        ("go.mod", "go.sum"),
    ),
    UnwantedPattern(
        re.compile(r"\bissues? #?\d+\b", re.IGNORECASE), "an issue's number says nothing here: write the reason"
    ),
    UnwantedPattern(re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE), "an unfinished merge"),
    # A path before it (`./bailiwick[cli]`) is a checkout, and a hyphen after it is our own name.
    UnwantedPattern(
        re.compile(
            r"(?<![\w./-])bailiwick(?:\[[a-z][a-z,]*\]|\s*(?:==|~=|>=)\s*\d)"
            r"|\b(?:pip3?|pipx|uv|poetry|pdm)[ \w]* (?:install|add|download|wheel)\b"
            r"[^\n]*[\s'\"]bailiwick(?![\w/\[-]|\.\w)"
        ),
        "the distribution of another project: ours is called bailiwick-authz",
    ),
)


def main() -> int:
    """Print what is wrong, a line each, and return the exit code."""
    found = [problem for path in files(ROOT) for problem in problems(path, ROOT)]
    for problem in found:
        print(f"text: {problem}", file=sys.stderr)
    if not found:
        print("text: nothing that only one machine knows")
    return 1 if found else 0


def files(root: Path) -> list[Path]:
    """Return the files that Git tracks or would add."""
    # The checkout may belong to another user, as in a container; only its names are asked for.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)  # noqa: S603 - fixed
    except FileNotFoundError:
        sys.exit("the checks of texts need git, found none.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"the checks of texts need a checkout made by git: {error.stderr.strip()}")
    return sorted(path for name in set(answer.stdout.split("\0")) if name and (path := root / name).is_file())


def problems(path: Path, root: Path) -> Iterator[str]:
    """Yield a sentence, with file and line, for each unwanted text in a file. Binary files have none."""
    content = path.read_bytes()
    if b"\0" in content:
        return
    text = content.decode("utf-8", errors="replace")
    for unwanted in (*UNWANTED, *_own_path(root)):
        if path.name not in unwanted.allowed_in:
            for match in unwanted.pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(root)}:{line}: {match.group().strip()}: {unwanted.reason}"


def _own_path(root: Path) -> Iterator[UnwantedPattern]:
    # A short one, such as /src in a container, may well be meant as itself.
    if len(root.parts) > _SHORT:
        yield UnwantedPattern(re.compile(rf"(?<![\w.$}}]){re.escape(str(root))}\b"), "the path of this checkout")


if __name__ == "__main__":
    sys.exit(main())
