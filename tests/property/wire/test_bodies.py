"""Whatever bytes are sent, they are answered, and what is allowed is what a strict reader of them would allow.

Holds: the endpoint takes the enforcer's word for the subject, so that the body alone decides; what the body says is
read by `handjson`, and what comes of it by `reference`.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import pytest
from hypothesis import example, given, settings, strategies as st

from bailiwick_webhook.http.body import parse_object
from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.transport.server import Server, serve
from property.wire import handjson
from property.wire.handjson import NotStrictError
from property.worlds import reference
from property.worlds.reference import Facts, World
from property.worlds.strategies import digests_of
from support.objects import Object, gated_rule, rule, subject
from support.pdp.alone import Alone
from unit.engine.cases import NOW, stored

PEP: Final = "system:serviceaccount:crm:crm-api"
AGENT: Final = "system:serviceaccount:agents:crm-agent"
OTHER: Final = "system:serviceaccount:agents:other"
EXAMPLES: Final = 8 * settings().max_examples
CUSTOMERS: Final = [{"type": "customer", "ids": ["42", "eu/*"]}]
POLICY: Final = stored(
    "crm-agent",
    rule("read", actions=["customers.list", "customers.get.*"], resources=CUSTOMERS),
    rule("write", actions=["customers.write"], resources=CUSTOMERS, intents=["support"]),
    rule(
        "prod",
        actions=["customers.move"],
        resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
    ),
    rule("never", effect="Deny", actions=["*"], resources=[{"type": "customer", "ids": ["7"]}]),
    gated_rule("export", approval={"steps": [{"name": "ci", "kind": "System"}]}),
    endpointSettings={
        "enforcers": [{"namespace": "crm", "name": "crm-api"}],
        "identity": {"verification": "Asserted"},
    },
    subjects=[subject()],
)
FACTS: Final = Facts(POLICY)


def good(action: str = "customers.list", name: str = "42", who: str = AGENT, **context: object) -> Object:
    return {
        "subject": {"type": "serviceAccount", "id": who},
        "action": {"name": action},
        "resource": {"type": "customer", "id": name, "properties": {"env": "prod"}},
        "context": context,
    }


GOOD: Final = [
    good(),
    good("customers.get.name", "eu/1"),
    good("customers.write", intent="support"),
    good("customers.write", intent="sales"),
    good("customers.move", "9"),
    good(name="7"),
    good("customers.export", args={"a": 1}),
    good(who=OTHER),
]
BATCHES: Final = [{**good(), "evaluations": [{}, {"resource": {"type": "customer", "id": "7"}}, *GOOD[1:4]]}]

# ------------------------------------------------------------------ bytes

MEMBERS: Final = (
    '"id":"7"',
    '"id":"42"',
    '"\\u0069d":"7"',
    '"type":"user"',
    '"name":"customers.list"',
    '"subject":{}',
    '"resource":{"type":"customer","id":"42"}',
    '"properties":{"act":{"sub":"x"}}',
    '"properties":{"env":"prod"}',
    '"intent":"support"',
    '"intent":["support"]',
    '"evaluations":[{}]',
    '"options":{"evaluations_semantic":"deny_on_first_deny"}',
    '"context":{"intent":"support"}',
    '"x":1e400',
    '"x":-0',
    '"x":1E+2',
    f'"x":{2**53}',
    f'"x":{"9" * 5000}',
    '"x":NaN',
    '"x":01',
    '"x":1.',
    '"x":"\\ud800"',
    '"x":"\\udc00\\ud800"',
    '"x":"\\ud83d\\ude00"',
    '"\\udead":1',
    f'"x":{"[" * 31}{"]" * 31}',
    f'"x":{"[" * 5000}',
    '"x":{"y":1,"y":1}',
    '"":""',
    "'x':1",
    '"x":1,',
    "/* */",
)
PIECES: Final = (
    *(text.encode() for text in '"{}[],:\\0-e \né\ufeff'),
    *(b"null", b"true", b"\\u0000", b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\x1f", b"\x7f"),
)


def _member(raw: bytes, place: int, text: str) -> bytes:
    """Put a member first into one of the objects."""
    opens = [index for index, byte in enumerate(raw) if byte == ord("{")]
    if not opens:
        return raw
    at = opens[place % len(opens)] + 1
    return raw[:at] + text.encode() + b"," + raw[at:]


def _piece(raw: bytes, place: int, piece: bytes, gone: int) -> bytes:
    at = place % (len(raw) + 1)
    return raw[:at] + piece + raw[at + gone :]


changes: Final[st.SearchStrategy[Callable[[bytes], bytes]]] = st.one_of(
    st.builds(lambda place, text: lambda raw: _member(raw, place, text), st.integers(0, 30), st.sampled_from(MEMBERS)),
    st.builds(
        lambda place, piece, gone: lambda raw: _piece(raw, place, piece, gone),
        st.integers(0, 2000),
        st.sampled_from((b"", *PIECES)) | st.binary(max_size=3),
        st.integers(0, 3),
    ),
)


@st.composite
def mutated(draw: st.DrawFn, bodies: list[Object]) -> bytes:
    raw = json.dumps(draw(st.sampled_from(bodies)), ensure_ascii=draw(st.booleans())).encode()
    for change in draw(st.lists(changes, max_size=3)):
        raw = change(raw)
    return raw


def anything(bodies: list[Object]) -> st.SearchStrategy[bytes]:
    return st.one_of(mutated(bodies), mutated(bodies), mutated(bodies), st.binary(max_size=64))


# ------------------------------------------------------------------ what must come of it


def strict(raw: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return what the bytes say; None where they say nothing for certain."""
    try:
        return handjson.read(raw)
    except NotStrictError:
        return None


