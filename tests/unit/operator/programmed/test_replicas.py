"""Where the decision point's processes are found, and what is made of whatever they answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest

from bailiwick_operator.programmed.replicas import (
    AbsentReplicaError,
    ListedReplicas,
    Replica,
    ReplicaClient,
    SilentReplicaError,
    in_slices,
)
from bailiwick_operator.reconcile.programmed import Reply
from localcluster.ports import free_ports
from support.objects import Object

ASKED: Final = (("a", 1), ("b", 2))
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def a_slice(
    *endpoints: Object, family: str = "IPv4", ports: tuple[tuple[str, int], ...] = (("status", 9000),)
) -> Object:
    named = [{"name": name, "port": port, "protocol": "TCP"} for name, port in (("decisions", 8443), *ports)]
    return {"addressType": family, "endpoints": list(endpoints), "ports": named}


def endpoint(name: str, address: str, **conditions: bool) -> Object:
    target = {"kind": "Pod", "name": name, "uid": f"uid-{name}"}
    return {"addresses": [address], "conditions": conditions, "targetRef": target}


def test_ready_endpoints_are_found_and_those_that_are_not_are_left_out() -> None:
    found = in_slices(
        [
            a_slice(endpoint("p1", "10.0.0.1", ready=True), endpoint("p2", "10.0.0.2", ready=False)),
            a_slice(endpoint("p3", "10.0.0.3", ready=False, serving=True, terminating=True)),
            a_slice(endpoint("p4", "10.0.0.4"), {"addresses": ["10.0.0.5"]}, {"addresses": []}),
        ]
    )
    assert found == (
        Replica("p1", "http://10.0.0.1:9000"),
        Replica("p4", "http://10.0.0.4:9000"),
        Replica("10.0.0.5", "http://10.0.0.5:9000"),
    )


def test_the_witness_finds_those_too_that_are_not_ready_or_that_end() -> None:
    found = in_slices(
        [
            a_slice(endpoint("p1", "10.0.0.1", ready=True), endpoint("p2", "10.0.0.2", ready=False)),
            a_slice(endpoint("p3", "10.0.0.3", ready=False, serving=True, terminating=True)),
        ],
        every=True,
    )
    assert [(one.name, one.uid, one.vouched) for one in found] == [
        ("p1", "uid-p1", True),
        ("p2", "uid-p2", False),
        ("p3", "uid-p3", False),
    ]


def test_a_pod_is_asked_at_its_status_port_alone() -> None:
    ports = (("https", 8443), ("status-1", 9001), ("status", 9000))
    assert in_slices([a_slice(endpoint("p1", "10.0.0.1"), ports=ports)]) == (Replica("p1", "http://10.0.0.1:9000"),)


def test_a_pod_of_two_address_families_is_one_process() -> None:
    slices = [a_slice(endpoint("p1", "fd00::1"), family="IPv6"), a_slice(endpoint("p1", "10.0.0.1"))]
    assert [found.url for found in in_slices(slices)] == ["http://10.0.0.1:9000"]
    assert [found.url for found in in_slices(slices[:1])] == ["http://[fd00::1]:9000"]


@pytest.mark.parametrize(
    "one",
    [
        {},
        {"addressType": "IPv4", "endpoints": None, "ports": None},
        a_slice(endpoint("p1", "10.0.0.1"), ports=()),
        a_slice(endpoint("p1", "10.0.0.1"), ports=(("statusquo", 1),)),
        a_slice(endpoint("p1", "example.com"), family="FQDN"),
    ],
    ids=["nothing", "no endpoints", "no status port", "another port", "names"],
)
def test_a_slice_without_anybody_to_ask_is_none(one: Object) -> None:
    assert in_slices([one]) == ()


async def test_processes_named_by_hand_are_asked_where_they_were_named() -> None:
    assert await ListedReplicas(("http://127.0.0.1:9000/",)).find() == (
        Replica("http://127.0.0.1:9000/", "http://127.0.0.1:9000", vouched=False),
    )


@pytest.fixture
async def asker() -> AsyncIterator[ReplicaClient]:
    asker = ReplicaClient(0.5)
    yield asker
    await asker.close()


async def replied(asker: ReplicaClient, talk: Talk) -> Reply:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        return await asker.ask(Replica("it", f"http://127.0.0.1:{port}"), ASKED)
    finally:
        server.close()


def answering(body: bytes, status: str = "200 OK", headers: str = "") -> tuple[Talk, list[bytes]]:
    """Return something that gives this answer, and where it puts what it was asked."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.extend([head, await reader.readexactly(length)])
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        writer.close()

    return talk, seen


