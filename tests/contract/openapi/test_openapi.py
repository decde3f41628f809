"""The OpenAPI document says what a decision point serves: each operation is sent, and both ends are held against it."""

import json
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

import jsonschema
import pytest
import pytest_asyncio
from aiohttp import ClientSession

import generate_openapi
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle
from bailiwick_webhook.http.authzen import tasks
from bailiwick_webhook.http.transport.server import serve
from contract.asking_alone import AGENT, PEP, STRANGER, stored
from contract.openapi.openapidoc import HeldDocument, routes
from httpinterface import operations
from httpinterface.operations import OPERATIONS, HttpOperation
from support.objects import gated_rule, rule
from support.pdp.alone import Alone, NoCluster, subject_token
from unit.engine.cases import approved, asked, governed, read

DOCUMENT: Final = generate_openapi.document()
HELD: Final = HeldDocument(DOCUMENT)
NAMED: Final = {one.name: one for one in OPERATIONS}
HOST: Final = "crm.example.com"
TASK: Final = "agr-a.7c0f2a52-3f6e-4d3a-9d0e-2f1f7cb1a111"
CALL: Final[dict[str, Any]] = {
    "subject": {"type": "serviceAccount", "id": AGENT},
    "action": {"name": "customers.list"},
    "resource": {"type": "customer", "id": "42"},
    "context": {"evidence": {"subject_token": subject_token(AGENT)}},
}
GATED: Final = {**CALL, "action": {"name": "customers.export"}}
EXPLAINED: Final = {**GATED, "context": {**CALL["context"], "explain": True}}
BATCH: Final = {**CALL, "evaluations": [{}, {"action": {"name": "none"}}, {"action": 7}]}
REPORT: Final = {
    "evaluation_id": f"eval_{32 * '0'}",
    "handle": EntryHandle(64 * "0", (CountedEntry(f"sha256:{64 * '0'}", 8 * "0"),), 0).text,
    "outcome": "succeeded",
}
# The operation, what is sent, who asks, and the status that must come.
SENT: Final[dict[str, tuple[str, Any, str | None, int]]] = {
    "an allow": ("evaluate", CALL, PEP, 200),
    "an approval that is needed": ("evaluate", EXPLAINED, PEP, 200),
    "a denial": ("evaluate", {**CALL, "action": {"name": "none"}}, PEP, 200),
    "no subject": ("evaluate", {"action": {"name": "a"}}, PEP, 400),
    "nobody": ("evaluate", CALL, None, 401),
    "a stranger": ("evaluate", CALL, STRANGER, 403),
    "a batch": ("evaluateMany", BATCH, PEP, 200),
    "a batch without items": ("evaluateMany", CALL, PEP, 200),
    "a batch that is none": ("evaluateMany", {"evaluations": 7}, PEP, 400),
    "subjects": ("searchSubjects", {**GATED, "subject": {"type": "serviceAccount"}}, PEP, 200),
    "resources": ("searchResources", {**CALL, "resource": {"type": "customer"}}, PEP, 200),
    "a page": ("searchActions", {**CALL, "page": {"limit": 1}}, PEP, 200),
    "a page that is none": ("searchActions", {**CALL, "page": {"limit": 0}}, PEP, 400),
    "a request for nothing": ("requestApproval", CALL, PEP, 400),
    "a request without an API server": ("requestApproval", GATED, PEP, 503),
    "a request of a stranger": ("requestApproval", GATED, STRANGER, 403),
    "a task without an API server": ("readTask", None, PEP, 503),
    "a withdrawal without an API server": ("cancelTask", {"reason": "a mistake"}, PEP, 503),
    "an outcome of a call that is not known": ("reportOutcome", REPORT, PEP, 410),
    "an outcome with a handle that is none": ("reportOutcome", {**REPORT, "handle": "none"}, PEP, 400),
    "an outcome that is none": ("reportOutcome", {**REPORT, "outcome": "done"}, PEP, 400),
    "an outcome from a stranger": ("reportOutcome", REPORT, STRANGER, 403),
    "an outcome from nobody": ("reportOutcome", REPORT, None, 401),
    "the metadata": ("describe", None, None, 200),
    "the keys": ("readKeys", None, None, 200),
    "a call of nginx that says nothing": ("authRequest", None, None, 403),
    "a call of Caddy that says nothing": ("forwardAuth", None, None, 403),
}
# Sent on purpose as what the document does not allow.
WRONG: Final = {"no subject", "a batch", "a batch that is none", "a page that is none", "an outcome that is none"}


def told(one: HttpOperation) -> dict[str, Any]:
    """Return what the document says of an operation."""
    return HELD.told(one.method, one.path)


