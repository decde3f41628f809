"""Signed reviews in logs: verified by registrars' keys alone, by the file that was in force when one was counted."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, parse_registrars
from bailiwick_engine.signatures.sshsig import USER_PRESENT
from bailiwick_evidence.audit import reviewfold
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.reviewfold import ReviewFold, ReviewReport
from bailiwick_evidence.chain import ChainLink
from support.objects import Object
from support.signatures.keys import KeyFile
from support.signatures.logs import DAVES, LINE, T0, approved, at, ended, published, used

Change = Callable[[Object], object]


@pytest.fixture(scope="module")
def registrar(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    return KeyFile.make(tmp_path_factory.mktemp("registrar") / "key")


def folded(registrars: Registrars, *records: Object, most: int = 100) -> ReviewReport:
    fold = ReviewFold(registrars, most)
    for number, record in enumerate(records):
        fold.add(in_chain("c", number, record))
    return fold.report({})


def judged(registrar: KeyFile, *records: Object) -> list[str]:
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    return [one.code.value for one in folded(registrars, *records).findings]


@pytest.mark.parametrize("line", [used, ended])
def test_an_honest_log_has_no_finding_in_any_order(registrar: KeyFile, line: Callable[[Object], Object]) -> None:
    file = published(registrar, 1, 0, LINE)
    for reason in ("fine", None):
        stored = approved(reason=reason)
        assert judged(registrar, *file, line(stored)) == []
        assert judged(registrar, line(stored), *file) == []


def test_names_in_escapes_hide_no_review(registrar: KeyFile) -> None:
    fold = ReviewFold(Registrars(parse_registrars(registrar.line), 1, None))
    plain = in_chain("c", 0, used(approved(counted=10)))
    fold.add(plain._replace(text=re.sub(rb'"([a-z])(\w*)":', _escaped, plain.text)))
    assert [one.code.value for one in fold.report({}).findings] == ["unenrolled"]


def _escaped(name: re.Match[bytes]) -> bytes:
    return b'"\\u%04x%s":' % (ord(name[1]), name[2])


@pytest.mark.invariant(30)
def test_a_line_that_no_witness_saw_enrols_nobody_earlier(registrar: KeyFile) -> None:
    """The file with carol's key came into force when the operator's ledger says so, and her review was before."""
    true = [*published(registrar, 1, 0), *published(registrar, 2, 100, LINE), used(approved(counted=10))]
    fold = ReviewFold(Registrars(parse_registrars(registrar.line), 1, None))
    for number, record in enumerate(true):
        fold.add(in_chain("t", number, record))
    assert [one.code.value for one in fold.report({}).findings] == ["unenrolled"]
    for number, record in enumerate(published(registrar, 2, 0, LINE)):
        fold.add(in_chain("i", number, record))
        fold.add(in_chain("t", len(true) + number, record))
    assert fold.report({}).findings == ()
    assert [one.code.value for one in fold.report({"t" * 22: len(true)}).findings] == ["unenrolled"]


@pytest.mark.invariant(30)
def test_a_file_that_no_witness_saw_counts_for_no_review_of_before(registrar: KeyFile) -> None:
    """It may be one of another cluster, or one that was never in force: its registrars signed it all the same."""
    fold = ReviewFold(Registrars(parse_registrars(registrar.line), 1, None))
    true = [*published(registrar, 1, 0), used(approved(counted=10))]
    for number, record in enumerate(true):
        fold.add(in_chain("t", number, record))
    for number, record in enumerate(published(registrar, 2, 0, LINE)):
        fold.add(in_chain("i", number, record))
    witnessed, moment = {"t" * 22: len(true)}, T0.timestamp()
    assert [one.code.value for one in fold.report(witnessed, moment + 20).findings] == ["unenrolled"]
    # It may be the newest line of the operator's log, which no witness has come by to see.
    assert fold.report(witnessed, moment).findings == ()


@pytest.mark.invariant(30)
def test_reviews_that_there_was_no_room_for_leave_the_log_unproven(registrar: KeyFile) -> None:
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    lines = [*published(registrar, 1, 0, LINE), used(approved(reason="fine")), used(approved(reason=None))]
    assert not folded(registrars, *lines).incomplete
    report = folded(registrars, *lines, most=1)
    assert (report.left_out, report.findings, report.incomplete) == (1, (), True)


def in_chain(name: str, number: int, record: Object) -> ChainLine:
    return ChainLine(ChainLink(name * 22, number, None), json.dumps(record, separators=(",", ":")).encode())


EDITS: Final[dict[str, tuple[str, Change]]] = {
    "another namespace": ("badly-signed", lambda r: r.update(endpoint="hr/crm-api", namespace="hr")),
    "another grant": ("badly-signed", lambda r: r.get("grant", r).update(name="agr-2")),
    "another uid": ("badly-signed", lambda r: r.get("grant", r).update(uid="u-2")),
    "another request": (
        "badly-signed",
        lambda r: r.get("grant", r).update(dict.fromkeys(("request", "requestDigest"), f"sha256:{'0' * 64}")),
    ),
    "another binding": ("badly-signed", lambda r: r.get("grant", r)["binding"].update(digest="sha256:other")),
    "another group": ("badly-signed", lambda r: r.get("grant", r)["reviews"][0].update(group="others")),
    "another reason": (
        "badly-signed",
        lambda r: r.get("grant", r)["reviews"][0].update(reason="no", reasonDigest="sha256:0"),
    ),
    "another reviewer": (
        "unenrolled",
        lambda r: [r.get("grant", r)["reviews"][0].update(reviewer="dave"), r.update(counted=["dave"])],
    ),
    "no signature": ("unsigned", lambda r: r.get("grant", r)["reviews"][0].pop("signature")),
    "no text of a signature": ("unenrolled", lambda r: r.get("grant", r)["reviews"][0].update(signature="x")),
    "no time of counting": ("unenrolled", lambda r: r.get("grant", r)["reviews"][0].update(time=None, counted=None)),
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("line", [used, ended])
def test_a_line_that_was_edited_is_found_with(registrar: KeyFile, line: Callable[[Object], Object], name: str) -> None:
    code, change = EDITS[name]
    record = line(approved())
    change(record)
    assert judged(registrar, *published(registrar, 1, 0, LINE), record) == [code]


def test_a_signature_of_a_key_that_verified_nobody_is_badly_signed(registrar: KeyFile) -> None:
    assert judged(registrar, *published(registrar, 1, 0, LINE), used(approved(flags=USER_PRESENT))) == ["badly-signed"]


def test_the_file_counts_that_was_in_force_when_the_review_was_counted(registrar: KeyFile) -> None:
    files = [*published(registrar, 1, 0, LINE), *published(registrar, 2, 100), *published(registrar, 3, 200, LINE)]
    for moment, wanted in ((50, []), (150, ["unenrolled"]), (250, [])):
        assert judged(registrar, *files, used(approved(counted=moment))) == wanted
    # Two processes write these times, with clocks of their own.
    for moment in (99, 100, 101):
        assert judged(registrar, *files, used(approved(counted=moment))) == []


def test_a_file_that_was_put_back_does_not_count(registrar: KeyFile) -> None:
    files = [*published(registrar, 2, 0), *published(registrar, 1, 5, LINE)]
    assert judged(registrar, *files, used(approved())) == ["unenrolled"]


def test_only_files_that_the_auditors_registrars_signed_count(registrar: KeyFile, tmp_path: Path) -> None:
    other = KeyFile.make(tmp_path / "other")
    assert judged(other, *published(registrar, 1, 0, LINE), used(approved())) == ["unenrolled"]
    assert judged(registrar, used(approved())) == ["unenrolled"]
    forged = published(registrar, 1, 0, LINE)
    forged[0]["text"] = forged[0]["text"].replace("oidc", "odic").replace("carol", "Carol")
    assert judged(registrar, *forged, used(approved())) == ["unenrolled"]


def test_a_long_file_comes_in_parts_and_counts_once_all_are_there(registrar: KeyFile) -> None:
    lines = [f"# {'x' * 90}"] * 500
    file = published(registrar, 1, 0, *lines, LINE)
    assert len(file) > 2
    assert judged(registrar, *reversed(file), used(approved())) == []
    assert judged(registrar, *file[1:], used(approved())) == ["unenrolled"]


@pytest.mark.parametrize("odd", [{"part": 2}, {"part": -1}, {"part": 10**9}, {"text": "x" * 70_000}])
def test_a_part_that_no_file_has_is_not_kept(odd: Object, registrar: KeyFile) -> None:
    fold = ReviewFold(Registrars(parse_registrars(registrar.line), 1, None))
    about = {"kind": "reviewers", "time": at(0), "digest": "d", "parts": 2, "part": 0, "text": "t", "signatures": "s"}
    fold.add(in_chain("x", 0, about | odd))
    assert not fold._parts


def test_without_registrars_reviews_are_counted_and_nothing_is_found() -> None:
    found = folded(NO_REGISTRARS, used(approved(DAVES)))
    assert (found.reviews, found.verified, found.findings) == (1, False, ())


def test_what_there_is_no_room_for_is_counted(registrar: KeyFile) -> None:
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    found = folded(registrars, used(approved()), used(approved(counted=11)), used(approved()), most=1)
    assert (found.reviews, found.left_out) == (1, 2)


@pytest.mark.invariant(30)
@pytest.mark.parametrize("lacking", [False, True], ids=["reviews", "steps that lack a review"])
def test_long_texts_take_no_more_memory_than_there_is_room_for(registrar: KeyFile, *, lacking: bool) -> None:
    """What there is no room for leaves the log unproven, also where it is a step that has too few reviews."""
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    fold = ReviewFold(registrars, most_bytes=100_000)
    for number in range(40):
        record = used(approved())
        record["grant"]["uid"] = f"{number}" + "u" * 10_000
        if lacking:
            record["grant"]["reviews"] = []
        fold.add(in_chain("c", number, record))
    report = fold.report({})
    assert 1 < len(report.findings) < 10
    assert (report.left_out, report.incomplete) == (40 - len(report.findings), True)


def test_files_of_keys_take_no_more_memory_than_there_is_room_for(registrar: KeyFile) -> None:
    """Neither whole ones, nor parts of those that are not whole, nor chains that repeat one."""
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    whole = [published(registrar, number, number, f"# {'x' * 3_000}", LINE) for number in range(1, 40)]
    parts = [[PART | {"time": at(0), "digest": str(number), "text": "x" * 5_000}] for number in range(40)]
    (repeated,) = published(registrar, 1, 0, LINE)
    for name, files in (("whole", whole), ("parts", parts)):
        fold = ReviewFold(registrars, most_file_bytes=50_000)
        for number, record in enumerate(record for file in files for record in file):
            fold.add(in_chain("c", number, record))
        assert (fold.report({}).incomplete, 5 < fold.report({}).files_left_out < 39) == (True, True), name
    fold = ReviewFold(registrars, most_file_bytes=50_000)
    for number in range(500):
        fold.add(ChainLine(ChainLink(f"{number:022}", 0, None), json.dumps(repeated, separators=(",", ":")).encode()))
    assert (fold.report({}).files, fold.report({}).files_left_out > 300) == (1, True)


def test_a_part_that_comes_again_takes_no_more_room(registrar: KeyFile) -> None:
    fold = ReviewFold(Registrars(parse_registrars(registrar.line), 1, None), most_file_bytes=50_000)
    for number in range(100):
        fold.add(in_chain("c", number, PART | {"text": "x" * 5_000}))
    assert fold.report({}).files_left_out == 0


PART: Final[Object] = {
    "kind": "reviewers",
    "digest": "x",
    "parts": 2,
    "part": 1,
    "text": "",
    "signatures": "",
    "time": at(0),
}
ODD_LINES: Final[dict[str, Object]] = {
    "a file of nothing": {"kind": "reviewers", "signature": 1},
    "a file of too many parts": PART | {"parts": 10**9},
    "a part beyond the last one": PART | {"part": 2},
    "a part before the first one": PART | {"part": -1},
    "a number as a text": PART | {"text": 1},
    "a file of no time": PART | {"time": "now"},
    "a number as a step": {"kind": "grant", "signature": 1, "steps": [1]},
    "a number as an endpoint": {"kind": "evaluation", "decision": True, "endpoint": 1, "grant": {"steps": "signature"}},
    "a step and no more": {
        "kind": "evaluation",
        "decision": True,
        "endpoint": "a/b",
        "grant": {"steps": [{"signature": "Key"}]},
    },
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("name", ODD_LINES)
def test_a_line_that_no_process_writes_is_unreadable(registrar: KeyFile, name: str) -> None:
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    (found,) = folded(registrars, ODD_LINES[name]).findings
    assert (found.code.value, found.grant, found.reviewer, found.place) == ("unreadable", "", "", ("c" * 22, 0))


def _review_at(place: int, **members: object) -> Change:
    return lambda held: held["reviews"].insert(place, members)


ODD_MEMBERS: Final[dict[str, Change]] = {
    "a review of nobody": _review_at(0),
    "a review of no reviewer": _review_at(1, step="crm-agent.export.owner"),
    "a review of a number": _review_at(0, step="crm-agent.export.owner", reviewer=1),
    "reviews by name": lambda held: held.update(reviews={"carol": held["reviews"][0]}),
    "no binding": lambda held: held.update(binding=None),
    "no uid": lambda held: held.pop("uid"),
    "no name": lambda held: held.pop("name"),
    "no steps": lambda held: held.update(steps=None, reviews=[{"signature": "x"}]),
    "a step without a name": lambda held: held["steps"].append({"signature": "Key"}),
    "a step twice": lambda held: held["steps"].append(held["steps"][0] | {"signature": "Key"}),
    "a text as a count": lambda held: held["steps"][0].update(count="1"),
    "a count of none": lambda held: held["steps"][0].update(count=0),
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("name", ODD_MEMBERS)
@pytest.mark.parametrize("line", [used, ended])
def test_no_other_member_hides_a_review_without_a_signature(
    registrar: KeyFile, line: Callable[[Object], Object], name: str
) -> None:
    record = line(approved())
    del record.get("grant", record)["reviews"][0]["signature"]
    assert judged(registrar, *published(registrar, 1, 0, LINE), record) == ["unsigned"]
    ODD_MEMBERS[name](record.get("grant", record))
    assert judged(registrar, *published(registrar, 1, 0, LINE), record) == ["unreadable"]


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(decision=1),
        lambda record: record.pop("decision"),
        lambda record: record.pop("endpoint"),
        lambda record: record.update(grant=[record["grant"]]),
    ],
    ids=["a number as the decision", "no decision", "no endpoint", "a list as the grant"],
)
def test_no_member_of_a_record_hides_it_either(registrar: KeyFile, change: Change) -> None:
    record = used(approved())
    del record["grant"]["reviews"][0]["signature"]
    change(record)
    assert judged(registrar, *published(registrar, 1, 0, LINE), record) == ["unreadable"]


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "grant", "uid": "u-1", "phase": "Consumed", "note": "signature"},
        {"kind": "evaluation", "decision": False, "endpoint": "crm/crm-api", "grant": None, "action": "signature"},
        {"kind": "outcome", "grant": 1, "signature": 1},
        {"kind": "grant", "namespace": 1, "uid": "u-1", "note": "\u20ac"},
    ],
    ids=["a grant that the operator could not read", "no grant", "another kind", "an escape"],
)
def test_a_line_without_reviews_is_no_finding(registrar: KeyFile, record: Object) -> None:
    assert judged(registrar, record) == []


def test_without_registrars_a_line_that_cannot_be_read_is_no_finding() -> None:
    found = folded(NO_REGISTRARS, ODD_LINES["a step and no more"])
    assert (found.verified, found.findings) == (False, ())


def test_a_file_that_is_recorded_again_takes_no_room(registrar: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator records it at each start, and who can write lines could so keep a removal out of the fold."""
    monkeypatch.setattr(reviewfold, "MOST_FILES", 2)
    again = [line for second in range(5) for line in published(registrar, 1, second, LINE)]
    files = [*again, *published(registrar, 2, 100)]
    assert judged(registrar, *files, used(approved(counted=50))) == []
    assert judged(registrar, *files, used(approved(counted=150))) == ["unenrolled"]


