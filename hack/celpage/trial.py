"""One call, and what the engine says of an expression about it: type, value, cost, or why it is refused.

Standing: under the tables. Holds: the engine answers, and nothing is said of an expression that it did not say.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.cost.estimate import REFERENCE, Extent
from bailiwick_engine.cel.expressions import FAILED, Expression, compile_expression, evaluate_expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.problem import Problem

NOW: Final = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
SMALL: Final = Extent(10, 10, 100)
"""A member of a call as most calls have them. The large one is the engine's own, `REFERENCE`."""
SAID: Final[dict[str, Any]] = {
    "subject": {"type": "user", "id": "carol", "claims": {"team": "emea"}, "properties": {}},
    "action": {"name": "customers.export", "properties": {"format": "csv"}},
    "resource": {"type": "customer", "id": "42", "properties": {"owner": "carol", "region": "eu"}},
    "context": {
        "count": 250,
        "fields": ["name", "iban"],
        "note": "INC-7 urgent",
        "at": "2026-03-01T10:00:00Z",
        "lines": [{"kind": "book", "price": 12}],
    },
}
_PICOSECONDS: Final = 1_000_000
_CALLER: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "uid")
_CAROL: Final = Party("user", "carol", "uid", SAID["subject"]["claims"])
_CALL: Final = Call(
    namespace="crm",
    endpoint="crm-api",
    caller=_CALLER,
    subject=_CAROL,
    action=Action("customers.export", SAID["action"]["properties"]),
    resource=Resource("customer", "42", SAID["resource"]["properties"]),
    context=SAID["context"],
)
INPUTS: Final = inputs(_CALL, _CAROL, NOW.timestamp())


@dataclass(frozen=True, slots=True)
class CelTrial:
    """What the engine says of an expression. `value` is in the spelling of CEL, or `unknown`; costs are in words."""

    kind: str
    value: str
    small: str
    large: str


def tried(text: str) -> CelTrial:
    """Compile an expression and evaluate it. Raises `ValueError` with what the compiler says."""
    found = expression(text)
    if (cost := found.cost) is None:
        raise ValueError(f"{text}: it has no cost of its own")
    held = evaluate_expression(found, {}, INPUTS)
    costs = [f"{cost.value_at([extent] * len(cost.reads)) / _PICOSECONDS:.0f} µs" for extent in (SMALL, REFERENCE)]
    return CelTrial(str(found.yields.name()).lower(), "unknown" if held is FAILED else spelled(held), *costs)


def expression(text: str) -> Expression:
    """Compile an expression. Raises `ValueError` with what the compiler says."""
    match compile_expression(text, "expression", {}):
        case Expression() as found:
            return found
        case wrong:
            raise ValueError("; ".join(map(str, wrong)))


def problems(text: str, path: str) -> tuple[Problem, ...]:
    """Return what is wrong with a condition that stands at this path. Raises `ValueError` where nothing is."""
    match Scope.of(()).condition(text, path):
        case Expression():
            raise ValueError(f"{text} compiles")
        case wrong:
            return wrong


def refused(text: str) -> str:
    """Return the first reason why a condition is refused. Raises `ValueError` for one that is not."""
    return problems(text, "")[0].message


def spelled(value: Any) -> str:  # noqa: ANN401 - any value of CEL
    """Return a value as CEL spells it."""
    match value:
        case bool() | int() | float():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case datetime():
            return f"timestamp('{value:%Y-%m-%dT%H:%M:%SZ}')"
        case timedelta():
            return f"duration('{value.total_seconds():g}s')"
        case list():
            return f"[{', '.join(spelled(one) for one in value)}]"
    return orjson.dumps(value).decode()