def expected(body: Object) -> str:
    """Return the outcome of an evaluation that was read strictly, by the slow reference."""
    who, what = body["subject"], body["resource"]
    named: Any = {"type": who["type"], "id": who["id"], "uid": ""}
    if "act" in (who.get("properties") or {}):
        named = "delegation_invalid"
    elif who["type"] != "serviceAccount":
        # Somebody else of the same name.
        named["id"] = f"{who['type']} {who['id']}"
    call = {
        "namespace": "crm",
        "endpoint": "crm-api",
        "caller": {"username": PEP, "uid": f"{PEP}-uid"},
        "subject": named,
        "action": body["action"],
        "resource": {**what, "properties": what.get("properties") or {}},
        "context": body.get("context") or {},
    }
    world = World(
        policies=[FACTS], call=call, grants=[], now=NOW, truths={}, rule_digests=digests_of([FACTS]), guard_proven=True
    )
    return reference.decide(world).outcome


def well_formed(body: object) -> bool:
    """Tell whether this is an evaluation, by what AuthZEN asks of one."""
    if not isinstance(body, dict):
        return False
    for member, names in (("subject", ("type", "id")), ("action", ("name",)), ("resource", ("type", "id"))):
        entity = body.get(member)
        if not isinstance(entity, dict) or not all(
            isinstance(entity.get(name), str) and entity[name] for name in names
        ):
            return False
        if not isinstance(entity.get("properties"), dict | None):
            return False
    return isinstance(body.get("context"), dict | None)


Ask = Callable[[str, bytes], tuple[int, str, Any]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Send bytes to a path of the endpoint, as its enforcer."""
    with _serving() as asking:
        yield asking


@contextmanager
def _serving() -> Iterator[Ask]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {PEP}"}
    with asyncio.Runner() as runner:

        async def start() -> tuple[Server, aiohttp.ClientSession]:
            # As the process serves it: what answers before the application does is asked too.
            return await serve(Alone([POLICY]).application, "127.0.0.1", 0), aiohttp.ClientSession()

        server, client = runner.run(start())
        base = f"http://127.0.0.1:{server.port}/endpoints/crm/crm-api/access/v1"

        async def post(path: str, raw: bytes) -> tuple[int, str, Any]:
            async with client.post(f"{base}/{path}", data=raw, headers=headers) as answer:
                return answer.status, answer.content_type, json.loads(await answer.read())

        async def stop() -> None:
            await client.close()
            await server.stop()

        try:
            yield lambda path, raw: runner.run(post(path, raw))
        finally:
            runner.run(stop())


@settings(max_examples=4 * EXAMPLES)
@given(anything([*GOOD, *BATCHES]))
def test_bytes_are_read_as_a_strict_reader_reads_them_or_refused_with_a_400(raw: bytes) -> None:
    meant = strict(raw)
    if isinstance(meant, dict):
        found = parse_object(raw)
        assert found == meant
        # True is 1 and 0.0 is 0 to Python, but not to whoever sent it.
        assert json.dumps(found) == json.dumps(meant)
        return
    with pytest.raises(ProblemError) as refused:
        parse_object(raw)
    assert refused.value.status == 400


@settings(max_examples=EXAMPLES)
@given(raw=anything(GOOD))
@example(raw=json.dumps(good()).encode())
def test_an_evaluation_is_answered_whatever_it_is_and_allowed_only_as_it_is_read_strictly(ask: Ask, raw: bytes) -> None:
    status, kind, answer = ask("evaluation", raw)
    assert status in {200, 400}
    body = strict(raw)
    if status == 400:
        assert kind == "application/problem+json"
        return
    assert well_formed(body)
    assert answer["decision"] is (expected(body) == "allow")


def with_defaults(body: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Return an item with the body's members where it has none (AuthZEN 1.0, "Default Values").

    A member of its own stands in the place of the body's, whole, but that it may leave out type and id.
    """
    whole = {**body, **{name: value for name, value in item.items() if value is not None}}
    for name in ("subject", "resource"):
        own, default = item.get(name), body.get(name)
        if isinstance(own, dict) and isinstance(default, dict):
            left = {key: default[key] for key in ("type", "id") if own.get(key) is None and key in default}
            whole[name] = {**own, **left}
    return whole


@settings(max_examples=EXAMPLES)
@given(raw=anything(BATCHES))
@example(raw=json.dumps(BATCHES[0]).encode())
@example(raw=json.dumps({**BATCHES[0], "evaluations": [{"subject": {"id": BATCHES[0]["subject"]["id"]}}]}).encode())
def test_each_item_of_a_batch_is_allowed_only_as_it_is_read_strictly(ask: Ask, raw: bytes) -> None:
    status, kind, answer = ask("evaluations", raw)
    assert status in {200, 400}
    if status == 400:
        assert kind == "application/problem+json"
        return
    body = strict(raw)
    assert isinstance(body, dict)
    items = body.get("evaluations") or [{}]
    answers = answer["evaluations"] if body.get("evaluations") else [answer]
    assert 1 <= len(answers) <= len(items)
    for item, one in zip(items, answers, strict=False):
        whole = with_defaults(body, item) if isinstance(item, dict) else None
        assert one["decision"] is (well_formed(whole) and expected(whole or {}) == "allow")


def test_the_bodies_that_are_changed_are_read_and_some_of_them_allowed(ask: Ask) -> None:
    answers = [ask("evaluation", json.dumps(body).encode()) for body in GOOD]
    assert [answer["decision"] for _, _, answer in answers] == [True, True, True, False, True, False, False, False]
    assert all(well_formed(body) for body in GOOD)
