"""`unused`: what logs show to be used, what is not known, the file that remembers, and docs/how-to/unused-rules.md."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.commandline import Ran
from support.decisions import MARCH, crm_calls, decided, ledger_of, written
from support.evidence.logs import ProcessLog
from support.objects import Object, listed
from support.offlineshell import OfflineShell
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
PAGE: Final = (DOCS / "how-to" / "unused-rules.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN: Final = re.search(r"^```\n(STATE .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DAY: Final = 86_400.0
MONTH: Final = ["customers.list"] * 31 + ["customers.export"]

Unused = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The policies in force, and a month in which only one rule was used."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    written(tmp_path / "decisions.log", month())
    written(tmp_path / "ledger.log", ledger_of([STANDS]))
    return tmp_path


def month(actions: Iterable[str] = MONTH, **fields: Any) -> ProcessLog:  # noqa: ANN401 - of `decided`
    return decided([STANDS], crm_calls(actions), every=DAY, **fields)


def unused(folder: Path, *words: str, logs: Iterable[str] = ("decisions.log", "ledger.log")) -> Ran:
    named = [str(folder / name) for name in logs]
    return commandline.run("unused", *named, "-f", str(folder / "policies"), "--window", "30d", *words)


def states(ran: Ran) -> dict[str, str]:
    """Return the state of each rule."""
    return {one["rule"]: one["state"] for one in json.loads(ran.out)["scopes"]}


def test_the_page_can_be_typed_and_shows_what_is_printed(folder: Path) -> None:
    shell = OfflineShell(folder)
    (folder / "cluster.yaml").write_text(listed(STANDS), encoding="utf-8")
    assert SHOWN is not None
    assert len(BLOCKS) == 4
    for number, block in enumerate(BLOCKS):
        ran = shell.type(block, to_the_end=True)
        assert ran.code == 1, ran
        assert number == 1 or ran.out == SHOWN[1], ran
    assert (folder / "unused.md").read_text(encoding="utf-8").startswith("**2 Unused, ")
    assert json.loads((folder / "unused.json").read_text(encoding="utf-8"))["totals"]["Unused"] == 2


def test_markdown_has_the_answer_and_a_row_for_each_rule(folder: Path) -> None:
    ran = unused(folder, "-o", "markdown")
    headline, _, *table = ran.out.splitlines()
    assert ran.code == 1
    assert headline.startswith("**2 Unused, 0 NotYetKnown, 1 Used from 2026-03-06T09:00:00Z to ")
    assert table == [
        "| state | policy | rule | subject | last use | uses |",
        "| --- | --- | --- | --- | --- | --- |",
        "| Unused | crm/crm-agent | export | sa:agents/crm-agent | never | 0 |",
        "| Unused | crm/crm-agent | notify | sa:agents/crm-agent | never | 0 |",
        "| Used | crm/crm-agent | read | sa:agents/crm-agent | 2026-04-04T09:00:00Z | 31 |",
    ]


def test_json_says_since_when_and_how_often(folder: Path) -> None:
    found = json.loads(unused(folder, "-o", "json").out)
    assert (found["from"], found["to"]) == ("2026-03-06T09:00:00Z", "2026-04-05T09:00:00Z")
    assert found["totals"] == {"Unused": 2, "NotYetKnown": 0, "Used": 1}
    (read,) = (one for one in found["scopes"] if one["rule"] == "read")
    assert read == {
        "namespace": "crm",
        "policy": "crm-agent",
        "rule": "read",
        "subject": "sa:agents/crm-agent",
        "state": "Used",
        "firstSeen": "2026-03-05T09:00:00Z",
        "lastUse": "2026-04-04T09:00:00Z",
        "uses": 31,
    }


def test_what_is_used_is_no_finding(folder: Path) -> None:
    (folder / "policies" / "crm.yaml").write_text(EXAMPLE.partition("  - name: export")[0], encoding="utf-8")
    ran = unused(folder)
    assert (ran.code, ran.out.splitlines()[-1][:34]) == (0, "0 Unused, 0 NotYetKnown, 1 Used fr"), ran


@pytest.mark.parametrize(
    "cut",
    [
        lambda lines: [*lines[:9], *lines[10:]],
        lambda lines: [*lines[:9], lines[9].replace(b"customers.list", b"customers.gets"), *lines[10:]],
        lambda lines: [*lines, b'{"kind":"evaluation","decision":true}\n'],
        lambda lines: [*lines, lines[3][:200]],
    ],
    ids=["a gap", "an altered line", "a record in no chain", "a torn line"],
)
def test_a_log_that_is_not_whole_makes_nothing_unused(folder: Path, cut: Callable[[list[bytes]], list[bytes]]) -> None:
    (folder / "decisions.log").write_bytes(b"".join(cut(month().lines)))
    ran = unused(folder, "-o", "json")
    assert (ran.code, states(ran)) == (0, {"export": "NotYetKnown", "notify": "NotYetKnown", "read": "Used"}), ran
    assert "note: the log is not whole, so nothing counts as unused for now: " in ran.err


AHEAD: Final = 253_402_214_400.0
"""The last day of the year 9999."""


@pytest.mark.parametrize("action", ["customers.list", "customers.export"])
@pytest.mark.parametrize("where", ["the moment of the decision", "the time of the line"])
def test_a_time_that_has_not_come_ends_no_window(folder: Path, action: str, where: str) -> None:
    strange = no_log_of_a_process(AHEAD, action=action)
    if where == "the time of the line":
        strange = no_log_of_a_process(MARCH, seconds=AHEAD - 1_700_000_000, action=action)
    written(folder / "strange.log", strange)
    ran = unused(folder, "-o", "json", logs=("strange.log", "decisions.log", "ledger.log"))
    assert states(ran) == {"export": "NotYetKnown", "notify": "NotYetKnown", "read": "Used"}, ran
    found = json.loads(ran.out)
    assert found["missing"] == [f"chain {strange.id} has lines of a time that has not come"]
    assert found["to"] == "2026-04-05T09:00:00Z"
    assert not any("9999" in str(one) for one in found["scopes"])


# Seconds since the epoch that are in no year from 1970 to 9999, or are no time at all.
NO_MOMENTS: Final[list[object]] = [1e12, 1e300, -1e300, -1, True, None]


def no_log_of_a_process(
    now: object, seconds: float = MARCH + 20 * DAY - 1_700_000_000, **members: object
) -> ProcessLog:
    """Return the log of somebody who copies a record of the month, with another time in it."""
    opening: dict[str, Any] = dict(engine_versions())
    copied = {**json.loads(month().lines[1]), "now": now, **members}
    del copied["log"], copied["time"]
    log = ProcessLog(99, seconds=seconds, **opening)
    log.add(**copied)
    return log


@pytest.mark.parametrize("now", NO_MOMENTS)
@pytest.mark.parametrize("action", ["customers.list", "customers.export"])
def test_a_record_of_no_moment_is_a_line_that_cannot_be_read(folder: Path, action: str, now: object) -> None:
    written(folder / "strange.log", no_log_of_a_process(now, action=action))
    ran = unused(folder, "-o", "json", logs=("strange.log", "decisions.log", "ledger.log"))
    assert states(ran) == {"export": "NotYetKnown", "notify": "NotYetKnown", "read": "Used"}, ran
    assert json.loads(ran.out)["missing"][-1] == "1 lines cannot be read"
    assert json.loads(ran.out)["to"] == "2026-04-05T09:00:00Z"


def test_lines_from_before_1970_are_of_no_time(folder: Path) -> None:
    text = b"".join(line.replace(b'"time":"2026-', b'"time":"0001-') for line in month().lines)
    (folder / "strange.log").write_bytes(text)
    file = folder / "uses.json"
    ran = unused(folder, "--state", str(file), logs=("strange.log",))
    assert (ran.code, ran.out, file.exists()) == (2, "", False), ran
    assert "nothing is remembered" in ran.err
    assert unused(folder, "--state", str(file), logs=("strange.log", "ledger.log")).code == 0
    assert unused(folder, "--state", str(file)).code == 1


def test_a_window_that_is_longer_than_the_calendar_makes_nothing_unused(folder: Path) -> None:
    ran = unused(folder, "--window", "9000000d", "-o", "json")
    assert (ran.code, states(ran)["export"]) == (0, "NotYetKnown"), ran
    assert json.loads(ran.out)["from"] == "1970-01-01T00:00:00Z"


def test_what_was_rotated_away_before_the_window_is_not_missed(folder: Path) -> None:
    log = month(["customers.list"] * 40)
    (folder / "decisions.log").write_bytes(b"".join(log.lines[5:]))
    assert states(unused(folder, "-o", "json"))["export"] == "Unused"
    (folder / "decisions.log").write_bytes(b"".join(log.lines[15:]))
    assert states(unused(folder, "-o", "json"))["export"] == "NotYetKnown"


def test_a_rule_that_is_younger_than_the_window_is_not_yet_known(folder: Path) -> None:
    before: Object = yaml.safe_load(EXAMPLE.partition("  - name: notify")[0])
    opening: dict[str, Any] = dict(engine_versions())
    log = ProcessLog(2, **opening)
    decided([before], crm_calls(["customers.list"] * 10), log=log, every=DAY)
    decided([STANDS], crm_calls(["customers.list"] * 22), log=log, began=MARCH + 10 * DAY, every=DAY)
    written(folder / "decisions.log", log)
    written(folder / "ledger.log", ledger_of([before, STANDS]))
    assert states(unused(folder, "-o", "json")) == {"export": "Unused", "notify": "NotYetKnown", "read": "Used"}
    # Without its text, nobody knows what the policy of before had.
    written(folder / "ledger.log", ledger_of([STANDS]))
    assert states(unused(folder, "-o", "json"))["export"] == "NotYetKnown"


WITHOUT: Final[Object] = yaml.safe_load(EXAMPLE.partition("  - name: export")[0])
SUSPENDED: Final[Object] = {**STANDS, "spec": {**STANDS["spec"], "suspend": True}}


def phases(*phases: tuple[Object, int]) -> list[ProcessLog]:
    """Return a log of one call a day under each of these policies in turn, and the ledger."""
    opening: dict[str, Any] = dict(engine_versions())
    log, day = ProcessLog(2, **opening), 0
    for policy, days in phases:
        decided([policy], crm_calls(["customers.list"] * days), log=log, began=MARCH + day * DAY, every=DAY)
        day += days
    return [log, ledger_of(policy for policy, _ in phases)]


@pytest.mark.parametrize(
    ("before", "days", "state"),
    [(WITHOUT, 31, "Unused"), (WITHOUT, 2, "NotYetKnown"), (SUSPENDED, 31, "Unused"), (SUSPENDED, 2, "NotYetKnown")],
)
@pytest.mark.parametrize("remembering", [False, True])
def test_a_rule_that_was_away_is_as_young_as_its_return(
    folder: Path, before: Object, days: int, state: str, *, remembering: bool
) -> None:
    log, ledger = phases((STANDS, 40), (before, 3), (STANDS, days))
    written(folder / "ledger.log", ledger)
    file = str(folder / "uses.json")
    if remembering:
        for begin, end in ((0, 42), (42, 43), (43, 45)):
            (folder / "decisions.log").write_bytes(b"".join(log.lines[begin:end]))
            unused(folder, "--state", file)
    (folder / "decisions.log").write_bytes(b"".join(log.lines[45 if remembering else 0 :]))
    ran = unused(folder, "-o", "json", *(["--state", file] if remembering else []))
    assert states(ran)["export"] == state, ran


def test_a_rule_is_no_younger_for_calls_at_another_endpoint_of_the_namespace(folder: Path) -> None:
    file, log = str(folder / "uses.json"), month()
    unused(folder, "--state", file)
    named = {**STANDS["metadata"], "name": "other"}
    other: Object = {**STANDS, "metadata": named, "spec": {**STANDS["spec"], "endpoint": "other"}}
    calls = [replace(call, endpoint="other") for call in crm_calls(["customers.list"] * 5)]
    written(folder / "decisions.log", decided([other], calls, log=log, began=MARCH + 32 * DAY, every=DAY))
    written(folder / "ledger.log", ledger_of([STANDS, other]))
    ran = unused(folder, "--state", file, "-o", "json")
    (export,) = (one for one in json.loads(ran.out)["scopes"] if one["rule"] == "export")
    assert (export["firstSeen"], states(ran)["notify"]) == ("2026-03-05T09:00:00Z", "Unused"), ran


def test_a_suspended_rule_lets_nobody_through_and_is_not_listed(folder: Path) -> None:
    (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump(SUSPENDED), encoding="utf-8")
    ran = unused(folder)
    assert (ran.code, "no rule of the policies lets a call through" in ran.err) == (2, True), ran


def test_a_history_that_no_rule_reads_is_named(folder: Path) -> None:
    history = [
        {"name": name, "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.export"]}}
        for name in ("read", "unread")
    ]
    carrying = {**STANDS["spec"]["endpointSettings"], "history": history}
    limit = {"name": "limit", "expression": "history.read.count <= 5"}
    first, *others = STANDS["spec"]["rules"]
    spec = {**STANDS["spec"], "endpointSettings": carrying, "rules": [{**first, "conditions": [limit]}, *others]}
    (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump({**STANDS, "spec": spec}), encoding="utf-8")
    ran = unused(folder)
    place = f"{STANDS['metadata']['namespace']}/{spec['endpoint']}"
    assert f"note: no rule reads history unread of {place}\n" in ran.err
    assert "history read of" not in ran.err


SCOPE: Final[Object] = {
    "namespace": "crm",
    "policy": "crm-agent",
    "rule": "read",
    "subject": "sa:agents/crm-agent",
    "firstSeen": None,
    "lastUse": None,
    "uses": 0,
}


def state(**members: object) -> str:
    """Return a file that remembers nothing but these members."""
    nothing: Object = {"covered": None, "broken": None, "chains": {}, "doubtful": {}, "scopes": []}
    return json.dumps({"kind": "UnusedState", "version": 1, **nothing, **members})


class TestState:
    def test_spares_old_logs_and_counts_no_line_twice(self, folder: Path) -> None:
        log = month(["customers.export", *["customers.list"] * 59])
        file = str(folder / "uses.json")
        (folder / "decisions.log").write_bytes(b"".join(log.lines[:31]))
        unused(folder, "--state", file)
        (folder / "decisions.log").write_bytes(b"".join(log.lines[25:]))
        ran = unused(folder, "--state", file, "-o", "json")
        (read,) = (one for one in json.loads(ran.out)["scopes"] if one["rule"] == "read")
        assert (read["uses"], read["firstSeen"]) == (59, "2026-03-05T09:00:00Z")
        assert states(ran)["export"] == "Unused"
        assert json.loads(ran.out)["missing"] == []

    @pytest.mark.parametrize("now", [*NO_MOMENTS, AHEAD])
    def test_is_read_again_whatever_time_a_record_had(self, folder: Path, now: object) -> None:
        file, log = str(folder / "uses.json"), month(["customers.list"] * 70)
        strange = no_log_of_a_process(now)
        (folder / "decisions.log").write_bytes(b"".join([*strange.lines, *log.lines[:31]]))
        assert unused(folder, "--state", file).code == 0
        (folder / "decisions.log").write_bytes(b"".join(log.lines[31:]))
        ran = unused(folder, "--state", file, "-o", "json")
        assert states(ran) == {"export": "Unused", "notify": "Unused", "read": "Used"}, ran

    def test_notices_that_a_log_in_between_was_not_given(self, folder: Path) -> None:
        log = month(["customers.list"] * 60)
        file = str(folder / "uses.json")
        (folder / "decisions.log").write_bytes(b"".join(log.lines[:31]))
        unused(folder, "--state", file)
        (folder / "decisions.log").write_bytes(b"".join(log.lines[40:]))
        assert states(unused(folder, "--state", file, "-o", "json"))["export"] == "NotYetKnown"

    def test_notices_a_time_without_any_line(self, folder: Path) -> None:
        file = str(folder / "uses.json")
        unused(folder, "--state", file)
        opening: dict[str, Any] = dict(engine_versions())
        later = ProcessLog(7, seconds=MARCH + 40 * DAY - 1_700_000_000, **opening)
        written(folder / "decisions.log", month(["customers.list"] * 5, log=later, began=MARCH + 40 * DAY))
        assert states(unused(folder, "--state", file, "-o", "json"))["export"] == "NotYetKnown"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "is not an UnusedState, and was not changed"),
            ("", "is not an UnusedState, and was not changed"),
            ('{"kind":"UnusedState","version":2}', "is UnusedState of version 2"),
            ('{"kind":"Other","version":1}', "is Other of version 1"),
            ('{"kind":"UnusedState","version":1}', "is not an UnusedState, and was not changed"),
            *((state(**{name: 1e12}), "is not an UnusedState, and was not changed") for name in ("covered", "broken")),
            (state(covered=-1), "is not an UnusedState, and was not changed"),
            (state(doubtful={"sa:a/b": 1e12}), "is not an UnusedState, and was not changed"),
            (state(scopes=[{**SCOPE, "lastUse": 1e12}]), "is not an UnusedState, and was not changed"),
            (state(scopes=[{**SCOPE, "firstSeen": -1}]), "is not an UnusedState, and was not changed"),
            *((state(**{name: AHEAD}), "remembers 9999-12-31T00:00:00Z, which has") for name in ("covered", "broken")),
            (state(doubtful={"sa:a/b": AHEAD}), "remembers 9999-12-31T00:00:00Z, which has not come"),
            (state(scopes=[{**SCOPE, "lastUse": AHEAD}]), "remembers 9999-12-31T00:00:00Z, which has not come"),
            (state(scopes=[{**SCOPE, "firstSeen": AHEAD}]), "remembers 9999-12-31T00:00:00Z, which has not come"),
        ],
    )
    def test_that_cannot_be_read_is_an_error_and_left_as_it_is(self, folder: Path, content: str, said: str) -> None:
        file = folder / "uses.json"
        file.write_text(content, encoding="utf-8")
        ran = unused(folder, "--state", str(file))
        assert (ran.code, ran.out, said in ran.err, file.read_text(encoding="utf-8")) == (2, "", True, content), ran

    def test_leaves_nothing_beside_it(self, folder: Path) -> None:
        unused(folder, "--state", str(folder / "uses.json"))
        assert sorted(path.name for path in folder.iterdir()) == [
            "decisions.log", "ledger.log", "policies", "uses.json",
        ]  # fmt: skip

    def test_that_cannot_be_written_is_an_error(self, folder: Path) -> None:
        ran = unused(folder, "--state", str(folder / "nowhere" / "uses.json"))
        assert (ran.code, "uses.json cannot be written" in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.log", "-f", "policies"), "nowhere.log cannot be read"),
        (("empty.log", "-f", "policies"), "no line of a chain, and nothing is remembered"),
        (("decisions.log", "-f", "empty.log"), "the files have no EndpointPolicy"),
        (("-", "-f", "-"), "standard input can be read only once"),
        (("decisions.log", "-f", "policies", "--window", "long"), "'long' is not a duration"),
        (("decisions.log", "-f", "policies", "--window", "0"), "--window: give how long"),
        (
            ("decisions.log", "-f", "policies", "-n", "typo"),
            "no policy in the files is in the namespace 'typo': their namespaces are crm",
        ),
        (("decisions.log", "-f", "policies", "--context", "x"), "unused does not use a cluster: remove --context"),
    ],
)
def test_what_cannot_be_told_is_one_line(folder: Path, words: tuple[str, ...], said: str) -> None:
    (folder / "empty.log").write_bytes(b"")
    names = [str(folder / word) if "." in word or word == "policies" else word for word in words]
    ran = commandline.run("unused", *names)
    assert (ran.code, ran.out, said in ran.err.splitlines()[-1]) == (2, "", True), ran
