"""Registrars: only what enough of them signed counts, and nothing that was replaced comes back."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    NO_REGISTRARS,
    Registrars,
    RegistrarsError,
    ReviewerKeyFile,
    SerialFloor,
    judge_config_map,
    make_registrars,
    parse_registrars,
)
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE
from support.signatures.keys import INSTALLATION, KeyFile, SecurityKey, config_map, entry_line, reviewers_text

ROOT: Final = Path(__file__).parents[4]
CAROL: Final = entry_line("oidc:carol", SecurityKey.make().public)


class Office:
    """Three registrars, of whom two must sign."""

    def __init__(self, folder: Path) -> None:
        self.files = [KeyFile.make(folder / f"registrar{number}") for number in range(3)]
        self.stranger = KeyFile.make(folder / "stranger")
        self.registrars = make_registrars(
            "\n".join(one.line for one in self.files), 2, ["https://bailiwick.example.com"], INSTALLATION
        )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def problem(stored: dict[str, Any] | None, registrars: Registrars, *floors: SerialFloor | None) -> str:
    """Return why no key counts; "" where keys do."""
    trust, newest = judge_config_map(stored, registrars, *floors)
    assert (trust.keys is None) == bool(trust.problem) == (newest is None)
    return trust.problem


def test_a_file_that_enough_registrars_signed_counts(office: Office) -> None:
    stored = config_map(reviewers_text(CAROL, serial=3), *office.files[:2])
    trust, newest = judge_config_map(stored, office.registrars, NO_FLOOR)
    assert trust.keys is not None
    assert (trust.keys.serial, trust.problem, trust.origins) == (3, "", frozenset({"https://bailiwick.example.com"}))
    assert newest == SerialFloor(3, ReviewerKeyFile(stored["data"]["reviewers"], "").digest)
    assert SerialFloor.parse(str(newest)) == newest


def test_one_registrar_who_signs_twice_is_one(office: Office) -> None:
    first = office.files[0]
    assert "registrars who signed it: 1, but 2 must" in problem(
        config_map(reviewers_text(CAROL), first, first), office.registrars
    )


def test_signatures_of_strangers_are_skipped(office: Office) -> None:
    text = reviewers_text(CAROL)
    assert problem(config_map(text, office.stranger, *office.files[:2]), office.registrars) == ""
    assert "registrars who signed it: 1" in problem(
        config_map(text, office.stranger, office.files[0]), office.registrars
    )


def test_the_file_counts_as_a_whole(office: Office) -> None:
    """Each byte of it is signed: with one more, less or other it does not count."""
    stored = config_map(reviewers_text(CAROL), *office.files[:2])
    text = stored["data"]["reviewers"]
    for place in range(0, len(text), 7):
        changed = {"data": {**stored["data"], "reviewers": text[:place] + "x" + text[place + 1 :]}}
        if changed != stored:
            assert "does not verify" in problem(changed, office.registrars)
    for changed_text in (text + "\n", text[:-1]):
        assert problem({"data": {**stored["data"], "reviewers": changed_text}}, office.registrars)


def test_a_signature_in_the_namespace_of_reviews_does_not_count(office: Office) -> None:
    text = reviewers_text(CAROL)
    signatures = "".join(one.sign(text.encode(), REVIEW_NAMESPACE) for one in office.files)
    assert "does not verify" in problem({"data": {"reviewers": text, "reviewers.sig": signatures}}, office.registrars)


def test_an_older_file_cannot_be_put_back_and_no_other_has_its_serial(office: Office) -> None:
    old, new, twin = (
        config_map(reviewers_text(*lines, serial=serial), *office.files[:2])
        for lines, serial in (((CAROL,), 4), ((), 5), ((CAROL,), 5))
    )
    _, floor = judge_config_map(new, office.registrars, NO_FLOOR)
    assert floor is not None
    assert problem(new, office.registrars, floor) == ""
    assert "its serial is 4, but 5 was in force" in problem(old, office.registrars, floor)
    assert "another file has the serial 5 too" in problem(twin, office.registrars, floor)
    # Both floors hold: what is recorded, and what the process has seen.
    assert problem(old, office.registrars, NO_FLOOR, floor)
    assert problem(old, office.registrars, floor, NO_FLOOR)
    assert "cannot be read" in problem(new, office.registrars, None)


@pytest.mark.invariant(30)
def test_a_file_counts_only_in_the_installation_that_it_names(office: Office) -> None:
    """The same registrars may enrol for several: who signs for a test is not asked to approve in production."""
    signed = config_map(reviewers_text(CAROL, serial=40, installation="staging"), *office.files[:2])
    assert "it is for installation staging, but this one is test" in problem(signed, office.registrars, NO_FLOOR)
    assert problem(config_map(reviewers_text(CAROL), *office.files[:2]), office.registrars, NO_FLOOR) == ""
    # For whoever reads a file of any installation.
    assert problem(signed, replace(office.registrars, installation=None), NO_FLOOR) == ""


STORED: Final = {
    "nothing": None,
    "no data": {},
    "no signatures": {"data": {"reviewers": reviewers_text(CAROL)}},
    "no file": {"data": {"reviewers.sig": "x"}},
    "data of another shape": {"data": {"reviewers": 1, "reviewers.sig": []}},
    "signatures that are none": {"data": {"reviewers": reviewers_text(CAROL), "reviewers.sig": "x"}},
    "no signature": {"data": {"reviewers": reviewers_text(CAROL), "reviewers.sig": ""}},
}


@pytest.mark.parametrize("name", STORED)
def test_no_key_counts_where_there_is(name: str, office: Office) -> None:
    assert problem(STORED[name], office.registrars, NO_FLOOR)


def test_a_signed_file_that_cannot_be_read_gives_no_key(office: Office) -> None:
    stored = config_map(reviewers_text(CAROL, CAROL), *office.files)
    assert problem(stored, office.registrars, NO_FLOOR).startswith("line 5: ")


def test_text_among_the_signatures_is_an_error(office: Office) -> None:
    stored = config_map(reviewers_text(CAROL), *office.files[:2])
    stored["data"]["reviewers.sig"] += "and more"
    assert "and nothing else" in problem(stored, office.registrars, NO_FLOOR)


def test_more_signatures_than_registrars_can_be_are_an_error(office: Office) -> None:
    stored = config_map(reviewers_text(CAROL), *(office.files * 6))
    assert "1 to 16" in problem(stored, office.registrars, NO_FLOOR)


def test_without_registrars_no_file_counts(office: Office) -> None:
    stored = config_map(reviewers_text(CAROL), *office.files)
    assert "has no registrars" in problem(stored, NO_REGISTRARS, NO_FLOOR)
    other = replace(office.registrars, keys=parse_registrars(office.stranger.line), quorum=1)
    assert "registrars who signed it: 0" in problem(stored, other, NO_FLOOR)


REFUSED: Final = {
    "no key": ("# nobody yet\n", 1, (), "there is no key"),
    "a key twice": (f"{SecurityKey.make().public}\n" * 2, 1, (), "line 2: this key is there twice"),
    "what is no key": ("ssh-ed25519\n", 1, (), "line 1: not a public key"),
    "a quorum of more": (f"{SecurityKey.make().public}", 2, (), "a quorum of 2 needs as many keys"),
    "a quorum of none": (f"{SecurityKey.make().public}", 0, (), "a quorum of 0"),
    **{
        f"the origin {origin}": (f"{SecurityKey.make().public}", 1, (origin,), "is not the origin of a console")
        for origin in (
            *("x.example", "http://x.example", "https://", "https://x.example/", "https://x.example/path"),
            *("https://x.example:0", "https://x.example:65536", "https://x.example:", "https://a@x.example"),
            *("https://a..b", "https://x.example.", "https://*.x.example", "https://x.example:*", "https://[fd00::1]"),
            *("https://x.example\n", "http://*.bailiwick.localhost", "http://localhost:*"),
        )
    },
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("between", [*"\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85\r\0\t", "\u00a0"])
def test_one_line_is_one_registrar_whatever_a_reader_takes_for_a_line(between: str) -> None:
    """Else a second key, which an item of the chart shows as a comment, meets a quorum of two."""
    item = f"{SecurityKey.make().public} alice{between}{SecurityKey.make().public}"
    with pytest.raises(RegistrarsError, match="line 1: "):
        make_registrars(f"{item}\n{SecurityKey.make().public}\n", 2, [], INSTALLATION)
    schema = json.loads((ROOT / "charts/bailiwick/values.schema.json").read_text(encoding="utf-8"))
    pattern = schema["properties"]["reviewers"]["properties"]["registrars"]["items"]["pattern"]
    assert re.search(pattern, item) is None
    assert re.search(pattern, item.replace(between, " "))


@pytest.mark.parametrize("name", REFUSED)
def test_a_process_does_not_start_with(name: str) -> None:
    text, quorum, origins, why = REFUSED[name]
    with pytest.raises(RegistrarsError, match=why):
        make_registrars(text, quorum, origins, INSTALLATION)


def test_an_origin_is_taken_as_a_browser_writes_it() -> None:
    given = ("https://X.Example:443", "https://x.example:8443", "https://10.0.0.1:65535", LOCAL_CONSOLES)
    wanted = frozenset({"https://x.example", "https://x.example:8443", "https://10.0.0.1:65535", LOCAL_CONSOLES})
    assert make_registrars(f"{SecurityKey.make().public}", 1, given, INSTALLATION).origins == wanted
