"""Signed notes: what is signed is returned, and nothing else is."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.note import (
    MOST_SIGNATURES,
    NoteError,
    SignatureType,
    VerifierKey,
    cosign_note,
    open_note,
    sign_note,
    signed_by,
    split,
    verifier_key,
)

# The example of Go's golang.org/x/mod/sumdb/note, so that what we read is what others write.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    f"{GO_TEXT}\n"
    "\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
OURS = verifier_key("log", SignatureType.ED25519, KEY)
WITNESS = verifier_key("witness", SignatureType.COSIGNATURE, OTHER)
TEXT = "one\n\ntwo\n"


def test_a_note_that_go_signed_is_opened() -> None:
    key = VerifierKey.parse(GO_KEY)
    note = open_note(GO_NOTE, [key])
    assert note.text == GO_TEXT
    assert [signature.key for signature in note.signatures] == [key]
    assert str(key) == GO_KEY


def test_a_note_is_opened_by_whom_it_was_signed_and_cosigned() -> None:
    note = open_note(cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 1_700_000_000), [OURS, WITNESS])
    assert note.text == TEXT
    assert {(one.key.name, one.time) for one in note.signatures} == {("log", None), ("witness", 1_700_000_000)}


def test_signatures_of_others_are_skipped() -> None:
    note = cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 5)
    assert [one.key for one in open_note(note, [OURS]).signatures] == [OURS]
    assert [one.time for one in open_note(note, [WITNESS]).signatures] == [5]


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("one", "two"),
        ("two\n\n", "two\n\n\n"),
        ("one\n", "one\r\n"),
        ("\N{EM DASH}", "-"),
        ("log ", "log"),
        ("log ", "somebody "),
    ],
)
def test_a_note_that_was_changed_is_refused(changed: str, to: str) -> None:
    note = sign_note(TEXT, "log", KEY)
    assert changed in note
    with pytest.raises(NoteError):
        open_note(note.replace(changed, to), [OURS])


@pytest.mark.parametrize(
    "note", ["", "\n", "text\n", "text\n\n", "\n\n\N{EM DASH} log AAAA", sign_note(TEXT, "log", KEY)[:-1]]
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        open_note(note, [OURS])


def test_a_cosignature_of_another_time_is_refused() -> None:
    early = cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 5)
    late = cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 6)
    head, made = early.rstrip("\n").rsplit(" ", 1)
    other = late.rstrip("\n").rsplit(" ", 1)[1]
    # The time of one, the signature of the other: sixteen characters hold key id and time.
    with pytest.raises(NoteError, match="witness does not verify"):
        open_note(f"{head} {other[:16]}{made[16:]}\n", [WITNESS])


@pytest.mark.parametrize("time", [253_402_300_800, 2**63, 2**64 - 1])
def test_a_cosignature_of_no_time_of_the_calendar_is_refused(time: int) -> None:
    with pytest.raises(NoteError, match="after the year 9999"):
        open_note(cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, time), [WITNESS])
    latest = cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 253_402_300_799)
    assert open_note(latest, [WITNESS]).signatures[0].time == 253_402_300_799


def test_a_known_key_that_signed_something_else_spoils_the_note() -> None:
    one, other = sign_note(TEXT, "log", KEY), sign_note("else\n", "log", KEY)
    note = one[: -len(one.rsplit("\n", 2)[1]) - 1] + other.rsplit("\n", 2)[1] + "\n"
    with pytest.raises(NoteError, match="log does not verify"):
        open_note(cosign_note(note, "witness", OTHER, 5), [OURS, WITNESS])


@pytest.mark.parametrize("junk", [f"witness {encode_base64(WITNESS.id + bytes(72))}", "witness", "no signature at all"])
def test_a_line_that_does_not_verify_hides_no_signature_that_is_collected(junk: str) -> None:
    text, lines = split(cosign_note(sign_note(TEXT, "log", KEY), "witness", OTHER, 5))
    note = "\n".join([text, f"\N{EM DASH} {junk}", *lines, ""])
    assert signed_by(note, OURS)
    assert signed_by(note, WITNESS)
    assert not signed_by(note.replace(lines[1], ""), WITNESS)
    if junk.startswith("witness "):
        # Before the good one or behind it: who opens a note refuses it, as signed-note asks.
        for spoiled in (note, "\n".join([text, *lines, f"\N{EM DASH} {junk}", ""])):
            with pytest.raises(NoteError, match="witness does not verify"):
                open_note(spoiled, [OURS, WITNESS])


def test_a_note_has_room_for_sixteen_signatures_and_more_and_not_for_any_number() -> None:
    note = sign_note(TEXT, "log", KEY)
    for time in range(MOST_SIGNATURES - 1):
        note = cosign_note(note, "witness", OTHER, time)
    assert open_note(note, [WITNESS]).signatures[0].time == 0
    with pytest.raises(NoteError):
        open_note(cosign_note(note, "witness", OTHER, 0), [WITNESS])


@pytest.mark.parametrize("text", ["no newline", "a\ttab\n", "", "carriage\r\n"])
def test_what_cannot_be_the_text_of_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, "log", KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_a_line_could_not_hold_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        sign_note(TEXT, name, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3+",
        GO_KEY[:-4],
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("+ARpc", "+BRpc"),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY.replace("PeterNeumann", "Peter"),
    ],
)
def test_a_key_that_is_misspelt_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_of_two_keys_with_one_name_and_one_id_the_one_that_signed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # Four bytes of a hash: who wants to can compute a second key with them.
    monkeypatch.setattr(VerifierKey, "id", property(lambda key: b"same"))
    first, second = (verifier_key("witness", SignatureType.COSIGNATURE, key) for key in (KEY, OTHER))
    signed = sign_note(TEXT, "log", KEY)
    one, other = cosign_note(signed, "witness", KEY, 5), cosign_note(signed, "witness", OTHER, 6)
    both = cosign_note(one, "witness", OTHER, 6)
    for keys in ((first, second), (second, first)):
        assert [made.key for made in open_note(one, keys).signatures] == [first]
        assert [made.key for made in open_note(other, keys).signatures] == [second]
        assert [(made.key, made.time) for made in open_note(both, keys).signatures] == [(first, 5), (second, 6)]
        third = cosign_note(signed, "witness", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32), 7)
        with pytest.raises(NoteError, match="does not verify"):
            open_note(third, keys)
