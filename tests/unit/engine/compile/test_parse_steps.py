"""A policy is parsed in steps: each entry of a list that may be long is one, so that no step grows with such a list."""

from typing import Any, Final

import pytest
from pydantic import BaseModel

from bailiwick_engine.compile import policies
from bailiwick_engine.compile.policies import parse_spec, parse_steps
from bailiwick_engine.compile.policydigest import policy_digest
from bailiwick_engine.steps import whole
from support.objects import changed, policy, rule, settings

CEILING: Final = "endpointSettings.delegation.ceiling"
ROUTES: Final = "endpointSettings.http.routes"
COUNT: Final = 32


def spec() -> dict[str, Any]:
    entries = [{"actions": [f"a.{one}"], "resources": [{"type": "c", "ids": ["*"]}]} for one in range(COUNT)]
    routes = [
        {"methods": ["GET"], "path": f"/c/{one}", "action": f"a.{one}", "resource": {"type": "c", "id": f"{one}"}}
        for one in range(COUNT)
    ]
    given = {
        **settings(),
        "delegation": {"maxDepth": 1, "principals": ["agent"], "ceiling": entries},
        "http": {"hosts": ["c.example.com"], "routes": routes},
    }
    rules = [rule(f"r{one}") for one in range(COUNT)]
    made: dict[str, Any] = policy("crm", "p", rules=rules, endpointSettings=given)["spec"]
    return made


@pytest.mark.parametrize("path", ["rules", CEILING, ROUTES])
def test_the_last_step_has_no_entry_of_a_long_list_left_to_parse(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[Any] = []

    def seen(raw: object) -> object:
        last.append(raw)
        return parse_spec(raw)

    monkeypatch.setattr(policies, "parse_spec", seen)
    steps = sum(1 for _ in parse_steps(spec()))
    (entries,) = last
    for name in path.split("."):
        entries = entries[name]
    assert all(isinstance(entry, BaseModel) for entry in entries)
    assert steps == 3 * COUNT


def test_it_comes_to_what_it_comes_to_at_once() -> None:
    assert whole(parse_steps(spec())) == parse_spec(spec())


@pytest.mark.parametrize("path", ["rules.3", f"{CEILING}.3", f"{ROUTES}.3"])
@pytest.mark.parametrize("value", [{}, 7, {"actions": ["*"], "resources": []}])
def test_what_is_wrong_is_told_as_it_is_at_once(path: str, value: object) -> None:
    broken = changed({"spec": spec()}, f"spec.{path}", value)["spec"]
    found = whole(parse_steps(broken))
    assert isinstance(found, tuple)
    assert found == parse_spec(broken)


def test_the_digest_of_a_long_list_is_made_an_entry_a_step() -> None:
    parsed = parse_spec(spec())
    assert not isinstance(parsed, tuple)
    assert sum(1 for _ in policy_digest(parsed)) >= 3 * COUNT
