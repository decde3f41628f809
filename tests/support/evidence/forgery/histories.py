"""A true history: what processes and operators wrote, and what a witness cosigned of it, kept by who made it.

Standing: under `forgers` and `games`. Holds: the truth is what was generated, never what a reader of logs makes of it;
signatures are made by real keys, and the witness cosigns only what continues a log.
"""

import random
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.chain import ChainWriter, chain_id, link
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import SignatureType, cosign_note, sign_note, split, verifier_key
from support.evidence.logs import BEGAN, INSTALLATION, WITNESS, WITNESS_NAME, moment, private_key, written

POLL: Final = 10
_LEDGER: Final = 100
_FORGED: Final = 900


@dataclass(frozen=True)
class Cosignature:
    """The witness cosigned the first `size` lines at `time`; `note` is what it made."""

    size: int
    time: int
    note: str


@dataclass
class CountedHistory:
    """A history of one key, in which no call drops out of the window. `last`: when the latest was counted."""

    seq: int = 0
    last: float | None = None

    def members(self, seconds: float, *, allowed: bool) -> dict[str, object]:
        """Return what the record of a call has of it; one that is allowed is counted."""
        age = None if self.last is None else max(0, round(seconds - self.last))
        count = self.seq + 1
        if allowed:
            self.seq, self.last = count, seconds
        read: dict[str, object] = {"name": "exports", "object": f"h-{1:040x}", "seq": self.seq, "count": count}
        return {"endpoint": "crm/crm-api", "history": [{**read, "sum": None, "age": age, "added": allowed}]}


@dataclass
class Log:
    """A log while it is written, true or forged: lines with their newlines, and the key that signs for it."""

    number: int
    operator: bool = False
    lines: list[bytes] = field(default_factory=list)
    cosignatures: list[Cosignature] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.key: Ed25519PrivateKey = private_key(1_000 + self.number)
        self.writer = ChainWriter(chain_id(self.number.to_bytes(16, "big")))
        self.id = self.writer.id
        self.origin = origin(INSTALLATION, self.id)

    def begin(self, seconds: float, before: "list[bytes] | None" = None) -> "Log":
        """Write the first line. `before`: the lines that the file has already, of which it names the last."""
        vkey = str(verifier_key(self.origin, SignatureType.ED25519, self.key))
        about: dict[str, object] = {"pod": {"name": f"pod-{self.number}"}}
        if self.operator:
            about = {"component": "operator", "identity": f"operator-{self.number}"}
        if before:
            about["previous"] = head_of(before[-1])
        self.add(seconds, "open", chain=self.id, installation=INSTALLATION, key=vkey, **about)
        return self

    def add(self, seconds: float, kind: str = "evaluation", **members: object) -> None:
        """Write a line."""
        self.lines.append(self.writer.append(written({"time": moment(seconds), "kind": kind, **members})))

    def records(
        self, seconds: float, count: int, chance: random.Random, counted: "CountedHistory | None" = None
    ) -> "Log":
        """Write so many records. `counted`: the history that those that are allowed are counted in."""
        for _ in range(count):
            allowed = chance.random() < 0.5
            found: dict[str, Any] = {} if counted is None else counted.members(seconds, allowed=allowed)
            self.add(seconds, evaluation_id=f"{chance.randrange(10**6)}", decision=allowed, **found)
        return self

    def close(self, seconds: float) -> None:
        """Write the last line."""
        self.add(seconds, "close", reason="stopped", written=len(self.lines), lost=0)
        self.closed = True

    def cosign(self, seconds: int) -> str:
        """Have the witness see all lines; return what it cosigned."""
        text = Checkpoint(self.origin, self.writer.size, self.writer.forest.root).text()
        note = cosign_note(sign_note(text, self.origin, self.key), WITNESS_NAME, WITNESS, BEGAN + seconds)
        self.cosignatures.append(Cosignature(self.writer.size, BEGAN + seconds, note))
        return note


def head_of(line: bytes) -> dict[str, object]:
    """Return how the first line of a chain names the last line of the one before."""
    place = link(line)
    assert place is not None
    head = urlsafe_b64encode(leaf_hash(line[:-1])).rstrip(b"=").decode()
    return {"id": place.id, "seq": place.seq, "head": head}


def text_of(name: str, lines: list[bytes]) -> str:
    """Return the text of a checkpoint over lines."""
    return Checkpoint(name, len(lines), root(leaf_hash(line[:-1]) for line in lines)).text()


