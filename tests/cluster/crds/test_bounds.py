"""Every field of both kinds holds its bounds at the API server, and the models draw the line at the same place.

Holds: the numbers come from `support.schemas.bounds`, not from the schema, and each is tried on both sides; the objects
are full, of a definition without rules, so that nothing but the bound can refuse them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from support.callers import Callers
from support.full_objects import full_grant, full_policy
from support.objects import Object, changed
from support.schemas import definitions
from support.schemas.bounds import Bound, bounds
from support.schemas.definitions import BARE, in_group
from support.schemas.transitions import causes

MODELS: Final[dict[str, type[BaseModel]]] = {"EndpointPolicy": EndpointPolicy, "ApprovalGrant": ApprovalGrant}
FULL: Final = {"EndpointPolicy": full_policy("nowhere"), "ApprovalGrant": full_grant("nowhere")}
# A session is one of two things, so the full policy has only one of them.
BY_CLAIM: Final = changed(FULL["EndpointPolicy"], "spec.endpointSettings.session", {"claim": "sid"})
# Optional in the schema. That one of two must be there is a rule of its own, which the model has too.
ONE_OF_TWO: Final = frozenset(
    {
        *(f"spec.endpointSettings.session.{name}" for name in ("claim", "property")),
        *(f"spec.endpointSettings.history[].{name}" for name in ("window", "calendar")),
        # The full policy has a history that needs it.
        "spec.endpointSettings.session",
    }
)
BOUNDS: Final = bounds()
# A value of another type, the server's word for that type, and its word for the right one.
OTHER_TYPE: Final = {
    "text": (7, "integer", "string"),
    "pattern": (7, "integer", "string"),
    "number": ("seven", "string", "integer"),
    "list": ("seven", "string", "array"),
    "map": ("seven", "string", "object"),
    "object": ("seven", "string", "object"),
    "yes": ("seven", "string", "boolean"),
}
NO_DAY: Final = "2027-02-30T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Probe:
    """A value for a field; `refusal` is the server's message, None where it is accepted. `...` leaves the field out."""

    value: Any
    refusal: str | None = None


def full(bound: Bound) -> Object:
    """Return a full object that has the field."""
    return BY_CLAIM if bound.path == "spec.endpointSettings.session.claim" else FULL[bound.kind]


def at(bound: Bound) -> str:
    """Return the path of the first such field of the full objects, as `changed` takes it."""
    keys = bound.path.replace("[]", ".[]").replace("{}", ".env").split(".")
    found = next(_ways(full(bound), keys), None)
    assert found is not None, f"the full {bound.kind} has no {bound.path}"
    return ".".join(found)


def _ways(node: Any, keys: Sequence[str]) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - any JSON
    if not keys:
        yield ()
        return
    key, *rest = keys
    members = enumerate(node) if key == "[]" else [(key, node[key])] if key in node else []
    for name, member in members:
        for way in _ways(member, rest):
            yield (str(name), *way)


def in_body(bound: Bound) -> str:
    """Return the same path as the server writes it."""
    return re.sub(r"\.(\d+)", r"[\1]", at(bound))


def present(bound: Bound) -> Any:  # noqa: ANN401 - any JSON
    node: Any = full(bound)
    for key in at(bound).split("."):
        node = node[int(key) if key.isdecimal() else key]
    return node


def probes(bound: Bound) -> Iterator[Probe]:
    """Yield what to try at a field: there or not, of another type, and each end of its range from both sides."""
    if not bound.path.endswith(("[]", "{}")):
        yield Probe(..., "Required value" if bound.required else None)
    if bound.what in OTHER_TYPE:
        wrong, is_type, should = OTHER_TYPE[bound.what]
        shown = f'"{is_type}"'
        yield Probe(wrong, f"Invalid value: {shown}: {in_body(bound)} in body must be of type {should}: {shown}")
    match bound.what:
        case "text":
            yield from _text(bound)
        case "number":
            yield from _number(bound)
        case "list" | "map":
            yield from _many(bound)
        case "choice":
            supported = ", ".join(f'"{word}"' for word in bound.words)
            yield from (Probe(word) for word in bound.words)
            yield Probe("Other", f'Unsupported value: "Other": supported values: {supported}')
        case "time":
            wrong = f"{in_body(bound)} in body must be of type date-time"
            yield Probe(NO_DAY, f'Invalid value: "{NO_DAY}": {wrong}: "{NO_DAY}"')
            yield Probe("2028-02-29T23:59:59.999999999-11:30")
        case _:
            yield Probe(present(bound))


