"""The witness of the decision log: asks every process for its checkpoint, cosigns it, stores it, and prints it.

Standing: beside `guard`, over `store`, `keys` and `ledger`; `reconcile.witness` judges. Holds: a checkpoint is stored
before it is printed. If an entry that this process stored was removed, set back or changed, it is put back, with a
warning. The exception is a missing figure of losses: it is put back silently, because a witness of an older version
leaves it out. A chain that is refused stays refused. Decisions continue regardless of the findings here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, Installation
from bailiwick_api.times import stamp
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_evidence.chainentry import ChainRefusal, CosignedCheckpoint, Cosigners, WitnessedChain, witness_name
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import cosign_note
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.evidence.checkpoints import CheckpointClient, NoCheckpoint
from bailiwick_operator.evidence.keys import WitnessKeyring, WitnessKeys
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.evidence.store import MOST_BYTES, StoredChains, WitnessStore, data_of, size_of
from bailiwick_operator.kube import OperatorClient, RefusedError
from bailiwick_operator.programmed.replicas import Replica, Replicas
from bailiwick_operator.reconcile import witness
from bailiwick_operator.reconcile.transitions import NOTE_LENGTH, EventDraft
from bailiwick_operator.reconcile.witness import CheckpointAnswer, HeldChain

_LOG: Final = structlog.get_logger(__name__)
_TRIES: Final = 5
_PRINT_SECONDS: Final = 600
_FLUSH_SECONDS: Final = 10.0
_LISTED: Final = 3
_ACTION: Final = "Witness"
Answers = Sequence[tuple[Replica, CheckpointAnswer | NoCheckpoint]]


@dataclass(frozen=True, slots=True)
class WitnessParts:
    """The parts of the witness. `publish` passes its verifier keys to the decision points, a `vkey` on each line."""

    kube: OperatorClient
    replicas: Replicas
    client: CheckpointClient
    ledger: OperatorLedger
    publish: Callable[[str], None] = lambda _keys: None


class Witness:
    """Looks at intervals. Lives in the main loop. With interval 0 it asks no process: it only writes the ledger."""

    def __init__(
        self,
        parts: WitnessParts,
        installation: Installation,
        *,
        interval: float,
        now: Callable[[], datetime],
        tell: Callable[[EventDraft], None],
    ) -> None:
        self._parts = parts
        self._name = installation.namespace
        self._interval = interval
        self._now = now
        self._tell_event = tell
        self._store = WitnessStore(parts.kube, installation)
        self._keyring = WitnessKeyring(parts.kube, installation, now, self._warn)
        self._life: dict[str, HeldChain] = {}
        self._chain_of: dict[str, str] = {}
        self._printed: dict[str, tuple[WitnessedChain, Checkpoint, int]] = {}
        self._warned: set[tuple[str, str]] = set()
        self._verifiers: Cosigners | None = None
        self._broken: set[str] = set()
        self._rejected: set[str] = set()
        # Processes that existed when their witnessed chains were lost, and why those were lost.
        self._forgotten: dict[str, str] = {}
        self.problem: str | None = "not checked yet"
        """What is wrong, for a person; None while every log is witnessed."""
        self.rounds = 0
        """How many rounds have ended, whatever their outcome. For the health of the process."""
        self.inconsistent = 0
        """How many logs are refused: chains that contradict themselves, and answers that prove nothing."""
        self.without_chain = 0
        """How many ready processes keep no chain, although they should."""
        self.silent = 0
        """How many ready processes gave no checkpoint in the last round."""
        self.chains = 0
        """How many chains are live, as far as is known."""
        self.changes = 0
        """How often the stored chains were not as they should be, or did not fit."""

    async def run(self) -> None:
        """Witness until cancelled."""
        while True:
            if self._interval:
                await self.round()
            else:
                self._parts.ledger.flush()
                self.problem, self.rounds = self._parts.ledger.problem, self.rounds + 1
            await asyncio.sleep(self._interval or _FLUSH_SECONDS)

    async def round(self) -> None:
        """Ask every process once, and store what may be cosigned; `problem` says what is wrong."""
        try:
            problem = await self._look()
        except (UnreachableError, RefusedError) as error:
            problem = str(error)
        self._parts.ledger.flush()
        problem = problem or self._parts.ledger.problem
        if problem != self.problem:
            if problem is None:
                _LOG.info("every log is witnessed")
            else:
                _LOG.error("not every log is witnessed", problem=problem)
        self.problem = problem
        self.rounds += 1

    async def _look(self) -> str | None:
        keys = await self._keyring.current()
        verifiers = keys.verifiers(self._name)
        if verifiers != self._verifiers:
            self._parts.ledger.say("keys", witness=[str(key) for key in verifiers.keys])
            if self._verifiers is not None:
                # Warn even about a requested replacement: operators who did not expect it must learn of it.
                newest = str(verifiers.keys[-1])
                note = (
                    f"the witness cosigns with {newest} from now on. Keep the earlier keys: their cosignatures can be"
                    " verified by them alone"
                )
                _LOG.warning("the keys of the witness were replaced", witness=newest)
                self._tell_event(EventDraft("Normal", _ACTION, "WitnessKeyRotated", note))
            self._verifiers = verifiers
            self._parts.publish(verifiers.text())
        replicas = await self._parts.replicas.everyone()
        stored = await self._store.read(verifiers)
        held = await self._put_back(stored, verifiers, replicas, begun=keys.begun)
        answers = await self._answers(keys, replicas, held)
        for _ in range(_TRIES):
            self._refuse_contradictions(held, stored)
            await self._judge(keys, held, stored, answers)
            held = await self._put_away(held, replicas, verifiers)
            full = self._make_fit(held, stored, verifiers)
            if await self._store.write(stored, held, verifiers):
                break
            # Another process led for a moment: what it stored may be newer than the answers that we have.
            stored = await self._store.read(verifiers)
            held = await self._put_back(stored, verifiers, replicas, begun=keys.begun)
        else:
            message = f"ConfigMap {WITNESS_CONFIG_MAP} was changed by another writer at each attempt"
            raise RefusedError(message)
        if not keys.begun:
            await self._keyring.begin()
        self._life = held
        self._print(held)
        return full or self._count(answers, held, stored)

    async def _answers(self, keys: WitnessKeys, replicas: Sequence[Replica], held: Mapping[str, HeldChain]) -> Answers:
        # Its cosignature shows decision points and auditors that the ledger is ours.
        now = int(self._now().timestamp())
        ledger = cosign_note(self._parts.ledger.checkpoint(), witness_name(self._name), keys.signing.private, now)
        newest = witness.newest_chains(held) | self._chain_of
        before = (held.get(newest.get(replica.uid, "")) for replica in replicas)
        calls = (
            self._parts.client.newest(replica, known, ledger) for replica, known in zip(replicas, before, strict=True)
        )
        return [*zip(replicas, await asyncio.gather(*calls), strict=True)]

    async def _put_back(
        self,
        stored: StoredChains,
        verifiers: Cosigners,
        replicas: Sequence[Replica],
        *,
        begun: bool,
    ) -> dict[str, HeldChain]:
        """Return the stored chains, completed by those that this process knows to be missing there."""
        held = dict(stored.held)
        lost = witness.lost_chains(self._life, held)
        removed = {chain for chain in lost if chain not in held}
        if removed:
            away = await self._store.find(removed, verifiers)
            for chain in removed & away.keys():
                # Another leader put it away.
                self._life.pop(chain)
                lost.pop(chain)
        for chain in (self._life.keys() & held.keys()) - lost.keys():
            stored_lost = held[chain].entry.lost
            held[chain] = witness.with_losses(held[chain], self._life[chain].entry.lost)
            # A leader of an older version leaves it out, and may lead for a moment beside this one.
            if stored_lost is not None and stored_lost != held[chain].entry.lost:
                self._warn(
                    "WitnessChanged", f"the number of lost records of chain {chain} was reduced, and is put back"
                )
        for chain, why in lost.items():
            held[chain] = self._life[chain]
            cause = "its entry was edited" if chain in stored.broken else why
            self._warn("WitnessChanged", f"the checkpoint of chain {chain} is put back: {cause}")
        if beyond := sorted(stored.broken.keys() - held.keys() - self._broken):
            self._broken |= {*beyond}
            listed = ", ".join(beyond[:_LISTED])
            self._warn("WitnessChanged", f"{len(beyond)} entries were edited and cannot be put back, such as {listed}")
        if not begun or stored.data:
            return held
        cause = "is missing" if stored.config_map is None else "was emptied"
        self._forgotten = {replica.uid: f"ConfigMap {WITNESS_CONFIG_MAP} {cause}" for replica in replicas}
        self._warn(
            "WitnessLost", f"ConfigMap {WITNESS_CONFIG_MAP} {cause}: the chains known to this process are put back"
        )
        return held

    def _refuse_contradictions(self, held: dict[str, HeldChain], stored: StoredChains) -> None:
        """Refuse the chains for which another leader stored a different log than we did."""
        for chain, why in witness.contradicting_chains(self._life, stored.held).items():
            held[chain] = self._refuse(held[chain], why, self._life[chain].entry.note)

    async def _judge(
        self, keys: WitnessKeys, held: dict[str, HeldChain], stored: StoredChains, answers: Answers
    ) -> None:
        """Add to `held` the checkpoints that may be cosigned, and the chains that are refused."""
        received = [answer for _, answer in answers if isinstance(answer, CheckpointAnswer)]
        unknown = {chain for answer in received if (chain := witness.named_chain(answer)) is not None} - held.keys()
        if unknown:
            # A chain that was put away continues from there, and is not a new one.
            held |= await self._store.find(unknown, keys.verifiers(self._name))
        rejected: set[str] = set()
        for answer in received:
            match witness.judge(self._name, held, answer):
                case witness.Cosignable(chain, checkpoint):
                    self._chain_of[answer.replica] = chain
                    before = held.get(chain) or self._new_chain(checkpoint, answer, stored)
                    held[chain] = before = witness.with_reported_losses(before, answer)
                    if witness.is_due(before, checkpoint, int(self._now().timestamp())):
                        held[chain] = self._cosign(keys, before, checkpoint, answer)
                case witness.LogContradiction(chain, why):
                    held[chain] = self._refuse(held[chain], why, witness.plain_note(answer))
                case witness.AnswerRejection(why):
                    rejected.add(answer.replica)
                    if answer.replica not in self._rejected:
                        note = f"the checkpoint of {answer.pod or answer.replica} is not used: {why}"
                        self._warn("LogRejected", note)
                case witness.ChainRefused(chain):
                    held[chain] = witness.with_reported_losses(held[chain], answer)
                case witness.OtherSize(_):
                    pass
        self._rejected = rejected
        self.inconsistent = len(rejected) + sum(chain.entry.refused is not None for chain in held.values())

    def _new_chain(self, checkpoint: Checkpoint, answer: CheckpointAnswer, stored: StoredChains) -> HeldChain:
        """Return the entry of a chain that is seen for the first time, not cosigned yet."""
        chain = checkpoint.origin.rpartition("/")[2]
        anew = self._forgotten.pop(answer.replica, None)
        if chain in stored.broken:
            anew = "its entry was edited"
        entry = WitnessedChain(chain, answer.key, "", answer.replica, answer.pod, stamp(self._now()), anew)
        _LOG.info("a log is seen for the first time", chain=chain, pod=answer.pod, size=checkpoint.size)
        return HeldChain(entry, CosignedCheckpoint(checkpoint, 0))

    def _cosign(
        self, keys: WitnessKeys, before: HeldChain, checkpoint: Checkpoint, answer: CheckpointAnswer
    ) -> HeldChain:
        now = int(self._now().timestamp())
        note = cosign_note(witness.plain_note(answer), witness_name(self._name), keys.signing.private, now)
        return HeldChain(before.entry._replace(note=note), CosignedCheckpoint(checkpoint, now))

    def _refuse(self, before: HeldChain, why: str, note: str) -> HeldChain:
        entry = before.entry
        if entry.refused is None:
            entry = entry._replace(refused=ChainRefusal(why, stamp(self._now()), note))
        problem = f"the log of {entry.pod or entry.replica} (chain {entry.chain}) contradicts itself: {why}"
        self._warn_once(entry.chain, "LogInconsistent", f"{problem}. It is no longer cosigned; decisions continue")
        return replace(before, entry=entry)

    async def _put_away(
        self, held: dict[str, HeldChain], replicas: Sequence[Replica], verifiers: Cosigners
    ) -> dict[str, HeldChain]:
        now = self._now()
        uids = {replica.uid for replica in replicas}
        finished = witness.finished_chains(held, uids, self._chain_of, int(now.timestamp()))
        if not finished:
            return held
        for chain, text in await self._store.put_away(finished.values(), verifiers, now):
            self._parts.ledger.say("dropped", chain=chain, entry=text)
            _LOG.warning("a finished log is dropped from its ConfigMap: the ledger has it", chain=chain)
        self._chain_of = {uid: chain for uid, chain in self._chain_of.items() if chain not in finished}
        return {chain: entry for chain, entry in held.items() if chain not in finished}

    def _make_fit(self, held: dict[str, HeldChain], stored: StoredChains, verifiers: Cosigners) -> str | None:
        """Take out the newest chains that do not fit; return the problem if there are any."""
        full = None
        # There are few verified chains, but there may be many entries that cannot be read.
        while held and size_of(data_of(held, stored.broken, verifiers)) > MOST_BYTES:
            chain = max(held, key=lambda name: (name not in stored.held, held[name].entry.opened, name))
            del held[chain]
            full = f"ConfigMap {WITNESS_CONFIG_MAP} is full: some logs do not fit in it"
        if full is None:
            self._warned.discard(("full", "WitnessFull"))
        else:
            self._warn_once("full", "WitnessFull", full)
        return full

    def _print(self, held: Mapping[str, HeldChain]) -> None:
        now = int(self._now().timestamp())
        for chain, kept in held.items():
            entry, checkpoint = kept.entry, kept.cosigned.checkpoint
            before = self._printed.get(chain)
            same = before is not None and _printed_content(*before[:2]) == _printed_content(entry, checkpoint)
            if same and before is not None and 0 <= now - before[2] < _PRINT_SECONDS:
                continue
            more: dict[str, object] = {} if entry.refused is None else {"refused": entry.refused._asdict()}
            if entry.anew is not None:
                more["anew"] = entry.anew
            if entry.lost is not None:
                more["lost"] = entry.lost
            self._parts.ledger.say(
                "checkpoint", chain=chain, pod=entry.pod, replica=entry.replica, key=entry.key, note=entry.note, **more
            )
            self._printed[chain] = (entry, checkpoint, now)
        for chain in self._printed.keys() - held.keys():
            del self._printed[chain]

    def _count(self, answers: Answers, held: Mapping[str, HeldChain], stored: StoredChains) -> str | None:
        """Count the processes that are not witnessed; return what is wrong, for a person."""
        missing = [
            (replica, answer) for replica, answer in answers if isinstance(answer, NoCheckpoint) and replica.vouched
        ]
        without = [replica for replica, answer in missing if answer.why == "no_chain"]
        silent = [(replica, answer) for replica, answer in missing if answer.why != "no_chain"]
        self.without_chain, self.silent, self.chains = len(without), len(silent), len(held)
        if without:
            return f"{without[0].name} keeps no chain, though it should"
        if silent:
            return f"no checkpoint of {silent[0][0].name}: {silent[0][1].message}"
        if broken := stored.broken.keys() - held.keys():
            listed = ", ".join(sorted(broken)[:_LISTED])
            return f"ConfigMap {WITNESS_CONFIG_MAP} holds {len(broken)} entries that do not verify: {listed}"
        return None

    def _warn_once(self, about: str, reason: str, note: str) -> None:
        if (about, reason) not in self._warned:
            self._warned.add((about, reason))
            self._warn(reason, note)

    def _warn(self, reason: str, note: str) -> None:
        self.changes += reason.startswith("Witness")
        _LOG.error("evidence", reason=reason, problem=note)
        self._parts.ledger.say("witness", reason=reason, note=note)
        self._tell_event(EventDraft("Warning", _ACTION, reason, shorten(note, NOTE_LENGTH)))


def _printed_content(entry: WitnessedChain, checkpoint: Checkpoint) -> tuple[object, ...]:
    """Return the content whose change causes a chain to be printed again at once."""
    return checkpoint, entry.refused, entry.lost
