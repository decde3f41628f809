"""Arguments that a route takes are those that an application takes, whatever names stand in its body or its query.

The oracles are encoding/json of Go, which knows no case of names and takes the last of several members, and readers
that know one member by two names: protobuf's, and FastAPI with models of pydantic.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel, to_pascal

from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_engine.compile.routes import compile_routes
from bailiwick_engine.policy.membernames import twin_members
from bailiwick_engine.policy.routes import MappedCall, RouteMatch, RouteRefusal, RouteTable
from bailiwick_engine.reasons import Reason
from localcluster import toolchain
from localcluster.progress import Terminal
from support.work import lines_run

HOST: Final = "crm.example.com"
PROGRAM: Final = Path(__file__).parents[2] / "support" / "goreader" / "main.go"
PLAIN: Final = ("to", "To", "TO", "tO", "t\u03bf", "amount", "Amount", "aMount", "x")
HOLDERS: Final = ("payment", "Payment", "PAYMENT")

members: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.sampled_from(PLAIN), st.integers(0, 9), max_size=4)
bodies = st.builds(
    lambda plain, inner: {**plain, **inner},
    members,
    st.dictionaries(st.sampled_from(HOLDERS), members, max_size=2),
)


@pytest.fixture(scope="module")
def read_in_go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], list[Any]]]:
    binary = tmp_path_factory.mktemp("goreader") / "goreader"
    go = toolchain.find((1, 22), Terminal())
    environment = {**toolchain.environment(), "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run([go.path, "build", "-o", binary, PROGRAM], env=environment, check=True, timeout=170)
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        written, answers = process.stdin, process.stdout
        assert written is not None
        assert answers is not None

        def read(body: dict[str, Any]) -> list[Any]:
            written.write(json.dumps(body).encode() + b"\n")
            written.flush()
            found: list[Any] = json.loads(answers.readline())
            return found

        yield read


def table() -> RouteTable:
    route = {
        "methods": ["POST"],
        "path": "/export",
        "action": "export",
        "resource": {"type": "customer", "id": "*"},
        "args": {"to": "/to", "amount": "/payment/amount"},
    }
    made = compile_routes(HttpSettings.model_validate({"hosts": [HOST], "routes": [route]}))
    assert isinstance(made, RouteTable)
    return made


TABLE: Final = table()


def mapped_call(body: dict[str, Any]) -> MappedCall | RouteRefusal:
    found = TABLE.find("POST", HOST, "/export")
    assert isinstance(found, RouteMatch)
    return found.call({}, body)


@settings(max_examples=300, deadline=None)
@given(body=bodies)
def test_a_call_that_is_asked_about_is_the_one_that_go_makes(
    read_in_go: Callable[[dict[str, Any]], list[Any]], body: dict[str, Any]
) -> None:
    found = mapped_call(body)
    if isinstance(found, RouteRefusal):
        assert found.reason is Reason.AMBIGUOUS_REQUEST
        assert any(name not in {"to", "payment", "amount"} for name in (*body, *inner_names(body)))
        return
    assert found.args is not None
    assert [found.args.get("to"), found.args.get("amount")] == read_in_go(body)


def inner_names(body: dict[str, Any]) -> list[str]:
    return [name for value in body.values() if isinstance(value, dict) for name in value]


def test_go_takes_the_last_of_two_members(read_in_go: Callable[[dict[str, Any]], list[Any]]) -> None:
    # Else nothing here would show anything.
    assert read_in_go({"to": "owner", "To": "stranger", "payment": {"amount": 1, "AMOUNT": 9}}) == ["stranger", 9]


@pytest.mark.parametrize(
    ("value", "twin"),
    [
        ({"a": 1, "b": {"a": 2}}, None),
        ([{"a": 1}, {"A": 1}], None),
        ({"a": 1, "A": 1}, "a"),
        ({"x": [1, {"b": [{"ship": 1, "\u017fhip": 2}]}]}, "ship"),
        ({"key": 1, "\u212aey": 2}, "key"),
        ({"order_amount": 1, "orderAmount": 2}, "order_amount"),
        ({"orderAmount": 1, "OrderAmount_": 2}, "orderAmount"),
        ({"order": [{"a1b_c": 1, "a1BC": 2}]}, "a1b_c"),
        ({"id": 1, "_id": 2, "": 3, "_": 4, "__": 5}, None),
        ("a", None),
        (None, None),
    ],
)
def test_members_that_only_case_and_underscores_set_apart_are_found_at_any_depth(
    value: object, twin: str | None
) -> None:
    assert twin_members(value) == twin


def test_a_body_of_many_names_is_read_in_proportion_to_its_size() -> None:
    def work(count: int) -> int:
        # Only the last two names differ in case alone, so all of them are looked at.
        names = [f"n{number}" for number in range(count)]
        return lines_run(lambda: twin_members({"to": dict.fromkeys([*names, "last", "Last"], 1)}))

    assert work(2_000) < 2.2 * work(1_000)


WORDS: Final = st.from_regex(r"[a-z][a-z0-9]{0,5}(_{1,2}[a-z0-9]{1,5}){1,3}_?", fullmatch=True)


@given(name=WORDS)
def test_a_member_in_the_spelling_of_another_convention_is_found(name: str) -> None:
    for alias in {to_camel(name), to_pascal(name), json_name(name)} - {name}:
        assert twin_members({name: 1, alias: 2}) == name


def json_name(field: str) -> str:
    """Return the name that protobuf itself gives a field in JSON."""
    file = descriptor_pb2.FileDescriptorProto(name="names.proto", package="names", syntax="proto3")
    file.message_type.add(name="Names").field.add(
        name=field,
        number=1,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    name: str = pool.FindMessageTypeByName("names.Names").fields[0].json_name
    return name


class CamelOrder(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    order_amount: int = 0


def orders(paid: list[int]) -> FastAPI:
    app = FastAPI()

    @app.post("/by-query")
    async def by_query(order: Annotated[CamelOrder, Query()]) -> None:
        paid.append(order.order_amount)

    @app.post("/by-body")
    async def by_body(order: CamelOrder) -> None:
        paid.append(order.order_amount)

    return app


def order_table() -> RouteTable:
    route = {"methods": ["POST"], "action": "pay", "resource": {"type": "order", "id": "*"}}
    routes = [
        {**route, "path": "/by-body", "args": {"amount": "/order_amount"}},
        {**route, "path": "/by-query", "args": {"amount": "{query.order_amount}"}},
    ]
    made = compile_routes(HttpSettings.model_validate({"hosts": [HOST], "routes": routes}))
    assert isinstance(made, RouteTable)
    return made


@pytest.mark.parametrize("order", [{"order_amount": 1, "orderAmount": 9000}, {"orderAmount": 9000}])
def test_what_fastapi_takes_for_an_argument_of_a_route_is_refused(order: dict[str, int]) -> None:
    paid: list[int] = []
    query, table = urlencode(order), order_table()
    with TestClient(orders(paid)) as client:
        client.post(f"/by-query?{query}")
        client.post("/by-body", json=order)
    assert paid == [9000, 9000]
    by_query, by_body = table.find("POST", HOST, f"/by-query?{query}"), table.find("POST", HOST, "/by-body")
    assert isinstance(by_body, RouteMatch)
    for found in (by_query, by_body.call({}, order)):
        assert isinstance(found, RouteRefusal)
        assert found.reason is Reason.AMBIGUOUS_REQUEST
