"""The file that remembers uses, of a format of its own.

Standing: under the command; the one that writes it. Holds: it is written whole or not at all; one that cannot be read
is an error, and is left as it is.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Final

import msgspec

from bailiwick_api import times
from bailiwick_cli.errors import CliError
from bailiwick_engine.keys import Key
from bailiwick_evidence.usage.scopes import RuleScope, ScopeUse
from bailiwick_governance.usage.memory import UseMemory

_KIND: Final = "UnusedState"
_VERSION: Final = 1
_MOMENT: Final = msgspec.Meta(ge=0, lt=times.END)


class _ScopeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    namespace: str
    policy: str
    rule: str
    subject: str
    first_seen: Annotated[float, _MOMENT] | None
    last_use: Annotated[float, _MOMENT] | None
    uses: int
    endpoint: str | None = None


class _StateDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    version: int
    covered: Annotated[float, _MOMENT] | None
    broken: Annotated[float, _MOMENT] | None
    chains: dict[str, int]
    doubtful: dict[str, Annotated[float, _MOMENT]]
    scopes: list[_ScopeEntry]


class _Heading(msgspec.Struct, frozen=True):
    kind: str
    version: int


def read_memory(name: str, latest: float) -> UseMemory:
    """Return what a file remembers; nothing where there is none yet. Raises `CliError`.

    `latest`: a later time has not come, in seconds since the epoch. A file with one would never learn of a use again.
    """
    try:
        raw = Path(name).read_bytes()
    except FileNotFoundError:
        return UseMemory()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}") from error
    try:
        heading = msgspec.json.decode(raw, type=_Heading)
        if (heading.kind, heading.version) != (_KIND, _VERSION):
            raise CliError(
                f"{name} is {heading.kind} of version {heading.version}, and not {_KIND} of version {_VERSION}: name"
                " another file, and give all logs of the window"
            )
        found = msgspec.json.decode(raw, type=_StateDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(
            f"{name} is not an {_KIND}, and was not changed: {error};"
            " name another file, and give all logs of the window"
        ) from error
    moments = [found.covered, found.broken, *found.doubtful.values()]
    moments += [moment for one in found.scopes for moment in (one.first_seen, one.last_use)]
    if (last := max((one for one in moments if one is not None), default=0.0)) > latest:
        raise CliError(
            f"{name} remembers {times.epoch_stamp(last)}, which has not come, and was not changed: if the clock of this"
            " machine is right, name another file, and give all logs of the window"
        )
    scopes = {
        RuleScope(one.namespace, one.policy, one.rule, Key(one.subject)): ScopeUse(
            one.first_seen, one.last_use, one.uses, one.endpoint
        )
        for one in found.scopes
    }
    doubtful = {Key(subject): moment for subject, moment in found.doubtful.items()}
    return UseMemory(scopes, dict(found.chains), doubtful, found.covered, found.broken)


def write(name: str, memory: UseMemory) -> None:
    """Write a file in the place of the one before. Raises `CliError`."""
    entries = [
        _ScopeEntry(*scope, use.first_seen, use.last_use, use.uses, use.endpoint)
        for scope, use in sorted(memory.scopes.items())
    ]
    doubtful = {str(subject): moment for subject, moment in sorted(memory.doubtful.items())}
    chains = dict(sorted(memory.chains.items()))
    made = _StateDocument(_KIND, _VERSION, memory.covered, memory.broken, chains, doubtful, entries)
    text = json.dumps(msgspec.to_builtins(made), indent=1) + "\n"
    path = Path(name)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(beside).unlink()
            raise
    except OSError as error:
        raise CliError(f"{name} cannot be written: {error.strerror or error}") from error
