"""The histories of an endpoint: their definitions as written, and what their objects hold now.

Standing: over `views.historyview`, by which `history show` prints the same numbers. Holds: pure; an object that is not
shown is counted, and where objects cannot be read the definitions stand all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_console.endpoints.historyplot import HistoryPlot, plot
from bailiwick_console.endpoints.source import EndpointReading, HistoryReading
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_engine.compile.acceptance import carries_settings, endpoint_of
from bailiwick_engine.history.state import parse_state
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_governance.display import Line
from bailiwick_governance.views.historyview import HEADERS, ShownHistory, history_rows

OBJECTS: Final = 10
"""So many objects stand on a page."""


@dataclass(frozen=True, slots=True)
class ShownDefinition:
    """A definition as its policy has it, in words."""

    name: str
    key: str
    window: str
    counts: tuple[str, ...]
    amount: str


@dataclass(frozen=True, slots=True)
class ObjectPlot:
    """A plot, and of which history in which object it is."""

    history: str
    object: str
    plot: HistoryPlot


@dataclass(frozen=True, slots=True)
class HistoriesPart:
    """The part of the page. `unread`: why the objects cannot be read; `more`: there are more than were read.

    `rows` are those of the objects on this page; `wanted`: the name of the object that was looked up; empty: none.
    """

    definitions: tuple[ShownDefinition, ...]
    headers: tuple[str, ...]
    objects: ShownPart[ShownHistory]
    rows: tuple[Line, ...]
    plots: tuple[ObjectPlot, ...]
    unread: str
    more: bool
    wanted: str


def compose(found: EndpointReading, reading: HistoryReading, number: str) -> HistoriesPart | None:
    """Return the part; None for an endpoint without histories. `number`: that of the page of objects."""
    histories = () if found.compiled is None else found.compiled.histories
    if not histories:
        return None
    shown = [_shown_object(raw, histories, found.key[1]) for raw in reading.items]
    part = page_of(shown, number, OBJECTS)
    return HistoriesPart(
        tuple(_definitions(found, histories)),
        HEADERS,
        part,
        tuple(history_rows(part.entries, found.now)),
        tuple(_plots(part.entries, found.now)),
        reading.unread,
        reading.more,
        reading.wanted,
    )


def _shown_object(raw: Mapping[str, Any], histories: Sequence[CompiledHistory], endpoint: str) -> ShownHistory:
    """Return an object. One that was made for another endpoint is unreadable here, whatever its label says."""
    state = parse_state(raw.get("spec"))
    if state is not None and state.endpoint != endpoint:
        raw = {**raw, "spec": None}
    return ShownHistory.from_object(raw, histories)


def _plots(shown: Sequence[ShownHistory], now: float) -> Iterator[ObjectPlot]:
    for one in shown:
        for history in one.histories:
            drawn = None if one.state is None else plot(one.state, history, now)
            if drawn is not None:
                yield ObjectPlot(history.name, one.name, drawn)


def _definitions(found: EndpointReading, histories: Sequence[CompiledHistory]) -> Iterator[ShownDefinition]:
    """Yield the definitions that are in force, by the text of the policy that carries the settings."""
    names = {one.name for one in histories}
    for raw in found.items:
        spec = raw.get("spec")
        if endpoint_of(spec) != found.key[1] or not carries_settings(spec):
            continue
        for one in raw["spec"]["endpointSettings"].get("history") or ():
            if one["name"] in names:
                yield _definition(one)


def _definition(raw: Mapping[str, Any]) -> ShownDefinition:
    calendar, amount = raw.get("calendar"), raw.get("amount")
    window = raw.get("window") or ""
    if calendar is not None:
        window = f"the present {str(calendar['unit']).lower()} in {calendar['timeZone']}"
    return ShownDefinition(
        raw["name"],
        ", ".join(raw.get("key") or ()) or "none: one object for all calls",
        window,
        tuple(_counts(raw)),
        "none" if amount is None else f"{amount['of']}, {amount.get('digits') or 0} decimals",
    )


def _counts(raw: Mapping[str, Any]) -> Iterator[str]:
    counts = raw["counts"]
    yield f"{counts.get('what') or 'Allowed'} calls of {', '.join(counts['actions'])}"
    for one in counts.get("resources") or ():
        properties = "".join(
            f", {name}: {' or '.join(values)}" for name, values in (one.get("properties") or {}).items()
        )
        yield f"of {one['type']}/{' or '.join(one.get('ids') or ())}{properties}"
    if counts.get("when"):
        yield f"when {counts['when']}"
    if counts.get("approved") == "Ignore":
        yield "not those that an approval lets through"
    if raw.get("outcomeWithin"):
        yield f"outcomes within {raw['outcomeWithin']}"
