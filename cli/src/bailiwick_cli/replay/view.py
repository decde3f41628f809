"""How a replay is printed: a table for people, JSON, Markdown for a review, JUnit XML for CI.

Holds: how much of the log counts comes first; every text of others is escaped before people see it. In JUnit XML a test
fails where the gate fails, and nowhere else; what could not be replayed is skipped, never passed.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from bailiwick_api import times
from bailiwick_cli import reportformats
from bailiwick_cli.replay.gate import ReplayGate
from bailiwick_cli.replay.tally import ReplayGroup, ReplaySample, ReplayTally
from bailiwick_cli.reportformats import JunitCase
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.replay.outcomes import WIDER, ReplayClass, ReplaySide
from bailiwick_governance.display import Line
from bailiwick_governance.markdown import table
from bailiwick_governance.views.nearview import clause_text

_STYLES: Final = {
    **{kind.value: "bold red" for kind in WIDER},
    ReplayClass.ALLOW_DENY.value: "red",
    ReplayClass.APPROVAL_DENY.value: "red",
    ReplayClass.ALLOW_APPROVAL.value: "yellow",
    ReplayClass.APPROVAL_APPROVAL.value: "yellow",
    ReplayClass.MAYBE.value: "yellow",
}
_WIDEST: Final = (
    ReplayClass.DENY_ALLOW,
    ReplayClass.APPROVAL_ALLOW,
    ReplayClass.DENY_APPROVAL,
    ReplayClass.APPROVAL_WEAKER,
)
_DAY: Final = 86_400.0
_SHOWN_DAYS: Final = 14


def headline(tally: ReplayTally) -> str:
    """Return how much of the log counts: `94.1 % of 1,204,332 decisions of 7 d replayed; 5.2 % sealed`."""
    share = f"{_percent(tally.replayed, tally.total)} of {tally.total:,} decisions of {_span(tally)} replayed"
    return f"{share}; {_percent(tally.sealed, tally.total)} sealed"


def lines(tally: ReplayTally, failures: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of the table."""
    yield [(headline(tally), "bold")]
    yield [(f"{_plain(tally)}.", "")]
    for group, count in _changed_groups(tally):
        counted = f"  {count:,}  {group.subject} · {group.action}"
        yield [(group.code, _STYLES.get(group.code, "")), (visible(counted), "")]
        for sample in tally.samples.get(group, ()):
            yield [("    ", ""), (sample_line(sample), "")]
    for day, step, count in _steps_by_day(tally)[-_SHOWN_DAYS:]:
        yield [(visible(f"new approvals {day}: {count:,} {step}"), "")]
    yield [(_speed_line(tally), "")]
    yield [(f"fails: {'; '.join(failures)}" if failures else "passes", "bold red" if failures else "bold")]


def document(tally: ReplayTally, failures: Sequence[str]) -> str:
    """Return all of it as JSON, in ASCII."""
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Replay",
        "coverage": {
            "decisions": tally.total,
            "replayed": tally.replayed,
            "sealed": tally.sealed,
            "from": None if tally.first is None else times.epoch_stamp(tally.first),
            "to": None if tally.last is None else times.epoch_stamp(tally.last),
            "ofOtherEndpoints": tally.elsewhere,
            "ofOtherVersions": tally.others,
            "linesInNoChain": tally.foreign,
        },
        "totals": dict(sorted(tally.codes.items())),
        "maybe": {kind.value: count for kind, count in sorted(tally.may.items())},
        "groups": [
            {
                "subject": group.subject,
                "action": group.action,
                "class": group.code,
                "count": count,
                "samples": [_object(one) for one in tally.samples.get(group, ())],
            }
            for group, count in sorted(tally.groups.items(), key=lambda one: (-one[1], one[0]))
        ],
        "newApprovals": [{"day": day, "step": step, "count": count} for day, step, count in _steps_by_day(tally)],
        "time": {"slowdown": tally.slowdown},
        "failures": list(failures),
    }
    return json.dumps(body, indent=2) + "\n"


def markdown(tally: ReplayTally, failures: Sequence[str]) -> str:
    """Return a table of Markdown."""
    made = [f"**{headline(tally)}**", "", f"{_plain(tally)}. {_speed_line(tally)}.", ""]
    rows: list[list[str]] = []
    for group, count in _changed_groups(tally):
        sample = next((sample_line(one) for one in tally.samples.get(group, ())), "")
        cells = (group.code, f"{count:,}", group.subject, group.action)
        rows.append([*(visible(cell) for cell in cells), sample])
    if rows:
        made += table(("class", "count", "subject", "action", "for example"), rows)
    if asked := _steps_by_day(tally):
        made.append("")
        made += table(("day", "step", "new approvals"), [(day, visible(step), f"{n:,}") for day, step, n in asked])
    made += ["", f"**fails: {'; '.join(failures)}**" if failures else "**passes**"]
    return "\n".join(made) + "\n"


