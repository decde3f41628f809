"""The operator's own log: a chain from its first line to its last, whatever becomes of where it is written."""

import hashlib
import json
from datetime import UTC, datetime
from errno import EAGAIN, ENOSPC
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.chain import MOST_BYTES, link
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import VerifierKey, open_note
from bailiwick_operator.evidence import ledger
from bailiwick_operator.evidence.ledger import OperatorLedger, output

NOW: Final = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class Place:
    """Takes so many bytes at a time; `error`: what it says instead."""

    def __init__(self, most: int = 2**20) -> None:
        self.most = most
        self.held = b""
        self.error: OSError | None = None

    def __call__(self, held: bytes) -> int:
        if self.error is not None:
            raise self.error
        taken = held[: self.most]
        self.held += taken
        return len(taken)

    @property
    def lines(self) -> list[bytes]:
        return self.held.splitlines()


def opened_ledger(place: Place) -> OperatorLedger:
    return OperatorLedger("bailiwick-system", place, lambda: NOW, component="operator")


def assert_whole(lines: list[bytes]) -> list[bytes]:
    """Return the lines that stand in the chain, having looked at every link."""
    chained = [line for line in lines if line.startswith(b'{"log"')]
    before = None
    for seq, line in enumerate(chained):
        found = link(line)
        assert found is not None
        assert (found.seq, found.prev) == (seq, before)
        before = leaf_hash(line)
    return chained


def test_it_opens_with_its_key_and_closes_with_its_counts() -> None:
    place = Place()
    one = opened_ledger(place)
    one.say("keys", published=["a"], removed=[])
    one.close("stopped")
    one.say("keys", published=["too late"], removed=[])
    first, second, last = map(json.loads, assert_whole(place.lines))
    assert (first["kind"], first["chain"], first["component"]) == ("open", first["log"]["id"], "operator")
    assert (second["kind"], second["published"]) == ("keys", ["a"])
    assert (last["kind"], last["reason"], last["written"], last["lost"]) == ("close", "stopped", 2, 0)
    assert VerifierKey.parse(first["key"]).name == f"bailiwick/bailiwick-system/{first['chain']}"


def test_a_process_that_has_nothing_to_say_leaves_no_chain_behind() -> None:
    place = Place()
    one = opened_ledger(place)
    one.flush()
    one.close("stopped")
    one.say("keys", published=["too late"], removed=[])
    assert place.held == b""


def test_its_checkpoint_is_over_what_it_wrote() -> None:
    place = Place()
    one = opened_ledger(place)
    for number in range(20):
        one.say("keys", published=[str(number)])
        checkpoint = Checkpoint.parse(open_note(one.checkpoint(), [VerifierKey.parse(one.key)]).text)
        assert (checkpoint.size, checkpoint.root) == (number + 2, root(map(leaf_hash, place.lines)))


@pytest.mark.parametrize("error", [OSError(ENOSPC, "No space left on device"), BlockingIOError(EAGAIN, "full")])
def test_lines_that_find_no_place_wait_for_one_and_keep_their_numbers(error: OSError) -> None:
    place = Place(most=7)
    one = opened_ledger(place)
    one.say("keys", published=[])
    place.error = error
    one.say("keys", published=["a"])
    one.say("keys", published=["b"])
    assert one.problem is not None
    assert Checkpoint.parse(one.checkpoint().rpartition("\n\n")[0] + "\n").size == 2
    place.error = None
    one.flush()
    assert (len(assert_whole(place.lines)), one.lost) == (4, 0)
    assert place.held.endswith(b"\n")


def test_what_finds_no_room_to_wait_is_counted_and_takes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_WAITING_BYTES", 1000)
    place = Place()
    one = opened_ledger(place)
    place.error = OSError(ENOSPC, "No space left on device")
    for _ in range(100):
        one.say("keys", published=["a" * 100])
    place.error = None
    one.close("stopped")
    lines = assert_whole(place.lines)
    assert json.loads(lines[-1])["lost"] == one.lost
    assert 90 < one.lost < 100


def test_a_line_that_is_too_long_for_an_entry_follows_behind_its_hash() -> None:
    place = Place()
    one = opened_ledger(place)
    one.say("policy", text="x" * MOST_BYTES)
    one.say("keys", published=[])
    _, hashed, long, _ = place.lines
    assert len(assert_whole(place.lines)) == 3
    assert json.loads(hashed)["sha256"] == hashlib.sha256(long).hexdigest()
    assert json.loads(long)["kind"] == "policy"
    assert all(len(line) <= MOST_BYTES for line in assert_whole(place.lines))


@pytest.mark.parametrize("text", ["\ud800", "\x00\n", "ü\N{LINE SEPARATOR}", '"\\'])
def test_any_text_stays_one_line_of_json(text: str) -> None:
    place = Place()
    opened_ledger(place).say("keys", text=text)
    assert json.loads(place.held.split(b"\n")[1])["text"] == text


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"before\n")
    OperatorLedger("bailiwick-system", output(path), lambda: NOW).say("keys", published=[])
    assert path.read_bytes().startswith(b'before\n{"log":')