async def test_one_request_asks_about_everything_and_the_answer_is_told(asker: ReplicaClient) -> None:
    talk, seen = answering(b'{"ready": true, "served": [["a", 1]]}')
    assert await replied(asker, talk) == Reply("it", ready=True, served=frozenset({("a", 1)}))
    assert seen[0].startswith(b"POST /served HTTP/1.1\r\n")
    assert json.loads(seen[1]) == [["a", 1], ["b", 2]]


async def test_what_was_not_asked_about_does_not_count(asker: ReplicaClient) -> None:
    talk, _ = answering(b'{"ready": false, "served": [["a", 2], ["x", 1], ["b", 2]]}')
    assert await replied(asker, talk) == Reply("it", ready=False, served=frozenset({("b", 2)}))


ANSWERS: Final[dict[str, tuple[bytes, str, str]]] = {
    "no such path": (b"404: Not Found", "404 Not Found", ""),
    "an error": (b"", "500 Internal Server Error", ""),
    "somewhere else": (b"", "307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n"),
    "no JSON": (b"served", "200 OK", ""),
    "no UTF-8": (b'{"ready": true, "served": [["\xff", 1]]}', "200 OK", ""),
    "a list": (b"[]", "200 OK", ""),
    "nothing served": (b'{"ready": true}', "200 OK", ""),
    "served nonsense": (b'{"ready": true, "served": [5]}', "200 OK", ""),
    "infinitely": (b'{"ready": true, "served": [["a", 1e999]]}', "200 OK", ""),
    "deeply": (b"[" * 100_000, "200 OK", ""),
    "endlessly": (b'{"ready": true, "served": []}' + b" " * 2**22, "200 OK", ""),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_any_other_answer_counts_as_one_that_serves_nothing(asker: ReplicaClient, case: str) -> None:
    talk, _ = answering(*ANSWERS[case])
    reply = await replied(asker, talk)
    assert (reply.ready, reply.served, bool(reply.silent)) == (True, frozenset(), True)


async def test_one_that_says_nothing_is_waited_for_no_longer_than_so_long(asker: ReplicaClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert await replied(asker, talk) == Reply("it", ready=True, silent="timeout after 0.5 s")


async def test_one_that_hangs_up_serves_nothing(asker: ReplicaClient) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    reply = await replied(asker, talk)
    assert (reply.ready, reply.served, bool(reply.silent)) == (True, frozenset(), True)


@pytest.mark.parametrize("vouched", [True, False])
async def test_where_nothing_listens_there_is_no_process_unless_somebody_says_so(
    asker: ReplicaClient, vouched: bool
) -> None:
    (port,) = free_ports(1)
    reply: Any = await asker.ask(Replica("it", f"http://127.0.0.1:{port}", vouched), ASKED)
    assert (reply.ready, reply.served, bool(reply.silent)) == (vouched, frozenset(), True)


async def test_a_cluster_without_names_is_told_in_words(asker: ReplicaClient) -> None:
    reply = await asker.ask(Replica("it", "http://nowhere.invalid", vouched=False), ASKED)
    assert (reply.ready, bool(reply.silent)) == (False, True)


async def test_whoever_asks_for_something_else_is_told_where_nothing_listens(asker: ReplicaClient) -> None:
    (port,) = free_ports(1)
    with pytest.raises(AbsentReplicaError, match=r"\w"):
        await asker.post(Replica("it", f"http://127.0.0.1:{port}"), "/usage", b"[]", 100)

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    with pytest.raises(SilentReplicaError) as raised:
        await asker.post(Replica("it", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), "/usage", b"[]", 100)
    assert not isinstance(raised.value, AbsentReplicaError)
    server.close()
