"""The document of the status port says what a decision point serves there: each operation is sent, and held against it.

Every answer that the document names is met here: of an application that a test can bring to refuse, and what needs no
refusal of real processes too.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import jsonschema
import pytest
import requests
import yaml
from aiohttp import ClientSession, web  # noqa: TID251 - the application whose routes are read

import generate_openapi
from bailiwick_api.accounts import Installation
from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_webhook import main
from bailiwick_webhook.http.problems import CONTENT_TYPE as PROBLEM
from bailiwick_webhook.http.shares.bounds import PACE
from bailiwick_webhook.http.status import checkpoint, health, senders, served, usage
from bailiwick_webhook.http.status.checkpoint import CheckpointHandler
from bailiwick_webhook.http.status.exposition import CONTENT_TYPE as METRICS, Exposition
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.process import settings as flags
from bailiwick_webhook.record.ledgernotes import LedgerNotes
from bailiwick_webhook.record.writing.chainlog import ChainLog, PodName
from bailiwick_webhook.record.writing.writer import RecordWriter
from bailiwick_webhook.store.store import Store
from contract.asking_alone import stored
from contract.openapi.openapidoc import HeldDocument, bare, routes
from httpinterface.statusoperations import OPERATIONS
from support.objects import policy, rule, settings
from support.pdp.alone import StaticStore
from support.pdp.processes import Bailiwick
from support.pdp.standalone import Process
from support.pdp.tlsprocess import authority, entries, leaf, secured

DOCUMENT: Final = generate_openapi.status_document()
HELD: Final = HeldDocument(DOCUMENT)
NAMED: Final = {one.name: one for one in OPERATIONS}
JSON: Final = "application/json"
TEXT: Final = "text/plain"
LINE: Final = b'{"kind":"evaluation","n":1}\n'
NOTE: Final = (
    "bailiwick/ledger\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\N{EM DASH} bailiwick/ledger AAAAAAAA\n"
)
# What stands in the file when the first checkpoint is asked for: the line that opens the chain, and a record.
SIGNED: Final = 2
NEVER_SIGNED: Final = 10**15
DAY: Final = 20_000
ASKED: Final = [["crm-agent-uid", 1], ["nobody", 2]]


class Case(NamedTuple):
    """What is sent, and the answer that must come. `state` is what the decision point is in; "": as it starts.

    `wrong`: sent on purpose as what the document does not allow.
    """

    name: str
    status: int
    kind: str = JSON
    sent: Any = None
    query: Mapping[str, Any] = {}
    state: str = ""
    wrong: bool = False


CASES: Final = {
    "it lives": Case("live", 200, TEXT),
    "it is ready": Case("ready", 200),
    "it is not ready": Case("ready", 503, state="not ready"),
    "a scrape": Case("metrics", 200, METRICS),
    "too many scrapes": Case("metrics", 429, PROBLEM, state="flooded"),
    **{
        f"{case} {name}": found
        for name, asked in (("served", ASKED), ("usage", ASKED))
        for case, found in {
            "of some policies,": Case(name, 200, sent=asked),
            "of no policy,": Case(name, 200, sent=[]),
            "of what is no policy,": Case(name, 400, TEXT, sent=[["a", "3"]], wrong=True),
            "in part,": Case(name, 400, PROBLEM, sent=asked, state="slow"),
            "of far too many,": Case(name, 413, TEXT, sent=[["u" * 60, 1]] * 11_000, wrong=True),
            "too often,": Case(name, 429, PROBLEM, sent=asked, state="flooded"),
        }.items()
    },
    "a look at the chain": Case("readCheckpoint", 200),
    "a look from nothing": Case("readCheckpoint", 200, query={"from": 0}),
    "a look with a proof": Case("readCheckpoint", 200, query={"from": SIGNED}, state="grown"),
    "a look from no size": Case("readCheckpoint", 400, query={"from": "x"}, wrong=True),
    "a look without a chain": Case("readCheckpoint", 404, state="unchained"),
    "a look from a size that was never signed": Case("readCheckpoint", 409, query={"from": NEVER_SIGNED}),
    "too many looks": Case("readCheckpoint", 429, PROBLEM, state="flooded"),
    "the witness": Case("witnessCheckpoint", 200, sent={"from": 0, "ledger": NOTE}),
    "the witness without a log": Case("witnessCheckpoint", 200, sent={"from": 0, "ledger": None}),
    "the witness who wants a proof": Case("witnessCheckpoint", 200, sent={"from": SIGNED}, state="grown"),
    "a witness with no size": Case("witnessCheckpoint", 400, sent={"from": -1}, wrong=True),
    "a witness with no checkpoint": Case("witnessCheckpoint", 400, sent={"ledger": "x"}),
    "a witness in part": Case("witnessCheckpoint", 400, PROBLEM, sent={}, state="slow"),
    "a witness without a chain": Case("witnessCheckpoint", 404, sent={}, state="unchained"),
    "a witness from a size that was never signed": Case("witnessCheckpoint", 409, sent={"from": NEVER_SIGNED}),
    "a witness with too much": Case("witnessCheckpoint", 413, sent={"ledger": "x" * 13_000}, wrong=True),
    "too many witnesses": Case("witnessCheckpoint", 429, PROBLEM, sent={}, state="flooded"),
}


def unwritten(application: web.Application) -> set[tuple[str, str]]:
    """Return the routes that are not in the document."""
    return routes(application) - {(one.method, one.path) for one in OPERATIONS}


def objections(case: Case) -> list[str]:
    """Return what the document has against what is sent."""
    told = HELD.told(NAMED[case.name].method, NAMED[case.name].path)
    found: list[str] = []
    if case.sent is not None:
        found += HELD.against(told["requestBody"]["content"][JSON]["schema"], case.sent, closed=True)
    sizes = {one["name"]: one["schema"] for one in told.get("parameters", ())}
    for name, value in case.query.items():
        found += HELD.against(sizes[name], value, closed=True)
    return found


async def hold(case: Case, session: ClientSession, url: str) -> None:
    """Send what a case says, and hold both ends against the document."""
    one = NAMED[case.name]
    assert bool(objections(case)) == case.wrong, objections(case)
    data: Any = None if case.sent is None else json.dumps(case.sent).encode()
    if case.state == "slow":
        data = begun(data)
    async with session.request(one.method, f"{url}{one.path}", params=case.query, data=data) as answer:
        raw = await answer.read()
        kind = answer.headers["Content-Type"]
    assert (answer.status, bare(kind)) == (case.status, bare(case.kind)), raw
    assert HELD.answered(one.method, one.path, answer.status, kind, raw) == []


async def begun(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body's first byte, and nothing for as long as the answer may take."""
    yield body[:1]
    await asyncio.sleep(60)


