"""The fold of histories: what the decision point's own code writes is never contradicted, and a forged line is.

The lines are those of `servedhistories`; what was forged is what the test changed.
"""

import copy
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any, Final

import pytest

from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.historyfold import HistoryFold, HistoryReport
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.objectfold import HistoryCode
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.histories import MINUTE
from support.historyworlds import LONG, WORLDS
from support.servedhistories import ServedRun
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

FEW: Final = range(12)
SEVERAL_KEYS: Final = frozenset({"two keys", "a joint limit"})
MANY: Final = range(200)
BRACED: Final = b"a}b"
names = pytest.mark.parametrize("world", WORLDS)
Records = list[dict[str, Any]]


async def served(world: str, seed: int, time: VirtualTime, *, window: int, calm: bool) -> ServedRun:
    run = ServedRun(f"{world} {seed}", world, time, window=window, calm=calm)
    await run.run()
    return run


def folded(run: ServedRun, records: Iterable[dict[str, Any]], *, windows: bool) -> HistoryReport:
    """Fold records, in the order in which they are given."""
    fold = HistoryFold()
    for number, record in enumerate(records):
        fold.add_record(record, ("chain", number), run.definitions if windows else None)
    return fold.report({})


def shuffled(records: Records, seed: int) -> Records:
    found = list(records)
    Random(seed).shuffle(found)  # noqa: S311 - a run that can be repeated
    return found


async def assert_true_lines_follow(world: str, seeds: range, time: VirtualTime) -> None:
    lines = 0
    for seed in seeds:
        for window, calm in ((LONG, True), (LONG, False), (MINUTE, False), (10 * MINUTE, False)):
            run = await served(world, seed, time, window=window, calm=calm)
            for windows in (True, False):
                report = folded(run, shuffled(run.records, seed), windows=windows)
                assert [one for one in report.findings if one.bad] == [], (world, seed, window, calm)
                assert report.known is windows or not run.records
                # A call that is counted in several objects may have been taken out and counted again.
                whole = calm and world not in SEVERAL_KEYS
                assert not whole or report.gaps == 0, (world, seed, report.findings)
            lines += len(run.records)
    assert lines > len(seeds)


@names
async def test_what_is_served_is_never_contradicted(world: str, virtual_time: VirtualTime) -> None:
    await assert_true_lines_follow(world, FEW, virtual_time)


@pytest.mark.long
@names
async def test_what_is_served_is_never_contradicted_in_many_runs(world: str, virtual_time: VirtualTime) -> None:
    await assert_true_lines_follow(world, MANY, virtual_time)


@names
async def test_lines_that_are_missing_are_a_gap_at_most(world: str, virtual_time: VirtualTime) -> None:
    for seed in FEW:
        run = await served(world, seed, virtual_time, window=MINUTE, calm=False)
        kept = [record for record in run.records if Random(f"{seed} {record}").random() < 0.7]  # noqa: S311
        for windows in (True, False):
            assert [one for one in folded(run, kept, windows=windows).findings if one.bad] == [], (world, seed)


def counting(records: Records) -> list[int]:
    """Return the places of lines whose call was counted, and by no earlier decision, in order of their numbers."""
    places = [
        at
        for at, record in enumerate(records)
        if record["decision"] and all(one["added"] and "repeated" not in one for one in record["history"])
    ]
    return sorted(places, key=lambda at: records[at]["history"][0]["seq"])


async def test_a_line_that_is_gone_is_a_gap(virtual_time: VirtualTime) -> None:
    found = 0
    for seed in FEW:
        run = await served("one key", seed, virtual_time, window=LONG, calm=True)
        for gone in counting(run.records)[1:-1]:
            seq = run.records[gone]["history"][0]["seq"]
            report = folded(run, [one for at, one in enumerate(run.records) if at != gone], windows=False)
            assert [one.code for one in report.findings] == [HistoryCode.GAP]
            assert str(seq) in report.findings[0].said
            found += 1
    assert found


@pytest.mark.parametrize("more", [-1, 1])
async def test_a_count_that_was_changed_is_contradicted(more: int, virtual_time: VirtualTime) -> None:
    """The first line of all has none before it; that it counts too few, no other line shows."""
    found = 0
    for seed in FEW:
        run = await served("one key", seed, virtual_time, window=LONG, calm=True)
        for place in counting(run.records)[1:]:
            records = copy.deepcopy(run.records)
            records[place]["history"][0]["count"] += more
            assert folded(run, records, windows=True).contradicted, (seed, place)
            found += 1
    assert found


@pytest.mark.parametrize("order", ["before", "behind"])
def test_no_file_that_is_added_excuses_a_count_that_was_changed(order: str) -> None:
    """An attacker who may write to a folder of logs adds a file: a chain so short that no witness had to come by, and
    beginnings of lines, whose strings may hold braces."""
    excused = 0
    for seed in MANY:
        rng, log = Random(f"{seed} {order}"), ProcessLog()  # noqa: S311 - a run that can be repeated
        records = spread_out(rng)
        rng.choice(records[1:])["history"][0]["count"] += rng.randint(2, 5)
        for record in records:
            log.add(**record)
        shown, note = b"".join(log.close().lines), log.checkpoint()
        alone = contradicted([shown], note)
        assert alone, seed
        stranger = ProcessLog(7)
        for _ in range(rng.randint(1, 4)):
            stranger.add(**invented(rng, records))
        added = b"".join([*(beginning_of(line) for line in log.lines[1:-1]), *stranger.lines])
        files = [added, shown] if order == "before" else [shown, added]
        assert alone <= contradicted(files, note), seed
        excused += not alone <= contradicted(files, note, believed=True)
    # Else nothing that was invented would have excused anything.
    assert excused > len(MANY) / 10


