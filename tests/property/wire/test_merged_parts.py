"""The law of merged parts: in whichever order an upstream merges path, query and body, it gets what was asked about.

The oracles read the query as aiohttp and Starlette do, and merge the three in each order, by exact names and by names
without case, as frameworks that have one set of parameters do.
"""

import json
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import event, example, given, strategies as st
from starlette.datastructures import QueryParams
from yarl import URL

from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_engine.compile.routes import compile_routes
from bailiwick_engine.policy.routes import MappedCall, RouteMatch, RouteTable

HOST: Final = "crm.example.com"
NAMES: Final = ("id", "ID", "amount", "Amount", "mode", "MODE", "note", "amounts")
VALUES: Final = st.sampled_from(["1", "7", "vip", "9000"])
PAIRS: Final = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3)
MEMBERS: Final = st.dictionaries(st.sampled_from(NAMES), VALUES | st.integers(0, 9), max_size=3)
Part = Mapping[str, Any]
READERS: Final[Mapping[str, Callable[[str], Part]]] = {
    "aiohttp": lambda query: dict(URL(f"/?{query}", encoded=True).query),
    "Starlette": lambda query: dict(QueryParams(query)),
}


def table(args: Mapping[str, str]) -> RouteTable:
    resource = {"type": "customer", "id": "{id}"}
    route = {"methods": ["POST"], "path": "/customers/{id}/pay", "action": "pay", "resource": resource, "args": args}
    made = compile_routes(HttpSettings.model_validate({"hosts": [HOST], "routes": [route]}))
    assert isinstance(made, RouteTable)
    return made


TABLES: Final = {
    "members": table({"amount": "/amount", "mode": "{query.mode}"}),
    "the whole body": table({"body": "", "mode": "{query.mode}"}),
}


def asked_about(call: MappedCall) -> Part:
    """Return the parameters that a call was asked about, by the names that its route gives them."""
    args = dict(call.args or {})
    whole = args.pop("body", {})
    assert isinstance(whole, dict)
    return {**whole, **args, "id": call.resource.id}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("takes", TABLES)
@given(identifier=VALUES, pairs=PAIRS, body=MEMBERS, by_case=st.booleans())
@example(identifier="1", pairs=[("amount", "9000")], body={"amount": 5}, by_case=True)
@example(identifier="1", pairs=[("id", "vip")], body={}, by_case=True)
@example(identifier="1", pairs=[("mode", "1")], body={"MODE": "7", "amount": 5}, by_case=False)
@example(identifier="1", pairs=[("amount", "9000")], body={"note": "x"}, by_case=True)
def test_every_order_gives_what_was_asked_about(
    takes: str, reader: str, identifier: str, pairs: list[tuple[str, str]], body: dict[str, Any], by_case: bool
) -> None:
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    match = TABLES[takes].find("POST", HOST, f"/customers/{identifier}/pay?{query}")
    call = match.call({}, json.loads(json.dumps(body))) if isinstance(match, RouteMatch) else match
    if not isinstance(call, MappedCall):
        event("refused")
        return
    event("asked about")
    known = asked_about(call)
    parts = [{"id": identifier}, READERS[reader](query), body]
    for ordered in permutations(parts):
        merged = {name if by_case else name.casefold(): value for part in ordered for name, value in part.items()}
        for name, value in known.items():
            # A whole number that repeats the path is the same text to whatever reads a path.
            assert str(merged[name if by_case else name.casefold()]) == str(value), ordered
        if takes == "the whole body":
            # Nothing else comes to an upstream that an approval of the whole body does not cover.
            assert merged.keys() == {name if by_case else name.casefold() for name in known}
