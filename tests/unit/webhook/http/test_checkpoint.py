"""What a process answers about its chain, and to whatever else is sent to that path of its status port."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import structlog

from bailiwick_api.signingkeys import SigningKey
from bailiwick_api.statusproof import HEADER, header_for
from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import is_consistent
from bailiwick_evidence.note import VerifierKey, open_note
from bailiwick_operator.keys import make
from bailiwick_webhook.http.status import checkpoint, health
from bailiwick_webhook.http.status.checkpoint import MOST_BYTES, MOST_NOTE, CheckpointHandler
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.record.ledgernotes import PATIENCE, LedgerNotes, NoteRefusal
from bailiwick_webhook.record.writing.chainlog import ChainLog, PodName
from bailiwick_webhook.record.writing.writer import RecordWriter
from support.chains import read
from support.evidence.logs import INSTALLATION, WITNESS_KEY, ProcessLog, private_key
from support.pdp.alone import StaticStore

_MADE: Final = make()
OURS: Final = SigningKey(_MADE.kid, _MADE.pem, datetime.now(UTC), datetime.now(UTC), None)
OPERATOR: Final = ProcessLog(4, component="operator").records(9)
LINE: Final = b'{"kind":"evaluation","n":%d}\n'
SIGNATURE: Final = "\N{EM DASH} bailiwick/ledger AAAAAAAA\n"
NOTE: Final = "bailiwick/ledger\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n" + SIGNATURE


NOTES: Final = LedgerNotes(lambda: "", "system")


def cosigned_note(size: int) -> str:
    """Return a checkpoint of the operator's log, as it sends it."""
    return OPERATOR.checkpoint(size, now=int(time.time()))


