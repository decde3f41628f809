"""Completion: `kubectl_complete-bailiwick`, which kubectl runs on TAB, and the names that a shell completes.

kubectl gives the words after the plugin's name, the last one as far as it is typed, and reads candidates, one a line,
then a line `:<directive>` (cobra's ShellCompDirective; 4: no file names).

Holds: quick, silent and harmless: whatever fails, there are just no candidates.
"""

import contextlib
import io
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bailiwick_cli.grantnames import LIMIT, names
from bailiwick_cli.options import Flags
from bailiwick_cli.verbs.table import COMMANDS, GROUPS, option_types

if TYPE_CHECKING:
    from bailiwick_governance.apiserver.cluster import ClusterClient

# ruff: noqa: PLC0415 - most completions need no cluster, and its client takes a while to import

_NO_FILES: Final = 4
_FILES: Final = 0
_TIMEOUT: Final = "2s"
_OF_FILES: Final = frozenset(
    {
        "--filename",
        "-f",
        "--kubeconfig",
        "--checkpoints",
        "--hmac-key",
        "--leaves",
        "--policies",
        "--record",
        "--witness-key",
        "--against",
        "--candidate",
        "--write",
    }
)
_OF_NAMESPACES: Final = frozenset({"--namespace", "-n", "--installation"})
_NAMING: Final = frozenset({"approve", "deny", "revoke", "show", "wait"})
_ON_FILES: Final = frozenset({"diff", "explain", "init", "replay", "suggest", "test", "unused", "validate"})
_REVIEWING: Final = frozenset({"approve", "deny"})


def main() -> int:
    """Print candidates for the words on our command line."""
    found: list[str] = []
    directive = _NO_FILES
    # What libraries have to say must not reach the terminal in the middle of a line.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        found, directive = candidates(sys.argv[1:] or [""])
    sys.stdout.writelines(f"{one}\n" for one in found)
    sys.stdout.write(f":{directive}\n")
    return 0


def candidates(words: Sequence[str]) -> tuple[list[str], int]:
    """Return what the last word can become, and the directive."""
    *before, typed = words
    line = _Line(before)
    if line.awaiting in _OF_FILES or (line.awaiting is None and line.on_files and not typed.startswith("-")):
        return [], _FILES
    return [one for one in _possible(line, typed) if one.startswith(typed)], _NO_FILES


def _possible(line: "_Line", typed: str) -> Iterable[str]:
    if line.awaiting is not None:
        return _values(line, line.awaiting)
    if typed.startswith("-"):
        return sorted(name for name in (*line.options, "--help") if name.startswith("--"))
    if line.command is None:
        return (*COMMANDS, *GROUPS)
    if line.command in GROUPS:
        return GROUPS[line.command]
    if line.command in _NAMING and not line.arguments:
        return names(line.flags(), only_waiting=line.command in _REVIEWING)
    return ()


def _values(line: "_Line", option: str) -> Iterable[str]:
    if option in _OF_NAMESPACES:
        items = _cluster(line.flags()).get("/api/v1/namespaces", limit=LIMIT)["items"]
        return [str(item["metadata"]["name"]) for item in items]
    kind = line.options.get(option)
    return [one.value for one in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _cluster(flags: Flags) -> "ClusterClient":
    from bailiwick_cli.kubeconfig import connect

    return connect(flags)


class _Line:
    """The words before the one that is completed. `awaiting`: the option whose value comes next."""

    def __init__(self, words: Sequence[str]) -> None:
        self.command: str | None = None
        self.arguments: list[str] = []
        self.awaiting: str | None = None
        self.options = option_types(Flags)
        self._given: dict[str, str] = {}
        for word in words:
            self._take(word)

    def _take(self, word: str) -> None:
        if self.awaiting is not None:
            self._given[self.awaiting] = word
            self.awaiting = None
        elif word.startswith("-"):
            name, equals, value = word.partition("=")
            if equals:
                self._given[name] = value
            elif self.options.get(name, bool) is not bool:
                self.awaiting = name
        elif self.command is None:
            self.command = word
            self.options = option_types(COMMANDS.get(word, Flags))
        elif self.command in GROUPS:
            self.options = option_types(GROUPS[self.command].get(word, Flags))
            self.command = f"{self.command} {word}"
        else:
            self.arguments.append(word)

    @property
    def on_files(self) -> bool:
        """Whether what the command works on are files."""
        if self.command in _ON_FILES:
            return True
        return self.command is not None and self.command.removeprefix("audit ") in GROUPS["audit"]

    def flags(self) -> Flags:
        """Return kubectl's own flags."""
        given = self._given
        return Flags(
            namespace=given.get("--namespace") or given.get("-n"),
            context=given.get("--context"),
            kubeconfig=given.get("--kubeconfig"),
            as_user=given.get("--as"),
            as_group=None,
            request_timeout=_TIMEOUT,
        )


if __name__ == "__main__":
    raise SystemExit(main())
