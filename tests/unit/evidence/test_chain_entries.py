"""Entries of a witness: what one is believed in, and what is refused."""

import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.chainentry import Cosigners, WitnessedChain, verify_entry, witness_name
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.note import NoteError, SignatureType, cosign_note, sign_note, verifier_key

INSTALLATION: Final = "bailiwick-system"
CHAIN: Final = "A" * 22
END: Final = 1_800_000_000
PROCESS: Final = Ed25519PrivateKey.generate()
OLD: Final = Ed25519PrivateKey.generate()
NEW: Final = Ed25519PrivateKey.generate()


COSIGNERS: Final = Cosigners(
    tuple(verifier_key(witness_name(INSTALLATION), SignatureType.COSIGNATURE, one) for one in (OLD, NEW)), (END, None)
)


def entry(*cosignatures: tuple[Ed25519PrivateKey, int]) -> WitnessedChain:
    name = origin(INSTALLATION, CHAIN)
    note = sign_note(Checkpoint(name, 3, bytes(32)).text(), name, PROCESS)
    for private, time in cosignatures:
        note = cosign_note(note, witness_name(INSTALLATION), private, time)
    vkey = str(verifier_key(name, SignatureType.ED25519, PROCESS))
    return WitnessedChain(CHAIN, vkey, note, "uid", "pod", "2027-01-15T08:00:00Z", None)


@pytest.mark.parametrize(
    "cosignatures",
    [[(OLD, END)], [(OLD, END + 120)], [(NEW, END - 1)], [(NEW, END + 999)], [(OLD, END - 9), (NEW, END + 9)]],
    ids=["the old one until its end", "while two led", "the new one", "the new one later", "both"],
)
def test_a_cosignature_counts_while_its_key_cosigned(cosignatures: list[tuple[Ed25519PrivateKey, int]]) -> None:
    found = verify_entry(entry(*cosignatures), COSIGNERS)
    assert (found.checkpoint.size, found.time) == (3, max(time for _, time in cosignatures))


@pytest.mark.parametrize("more", [[], [(NEW, END + 121)]], ids=["alone", "beside the one that cosigns"])
def test_a_cosignature_by_a_key_that_was_replaced_before_is_refused(more: list[tuple[Ed25519PrivateKey, int]]) -> None:
    with pytest.raises(NoteError, match="cosigned by a key of the witness that was replaced before"):
        verify_entry(entry((OLD, END + 121), *more), COSIGNERS)


def test_an_entry_that_only_its_process_signed_is_refused() -> None:
    with pytest.raises(NoteError, match="not signed by its process and the witness"):
        verify_entry(entry(), COSIGNERS)


def test_an_entry_keeps_what_its_process_said_it_lost() -> None:
    for lost in (0, 7, 2**53 - 1):
        kept = entry((NEW, END))._replace(lost=lost)
        assert WitnessedChain.parse(CHAIN, kept.text()) == kept


def test_an_entry_of_an_older_or_a_newer_version_is_read() -> None:
    kept = entry((NEW, END))
    assert "lost" not in json.loads(kept.text())
    assert WitnessedChain.parse(CHAIN, kept.text()).lost is None
    newer = json.dumps({**json.loads(kept.text()), "lost": 3, "of-tomorrow": {}})
    assert WitnessedChain.parse(CHAIN, newer) == kept._replace(lost=3)


@pytest.mark.parametrize("told", ["7", -1, 1.0, True, None, [], 2**53])
def test_what_is_no_number_of_records_is_not_known_and_the_entry_is_good(told: Any) -> None:  # noqa: ANN401 - of JSON
    raw = json.dumps({**json.loads(entry((NEW, END)).text()), "lost": told})
    found = WitnessedChain.parse(CHAIN, raw)
    assert found.lost is None
    assert verify_entry(found, COSIGNERS).checkpoint.size == 3