class Witness:
    """Asks as the operator does, and believes nothing that it cannot verify."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        writer: RecordWriter,
        file: Path,
        handler: CheckpointHandler,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.close = close
        self.session = session
        self.handler = handler
        self.url = url
        self.writer = writer
        self.file = file
        self.latest: Checkpoint | None = None

    async def get(self, query: str = "") -> tuple[int, Any]:
        async with self.session.get(f"{self.url}/checkpoint{query}") as answer:
            return answer.status, json.loads(await answer.read())

    async def post(self, body: bytes | dict[str, Any], key: SigningKey | None = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if key is None else {HEADER: header_for(key, "/checkpoint", data, time.time())}
        async with self.session.post(f"{self.url}/checkpoint", data=data, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def polls(self, *, forgets: bool = False, key: SigningKey | None = None) -> Checkpoint:
        before = self.latest
        size = 0 if before is None else before.size
        status, said = await self.post({"from": size, "ledger": None}, key)
        assert status == 200
        assert set(said) == {"checkpoint", "from", "proof", "key", "pod", "lost"}
        assert (said["from"], said["pod"]) == (size, "bailiwick-webhook-0")
        found = Checkpoint.parse(open_note(said["checkpoint"], [VerifierKey.parse(said["key"])]).text)
        assert found.origin == VerifierKey.parse(said["key"]).name
        proof = [held for held in map(decode_base64, said["proof"]) if held is not None]
        if before is not None:
            assert is_consistent(before.size, before.root, found.size, found.root, proof)
        if not forgets:
            self.latest = found
        return found


@pytest.fixture
async def witness(tmp_path: Path) -> AsyncIterator[Witness]:
    chain, counts, file = ChainLog("system", pod=PodName("bailiwick-webhook-0", "u")), Counts(), tmp_path / "records"
    store, notes = StaticStore(()), LedgerNotes(lambda: f"{WITNESS_KEY}\n", INSTALLATION)
    async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        writer = await stack.enter_async_context(RecordWriter(file, fsync=False, chain=chain))
        senders = StatusSenders(counts, lambda: (OURS,))
        exposition, handler = Exposition(store, writer, counts), CheckpointHandler(writer, counts, notes, senders)
        server = await serve(
            health.build(store, lambda: True, {}, exposition, counts, checkpoints=handler), "127.0.0.1", 0
        )
        yield Witness(session, f"http://127.0.0.1:{server.port}", writer, file, handler, stack.aclose)
        await server.stop()


async def test_each_poll_proves_that_the_log_only_grew(witness: Witness) -> None:
    size = 1
    for count in (1, 0, 3, 64, 5):
        for number in range(count):
            await witness.writer.write(LINE % number)
        size += count
        assert (await witness.polls()).size == size


async def test_an_answer_that_was_lost_is_asked_for_again_from_the_size_before(witness: Witness) -> None:
    await witness.writer.write(LINE % 1)
    await witness.polls()
    for number in range(5):
        await witness.writer.write(LINE % number)
        assert (await witness.polls(forgets=True)).size == 3 + number


async def test_it_tells_how_many_records_were_lost_so_far(witness: Witness) -> None:
    assert ((await witness.get())[1]["lost"], (await witness.post({}))[1]["lost"]) == (0, 0)
    witness.writer.lost += 3
    assert ((await witness.get())[1]["lost"], (await witness.post({}))[1]["lost"]) == (3, 3)


async def test_from_nothing_anybody_is_told_how_much_there_is(witness: Witness) -> None:
    await witness.writer.write(LINE % 1)
    for query in ("", "?from=0"):
        status, said = await witness.get(query)
        assert (status, said["from"], said["proof"]) == (200, 0, [])
        assert said["checkpoint"].split("\n")[1] == "2"
    assert (await witness.post({}))[0] == 200


@pytest.mark.parametrize("size", [1, 3, 10**15])
async def test_a_size_that_was_never_signed_is_answered_with_those_that_were(witness: Witness, size: int) -> None:
    await witness.writer.write(LINE % 1)
    await witness.polls()
    for status, said in (await witness.get(f"?from={size}"), await witness.post({"from": size, "ledger": None})):
        assert (status, said["sizes"]) == (409, [0, 2])
        assert str(size) in said["error"]


@pytest.mark.parametrize("size", ["", "x", "-1", "1.0", "01", "1" * 17, "%C2%B2"])
async def test_what_is_no_size_is_refused(witness: Witness, size: str) -> None:
    status, said = await witness.get(f"?from={size}")
    assert (status, list(said)) == (400, ["error"])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[", b"[]", b"null", b'"x"', b"\xff", b"{" * 5000, b'{"from":"1"}', b'{"from":1.5}', b'{"from":true}'),
        *(b'{"from":null}', b'{"from":-1}', b'{"from":1%b}' % (b"0" * 30), b'{"ledger":1}', b'{"ledger":{}}'),
    ],
    ids=repr,
)
async def test_a_body_that_is_no_question_is_refused(witness: Witness, body: bytes) -> None:
    status, said = await witness.post(body)
    assert (status, list(said)) == (400, ["error"])


async def test_of_a_body_that_is_too_long_no_more_is_read(witness: Witness) -> None:
    assert (await witness.post(b"{" + b" " * MOST_BYTES + b"}"))[0] == 413


@pytest.mark.parametrize(
    "note",
    {
        "empty": "",
        "no note": "x",
        "no checkpoint": "a\nb\n\n" + SIGNATURE,
        "no signature": NOTE.partition("\n\n")[0] + "\n\n",
        "a signature that is none": NOTE.replace("AAAAAAAA", "A"),
        "a dash that is none": NOTE.replace("\N{EM DASH}", "-"),
        "too long": NOTE + SIGNATURE * (MOST_NOTE // len(SIGNATURE)),
        "half a character": NOTE + "\ud800",
        "control characters": NOTE.replace("7", "7\x00"),
    }.items(),
    ids=lambda case: case[0],
)
async def test_a_ledger_that_is_malformed_is_refused_and_not_written(witness: Witness, note: tuple[str, str]) -> None:
    status, said = await witness.post({"from": 0, "ledger": note[1]})
    assert (status, "ledger" in said["error"] or "JSON" in said["error"]) == (400, True)
    await witness.writer.write(LINE % 1)
    assert b'"ledger"' not in await asyncio.to_thread(witness.file.read_bytes)


async def ledgers_of(witness: Witness) -> list[str]:
    """Return the checkpoints of the operator's log that stand in the chain."""
    await witness.writer.write(LINE % 1)
    lines = read(await asyncio.to_thread(witness.file.read_bytes)).lines()
    return [line["note"] for line in lines if line["kind"] == "ledger"]


