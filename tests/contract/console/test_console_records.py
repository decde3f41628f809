"""The decisions explorer: the files that were named and no other, what is damaged, and why a decision came out so."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_console.records import handlers, scan
from bailiwick_engine.call import Action, Resource
from bailiwick_evidence.derive.versions import engine_versions
from contract.console.test_console_access import EXAMPLE
from support import commandline
from support.console.inprocess import ServedConsole, served
from support.console.markup import SHOWN, assert_harmless, plain
from support.console.plainhttp import Page, Visit
from support.decisions import CRM_CALL, MARCH, crm_calls, decided, ledger_of, written
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.waits import until
from unit.console.policies import PAYLOADS

ACTIONS: Final = ["customers.list"] * 3 + ["customers.delete", "customers.export"]


@pytest.fixture
def log() -> ProcessLog:
    """Five decisions, one an hour: three are allowed, one is denied, one needs an approval."""
    return decided([EXAMPLE], crm_calls(ACTIONS))


@pytest.fixture
def folder(tmp_path: Path, log: ProcessLog) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    written(made / "decisions.log", log)
    written(made / "ledger.log", ledger_of([EXAMPLE]))
    return made


@pytest.fixture
def console(folder: Path) -> Iterator[ServedConsole]:
    with served(records=[folder]) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def looked(visit: Visit, path: str) -> Page:
    """Return a page once the records are read."""
    pages: list[Page] = []

    def over() -> bool:
        pages.append(visit.get(path.replace("again=1", "") if pages else path))
        return "Look again" not in pages[-1].text

    until(over, "the records were read")
    return pages[-1]


def rows(page: Page) -> list[list[str]]:
    """Return the cells of the list."""
    body = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
    found = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in body.split("<tr>")[1:]]
    return [[plain(cell) for cell in row] for row in found]


def links(page: Page) -> list[str]:
    return re.findall(r'href="(/decisions/[^"?]+)"', page.text)


def test_decisions_stand_newest_first_with_what_they_were_about(visit: Visit) -> None:
    page = looked(visit, "/decisions")
    assert [row[4] for row in rows(page)] == ACTIONS[::-1]
    assert rows(page)[-1] == [
        "2026-03-05T09:00:00Z",
        "allow",
        "allowed",
        "system:serviceaccount:agents:crm-agent",
        "customers.list",
        "customer/0",
        "crm/crm-api",
        "crm-agent/read",
    ]
    assert "5 of 5 lines of decisions" in plain(page.text)


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("action=export", ["customers.export"]),
        ("resource=customer/3", ["customers.delete"]),
        ("subject=crm-agent", ACTIONS[::-1]),
        ("subject=nobody", []),
        ("endpoint=crm/crm", ACTIONS[::-1]),
        ("endpoint=mail", []),
        ("verdict=allow", ["customers.list"] * 3),
        ("verdict=deny", ["customers.export", "customers.delete"]),
        ("reason=allowed", ["customers.list"] * 3),
        ("reason=allow", []),
        ("since=2026-03-05T11:00:00Z&until=2026-03-05T12:00:00Z", ["customers.delete", "customers.list"]),
        ("verdict=deny&action=delete", ["customers.delete"]),
    ],
)
def test_a_filter_leaves_what_has_all_that_is_asked_for(visit: Visit, query: str, actions: list[str]) -> None:
    page = looked(visit, f"/decisions?{query}")
    assert [row[4] for row in rows(page)] == actions
    assert f"{len(actions)} of 5 lines of decisions match" in plain(page.text)


@pytest.mark.parametrize("query", ["since=soon", "until=2026-13-01T00:00:00Z", "verdict=maybe", "action=" + "w" * 513])
def test_a_filter_that_cannot_be_read_shows_nothing_and_says_so(visit: Visit, query: str) -> None:
    page = visit.get(f"/decisions?{query}")
    assert (page.status, rows(page)) == (422, [])
    assert "Nothing is shown" in page.text
    assert query.partition("=")[2] in page.text


def test_a_decision_is_explained_as_explain_does_it_and_stands_as_it_was_written(visit: Visit, folder: Path) -> None:
    (path,) = links(looked(visit, "/decisions?action=delete"))
    page = plain(looked(visit, path).text)
    names = [str(folder / "decisions.log"), str(folder / "ledger.log")]
    said = commandline.run("explain", "eval-3", *names).out
    for line in said.splitlines():
        assert " ".join(line.split()).replace("  ", " ") in page.replace("  ", " "), line
    assert '"evaluation_id": "eval-3"' in page
    assert "line 4 of the chain" in page
    assert "without --witness-key no checkpoint counts" in page


def test_a_decision_that_its_policies_contradict_is_not_explained(tmp_path: Path) -> None:
    denied = json.loads(decided([EXAMPLE], crm_calls(ACTIONS)).lines[4])
    log = decided([EXAMPLE], [])
    log.add(**{name: value for name, value in denied.items() if name not in {"log", "time"}} | {"decision": True})
    names = [written(tmp_path / "d.log", log), written(tmp_path / "l.log", ledger_of([EXAMPLE]))]
    with served(records=names) as console:
        visit = console.site.visit()
        (path,) = links(looked(visit, "/decisions"))
        page = plain(looked(visit, path).text)
        assert "Its own policies do not reproduce this record, so nothing explains it" in page


def test_without_the_ledger_a_decision_is_not_explained_and_it_is_said_what_would_help(folder: Path) -> None:
    (folder / "ledger.log").unlink()
    with served(records=[folder]) as console:
        visit = console.site.visit()
        page = plain(looked(visit, links(looked(visit, "/decisions"))[0]).text)
        assert "It cannot be explained" in page


def test_what_a_witness_saw_is_told_as_audit_verify_tells_it(tmp_path: Path) -> None:
    log = decided([EXAMPLE], crm_calls(ACTIONS))
    ledger = ledger_of([EXAMPLE])
    ledger.add(kind="checkpoint", note=log.checkpoint(4), pod="pod-2")
    names = [written(tmp_path / "d.log", log), written(tmp_path / "l.log", ledger)]
    key = tmp_path / "witness.vkey"
    key.write_text(str(WITNESS_KEY), encoding="utf-8")
    said = commandline.run("audit", "verify", *map(str, names), "--witness-key", str(key)).out
    with served(records=names, witness_keys=[str(key)]) as console:
        visit = console.site.visit()
        newest, *_, oldest = links(looked(visit, "/decisions"))
        early, late = (plain(looked(visit, path).text) for path in (oldest, newest))
        assert "a witness saw it as it is here" in early
        assert "it is later than what a witness saw" in late
        for page in (early, late):
            assert said.splitlines()[0] in page
            assert "witnessed 4 up to" in page


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda line: line[: len(line) // 2] + b"\n", "cut off, too long or damaged"),
        (lambda line: b"nothing\n" + line, "no line of a chain"),
        (lambda line: b'{"kind":"evaluation","decision":true}\n' + line, "looks like a decision, and is in no chain"),
        (lambda line: line.replace(b'"kind":"evaluation"', b'"kind":"<b>new"'), "does not know: <b>new"),
        (lambda line: line.replace(b'"kind":"evaluation"', b'"kind":7'), "does not say what it is"),
        (lambda line: line[:-2] + b',"x":"' + b"y" * 70_000 + b'"}\n', "cut off, too long or damaged"),
    ],
    ids=["cut", "foreign", "unchained", "unknown kind", "no kind", "too long"],
)
def test_a_damaged_line_is_told_with_its_file_and_number(tmp_path: Path, log: ProcessLog, spoil: Any, why: str) -> None:  # noqa: ANN401 - a function
    lines = [*log.lines[:3], spoil(log.lines[3]), *log.lines[4:]]
    file = tmp_path / "spoilt.log"
    file.write_bytes(b"".join(lines))
    with served(records=[file]) as console:
        page = looked(console.site.visit(), "/decisions")
        assert re.search(rf"{re.escape(str(file))} :4: [a-z ]*{re.escape(why)}", plain(page.text))
        assert "1 lines cannot be read" in plain(page.text)
        assert len(rows(page)) == (5 if why.startswith(("no line", "looks")) else 4)


@pytest.mark.parametrize("first", ["the hash", "the line"])
def test_a_record_that_is_too_long_for_an_entry_is_listed_and_explained(tmp_path: Path, first: str) -> None:
    long = replace(CRM_CALL, resource=Resource("customer", "4" * 300_000))
    log = decided([EXAMPLE], [*crm_calls(["customers.list"]), long])
    ((seq, line),) = log.long.items()
    names = ["a.log", "b.log"] if first == "the line" else ["b.log", "a.log"]
    (tmp_path / names[0]).write_bytes(line)
    (tmp_path / names[1]).write_bytes(b"".join(log.lines))
    written(tmp_path / "ledger.log", ledger_of([EXAMPLE]))
    with served(records=[tmp_path]) as console:
        visit = console.site.visit()
        page = looked(visit, "/decisions")
        assert [len(row[5]) > 300_000 for row in rows(page)] == [True, False]
        assert "cannot be read" not in plain(page.text)
        assert f"/decisions/{log.id}/{seq}" in links(page)
        assert "customers.list by" in plain(looked(visit, f"/decisions/{log.id}/{seq}").text)
        overview = looked(visit, "/")
        assert "lines that cannot be read" not in plain(overview.text)


def test_a_long_line_without_its_hash_and_a_hash_without_its_line_are_told(tmp_path: Path) -> None:
    log = decided([EXAMPLE], [replace(CRM_CALL, resource=Resource("customer", end * 70_000)) for end in "45"])
    first, second = log.long
    lines = [log.lines[0], log.long[first], log.lines[second]]
    (tmp_path / "cut.log").write_bytes(b"".join(lines))
    with served(records=[tmp_path / "cut.log"]) as console:
        page = looked(console.site.visit(), "/decisions")
        told = plain(page.text)
        assert "2 lines cannot be read" in told
        assert re.search(r"cut\.log :2: it looks like a decision, and is in no chain", told)
        assert re.search(r"cut\.log :3: the hash of a long line that is not here", told)


def test_a_record_of_any_shape_is_shown_and_never_explained_away(tmp_path: Path) -> None:
    log = decided([EXAMPLE], [])
    odd: list[dict[str, Any]] = [
        {},
        {"now": "yesterday", "subject": 7, "resource": [], "policy": "x", "decision": "yes", "action": {"a": 1}},
        {"now": 1e300, "endpoint": None, "reason": ["r"], "subject": {"id": None}},
        {"now": True, "decision": 1},
    ]
    for members in odd:
        log.add(**members)
    with served(records=[written(tmp_path / "odd.log", log)]) as console:
        visit = console.site.visit()
        page = looked(visit, "/decisions")
        assert len(rows(page)) == 4
        assert {row[1] for row in rows(page)} == {"(not said)"}
        for path in links(page):
            shown = looked(visit, path)
            assert (shown.status, "explained" in shown.text) == (200, True)


def test_the_newest_of_many_are_listed_on_pages_and_the_others_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MOST", 120)
    file = written(tmp_path / "many.log", decided([EXAMPLE], crm_calls(["customers.list"] * 300)))
    with served(records=[file, file]) as console:
        visit = console.site.visit()
        page = looked(visit, "/decisions")
        assert "300 of 300 lines of decisions" in plain(page.text)
        assert "The newest 120 are listed: narrow the filter to see others." in plain(page.text)
        assert "page 1 of 3, 120 in all" in plain(page.text)
        seen = [row[5] for number in (1, 2, 3) for row in rows(looked(visit, f"/decisions?page={number}"))]
        assert seen == [f"customer/{number}" for number in range(299, 179, -1)]


def test_long_texts_leave_room_for_fewer_decisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MOST_LETTERS", 100_000)
    log = decided([EXAMPLE], [])
    for number in range(20):
        log.add(now=MARCH + number, decision=True, action=f"{number}" + "w" * 20_000)
    with served(records=[written(tmp_path / "long.log", log)]) as console:
        page = looked(console.site.visit(), "/decisions")
        assert [row[4][:2] for row in rows(page)] == ["19", "18", "17", "16"]
        assert "The newest 4 are listed" in plain(page.text)


def test_a_line_that_stands_in_several_files_is_listed_once_and_packed_files_are_read(
    folder: Path, log: ProcessLog
) -> None:
    (folder / "again.log.gz").write_bytes(gzip.compress(b"".join(log.lines)))
    with served(records=[folder]) as console:
        assert len(rows(looked(console.site.visit(), "/decisions"))) == 5


def test_only_files_that_were_named_are_read(tmp_path: Path, folder: Path) -> None:
    hidden = [replace(CRM_CALL, action=Action(name)) for name in ("customers.secret", "customers.below")]
    # Of processes of their own, so that none of their lines is taken for one of the others.
    versions: dict[str, Any] = dict(engine_versions())
    logs = [ProcessLog(number, **versions) for number in (7, 8)]
    secret = written(tmp_path / "secret.log", decided([EXAMPLE], hidden[:1], log=logs[0]))
    (folder / "link.log").symlink_to(secret)
    (folder / "below").mkdir()
    written(folder / "below" / "more.log", decided([EXAMPLE], hidden[1:], log=logs[1]))
    with served(records=[folder]) as console:
        visit = console.site.visit()
        for query in ("", f"?records={secret}", f"?path={secret}", f"?file={secret}"):
            page = looked(visit, f"/decisions{query}")
            assert ("secret.log" in page.text, "customers.secret" in page.text) == (False, False)
            assert "customers.below" not in page.text
        for path in ("/../../secret.log", "/%2e%2e%2fsecret/1", "/a/1e9", "/a/-1", "/a/1"):
            assert looked(visit, f"/decisions{path}").status == 404


def test_files_are_read_again_when_somebody_says_so_and_one_that_is_gone_is_told(
    visit: Visit, folder: Path, log: ProcessLog
) -> None:
    assert len(rows(looked(visit, "/decisions"))) == 5
    written(folder / "decisions.log", decided([EXAMPLE], crm_calls([*ACTIONS, "customers.list"])))
    assert len(rows(looked(visit, "/decisions"))) == 5
    assert len(rows(looked(visit, "/decisions?again=1"))) == 6
    for file in folder.iterdir():
        file.unlink()
    page = looked(visit, "/decisions?again=1")
    assert (page.status, "there is no file in" in page.text) == (422, True)
    one = looked(visit, f"/decisions/{log.id}/1")
    assert (one.status, "there is no file in" in one.text) == (422, True)
    assert "<h1>The records cannot be read</h1>" in one.text


def test_while_the_files_are_read_the_page_says_how_far_it_is_and_other_pages_answer(
    console: ServedConsole, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    slow = scan.scan

    def waiting(lines: Any, asked: Any) -> Any:  # noqa: ANN401 - as `scan`
        next(lines)
        assert go.wait(60)
        return slow(lines, asked)

    monkeypatch.setattr(handlers, "_PATIENCE", 0.05)
    monkeypatch.setattr(scan, "scan", waiting)
    try:
        page = visit.get("/decisions?action=list")
        assert re.search(r"Reading lines: 0 % of 1 MiB|Beginning", plain(page.text))
        assert 'href="/decisions?action=list">Look again' in page.text
        assert rows(page) == []
        assert visit.get("/endpoints").status == 200
        # Of many that were asked for at once, the last two go on.
        for action in ("a", "b", "c"):
            visit.get(f"/decisions?action={action}")
        given_up = [one.progress for one in console.visitor.shelf.get(handlers.RecordWork).kept.values()]
        assert [one._given_up for one in given_up] == [True, True, False, False]
    finally:
        go.set()


def test_without_records_it_is_said_how_to_give_them() -> None:
    with served() as console:
        visit = console.site.visit()
        for path in ("/decisions", "/decisions/AAAAAAAAAAAAAAAAAAAAAA/1"):
            page = visit.get(path)
            told = plain(page.text)
            assert (page.status, "This console was given no records." in told) == (200, True)
            assert "kubectl bailiwick console --records PATH" in told


def test_texts_in_records_stay_text_and_what_hides_is_seen(tmp_path: Path) -> None:
    log = decided([EXAMPLE], [])
    for whole in PAYLOADS:
        text = whole[:2_000]
        log.add(
            evaluation_id=text,
            now=MARCH,
            decision=False,
            reason=text,
            endpoint=text,
            subject={"type": text, "id": text},
            action=whole,
            resource={"type": text, "id": text},
            policy={"name": text, "rule": text},
            attributes={text: text},
        )
    with served(records=[written(tmp_path / "hostile.log", log)]) as console:
        visit = console.site.visit()
        page = looked(visit, "/decisions")
        texts = [assert_harmless(page.text), *(assert_harmless(looked(visit, path).text) for path in links(page))]
        assert len(texts) == len(PAYLOADS) + 1
        for payload in PAYLOADS:
            assert texts[0].count(payload.translate(SHOWN)) >= 1, payload
            assert texts[0].count(payload[:2_000].translate(SHOWN)) >= 6, payload
        assert "letters of several alphabets: Cyrillic, Latin" in plain(page.text)
        assert_harmless(visit.get("/decisions?action=%E2%80%AE%3Cscript%3E&since=%3Cb%3E%22%20autofocus").text)