def answered(one: HttpOperation, status: int, kind: str, body: bytes) -> list[str]:
    """Return what the document has against an answer."""
    return HELD.answered(one.method, one.path, status, kind, body)


class AwayCluster(NoCluster):
    """An API server that answers nobody."""

    async def list_grants(self, *_: object) -> None:
        raise ClusterUnavailableError("there is no API server")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[ClientSession]:
    """A client of a decision point that runs."""
    mapped = [
        {"methods": ["GET"], "path": path, "action": action, "resource": {"type": "customer", "id": "*"}}
        for path, action in (("/customers", "customers.list"), ("/customers/4", "none"))
    ]
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "http": {"hosts": [HOST], "routes": mapped}}
    policies = [stored(rule(), gated_rule(), endpointSettings=settings)]
    alone = Alone(policies, seers=[PEP], cluster=AwayCluster())
    server = await serve(alone.application, "127.0.0.1", 0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield session
    finally:
        await server.stop()


def test_the_documents_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_openapi.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_every_route_is_in_the_document_or_apart_with_a_reason() -> None:
    found = routes(Alone([stored()]).application)
    served = {(method, path) for method, path in found if not path.startswith(tuple(operations.APART))}
    written = {(one.method, one.path) for one in OPERATIONS}
    # A proxy asks with the method that it likes.
    anyhow = {(method, path) for method, path in served if method == "*"}
    assert {("get", path) for _, path in anyhow} | (served - anyhow) == written
    assert all(any(path.startswith(apart) for _, path in found) for apart in operations.APART)


def test_every_reference_leads_to_a_shape_and_every_shape_is_used() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert named == DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("name", [*DOCUMENT["components"]["schemas"]])
def test_every_shape_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_operation_is_sent() -> None:
    assert {name for name, *_ in SENT.values()} == NAMED.keys()


@pytest.mark.parametrize("case", SENT)
async def test_what_is_sent_and_what_comes_is_what_the_document_says(case: str, client: ClientSession) -> None:
    name, sent, who, status = SENT[case]
    one = NAMED[name]
    path = one.path.format(namespace="crm", endpoint="crm-api", task=TASK)
    headers = {} if who is None else {"Authorization": f"Bearer {who}"}
    if sent is not None:
        body = told(one)["requestBody"]["content"]["application/json"]["schema"]
        assert bool(HELD.against(body, sent)) == (case in WRONG)
    answer = await client.request(one.method, path, json=sent, headers=headers)
    raw = await answer.read()
    assert answer.status == status, raw
    assert answered(one, answer.status, answer.content_type, raw) == []


@pytest.mark.parametrize(
    ("path", "status", "denied"),
    [("/customers", 200, False), ("/customers/4", 403, True), ("/customers", 401, True)],
    ids=["an allow", "a denial", "a subject that is not proven"],
)
async def test_what_a_proxy_is_answered_is_what_the_document_says(
    path: str, status: int, denied: bool, client: ClientSession
) -> None:
    one = NAMED["authRequest"]
    headers = {
        "X-Bailiwick-Enforcer": f"Bearer {PEP}",
        "Authorization": f"Bearer {'none' if status == HTTPStatus.UNAUTHORIZED else subject_token(AGENT)}",
        "X-Original-Method": "GET",
        "X-Original-URI": path,
        "X-Original-Host": HOST,
    }
    answer = await client.get(one.path.format(namespace="crm", endpoint="crm-api"), headers=headers)
    raw = await answer.read()
    assert (answer.status, b"evaluation_id" in raw) == (status, denied), raw
    assert answered(one, answer.status, answer.content_type, raw) == []


def test_a_task_is_what_the_document_says_whatever_its_status() -> None:
    on = governed(gated_rule())
    one = NAMED["readTask"]
    waiting, over = asked(on), approved(on)
    waiting["spec"]["request"]["pendingUntilTime"] = "2999-01-01T00:00:00Z"
    bodies = [tasks.task(read(waiting), "https://pdp.example/x"), tasks.task(read(over), "https://pdp.example/x", "s")]
    assert [body["task"]["status"] for body in bodies] == ["pending", "approved"]
    for body in bodies:
        assert answered(one, HTTPStatus.OK, "application/json", json.dumps(body).encode()) == []
    bodies[0]["task"]["status"] = "lost"
    assert answered(one, HTTPStatus.OK, "application/json", json.dumps(bodies[0]).encode()) != []


@pytest.mark.parametrize("body", [{}, {"decision": "yes"}, {"decision": True, "more": 1}])
def test_an_answer_that_the_document_does_not_know_is_found(body: dict[str, object]) -> None:
    found = answered(NAMED["evaluate"], HTTPStatus.OK, "application/json", json.dumps(body).encode())
    assert found != []