async def test_a_ledger_is_written_into_the_chain_once_a_minute(witness: Witness) -> None:
    sent = [cosigned_note(size) for size in (7, 8, 9)]
    for note in sent:
        status, said = await witness.post({"from": 0, "ledger": note}, OURS)
        assert (status, "refused" in said) == (200, False)
    assert await ledgers_of(witness) == sent[:1]


async def test_no_stranger_writes_a_ledger_into_the_chain(witness: Witness) -> None:
    strangers = [
        NOTE,
        OPERATOR.signed(OPERATOR.lines),
        OPERATOR.checkpoint(now=int(time.time()), by=private_key(9)),
        *(ProcessLog(number, component="operator").signed([]) for number in range(70, 90)),
    ]
    for note in strangers:
        status, said = await witness.post({"from": 0, "ledger": note})
        # The checkpoint of the process is given all the same.
        assert (status, said["refused"] in {*NoteRefusal}) == (200, True)
    operators = cosigned_note(9)
    assert "refused" not in (await witness.post({"from": 0, "ledger": operators}, OURS))[1]
    assert await ledgers_of(witness) == [operators]
    async with witness.session.get(f"{witness.url}/metrics") as answer:
        assert f"bailiwick_log_notes_refused_total {len(strangers)}.0" in await answer.text()


async def test_no_stranger_has_the_checkpoint_of_another_process_taken_for_a_ledger(witness: Witness) -> None:
    # The witness cosigns these too, and anybody who reads its ConfigMap has them.
    for number in range(70, 90):
        note = ProcessLog(number).checkpoint(now=int(time.time()))
        assert (await witness.post({"from": 0, "ledger": note}))[1]["refused"] == NoteRefusal.UNPROVEN
    assert await ledgers_of(witness) == []