class Tls:
    """A keeper of a certificate."""

    problem = None
    good = True
    not_after = None


@asynccontextmanager
async def listening(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve a status port in the state that a case wants; yields its URL."""
    if case.state == "flooded":
        # Not one may wait.
        monkeypatch.setattr(health, "_MOST_SCRAPING", 0)
        for module in (served, usage, checkpoint):
            monkeypatch.setattr(module, "MOST_WAITING", 0)
    if case.state == "slow":
        monkeypatch.setattr(senders, "PACE", PACE._replace(grace=0.05))
    counts, store = Counts(), cast("Any", StaticStore([stored()]))
    counts.usage.used["crm-agent-uid"] = DAY * 86_400.0
    counts.shadows.compare(PolicyRef("crm", "next", "nobody", 2), different=True)
    chain = None if case.state == "unchained" else ChainLog("system", pod=PodName("bailiwick-webhook-0", "u"))
    async with RecordWriter(folder / "records", fsync=False, chain=chain) as records:
        await records.write(LINE)
        if case.state == "grown":
            assert chain is not None
            chain.checkpoint(0)
            await records.write(LINE)
        exposition, checkpoints = (
            Exposition(store, records, counts),
            CheckpointHandler(records, counts, LedgerNotes(lambda: "", "system")),
        )
        ready = case.state != "not ready"
        application = health.build(store, lambda: ready, {}, exposition, counts, cast("Any", Tls()), checkpoints)
        server = await serve(application, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            await server.stop()


class ServedError(Exception):
    """Raised in place of serving an application, which it has."""

    def __init__(self, application: web.Application) -> None:
        super().__init__("not served")
        self.application = application


async def status_application(folder: Path, monkeypatch: pytest.MonkeyPatch) -> web.Application:
    """Return the very application that a process serves on its status port."""
    given = flags.parse(
        ["--policies", str(folder), "--development", "--record-file", str(folder / "r"), "--status-port", "4711"]
    )

    async def taken(application: web.Application, _: str, port: int, *__: object) -> None:
        assert port == given.status_port
        raise ServedError(application)

    monkeypatch.setattr(main, "serve", taken)
    with pytest.raises(ServedError) as found:
        await main._run(given)
    return found.value.application


async def test_every_route_is_in_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    application = await status_application(tmp_path, monkeypatch)
    assert unwritten(application) == set()
    assert {(one.method, one.path) for one in OPERATIONS} <= routes(application)
    application.router.add_get("/more", next(iter(application.router.routes())).handler)
    assert unwritten(application) == {("get", "/more")}


def test_every_reference_leads_to_a_shape_and_every_shape_is_used() -> None:
    assert set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))) == HELD.shapes.keys()


@pytest.mark.parametrize("name", [*HELD.shapes])
def test_every_shape_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(HELD.shapes[name])


def test_every_answer_that_the_document_names_is_met() -> None:
    named = {
        (told["operationId"], int(status), kind)
        for path in DOCUMENT["paths"].values()
        for told in path.values()
        for status, answer in told["responses"].items()
        for kind in answer["content"]
    }
    assert {(case.name, case.status, case.kind) for case in CASES.values()} == named


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_is_sent_and_what_comes_is_what_the_document_says(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(case, tmp_path, monkeypatch) as url, ClientSession() as session:
        await hold(case, session, url)


async def test_what_a_process_answers_is_what_the_document_says(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    over = {"expireTime": "2020-01-01T00:00:00Z"}
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(), rule("old", **over)])
    (policies / "crm.yaml").write_text(yaml.safe_dump(given))
    (policies / "more.yaml").write_text("kind: [\n")
    with (tmp_path / "log").open("wb") as log:
        # The test asks as the witness does, and does not come again.
        point = Process(tmp_path, policies, log, "--development", "--witness-wait-seconds", "0")
    try:
        told = point.readiness()[1]["policies"]
        assert told["problems"]
        assert told["warnings"]
        async with ClientSession() as session:
            for case in CASES.values():
                if not case.state:
                    await hold(case, session, f"http://127.0.0.1:{point.status_port}")
    finally:
        point.stop()


@pytest.mark.parametrize("ready", [True, False], ids=["a certificate", "none yet"])
async def test_what_a_process_with_tls_answers_is_what_the_document_says(ready: bool, tmp_path: Path) -> None:
    trusted = authority()
    content = entries(leaf(trusted), trusted) if ready else None
    with secured(tmp_path, content) as point:
        if ready:
            point.await_ready()
        async with ClientSession() as session:
            await hold(Case("ready", 200 if ready else 503), session, f"http://127.0.0.1:{point.status_port}")


def readiness(body: object) -> list[str]:
    return HELD.answered("get", "/readyz", 200, JSON, json.dumps(body).encode())


def test_what_a_store_of_a_cluster_reports_is_what_the_document_says() -> None:
    away: Any = SimpleNamespace(clock=ServerClock(), read_policy=None, read_data=None)
    store = Store(away, Installation(), max_staleness=120, hard_staleness=900, relist=600)
    told = {"ready": False, "checks": {"synced": False, "fresh": False, "serving": False}}
    body = {**told, "store": {"revision": store.revision, "age_seconds": None}, **store.report()}
    assert body.keys() >= {"guard", "keys", "clock"}
    assert readiness(body) == []


@pytest.mark.cluster
def test_what_a_process_in_a_cluster_answers_is_what_the_document_says(pdp: Bailiwick) -> None:
    for case in CASES.values():
        one = NAMED[case.name]
        if one.method == "get" and not case.state:
            answer = requests.get(f"{pdp.points[0].status_url}{one.path}", params=case.query, timeout=10)
            kind = answer.headers["Content-Type"]
            assert answer.status_code == case.status, answer.text
            assert HELD.answered(one.method, one.path, answer.status_code, kind, answer.content) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("checks"),
        lambda body: body.update(more=1),
        lambda body: body["checks"].update(more=True),
        lambda body: body.update(ready="yes"),
    ],
    ids=["less", "more", "more inside", "another type"],
)
def test_an_answer_that_the_document_does_not_know_is_found(change: Callable[[dict[str, Any]], object]) -> None:
    body: dict[str, Any] = {
        "ready": True,
        "checks": {"synced": True, "fresh": True, "serving": True},
        "store": {"revision": "1", "age_seconds": 0.1},
    }
    assert readiness(body) == []
    change(body)
    assert readiness(body) != []


@pytest.mark.parametrize(("status", "kind"), [(204, JSON), (200, TEXT)], ids=["a status", "a type of content"])
def test_so_is_another_status_or_type(status: int, kind: str) -> None:
    assert HELD.answered("get", "/readyz", status, kind, b"{}") != []
