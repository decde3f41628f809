"""Logs through an OpenTelemetry Collector that is not ours, run by the configuration that the page prints."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_governance.records.logfiles import LogFiles
from support import commandline
from support.collector import collector, configuration
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.waits import until

pytestmark = pytest.mark.long

LAST: Final = b'{"the last line":true}\n'
LONGEST: Final = 65_535
HOSTILE: Final = (
    b'{"a":1.0,"b":1e2,"c":12345678901234567890,"d":-0.0,"e":1E+400}',
    '{"separators":"\u2028\u2029\u0085\x0b\x0c","nul":"\0","bell":"\x07"}'.encode(),
    b'{"escapes":"\\u0000\\u2028\\/\\ud800\\"\\n"}',
    b'  {"blanks":"before and behind"}\t ',
    b" ",
    '{"text":"\u00e9 e\u0301 \U0001f600 \ufeff\ufffd"}'.encode(),
    b'{"b":1,"a":2,"b":3}',
    b"not JSON, ${env:HOME} $$ and %s",
    b'{"long":"' + b"x" * (LONGEST - 11) + b'"}',
    b'{"longer":"' + b"\\u0000" * 100_000 + b'"}',
)


def shipped(folder: Path, content: bytes, printed: str | None = None) -> Path:
    """Return the file that a Collector has written of this one, to its last line."""
    source = folder / "decisions.log"
    source.write_bytes(b"")
    with collector(folder, configuration() if printed is None else printed) as (running, stored):

        def came() -> bool:
            assert running.alive, running.last_words()
            return stored.exists() and b"the last line" in stored.read_bytes()

        # In two steps, so that it is also seen to follow a file.
        with source.open("ab") as file:
            middle = content.find(b"\n", len(content) // 2) + 1
            file.write(content[:middle])
            file.flush()
            time.sleep(0.5)
            file.write(content[middle:] + LAST)
        until(came, "the Collector has written the last line", 60)
    return stored


def lines_of(stored: Path) -> bytes:
    files = LogFiles([str(stored)])
    # As an audit reads them, before a line that is too long for a chain is cut short.
    with files._open(str(stored)) as (pieces, _):
        return b"".join(pieces)


def verified(folder: Path, stored: Path, log: ProcessLog) -> tuple[int, dict[str, Any]]:
    (folder / "notes").write_text(log.checkpoint(), encoding="utf-8")
    words = ("--checkpoints", str(folder / "notes"), "--witness-key", str(WITNESS_KEY), "-o", "json")
    ran = commandline.run("audit", "verify", str(stored), *words)
    return ran.code, json.loads(ran.out)


def findings(report: dict[str, Any]) -> set[str]:
    return {found["code"] for chain in report["chains"] for found in chain["findings"]}


def a_chain() -> ProcessLog:
    log = ProcessLog(2).records(2_000)
    # The longest that a line of a chain may be.
    log.add(evaluation_id="long", decision=True, more="x" * 65_000)
    log.add(evaluation_id="odd", decision=True, number=1.0, many=1e20, text="\u2028\0\x7f \u00e9", blank=" ")
    return log.close()


def test_every_line_comes_out_as_it_went_in(tmp_path: Path) -> None:
    content = b"".join((*a_chain().lines, *(line + b"\n" for line in HOSTILE)))
    assert lines_of(shipped(tmp_path, content)) == content + LAST


def test_a_chain_that_came_through_is_intact_and_an_edit_of_it_is_not(tmp_path: Path) -> None:
    log = a_chain()
    stored = shipped(tmp_path, b"".join(log.lines))
    code, report = verified(tmp_path, stored, log)
    assert (code, findings(report)) == (0, set()), report
    assert report["totals"]["lines"] == len(log.lines)
    text = stored.read_bytes()
    edited = text.replace(rb"\"decision\":true", rb"\"decision\":false", 1)
    assert edited != text
    stored.write_bytes(edited)
    assert (verified(tmp_path, stored, log)[0]) == 1


def changed(line: bytes) -> ProcessLog:
    """Return a chain that has such a line, which no process of ours writes."""
    log = ProcessLog(2).records(20)
    log.lines.append(log.writer.append(line))
    return log.records(20).close()


def with_operator(printed: str) -> str:
    operator = "    operators: [{type: json_parser, parse_to: body}]\n"
    return printed.replace("exporters:\n", operator + "exporters:\n", 1)


def with_small_lines(printed: str) -> str:
    return printed.replace("max_log_size: 1MiB", "max_log_size: 16KiB")


BROKEN: Final[dict[str, tuple[ProcessLog, Callable[[str], str], set[str]]]] = {
    "a carriage return at the end": (changed(b'{"kind":"evaluation","a":1}\r\n'), str, {"altered"}),
    "bytes that are not UTF-8": (changed(b'{"kind":"evaluation","a":"\xff"}\n'), str, {"altered"}),
    "an operator that parses": (a_chain(), with_operator, {"missing"}),
    "lines that are cut": (a_chain(), with_small_lines, {"gap"}),
}


@pytest.mark.parametrize(("log", "change", "found"), BROKEN.values(), ids=BROKEN)
def test_what_does_not_come_through_is_found(
    tmp_path: Path, log: ProcessLog, change: Callable[[str], str], found: set[str]
) -> None:
    stored = shipped(tmp_path, b"".join(log.lines), change(configuration()))
    code, report = verified(tmp_path, stored, log)
    assert (code, findings(report)) == (1, found), report


def test_an_empty_line_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    log = ProcessLog(2).records(9).close()
    stored = shipped(tmp_path, b"\n".join(log.lines))
    assert lines_of(stored) == b"".join(log.lines) + LAST
    assert verified(tmp_path, stored, log)[0] == 0