def test_files_that_no_registrar_signed_take_no_room(
    registrar: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewfold, "MOST_FILES", 1)
    other = KeyFile.make(tmp_path / "other")
    forged = [line for serial in range(2, 5) for line in published(other, serial, 0, LINE)]
    assert judged(registrar, *forged, *published(registrar, 1, 0, LINE), used(approved())) == []


def test_files_that_there_is_no_room_for_are_counted(registrar: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    registrars = Registrars(parse_registrars(registrar.line), 1, None)
    monkeypatch.setattr(reviewfold, "MOST_FILES", 1)
    files = [line for serial in (1, 2, 3) for line in published(registrar, serial, serial, LINE)]
    found = folded(registrars, *files)
    assert (found.files, found.files_left_out, found.incomplete) == (1, 2, True)
    # Files whose other parts never come are bounded too.
    monkeypatch.setattr(reviewfold, "MOST_FILES", 9)
    monkeypatch.setattr(reviewfold, "MOST_INCOMPLETE", 2)
    parts = [{**published(registrar, 1, 0, LINE)[0], "parts": 2, "digest": f"sha256:{number}"} for number in range(5)]
    assert folded(registrars, *parts).files_left_out == 3


@pytest.mark.invariant(30)
@pytest.mark.parametrize("line", [used, ended])
def test_a_use_with_fewer_reviews_than_its_step_needs_is_unsigned(
    registrar: KeyFile, line: Callable[[Object], Object]
) -> None:
    file = published(registrar, 1, 0, LINE)
    none = line(approved())
    none.get("grant", none)["reviews"] = []
    lacking = line(approved())
    lacking.get("grant", lacking)["steps"][0]["count"] = 2
    for record, needs in ((none, "needs 1"), (lacking, "needs 2")):
        (found,) = folded(Registrars(parse_registrars(registrar.line), 1, None), *file, record, record).findings
        assert (found.code.value, found.reviewer) == ("unsigned", "")
        assert needs in found.said


@pytest.mark.invariant(30)
@pytest.mark.parametrize("line", [used, ended])
@pytest.mark.parametrize(("other", "lacks"), [("ANN@Corp.example", True), ("eve@corp.example", False)])
def test_one_address_in_two_cases_is_one_of_the_reviewers_that_a_step_needs(
    registrar: KeyFile, line: Callable[[Object], Object], other: str, *, lacks: bool
) -> None:
    record = line(approved())
    grant = record.get("grant", record)
    grant["steps"][0]["count"] = 2
    grant["reviews"] = [{**grant["reviews"][0], "reviewer": reviewer} for reviewer in ("ann@corp.example", other)]
    record["counted"] = ["ann@corp.example", other]
    found = folded(Registrars(parse_registrars(registrar.line), 1, None), record).findings
    assert any("needs 2" in one.said for one in found) is lacks


def test_a_grant_that_was_not_used_needs_no_review(registrar: KeyFile) -> None:
    waited = ended(approved())
    waited |= {"reviews": [], "counted": [], "phase": "Expired"}
    del waited["uses"]
    assert judged(registrar, waited) == []
