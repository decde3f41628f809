"""OTLP JSON, as the Collector's file exporter writes it: each line comes out as it went in, and nothing else does."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.records import otlplines
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.records.otlplines import unwrap_lines
from support.evidence.logs import WITNESS_KEY, ProcessLog, audited

LINES: Final = st.one_of(
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        ["", " ", '{"a":1.0,"b":1e2,"c":12345678901234567890}', "\u2028", "\0", "\r", '{"resourceLogs', "x" * 99]
    ),
).filter(lambda line: not line.startswith('{"resourceLogs":'))


def record(body: object) -> dict[str, Any]:
    attributes = [{"key": "log.file.name", "value": {"stringValue": "decisions.log"}}]
    return {
        "observedTimeUnixNano": "1772701200000000000",
        "body": body,
        "attributes": attributes,
        "traceId": "",
        "spanId": "",
    }


def document(*records: object) -> bytes:
    """Return what the exporter writes of a batch."""
    scopes = [{"scope": {}, "logRecords": list(records)}]
    text = json.dumps(
        {"resourceLogs": [{"resource": {}, "scopeLogs": scopes}]}, separators=(",", ":"), ensure_ascii=False
    )
    return text.encode() + b"\n"


def batch(lines: Iterable[bytes]) -> bytes:
    return document(*(record({"stringValue": line.decode().removesuffix("\n")}) for line in lines))


def cut(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


def unwrapped(data: bytes, size: int = 7) -> tuple[bytes, list[str]]:
    said: list[str] = []
    return b"".join(unwrap_lines(cut(data, size), said.append)), said


@given(
    st.lists(st.tuples(st.booleans(), st.lists(LINES, min_size=1, max_size=4)), max_size=5),
    st.integers(1, 60),
    st.booleans(),
)
def test_each_line_comes_out_as_it_went_in(parts: Sequence[tuple[bool, list[str]]], size: int, ended: bool) -> None:
    stored, expected = b"", b""
    for packed, lines in parts:
        plain = b"".join(line.encode() + b"\n" for line in lines)
        stored += batch(line.encode() for line in lines) if packed else plain
        expected += plain
    if not ended and parts and not parts[-1][0]:
        stored, expected = stored[:-1], expected[:-1]
    assert unwrapped(stored, size) == (expected, [])


@given(st.integers(1, 3_000), st.integers(1, 200))
def test_a_log_in_batches_is_judged_as_the_log_is(size: int, lines: int) -> None:
    log = ProcessLog(2).records(100).close()
    stored = b"".join(batch(log.lines[at : at + lines]) for at in range(0, len(log.lines), lines))
    plain = b"".join(log.lines)
    assert unwrapped(stored, size) == (plain, [])
    checkpoint = log.checkpoint()
    (whole,) = audited([plain], [checkpoint], [WITNESS_KEY])[1]
    (found,) = audited([unwrapped(stored, size)[0]], [checkpoint], [WITNESS_KEY])[1]
    assert found == whole
    assert found.intact


GENUINE: Final = ProcessLog(2).records(1).lines[1]
TEXT: Final = GENUINE.decode().rstrip()
HOSTILE: Final[dict[str, tuple[bytes, str]]] = {
    "a record and OTLP at once": (
        document(record({"stringValue": TEXT})).replace(
            b'{"resourceLogs"', b'{"resourceLogs":[],"kind":"evaluation","x"', 1
        ),
        "beside resourceLogs, an object has other members",
    ),
    "a member twice": (
        document(record({"stringValue": TEXT})).rstrip()[:-1] + b',"resourceLogs":[]}\n',
        "an object has a member twice",
    ),
    "two bodies": (
        document(record({"stringValue": TEXT})).replace(b'"body":', b'"body":{"stringValue":"x"},"body":', 1),
        "an object has a member twice",
    ),
    "a body that is an object": (document(record({"kvlistValue": {"values": []}})), "an object has other members"),
    "a body that is a number": (document(record({"stringValue": 7})), "its body is not a string"),
    "a body without a kind": (document(record("text")), "there is no object"),
    "no body": (document({"traceId": ""}), "there is no object"),
    "a record with members of its own": (
        document({**record({"stringValue": TEXT}), "log": {"id": "x"}}),
        "an object has other members",
    ),
    "two lines in one body": (document(record({"stringValue": f"{TEXT}\n{TEXT}"})), "more than one line"),
    "half a character": (
        document(record({"stringValue": "HALF"})).replace(b"HALF", rb"\ud800"),
        "its body is not Unicode",
    ),
    "OTLP in OTLP": (
        document(record({"stringValue": document(record({"stringValue": TEXT})).decode().rstrip()})),
        "its body is OTLP JSON again",
    ),
    "a list that is none": (b'{"resourceLogs":{"scopeLogs":[]}}\n', "resourceLogs is not a list"),
    "what is cut off": (document(record({"stringValue": TEXT}))[:-9] + b"\n", "it is not JSON, or is cut off"),
    "what goes on behind it": (document(record({"stringValue": TEXT})).rstrip() + b"{}\n", "it is not JSON"),
    "a number that is none": (b'{"resourceLogs":[NaN]}\n', "NaN is not JSON"),
    "depth": (b'{"resourceLogs":' + b"[" * 200_000 + b"\n", "it is not JSON, or is cut off"),
    "bytes that are no UTF-8": (b'{"resourceLogs":["\xff"]}\n', "it is not JSON"),
}


@pytest.mark.parametrize(("stored", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_line_is_named_and_never_becomes_one(stored: bytes, said: str) -> None:
    after = ProcessLog(3).records(2)
    found, warnings = unwrapped(stored + batch(after.lines), 1_000)
    assert len(warnings) == 1, warnings
    assert said in warnings[0]
    # What comes behind it is read, and nothing of it is a line of the chain.
    assert found.endswith(b"".join(after.lines))
    audit, reports = audited([found])
    assert {report.chain for report in reports} == {after.id}
    assert audit.lines == 3
    assert audit.foreign == 1


def test_a_document_of_more_objects_than_fit_into_memory_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ProcessLog(2).records(9)
    # The five around the records, and four of each.
    monkeypatch.setattr(otlplines, "_MOST_OBJECTS", 5 + 4 * len(log.lines))
    assert unwrapped(batch(log.lines)) == (b"".join(log.lines), [])
    found, (warning,) = unwrapped(batch([*log.lines, log.lines[0]]))
    assert found == batch([*log.lines, log.lines[0]])
    assert "objects" in warning


def test_a_document_that_is_too_long_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlplines, "_MOST", 5_000)
    log = ProcessLog(2).records(100)
    stored = batch(log.lines) + b"".join(log.lines)
    found, (warning,) = unwrapped(stored, 1_000)
    assert "is longer than" in warning
    assert found == stored


@pytest.mark.parametrize("change", [("allowed", "denied"), ('"seq":3', '"seq":4')])
def test_a_forged_line_is_found_in_a_batch_as_in_a_file(change: tuple[str, str]) -> None:
    log = ProcessLog(2).records(9)
    checkpoint = log.checkpoint()
    forged = [line.decode().replace(*change).encode() if at == 3 else line for at, line in enumerate(log.lines)]
    (plain,) = audited([b"".join(forged)], [checkpoint])[1]
    (found,) = audited([unwrapped(batch(forged))[0]], [checkpoint])[1]
    assert found == plain
    assert found.bad


def test_warnings_name_the_file_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "otlp.json"
    log = ProcessLog(2).records(2)
    path.write_bytes(document(record(1), record({"stringValue": 2}), record(3)) + batch(log.lines))
    files = LogFiles([str(path)])
    assert len(list(files.lines(LogAudit(WitnessBook(())), "Reading lines"))) == 3
    said = capsys.readouterr().err.splitlines()
    assert [line.count("(2 times)") for line in said] == [1, 0]
    assert all(line.startswith(f"warning: {path}: a record of OTLP JSON is no line: ") for line in said)
    assert [number for _, number, text in files.texts() if text.startswith(b'{"log"')] == [4, 5, 6]
