"""Asks one process of the decision point for its newest checkpoint, and sends it the ledger's.

Holds: every request has a time limit and a size limit; any answer of a process, and no answer too, is a value.
"""

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.chainentry import lost_count
from bailiwick_operator.programmed.replicas import Replica, ReplicaClient, SilentReplicaError
from bailiwick_operator.reconcile.witness import CheckpointAnswer, HeldChain, claimed_size, named_chain

_ANSWER_BYTES: Final = 64 * 1024
_AT_ONCE: Final = 16
_MOST_HASHES: Final = 64
_HASH: Final = 32
Why = Literal["no_chain", "other_size", "silent"]


@dataclass(frozen=True, slots=True)
class NoCheckpoint:
    """Why there is no checkpoint. `no_chain`: the process has no log; `other_size`: it keeps nothing of that size."""

    why: Why
    message: str


class CheckpointClient:
    """Asks over the connections of `ReplicaClient`."""

    def __init__(self, client: ReplicaClient) -> None:
        self._client = client
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def newest(
        self, replica: Replica, before: HeldChain | None, ledger: str | None
    ) -> CheckpointAnswer | NoCheckpoint:
        """Ask a process that is believed to keep this chain; never raises but when cancelled."""
        size = 0 if before is None else before.size
        continued = await self._ask(replica, size, size, ledger)
        if before is None or isinstance(continued, CheckpointAnswer) or continued.why != "other_size":
            return continued
        # Most likely another process in the same pod: asked from size 0, each one answers and names its chain.
        restarted = await self._ask(replica, 0, size, None)
        if isinstance(restarted, NoCheckpoint) or named_chain(restarted) != before.entry.chain:
            return restarted
        # The same chain after all, which cannot prove that it continues from what was witnessed. If it is smaller now,
        # or another of the same size, its own signature proves that.
        return continued if claimed_size(restarted) > size else restarted

    async def _ask(
        self, replica: Replica, size: int, known: int, ledger: str | None
    ) -> CheckpointAnswer | NoCheckpoint:
        """Ask for a proof from a size; `known` is the size that is held."""
        body = json.dumps({"from": size, "ledger": ledger}, separators=(",", ":")).encode()
        async with self._places:
            try:
                status, text = await self._client.post(replica, "/checkpoint", body, _ANSWER_BYTES)
                if status == HTTPStatus.OK:
                    return _answer(replica, size, known, text)
            except SilentReplicaError as error:
                return NoCheckpoint("silent", str(error))
            except (ValueError, TypeError, KeyError, RecursionError):
                return NoCheckpoint("silent", "the answer is not a checkpoint")
        if status == HTTPStatus.NOT_FOUND:
            return NoCheckpoint("no_chain", "it keeps no chain")
        if status == HTTPStatus.CONFLICT:
            return NoCheckpoint("other_size", f"it keeps nothing of size {size}")
        return NoCheckpoint("silent", f"status {status}")


def _answer(replica: Replica, size: int, known: int, text: bytes) -> CheckpointAnswer:
    answer = json.loads(text)
    note, key, since = answer["checkpoint"], answer["key"], answer["from"]
    proof = [decode_base64(step) for step in answer["proof"]]
    hashes = tuple(step for step in proof if step is not None and len(step) == _HASH)
    if not isinstance(note, str) or not isinstance(key, str) or len(hashes) != len(proof) or len(proof) > _MOST_HASHES:
        raise ValueError
    if since != size or isinstance(since, bool):
        raise ValueError
    # The name of the pod comes from the API server and not from the process. A process of an older version does not
    # report its losses, and one that reports something else is witnessed all the same.
    lost = lost_count(answer.get("lost"))
    return CheckpointAnswer(replica.uid, replica.name, known, size, note, key, hashes, lost)