def contradicted(files: list[bytes], note: str, *, believed: bool = False) -> set[tuple[str, int] | None]:
    """Return the lines that the audit of these files contradicts. `believed`: as if the witness had seen them all."""
    audit, fold = LogAudit(WitnessBook((WITNESS_KEY,))), HistoryFold()
    audit.book.add(ShownCheckpoint(note))
    for file in files:
        for line in (*audit.feed(file), *audit.end()):
            fold.add(line)
    for line in audit.finish():
        fold.add(line)
    sizes = dict.fromkeys(audit.chains, 1_000) if believed else audit.witnessed_sizes()
    return {one.place for one in fold.report(sizes).findings if one.bad}


SEVERAL: Final = ("east", "west")


@pytest.mark.parametrize("order", ["before", "behind"])
def test_no_line_that_no_witness_saw_excuses_or_accuses_one_of_any_cluster(order: str) -> None:
    """The law of several clusters, whose objects have the same names: each is judged as if it were alone."""
    accused = Counter[str]()
    for seed in MANY:
        rng = Random(f"{seed} {order} {SEVERAL}")  # noqa: S311 - a run that can be repeated
        runs = {cluster: spread_out(rng) for cluster in SEVERAL}
        for records in runs.values():
            if rng.random() < 0.5:
                rng.choice(records[1:])["history"][0]["count"] += rng.randint(2, 5)
        alone = {name: bad_places({name: records}, {name: name}) for name, records in runs.items()}
        stranger = [invented(rng, [*runs["east"], *runs["west"]]) for _ in range(rng.randint(1, 4))]
        chains = {"stranger": stranger, **runs} if order == "before" else {**runs, "stranger": stranger}
        found = bad_places(chains, {name: name for name in SEVERAL})
        assert {place for place in found if place[0] != "stranger"} == set().union(*alone.values()), seed
        # What the line of a stranger is contradicted by does not hang on what else is there that no witness saw.
        others = bad_places({**chains, "other": [invented(rng, stranger)]}, {name: name for name in SEVERAL})
        assert {place for place in others if place[0] != "other"} == found, seed
        # It may be of either cluster, so it is contradicted where it fits in none.
        each = {name: bad_places({"stranger": stranger, name: runs[name]}, {name: name}) for name in SEVERAL}
        fits = [each[name] == alone[name] for name in SEVERAL]
        assert any(place[0] == "stranger" for place in found) is not any(fits), seed
        accused.update({"stranger": not any(fits), "cluster": bool(alone["east"] or alone["west"])})
    assert all(accused[name] > len(MANY) / 10 for name in ("stranger", "cluster")), accused


def test_a_cluster_that_is_named_shows_what_a_plain_key_shows() -> None:
    """Nor does a plain key have a line that no witness saw accuse one that it saw."""
    accused = 0
    for seed in MANY:
        rng = Random(f"{seed} plain")  # noqa: S311 - a run that can be repeated
        east = spread_out(rng)
        chains = {"east": east, "stranger": [invented(rng, east) for _ in range(rng.randint(1, 4))]}
        plain = bad_places(chains, {"east": "east"}, named=False)
        assert plain == bad_places(chains, {"east": "east"}), seed
        assert all(place[0] == "stranger" for place in plain), seed
        accused += bool(plain)
    assert accused > len(MANY) / 10


def bad_places(chains: dict[str, Records], clusters: dict[str, str], *, named: bool = True) -> set[tuple[str, int]]:
    """Return the lines that are contradicted, where a witness saw the chains that are of clusters, to their end."""
    fold = HistoryFold()
    for chain, records in chains.items():
        for number, record in enumerate(records):
            fold.add_record({"kind": "evaluation", **record}, (chain, number), None)
    witnessed = {chain: len(chains[chain]) for chain in clusters if chain in chains}
    owned = {chain: frozenset({cluster}) for chain, cluster in clusters.items()}
    report = fold.report(witnessed, (lambda chain: owned.get(chain, frozenset())) if named else None)
    return {one.place for one in report.findings if one.bad and one.place is not None}


def beginning_of(line: bytes) -> bytes:
    """Return the beginning of a line up to a brace in its first string of the caller, by which its braces are even."""
    beginning = line[: line.index(BRACED) + BRACED.index(b"}") + 1]
    assert beginning.count(b"{") == beginning.count(b"}")
    return beginning + b"\n"


def spread_out(rng: Random) -> Records:
    """Return lines of calls that are minutes apart, each of which was counted."""
    now, seq, found = 1_764_439_200.0, rng.randint(1, 50), []
    for count in range(1, rng.randint(3, 8)):
        age = None if count == 1 else rng.randint(200, 900)
        now += age or 0
        member = {"name": "exports", "object": "h-1", "seq": seq + count, "count": count, "sum": None, "age": age}
        record = {"evaluation_id": BRACED.decode(), "endpoint": "crm/crm-api", "decision": True, "now": now}
        found.append({**record, "history": [{**member, "added": True}]})
    return found


def invented(rng: Random, records: Records) -> dict[str, Any]:
    """Return a forged line: its author chose the number and the time."""
    made = copy.deepcopy(rng.choice(records))
    made["now"] += rng.uniform(-600, 600)
    highest = records[-1]["history"][0]["seq"]
    made["history"][0] |= {"seq": rng.choice((1, rng.randint(1, highest + 2))), "count": 1, "age": None}
    return made


async def test_a_number_of_two_calls_is_contradicted(virtual_time: VirtualTime) -> None:
    found = 0
    for seed in FEW:
        run = await served("one key", seed, virtual_time, window=LONG, calm=True)
        for place in counting(run.records):
            report = folded(run, [*run.records, run.records[place]], windows=False)
            assert report.contradicted == 1
            found += 1
    assert found
