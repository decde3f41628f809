"""Whichever member of a record is edited: the audit says which line was altered."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from bailiwick_webhook.record.members import DECISION
from support.evidence.logs import ProcessLog, audited, places
from unit.webhook.record.everymember import all_decisions, named, paths

PLACE: Final = "log"


def logged() -> ProcessLog:
    """Return the log of a process with a record of each kind, and a line behind the last one, closed."""
    process = ProcessLog()
    for record in all_decisions():
        process.lines.append(process.writer.append(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)))
    return process.close()


PROCESS: Final = logged()
NOTE: Final = PROCESS.checkpoint()
RECORDS: Final = range(1, len(PROCESS.lines) - 1)


def edits(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield a value once for each member in it, with the name of the one that is another there."""
    if isinstance(value, dict):
        yield "", {**value, "more": 1}
        for name, inner in value.items():
            yield f".{name}", {other: held for other, held in value.items() if other != name}
            for path, edited in edits(inner):
                yield f".{name}{path}", {**value, name: edited}
    elif isinstance(value, list):
        yield "", [*value, "more"]
        for index, inner in enumerate(value):
            yield "[]", [*value[:index], *value[index + 1 :]]
            for path, edited in edits(inner):
                yield f"[]{path}", [*value[:index], edited, *value[index + 1 :]]
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, int | float):
        yield "", value + 1
    else:
        yield "", f"{value or ''}x"


def found_with(seq: int, line: bytes) -> list[str]:
    """Return what is found where a line is another one."""
    lines = [*PROCESS.lines[:seq], line, *PROCESS.lines[seq + 1 :]]
    _, reports = audited([b"".join(lines)], [NOTE], step=1 << 20)
    return [place for report in reports for place in places(report)]


def test_every_member_of_the_table_is_in_one_of_these_records() -> None:
    records = [json.loads(PROCESS.lines[seq]) for seq in RECORDS]
    found = {path for record in records for path in paths({**record, PLACE: None})} - {PLACE}
    assert {path.removesuffix("[]") for path in named(DECISION)} <= {path.removesuffix("[]") for path in found}


def test_one_that_is_written_as_it_was_is_not_altered() -> None:
    for seq in RECORDS:
        assert found_with(seq, orjson.dumps(orjson.loads(PROCESS.lines[seq])) + b"\n") == []


@pytest.mark.parametrize("seq", RECORDS)
def test_one_that_is_edited_is_altered(seq: int) -> None:
    record = orjson.loads(PROCESS.lines[seq])
    place = {PLACE: record.pop(PLACE)}
    edited = list(edits(record))
    assert {path.strip(".").split(".")[0].removesuffix("[]") for path, _ in edited} >= record.keys()
    for path, other in edited:
        assert found_with(seq, orjson.dumps(place | other) + b"\n") == [f"altered at {seq}"], path


@pytest.mark.parametrize("seq", RECORDS)
def test_one_whose_place_in_the_chain_is_edited_is_missed(seq: int) -> None:
    record = orjson.loads(PROCESS.lines[seq])
    for path, other in edits(record[PLACE]):
        line = orjson.dumps(copy.copy(record) | {PLACE: other}) + b"\n"
        found = [place for place in found_with(seq, line) if place not in {"unclosed", "unknown"}]
        assert found, path
        assert found[0].split()[0] in {"altered", "gap", "forked"}, (path, found)
