"""How a replay is printed as JUnit XML: how much counts, the time, and a test for each group of records.

Standing: beside `view`. Holds: a test fails where the gate fails, and nowhere else; what could not be replayed is
skipped, never passed; every text of others is escaped.
"""

from collections.abc import Iterator
from typing import Literal

from bailiwick_cli.formats import junit
from bailiwick_cli.formats.junit import JunitCase
from bailiwick_cli.replay.gate import ReplayGate
from bailiwick_cli.replay.tally import ReplayGroup, ReplayTally
from bailiwick_cli.replay.view import headline, said
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.replay.outcomes import ReplayClass


def log(tally: ReplayTally, gate: ReplayGate) -> str:
    """Return the replay as one suite."""
    return junit.log("bailiwick replay", [("replay", [*_measures(tally, gate), *_groups(tally, gate)])])


def _measures(tally: ReplayTally, gate: ReplayGate) -> Iterator[JunitCase]:
    for name, why in ((headline(tally), gate.of_coverage(tally)), ("time", gate.of_time(tally))):
        told = tuple(why)
        yield JunitCase("replay", name, "failure" if told else "passed", told)


def _groups(tally: ReplayTally, gate: ReplayGate) -> Iterator[JunitCase]:
    for group, count in sorted(tally.groups.items()):
        named = visible(f"{group.subject} · {group.action}")
        samples = [said(one) for one in tally.samples.get(group, ())]
        yield JunitCase(group.code, named, _outcome(group, tally, gate), (f"{count:,} {group.code}: {named}", *samples))


def _outcome(group: ReplayGroup, tally: ReplayTally, gate: ReplayGate) -> Literal["passed", "failure", "skipped"]:
    if gate.fails(group, tally):
        return "failure"
    return "skipped" if group.code.startswith(ReplayClass.NOT_REPLAYABLE) else "passed"