async def test_a_key_that_is_not_known_yet_is_worth_a_warning_only_once_that_lasts(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [0.0]
    notes = LedgerNotes(lambda: "", INSTALLATION, clock=lambda: at[0])
    monkeypatch.setattr(witness.handler, "_notes", notes)
    # What the tests before this one logged keeps no line back.
    monkeypatch.setattr(checkpoint, "_log", LogLimit())
    logged = []
    for at[0] in (0.0, PATIENCE):
        with structlog.testing.capture_logs() as written:
            _, said = await witness.post({"from": 0, "ledger": cosigned_note(9)}, OURS)
        assert said["refused"] == NoteRefusal.NO_KEY
        logged.append([entry["log_level"] for entry in written if entry.get("why") == NoteRefusal.NO_KEY])
    assert logged == [["info"], ["warning"]]


async def test_no_note_of_before_keeps_the_newest_out(witness: Witness) -> None:
    before = OPERATOR.checkpoint(5, now=int(time.time()) - 60)
    newest = cosigned_note(9)
    assert "refused" not in (await witness.post({"from": 0, "ledger": newest}, OURS))[1]
    assert (await witness.post({"from": 0, "ledger": before}, OURS))[1]["refused"] == NoteRefusal.EARLIER
    assert await ledgers_of(witness) == [newest]


class TestTheEnd:
    """What the status port waits for when the process stops."""

    MOST: Final = 5.0

    async def farewell(self, witness: Witness) -> tuple[float, asyncio.Task[None]]:
        """Close the records, then begin to take leave; returns the task, and for how long it may last."""
        await witness.close()
        loop = asyncio.get_running_loop()
        return loop.time(), asyncio.create_task(witness.handler.farewell(self.MOST))

    async def test_the_witness_is_waited_for_until_it_knows_the_line_that_closes_the_chain(
        self, witness: Witness
    ) -> None:
        await witness.polls()
        began, leave = await self.farewell(witness)
        await asyncio.sleep(0)
        assert not leave.done()
        assert (await witness.get())[0] == 200  # Somebody who only looks.
        assert (await witness.post({"from": 99}))[0] == 409  # The witness, which has to ask again.
        assert not leave.done()
        found = await witness.polls()
        await leave
        assert asyncio.get_running_loop().time() - began < self.MOST
        lines = read(await asyncio.to_thread(witness.file.read_bytes)).lines()
        assert (found.size, lines[-1]["kind"]) == (len(lines), "close")

    async def test_it_is_waited_for_until_it_knows_what_was_lost_at_last_though_no_line_came(
        self, witness: Witness
    ) -> None:
        await witness.close()
        await witness.polls()
        witness.writer.lost += 1
        leave = asyncio.create_task(witness.handler.farewell(self.MOST))
        await asyncio.sleep(0)
        assert not leave.done()
        await witness.polls()
        await leave

    async def test_a_witness_that_does_not_come_is_waited_for_no_longer_than_told(self, witness: Witness) -> None:
        await witness.polls()
        await witness.close()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await witness.handler.farewell(0.05)
        assert 0.05 <= loop.time() - began < self.MOST

    async def test_nobody_is_waited_for_where_nobody_witnesses(self, witness: Witness) -> None:
        assert (await witness.get())[0] == 200
        assert (await witness.post({"from": 99}))[0] == 409
        _, leave = await self.farewell(witness)
        await asyncio.sleep(0)
        assert leave.done()

    async def test_nobody_is_waited_for_who_has_not_asked_for_longer_than_a_witness_may_rest(
        self, witness: Witness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await witness.polls()
        loop = asyncio.get_running_loop()
        later = loop.time() + 61
        await witness.close()
        monkeypatch.setattr(loop, "time", lambda: later)
        leave = asyncio.create_task(witness.handler.farewell(self.MOST))
        await asyncio.sleep(0)
        assert leave.done()

    async def test_a_stranger_is_not_taken_for_an_operator_that_proves_itself(self, witness: Witness) -> None:
        await witness.polls(key=OURS)
        _, leave = await self.farewell(witness)
        assert (await witness.post({"from": 0}))[0] == 200
        await asyncio.sleep(0.05)
        assert not leave.done()
        await witness.polls(key=OURS)
        await leave

    async def test_nothing_comes_behind_the_line_that_closes_the_chain(self, witness: Witness) -> None:
        _, leave = await self.farewell(witness)
        assert (await witness.post({"from": 0, "ledger": NOTE}))[0] == 200
        await leave
        assert (witness.writer.held, (await witness.polls()).size) == (0, 2)


async def test_the_metrics_tell_how_much_stands_and_when_somebody_last_asked(witness: Witness) -> None:
    async def samples() -> dict[str, float]:
        async with witness.session.get(f"{witness.url}/metrics") as answer:
            lines = [line.split() for line in (await answer.text()).splitlines() if line.startswith("bailiwick_log")]
            return {name: float(value) for name, value in lines}

    await witness.writer.write(LINE % 1)
    await asyncio.sleep(0.05)
    before = await samples()
    await witness.polls()
    after = await samples()
    assert [after["bailiwick_log_size"], after["bailiwick_log_checkpoints_total"]] == [2, 1]
    assert before["bailiwick_log_checkpoints_total"] == 0
    assert before["bailiwick_log_unasked_seconds"] >= 0.05


async def test_a_process_without_a_chain_says_so(tmp_path: Path) -> None:
    counts, store = Counts(), StaticStore(())
    async with aiohttp.ClientSession() as session, RecordWriter(tmp_path / "records", fsync=False) as writer:
        exposition, handler = Exposition(store, writer, counts), CheckpointHandler(writer, counts, NOTES)
        built = health.build(store, lambda: True, {}, exposition, counts, checkpoints=handler)
        server = await serve(built, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.port}"
        witness = Witness(session, url, writer, tmp_path / "records", handler, server.stop)
        for status, said in (await witness.get(), await witness.post({"from": 0, "ledger": NOTE})):
            assert (status, "--record-chain" in said["error"]) == (404, True)
        await handler.farewell(60)
        await server.stop()
