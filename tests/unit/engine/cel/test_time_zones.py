"""Time zones of conditions: what is not one is a problem where it stands, and the machine's own files play no part."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from bailiwick_api import timezones
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.compile.policies import compile_policy, parse_spec, policy_ref
from support.objects import rule
from unit.engine.cases import stored

CONDITION: Final = "spec.rules[0].conditions[0].expression"
NOON: Final = datetime(2026, 7, 1, 12, 30, tzinfo=UTC).timestamp()
# By daylight saving time, where there is one.
KNOWN: Final = {
    "UTC": 12,
    "Europe/Berlin": 14,
    "America/New_York": 8,
    "America/Argentina/Buenos_Aires": 9,
    "US/Pacific": 5,
    "Etc/GMT+5": 7,
    "+02:00": 14,
    "-02:00": 10,
    "02:00": 14,
    "+2:00": 14,
}
UNKNOWN: Final = {
    "Nowhere/X": "use an IANA time zone name, for example 'Europe/Berlin', or an offset, for example '+02:00'",
    "europe/berlin": "did you mean 'Europe/Berlin'?",
    "Europe/Berln": "did you mean 'Europe/Berlin'?",
    "utc": "did you mean 'UTC'?",
    "": "use an IANA time zone name",
    "+0200": "use an IANA time zone name",
    "+24:00": "use an IANA time zone name",
    "+02:60": "use an IANA time zone name",
    # What a machine says for itself, or spells otherwise than the next one.
    "localtime": "use an IANA time zone name",
    "/etc/localtime": "use an IANA time zone name",
    "../zoneinfo/UTC": "use an IANA time zone name",
    "posix/Europe/Berlin": "did you mean 'Europe/Berlin'?",
    "libc:localtime": "use an IANA time zone name",
    "Factory": "use an IANA time zone name",
}


def problems(expression: str, *variables: Any) -> list[str]:  # noqa: ANN401 - as the spec has them
    raw = stored("p", rule(conditions=[{"name": "c", "expression": expression}]))
    if variables:
        raw["spec"]["variables"] = list(variables)
    spec = parse_spec(raw["spec"])
    assert not isinstance(spec, tuple), spec
    return [str(problem) for problem in compile_policy(policy_ref(raw), spec).problems]


@pytest.mark.parametrize("zone", KNOWN)
def test_a_zone_that_there_is_tells_its_hour(zone: str) -> None:
    scope = Scope.of(())
    expression = scope.condition(f"now.getHours('{zone}') == {KNOWN[zone]}", "here")
    assert isinstance(expression, Expression), expression
    call = Call("n", "e", ServiceAccount("a", ""), Party("t", "i", "u"), Action("a"), Resource("t", "i"), {})
    assert scope.evaluate(expression, inputs(call, Party("t", "i", "u"), NOON)) is True


@pytest.mark.parametrize("zone", UNKNOWN)
def test_a_zone_that_there_is_not_is_a_problem_where_it_stands(zone: str) -> None:
    (found,) = problems(f"context.a == 1 &&\n  now.getHours('{zone}') == 1")
    assert found.startswith(f"{CONDITION}:2:16: unknown time zone '{zone}': {UNKNOWN[zone]}"), found


def test_a_zone_is_looked_at_wherever_it_stands() -> None:
    variables = {"name": "hour", "expression": "now.getHours('Nowhere/X')"}
    assert problems("variables.hour == 1", variables)[0].startswith("spec.variables[0].expression:1:14: unknown time")
    for expression in (
        "[1].exists(h, h == now.getHours('Nowhere/X'))",
        "cel.bind(h, now.getHours('Nowhere/X'), h == 1)",
        "{'a': timestamp(context.t).getDayOfWeek('Nowhere/X')}.a == 1",
        "has(context.a) ? now.getFullYear('Nowhere/X') == 1 : [now.getDate('Nowhere/X')] == [1]",
    ):
        assert all("unknown time zone" in one for one in problems(expression)), expression
        assert problems(expression), expression


def test_every_zone_that_is_known_is_one_of_the_librarys() -> None:
    hours = ", ".join(f"now.getHours('{zone}')" for zone in sorted(timezones.names()))
    assert len(timezones.names()) > 500
    scope = Scope.of(())
    call = Call("n", "e", ServiceAccount("a", ""), Party("t", "i", "u"), Action("a"), Resource("t", "i"), {})
    for zone in hours.split(", "):
        expression = scope.condition(f"{zone} >= 0", "here")
        assert isinstance(expression, Expression), expression
        assert scope.evaluate(expression, inputs(call, Party("t", "i", "u"), NOON)) is True, zone