def _plain(tally: ReplayTally) -> str:
    """Return the counts of the classes, and what was not looked at."""
    counted = [f"{count:,} {code}" for code, count in sorted(tally.codes.items(), key=lambda one: (-one[1], one[0]))]
    more = {
        "of other endpoints": tally.elsewhere,
        "of another or an unknown engine version": tally.others,
        "lines in no chain": tally.foreign,
    }
    return ", ".join((*counted, *(f"{count:,} {what}" for what, count in more.items() if count)))


def _changed_groups(tally: ReplayTally) -> Iterator[tuple[ReplayGroup, int]]:
    """Yield what is not as it was, the widest first, and at last what could not be replayed."""
    order = [*_WIDEST, *(kind for kind in ReplayClass if kind not in WIDER)]
    ranks = {kind.value: rank for rank, kind in enumerate(order)}
    groups = [(group, count) for group, count in tally.groups.items() if group.code != ReplayClass.UNCHANGED]
    held_back = len(order)
    yield from sorted(groups, key=lambda one: (ranks.get(one[0].code, held_back), -one[1], one[0]))


def sample_line(sample: ReplaySample) -> str:
    """Return one record with what either side says of it, escaped."""
    named = visible(f"{sample.evaluation_id} {sample.time} {sample.resource}")
    if sample.old is None:
        return named
    return f"{named}: {_side(sample.old)} → {' or '.join(_side(one) for one in sample.news)}"


def _side(side: ReplaySide) -> str:
    if side.near is not None:
        nearest = visible("/".join(side.near.place))
        return f"{side.verdict} ({side.reason}; nearest {nearest}: {clause_text(side.near.lacks)})"
    rule = "no rule" if side.rule is None else visible("/".join(side.rule))
    differs = f"; {', '.join(side.differs)}" if side.differs else ""
    return f"{side.verdict} ({side.reason} by {rule}{differs})"


def _object(sample: ReplaySample) -> dict[str, Any]:
    return {
        "evaluationId": sample.evaluation_id,
        "time": sample.time,
        "resource": sample.resource,
        "old": None if sample.old is None else _side_object(sample.old),
        "new": [_side_object(one) for one in sample.news],
    }


def _side_object(side: ReplaySide) -> dict[str, Any]:
    rule = None if side.rule is None else {"policy": side.rule[0], "rule": side.rule[1]}
    body: dict[str, Any] = {
        "verdict": side.verdict.value,
        "reason": side.reason,
        "rule": rule,
        "steps": list(side.steps),
        **({"differs": list(side.differs)} if side.differs else {}),
    }
    if side.near is not None:
        (policy, name), lacks = side.near
        body["near"] = {
            "policy": policy,
            "rule": name,
            "dimension": lacks.kind,
            **({} if lacks.name is None else {"name": lacks.name}),
            "wanted": list(lacks.wanted),
        }
    return body


def _steps_by_day(tally: ReplayTally) -> list[tuple[str, str, int]]:
    return sorted((day, step, count) for (day, step), count in tally.asked.items())


def _speed_line(tally: ReplayTally) -> str:
    if tally.slowdown is None:
        return "time: not measured, since no decision is by changed policies"
    return f"time: the candidate takes {tally.slowdown:.2f} times as long to decide"


def _percent(count: int, total: int) -> str:
    """Return a share that is 100 % or 0 % only where it is exactly that."""
    if not total:
        return "0 %"
    share = 100 * count / total
    if 0 < count < total:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f} %" if share % 100 else f"{share:.0f} %"


def _span(tally: ReplayTally) -> str:
    if tally.first is None or tally.last is None:
        return "no time"
    seconds = tally.last - tally.first
    for unit, length in (("d", _DAY), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def junit(tally: ReplayTally, gate: ReplayGate) -> str:
    """Return the replay as one suite."""
    return reportformats.junit_text("bailiwick replay", [("replay", [*_measures(tally, gate), *_groups(tally, gate)])])


def _measures(tally: ReplayTally, gate: ReplayGate) -> Iterator[JunitCase]:
    for name, why in ((headline(tally), gate.of_coverage(tally)), ("time", gate.of_time(tally))):
        reasons = tuple(why)
        yield JunitCase("replay", name, "failure" if reasons else "passed", reasons)


def _groups(tally: ReplayTally, gate: ReplayGate) -> Iterator[JunitCase]:
    for group, count in sorted(tally.groups.items()):
        named = visible(f"{group.subject} · {group.action}")
        samples = [sample_line(one) for one in tally.samples.get(group, ())]
        yield JunitCase(group.code, named, _outcome(group, tally, gate), (f"{count:,} {group.code}: {named}", *samples))


def _outcome(group: ReplayGroup, tally: ReplayTally, gate: ReplayGate) -> Literal["passed", "failure", "skipped"]:
    if gate.fails(group, tally):
        return "failure"
    return "skipped" if group.code.startswith(ReplayClass.NOT_REPLAYABLE) else "passed"
