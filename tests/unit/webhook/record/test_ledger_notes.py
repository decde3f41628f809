"""A decision point takes those checkpoints of the operator's log alone that its own operator cosigned, lately."""

from typing import Final

import pytest

from bailiwick_evidence.note import SignatureType, cosign_note, verifier_key
from bailiwick_webhook.record.ledgernotes import PATIENCE, LedgerNotes, NoteRefusal
from support.evidence.logs import BEGAN, INSTALLATION, WITNESS, WITNESS_KEY, WITNESS_NAME, ProcessLog, private_key

LOG: Final = ProcessLog(4, component="operator").records(9)
OTHER: Final = private_key(9)


def judged(note: str, keys: str = f"{WITNESS_KEY}\n", now: float = BEGAN) -> NoteRefusal | None:
    """Return what is said of a note at a time."""
    return LedgerNotes(lambda: keys, INSTALLATION, lambda: now).refusal(note)


def test_what_the_operator_cosigned_is_taken() -> None:
    assert judged(LOG.checkpoint(now=BEGAN)) is None


@pytest.mark.parametrize(
    "note",
    [
        LOG.signed(LOG.lines),
        LOG.checkpoint(by=OTHER),
        cosign_note(LOG.signed(LOG.lines), "example.org/witness", OTHER, BEGAN),
        LOG.checkpoint().replace("\n10\n", "\n9\n"),
        LOG.checkpoint()[:-6] + "AAA=\n",
    ],
    ids=["the process alone", "another key", "another witness", "another size", "another signature"],
)
def test_what_no_witness_of_this_installation_cosigned_is_not_taken(note: str) -> None:
    assert judged(note) is NoteRefusal.UNSIGNED


@pytest.mark.parametrize("keys", ["", "\n", "not a key\n", "bailiwick/5a1e/witness+00000000+BA==\n"])
def test_nothing_is_taken_while_no_key_is_known(keys: str) -> None:
    assert judged(LOG.checkpoint(), keys) is NoteRefusal.NO_KEY


def test_a_key_that_signs_no_cosignatures_is_no_key_of_a_witness() -> None:
    process = verifier_key(LOG.origin, SignatureType.ED25519, LOG.key)
    assert judged(LOG.checkpoint(), f"{process}\n") is NoteRefusal.NO_KEY


def test_each_key_that_the_witness_has_had_counts() -> None:
    later = verifier_key(WITNESS_NAME, SignatureType.COSIGNATURE, OTHER)
    for key in (WITNESS, OTHER):
        assert judged(LOG.checkpoint(now=BEGAN, by=key), f"{WITNESS_KEY}\n{later}\n") is None


@pytest.mark.parametrize(("seconds", "taken"), [(-601, False), (-600, True), (600, True), (601, False)])
def test_what_was_cosigned_long_ago_or_is_to_be_is_not_taken(seconds: int, taken: bool) -> None:
    found = judged(LOG.checkpoint(now=BEGAN + seconds))
    assert found is (None if taken else NoteRefusal.OTHER_TIME)


def test_nothing_is_taken_that_was_cosigned_before_what_was_taken_be_it_of_another_log() -> None:
    notes, next_one = LedgerNotes(lambda: str(WITNESS_KEY), INSTALLATION, lambda: BEGAN), ProcessLog(5).records(1)
    assert notes.refusal(next_one.checkpoint(now=BEGAN)) is None
    assert notes.refusal(LOG.checkpoint(now=BEGAN - 1)) is NoteRefusal.EARLIER
    assert notes.refusal(next_one.checkpoint(now=BEGAN)) is None


def test_a_log_of_another_installation_is_not_taken() -> None:
    assert LedgerNotes(lambda: str(WITNESS_KEY), "other").refusal(LOG.checkpoint()) is NoteRefusal.OTHER_INSTALLATION


@pytest.mark.parametrize("note", ["", "a\n", LOG.checkpoint().partition("\n\n")[0]])
def test_what_is_no_note_is_not_taken(note: str) -> None:
    assert judged(note) is NoteRefusal.MALFORMED


def test_the_key_is_read_anew_when_it_is_another() -> None:
    keys = [""]
    notes = LedgerNotes(lambda: keys[0], INSTALLATION, lambda: BEGAN)
    assert notes.refusal(LOG.checkpoint(now=BEGAN)) is NoteRefusal.NO_KEY
    keys[0] = f"{WITNESS_KEY}\n"
    assert notes.refusal(LOG.checkpoint(now=BEGAN)) is None


def test_a_key_is_awaited_for_a_minute_from_the_first_note_that_lacks_it_and_anew_after_one_was_known() -> None:
    keys, at = [""], [1_000.0]
    notes = LedgerNotes(lambda: keys[0], INSTALLATION, lambda: BEGAN, lambda: at[0])
    assert not notes.awaiting_key
    for seconds, awaited in ((0.0, True), (PATIENCE - 1, True), (1.0, False), (PATIENCE, False)):
        at[0] += seconds
        assert notes.refusal(LOG.checkpoint(now=BEGAN)) is NoteRefusal.NO_KEY
        assert notes.awaiting_key is awaited
    keys[0] = f"{WITNESS_KEY}\n"
    assert notes.refusal(LOG.checkpoint(now=BEGAN)) is None
    assert not notes.awaiting_key
    keys[0] = ""
    assert notes.refusal(LOG.checkpoint(now=BEGAN)) is NoteRefusal.NO_KEY
    assert notes.awaiting_key