def _text(bound: Bound) -> Iterator[Probe]:
    assert bound.high is not None
    if bound.low:
        short = "a" * (bound.low - 1)
        message = f"{in_body(bound)} in body should be at least {bound.low} chars long"
        yield Probe(short, f'Invalid value: "{short}": {message}')
    yield Probe("a" * bound.low)
    yield Probe("a" * bound.high)
    yield Probe("a" * (bound.high + 1), f"Too long: may not be more than {bound.high} bytes")


def _number(bound: Bound) -> Iterator[Probe]:
    refused = f"Invalid value: {bound.low - 1}: {in_body(bound)} in body should be greater than or equal to {bound.low}"
    yield Probe(bound.low - 1, refused)
    yield Probe(bound.low)
    if bound.high is not None:
        yield Probe(bound.high)
        over = f"{in_body(bound)} in body should be less than or equal to {bound.high}"
        yield Probe(bound.high + 1, f"Invalid value: {bound.high + 1}: {over}")


def _many(bound: Bound) -> Iterator[Probe]:
    assert bound.high is not None
    things = "items" if bound.what == "list" else "properties"
    if bound.low:
        fewer = f"{in_body(bound)} in body should have at least {bound.low} {things}"
        yield Probe(_some(bound, bound.low - 1), f"Invalid value: {bound.low - 1}: {fewer}")
    yield Probe(_some(bound, bound.low))
    yield Probe(_some(bound, bound.high))
    more = f"Too many: {bound.high + 1}: must have at most {bound.high} items"
    yield Probe(_some(bound, bound.high + 1), more)


def _some(bound: Bound, count: int) -> Any:  # noqa: ANN401 - a list or a map
    value = present(bound)
    if bound.what == "map":
        (item,) = value.values()
        return {f"k{number}": item for number in range(count)}
    return [_numbered(value[0], bound.words, number) for number in range(count)]


def _numbered(item: Any, keys: tuple[str, ...], number: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(item, str):
        for before in ("context.", "/context/"):
            if item.startswith(before):
                return f"{before}a{number}"
        if item.isalpha() and item.isupper():
            return chr(ord("A") + number)
        return f"sha256:{number:064x}" if item.startswith("sha256:") else f"a{number}"
    return {**item, **{key: f"a{number}" for key in keys if key in item}}


def ask(callers: Callers, shelf: str, bound: Bound, value: object) -> tuple[list[tuple[str, str]], str, Object]:
    """Return what the server refuses of the full object with this value, its words, and the object."""
    body = changed({**full(bound), "metadata": {"name": "full"}}, at(bound), value)
    body["metadata"]["namespace"] = shelf
    answer = callers.admin.create(in_group(body, BARE), dry_run=True)
    return causes(answer), answer.message, body


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
def test_a_field_holds_its_bounds_and_the_model_agrees(
    bound: Bound, callers: Callers, variants: None, shelf: str
) -> None:
    for probe in probes(bound):
        found, message, body = ask(callers, shelf, bound, probe.value)
        wanted = [(in_body(bound), probe.refusal)] if probe.refusal else []
        assert (found, message == "") == (wanted, not wanted), f"{probe.value!r}: {message}"
        missed = probe.value is ... and bound.path in ONE_OF_TWO
        assert accepted_by_the_model(bound.kind, body) == (not wanted and not missed), repr(probe.value)


@pytest.mark.parametrize("bound", [bound for bound in BOUNDS if bound.what == "list"], ids=str)
def test_a_list_takes_no_duplicates_unless_it_may(bound: Bound, callers: Callers, variants: None, shelf: str) -> None:
    item = present(bound)[0]
    found, message, body = ask(callers, shelf, bound, [item, item])
    # Of a map's keys the compiler tells, which names what else has that name.
    assert accepted_by_the_model(bound.kind, body) == (bound.words != ("set",))
    if bound.words == ("any",):
        assert message == ""
        return
    # Only here does the server write the key of a map in brackets.
    where = in_body(bound).replace(".env", "[env]")
    shown = item if isinstance(item, str) else {key: item[key] for key in sorted(bound.words)}
    assert found == [(f"{where}[1]", f"Duplicate value: {json.dumps(shown, separators=(',', ':'))}")]


def test_the_table_has_every_field_of_the_definitions() -> None:
    tabled = {(bound.kind, bound.path) for bound in BOUNDS}
    assert tabled == {
        (definition["spec"]["names"]["kind"], path)
        for definition in definitions.both()
        for path, node in definitions.nodes(definitions.schema_of(definition))
        if path.startswith(("spec", "status")) and not (path.endswith("[]") and node["type"] == "object")
    }


def accepted_by_the_model(kind: str, body: Object) -> bool:
    try:
        MODELS[kind].model_validate({part: body[part] for part in ("spec", "status") if part in body}, strict=False)
    except ValidationError:
        return False
    return True
