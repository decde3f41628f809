"""Which other approvals still let a call through, by what their requests say."""

from typing import Any, Final

import pytest

from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.overlaps import find_overlaps
from support.objects import OTHER_DIGEST
from unit.governance.cases import AGENT, DIGEST, NOW, at, stored

ACTIVE: Final = {"phase": "Active", "notAfterTime": at(600)}
SCOPE: Final = {"mode": "Scope"}
# Fields of the other grant beside those of one that is bound to DIGEST, and whether it still lets the call through.
EXACT: Final[dict[str, tuple[dict[str, Any], bool]]] = {
    "the very same call": ({}, True),
    "a call with other arguments": ({"binding": {"mode": "Exact", "digest": OTHER_DIGEST}}, False),
    "a scope of everything": ({"binding": SCOPE, "resource": {"type": "customer", "id": "*"}}, True),
    "a scope of the resource": ({"binding": SCOPE}, True),
    "a scope of another resource": ({"binding": SCOPE, "resource": {"type": "customer", "id": "43"}}, False),
    "a scope of another type": ({"binding": SCOPE, "resource": {"type": "order", "id": "*"}}, False),
    "another action": ({"action": {"name": "customers.delete"}}, False),
    "another endpoint": ({"endpoint": "other"}, False),
    "another subject": ({"subject": {"type": "serviceAccount", "id": "system:serviceaccount:a:b"}}, False),
    "a subject of the same name that was made anew": (
        {"subject": {"type": "serviceAccount", "id": AGENT, "uid": "new"}},
        False,
    ),
    "another actor": ({"actors": [{"id": "system:serviceaccount:a:b"}]}, False),
    "one that waits": ({"status": {"phase": "Pending"}}, False),
    "one that is over": ({"status": {"phase": "Active", "notAfterTime": at(-1)}}, False),
    "one that is used up": ({"status": {**ACTIVE, "uses": 1}}, False),
    "one that is revoked": ({"revocation": {"by": "carol"}}, False),
}
SCOPES: Final[dict[str, tuple[dict[str, Any], dict[str, Any], bool]]] = {
    "one below the other": ({"id": "db/*"}, {"id": "db/main"}, True),
    "one above the other": ({"id": "db/main"}, {"id": "db/*"}, True),
    "side by side": ({"id": "db/*"}, {"id": "mail/*"}, False),
    "one above the other's stem alone": ({"id": "db/"}, {"id": "db/*"}, False),
    "one within the other": ({"id": "*"}, {"id": "db/*"}, True),
    "other values of a property": (
        {"id": "*", "properties": {"env": "prod"}},
        {"id": "*", "properties": {"env": "test"}},
        False,
    ),
    "a property of one alone": ({"id": "*", "properties": {"env": "prod"}}, {"id": "*"}, True),
}


def grant(name: str, **fields: Any) -> GrantView:  # noqa: ANN401 - as `stored`
    raw = stored(**{"status": ACTIVE, **fields})
    raw["metadata"] |= {"name": name, "uid": f"{name}-uid"}
    return GrantView(raw, NOW)


@pytest.mark.parametrize(("fields", "lets"), EXACT.values(), ids=EXACT)
def test_of_one_exact_call(fields: dict[str, Any], lets: bool) -> None:
    one, other = grant("one", binding={"mode": "Exact", "digest": DIGEST}), grant("other", **fields)
    assert [found.name for found in find_overlaps(one, [one, other])] == (["other"] if lets else [])


@pytest.mark.parametrize(("mine", "others", "lets"), SCOPES.values(), ids=SCOPES)
def test_of_a_scope(mine: dict[str, Any], others: dict[str, Any], lets: bool) -> None:
    one = grant("one", binding=SCOPE, resource={"type": "secret", **mine})
    other = grant("other", binding=SCOPE, resource={"type": "secret", **others})
    assert [found.name for found in find_overlaps(one, [other])] == (["other"] if lets else [])


def test_what_cannot_be_read_is_passed_over() -> None:
    broken = stored(status=ACTIVE)
    del broken["spec"]["request"]["subject"]
    assert find_overlaps(grant("one"), [GrantView(broken, NOW)]) == []
