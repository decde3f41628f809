"""What is read of a text with many lines that sign nothing takes time in proportion to the text, and finds the same."""

import re
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_evidence.audit import cosignatures
from bailiwick_evidence.audit.cosignatures import cosigned_in, labels_in
from bailiwick_evidence.base64text import decode_base64, encode_base64
from bailiwick_evidence.note import split
from support.evidence.tilelogs import EAST, EAST_KEY, process_log

DASH: Final = "\N{EM DASH}"
TEXT, SIGNED = split(process_log(2).records(3).checkpoint(by=EAST))
# As a reader would write it down, without regard to time.
PLAIN: Final = re.compile(rf"{DASH}\s*([^\s+]+)\s\s*([A-Za-z0-9+/]+={{0,2}})")


class CountedText(str):
    """A text that counts how many characters are looked through for an empty line."""

    __slots__ = ()
    looked = 0

    def find(self, *wanted: object) -> int:
        return self._counted(super().find, wanted)

    def rfind(self, *wanted: object) -> int:
        return self._counted(super().rfind, wanted)

    def _counted(self, find: object, wanted: tuple[object, ...]) -> int:
        _, start, end = wanted
        CountedText.looked += end - start  # type: ignore[operator]
        return find(*wanted)  # type: ignore[operator, no-any-return]


@given(st.text(f"{DASH} +aA=/\n", max_size=30))
def test_labels_are_those_of_the_plain_pattern(text: str) -> None:
    found = ((one[1], decode_base64(one[2])) for one in PLAIN.finditer(text))
    assert labels_in(text) == tuple(dict.fromkeys(f"{name}+{held[:4].hex()}" for name, held in found if held))


@pytest.mark.parametrize("piece", [DASH, f"a{DASH}", f"{DASH}a", f"{DASH} ", f"{DASH} a ", f" {DASH}"])
def test_no_character_is_in_more_than_a_few_names_that_are_tried(piece: str) -> None:
    text = piece * 300
    tried = sum(len(found[0]) for at in range(len(text)) if (found := cosignatures.NAMES.match(text, at)) is not None)
    assert tried <= 6 * len(text)


def test_lines_that_sign_nothing_have_one_look_for_empty_lines_together(monkeypatch: pytest.MonkeyPatch) -> None:
    junk = [
        f"{DASH} {EAST_KEY.name} {encode_base64(EAST_KEY.id + number.to_bytes(72, 'big'))}" for number in range(400)
    ]
    shown = "\n".join([TEXT, *junk, *SIGNED, ""])
    monkeypatch.setattr(cosignatures, "_CONTROL", type("", (), {"sub": lambda *_: CountedText(shown)}))
    CountedText.looked = 0
    found = cosigned_in(shown, [EAST_KEY])
    assert len(found.notes) == 1
    assert CountedText.looked <= 8 * len(shown)


def test_no_run_of_base64_is_read_further_than_a_signature_is_long() -> None:
    signed = re.compile(cosignatures.SIGNED_BY_OURS)
    lengths = [len(found[1]) for length in range(1, 400) if (found := signed.match("A" * length)) is not None]
    assert (len(lengths), lengths[-1]) == (128, 128)


# For hours, where each of its characters is the beginning of a run that is read to its end.
def test_a_name_that_is_base64_is_sought_in_base64_in_time_in_proportion_to_it() -> None:
    named = EAST_KEY._replace(name="AAAA")
    shown = f"{TEXT}\n{'A' * 4_000_000}\n"
    assert cosigned_in(shown, [named]).notes == ()