def junk_line(name: str, identity: bytes, chance: random.Random, *, size: int = 64) -> str:
    """Return a line of a note that claims to be of a key, and is not signed."""
    return f"\N{EM DASH} {name} {encode_base64(identity + chance.randbytes(size))}\n"


@dataclass(frozen=True)
class History:
    """What is true. `files`: logs as they follow each other in each file; `captive`: whose key the attacker has.

    `forged`: logs that the attacker made before, and that lines of a captive process may name.
    """

    files: tuple[tuple[Log, ...], ...]
    captive: Log | None
    forged: tuple[Log, ...]

    @property
    def logs(self) -> dict[str, Log]:
        """Each true log by its id."""
        return {log.id: log for file in self.files for log in file}


class _Teller:
    """Tells one history."""

    def __init__(self, seed: int, *, captive: bool) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
        self.ledgers = [Log(_LEDGER, operator=True)]
        self.points = [[Log(number + 1).begin(0)] for number in range(self.chance.randint(1, 3))]
        self.captive = self.points[0][0] if captive else None
        self.counted = CountedHistory()
        self.forged = (
            Log(_FORGED, operator=True).begin(0).records(5, self.chance.randint(1, 9), self.chance),
            Log(_FORGED + 1).begin(0).records(40, self.chance.randint(1, 9), self.chance),
        )
        self.forged[0].records(65, 2, self.chance)
        self.next = 10

    def history(self) -> History:
        """Let time go by."""
        if self.captive is not None and self.chance.random() < 0.5:
            self.points[0][0].lines.clear()
            self.points[0][0].__post_init__()
            self.points[0][0].begin(0, self.chance.choice(self.forged).lines)
        for number in range(1, self.chance.randint(3, 8)):
            self._round(number * POLL)
        return History(tuple(map(tuple, (*self.points, self.ledgers))), self.captive, self.forged)

    def _round(self, now: int) -> None:
        chance, ledger = self.chance, self.ledgers[-1]
        if ledger.lines and chance.random() < 0.1:
            ledger = Log(_LEDGER + len(self.ledgers), operator=True)
            self.ledgers.append(ledger)
        note = ledger.cosign(now) if ledger.lines else None
        if not ledger.lines:
            ledger.begin(now)
        for file in self.points:
            self._process(file, now, note)
        ledger.records(now, chance.randint(0, 2), chance)

    def _process(self, file: list[Log], now: int, note: str | None) -> None:
        chance, log = self.chance, file[-1]
        if log.closed or chance.random() < 0.08:
            # Another process goes on in the file, which may be one that never told of its end.
            self.next += 1
            log = Log(self.next).begin(now - 8, log.lines)
            file.append(log)
        log.records(now - chance.randint(1, 8), chance.randint(0, 3), chance, self.counted)
        if chance.random() < 0.15:
            log.close(now - 1)
        elif note is not None and chance.random() < 0.6:
            log.add(now, "ledger", note=note)
        if not log.closed and (log is self.captive or chance.random() < 0.15):
            # One that is not what it was, or that takes a note of anybody.
            log.add(now, "ledger", note=self._lie())
        if chance.random() < 0.9:
            seen = log.cosign(now)
            self.ledgers[-1].add(now, "checkpoint", chain=log.id, pod=f"pod-{log.number}", note=seen)

    def _lie(self) -> str:
        """Return a checkpoint of a ledger, true or forged, that no witness cosigned."""
        chance = self.chance
        log = chance.choice([*self.ledgers, self.forged[0]])
        key = verifier_key(log.origin, SignatureType.ED25519, log.key)
        if log.cosignatures and chance.random() < 0.5:
            # One of its newest checkpoints once more, with a signature that is none.
            return f"{split(chance.choice(log.cosignatures[-2:]).note)[0]}\n{junk_line(log.origin, key.id, chance)}"
        text = text_of(log.origin, log.lines[: chance.randint(0, len(log.lines))])
        if log is self.forged[0]:
            return sign_note(text_of(log.origin, log.lines), log.origin, log.key)
        return f"{text}\n{junk_line(log.origin, key.id, chance)}"


@lru_cache(maxsize=256)
def history(seed: int, *, captive: bool) -> History:
    """Return the history of a seed. `captive`: the attacker has the key of a decision point, and wrote its lines."""
    return _Teller(seed, captive=captive).history()
