"""Asks one process of the decision point for its newest checkpoint, and tells it the ledger's.

Holds: whatever is asked has a time limit and a size limit; whatever a process answers, or does not, is a value.
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
    """What came instead of a checkpoint. `no_chain`: it has no log; `other_size`: it keeps nothing of that size."""

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
        found = await self._ask(replica, size, size, ledger)
        if before is None or isinstance(found, CheckpointAnswer) or found.why != "other_size":
            return found
        # Another process in the same pod, most likely: from nothing on, each one answers and says which chain it is.
        anew = await self._ask(replica, 0, size, None)
        if isinstance(anew, NoCheckpoint) or named_chain(anew) != before.entry.chain:
            return anew
        # The same one after all, which cannot show that it goes on from what was witnessed. That it is smaller now,
        # or another of the same size, its own signature shows.
        return found if claimed_size(anew) > size else anew

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
    said = json.loads(text)
    note, key, since = said["checkpoint"], said["key"], said["from"]
    proof = [decode_base64(one) for one in said["proof"]]
    whole = tuple(one for one in proof if one is not None and len(one) == _HASH)
    if not isinstance(note, str) or not isinstance(key, str) or len(whole) != len(proof) or len(proof) > _MOST_HASHES:
        raise ValueError
    if since != size or isinstance(since, bool):
        raise ValueError
    # Which pod it is, the API server says and not the process. One of an older version does not say what it lost, and
    # one that says something else is witnessed all the same.
    lost = lost_count(said.get("lost"))
    return CheckpointAnswer(replica.uid, replica.name, known, size, note, key, whole, lost)
