"""Histories: the definitions of an endpoint, compiled.

Standing: under `settings`. Holds: a definition that does not compile is a problem of the settings, which denies the
endpoint; the digest has everything that decides what is counted, a new field too.
"""

import hashlib
from typing import Final

from bailiwick_api import timezones
from bailiwick_api.kinds import histories
from bailiwick_api.kinds.histories import OUTCOME_TIME, SESSION, HistoryDefinition, SessionSource, window_milliseconds
from bailiwick_engine.call import Json
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.cel import zones
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.members import Path
from bailiwick_engine.compile.conditions import compile_condition
from bailiwick_engine.compile.digestfields import meaning
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.condition import CompiledCondition
from bailiwick_engine.policy.dimensions.resource import compile_resources
from bailiwick_engine.policy.histories import (
    Amount,
    CalendarWindow,
    CompiledHistory,
    KeyPart,
    MemberPart,
    PartyPart,
    SessionPart,
    SlidingWindow,
    part_name,
)
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps

_FORM: Final = 1
"""How calls are counted: a change of that makes other lines of the same definition."""
_DIGEST_DIGITS: Final = 12


def session_path(source: SessionSource | None) -> Path | None:
    """Return the member of a call that is its session."""
    if source is None:
        return None
    if source.claim is not None:
        return ("subject", "claims", source.claim)
    return tuple((source.property or "").split("."))


def compile_histories(
    definitions: list[HistoryDefinition] | None, session: Path | None, scope: Scope, path: str
) -> Steps[tuple[tuple[CompiledHistory, ...], list[Problem]]]:
    """Compile the histories of an endpoint, one a step; return them in order of name, and the problems."""
    compiled: list[CompiledHistory] = []
    problems: list[Problem] = []
    for index, definition in enumerate(definitions or ()):
        history = _compile_history(definition, session, scope, f"{path}[{index}]")
        if isinstance(history, CompiledHistory):
            compiled.append(history)
        else:
            problems += history
        yield
    return tuple(sorted(compiled, key=lambda history: history.name)), problems


def _compile_history(
    definition: HistoryDefinition, session: Path | None, scope: Scope, path: str
) -> CompiledHistory | tuple[Problem, ...]:
    problems: list[Problem] = []
    window = _window(definition)
    if isinstance(window, CalendarWindow) and window.time_zone not in timezones.names():
        problems.append(Problem(f"{path}.calendar.timeZone", zones.message(window.time_zone)))
    counts, amount, when = definition.counts, definition.amount, None
    if counts.when is not None:
        compiled = _condition(counts.when, scope, f"{path}.counts.when")
        if not isinstance(compiled, CompiledCondition):
            return (*problems, *compiled)
        when = compiled
    if problems:
        return tuple(problems)
    return CompiledHistory(
        name=definition.name,
        digest=_digest(definition, session, when),
        key=tuple(sorted((_key_part(part, session) for part in definition.key), key=part_name)),
        window=window,
        actions=NameSet.of(counts.actions),
        resources=None if counts.resources is None else compile_resources(counts.resources),
        when=when,
        amount=None if amount is None else Amount(tuple(amount.of.split(".")), amount.digits),
        what=counts.what,
        ignores_approved=counts.approved == "Ignore",
        outcome_within=window_milliseconds(definition.outcome_within or OUTCOME_TIME),
    )


def _key_part(name: str, session: Path | None) -> KeyPart:
    match name:
        case "subject" | "agent":
            return PartyPart(name)
        case histories.SESSION:
            # The kind refuses it where the endpoint has none; no value is ever found at no path.
            return SessionPart(session or ())
        case _:
            return MemberPart(tuple(name.split(".")))


def _window(definition: HistoryDefinition) -> SlidingWindow | CalendarWindow:
    if definition.calendar is not None:
        return CalendarWindow(definition.calendar.unit, definition.calendar.time_zone)
    return SlidingWindow(window_milliseconds(definition.window or ""))


def _condition(text: str, scope: Scope, path: str) -> CompiledCondition | tuple[Problem, ...]:
    condition = compile_condition(text, scope, path, "when")
    if not isinstance(condition, CompiledCondition):
        return condition
    if condition.histories:
        return (Problem(path, "a history cannot depend on a history: remove what reads one", 1, 1),)
    if any(member[0] == "actor" for member in condition.reads):
        return (Problem(path, "a call counts once for all its actors: read subject instead of actor", 1, 1),)
    return condition


def _digest(definition: HistoryDefinition, session: Path | None, when: CompiledCondition | None) -> str:
    """Return the digest of all that decides what a history counts: not of its name, which conditions read it by."""
    expressions = () if when is None else (when.expression,)
    scope = None if when is None else when.scope
    counted: Json = {
        "form": _FORM,
        "definition": meaning(definition.model_copy(update={"name": ""})),
        "session": list(session or ()) if SESSION in definition.key else None,
        "variables": [] if scope is None else sorted([name, text] for name, text in scope.used_by(expressions)),
        "data": [] if scope is None else sorted([name, source] for name, source in scope.sources_of(expressions)),
    }
    return hashlib.sha256(canonical(counted)).hexdigest()[:_DIGEST_DIGITS]
