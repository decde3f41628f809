"""`/checkpoint` of the status port: how many lines the chain of this process has, signed, and that it only ever grew.

Beside it, unsigned, how many records this process lost.
Standing: under `health`; the operator asks as the witness, with the size that it knows. Holds: what is signed stands in
the file; a caller learns no line; it is rationed, and nothing of it runs on the loop that could take long; a
process that stops waits for the witness alone, and not for long.
"""

import asyncio
import contextlib
import re
from http import HTTPStatus
from typing import Final

import msgspec
import orjson
from aiohttp import web

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import NoteError, split
from bailiwick_webhook.http.status.ration import Ration, Rations
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.record.ledgernotes import LedgerNotes, NoteRefusal
from bailiwick_webhook.record.writing.chainlog import UnknownSize
from bailiwick_webhook.record.writing.writer import RecordWriter

MOST_NOTE: Final = 2_048
# Of a note in JSON, of which each character may be escaped.
MOST_BYTES: Final = 6 * MOST_NOTE + 256
# One operator leads; of others as many may look.
MOST_WAITING: Final = 8
# As long as a witness may take from one question to the next: one that has not asked for longer is gone.
_LATELY: Final = 60.0
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
MOST_SIZE: Final = 10**16 - 1
_SIGNATURE: Final = re.compile(r"\N{EM DASH} [^\s+]+ (\S+)")
_log: Final = LogLimit()
_ABSENT: Final = "this process chains no records: --record-chain is off"


class _Question(msgspec.Struct):
    size: int = msgspec.field(name="from", default=0)
    ledger: str | None = None


_QUESTION: Final = msgspec.json.Decoder(_Question)


class CheckpointHandler:
    """Answers."""

    def __init__(
        self, records: RecordWriter, counts: Counts, notes: LedgerNotes, senders: StatusSenders | None = None
    ) -> None:
        self._records = records
        self._notes = notes
        self._counts = counts
        self.senders: Final = senders or StatusSenders(counts)
        self._rations = Rations(MOST_WAITING, counts)
        # How many lines the witness knows of, at least, how many losses, and when it asked.
        self._told: tuple[int, int, float] | None = None
        # Whether an operator asked that proves itself: then no other caller counts as the witness.
        self._proven = False
        self._asked = asyncio.Event()

    async def get(self, request: web.Request) -> web.Response:
        """Answer one that names a size in the query. Raises `ProblemError` (429)."""
        asked = request.query.get("from", "0")
        if not _SIZE.fullmatch(asked):
            return _refused(400, "from must be a size: a whole number of lines")
        ration = self._rations.strangers
        with ration.place():
            return await self._answer(int(asked), None, ration)

    async def post(self, request: web.Request) -> web.Response:
        """Answer one that may tell of the operator's own log as well. Raises `ProblemError` (400, 429)."""
        body = await self.senders.body(request, MOST_BYTES)
        if body is None:
            return _refused(413, f"the request body must have at most {MOST_BYTES} bytes")
        ration = self._rations.ration_for(body)
        with ration.place():
            try:
                asked = _QUESTION.decode(body.raw)
            except msgspec.MsgspecError as error:
                return _refused(400, f"the request body must be a JSON object with from and ledger: {error}")
            if not 0 <= asked.size <= MOST_SIZE:
                return _refused(400, "from must be a size: a whole number of lines")
            if asked.ledger is not None and not _is_checkpoint(asked.ledger):
                return _refused(400, f"ledger must be a signed checkpoint of at most {MOST_NOTE} bytes")
            before, lost = self._size, self._records.lost
            answer = await self._answer(asked.size, asked.ledger, ration, proven=body.operator)
            self._proven = self._proven or body.operator
            if answer.status == HTTPStatus.OK and body.operator is self._proven:
                # Somebody who only looks does so by GET. An operator of an older version proves nothing.
                self._told = before, lost, asyncio.get_running_loop().time()
                self._asked.set()
            return answer

    async def farewell(self, most: float) -> None:
        """Wait until the witness knows of the last line and the last loss, for so many seconds at most.

        There is no wait where none has asked lately. To be called when no line comes any more.
        """
        if self._told is None or asyncio.get_running_loop().time() - self._told[2] > _LATELY:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                while self._told[0] < self._size or self._told[1] < self._records.lost:
                    self._asked.clear()
                    await self._asked.wait()

    @property
    def _size(self) -> int:
        return 0 if self._records.chain is None else self._records.chain.size

    async def _answer(self, size: int, ledger: str | None, ration: Ration, *, proven: bool = False) -> web.Response:
        chain = self._records.chain
        if chain is None:
            return _refused(404, _ABSENT)
        refused = None
        if ledger is not None:
            # The witness cosigns the checkpoints of all processes: its cosignature alone does not identify the ledger.
            refused = self._notes.refusal(ledger) if proven else NoteRefusal.UNPROVEN
        if refused is not None:
            self._counts.notes_refused += 1
            if refused is NoteRefusal.NO_KEY and self._notes.awaiting_key:
                # Another event than the warning, which it must not keep back.
                _log.info("no checkpoint of the operator's log is taken yet", why=refused.value)
            else:
                _log.warning("a checkpoint of the operator's log is not taken", why=refused.value)
        elif ledger is not None:
            self._records.witness(ledger)
        lost = self._records.lost
        async with ration.turn():
            # In a thread: it may wait for the one that writes, and proofs and signatures take a moment.
            found = await asyncio.to_thread(chain.checkpoint, size)
        if isinstance(found, UnknownSize):
            return _refused(409, f"there is no proof from the size {size}, but from these", sizes=found.sizes)
        body = {
            "checkpoint": found.note,
            "from": size,
            "proof": found.proof,
            "key": chain.key,
            "pod": None if chain.pod is None else chain.pod.name,
            "lost": lost,
        }
        if refused is not None:
            # The checkpoint of our own log is given all the same: the caller may be an operator of another version.
            body["refused"] = refused.value
        return web.Response(body=orjson.dumps(body), content_type="application/json")


def _is_checkpoint(note: str) -> bool:
    """Tell whether it is well-formed; whether it is true is for those who verify the log."""
    try:
        if len(note.encode()) > MOST_NOTE:
            return False
        text, signatures = split(note)
        Checkpoint.parse(text)
    except (NoteError, UnicodeEncodeError):
        return False
    made = [found[1] for line in signatures if (found := _SIGNATURE.fullmatch(line)) is not None]
    return len(made) == len(signatures) and None not in map(decode_base64, made)


def _refused(status: int, why: str, **more: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps({"error": why, **more}), content_type="application/json")
