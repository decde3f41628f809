"""Laws of the audit: whatever is done to a log is named where it was done, and nothing honest is called changed."""

import random
from itertools import pairwise
from typing import Final

from hypothesis import given, strategies as st

from support.evidence.logs import ProcessLog, audited, places, rewritten

SIZE: Final = 24
PROCESS: Final = ProcessLog(2).records(SIZE - 2).close()
OTHER: Final = ProcessLog(3).records(SIZE - 1)
LINES: Final = tuple(PROCESS.lines)
NOTES: Final = [PROCESS.checkpoint(), OTHER.checkpoint()]
SEEDS: Final = st.integers(0, 2**32)
PLACES: Final = st.sets(st.integers(0, SIZE - 1), max_size=6)


def edited(line: bytes, place: int) -> bytes:
    """Return a line with one more member behind the one of the chain."""
    head, _, rest = line.partition(b"},")
    return head + b'},"edited":%d,' % place + rest


def files(seed: int, lines: list[bytes], *, inside: bool = False) -> list[bytes]:
    """Return lines as files: repeated, torn, mixed with another chain's and others, and cut, also inside a line."""
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    text = list(lines)
    for line in chance.choices(lines, k=chance.randrange(4)) if lines else ():
        text.insert(chance.randint(0, len(text)), line)
    for line in OTHER.lines if chance.random() < 0.5 else ():
        text.insert(chance.randint(0, len(text)), line)
    if chance.random() < 0.3:
        chance.shuffle(text)
    # A line that was torn stands whole somewhere too.
    for line in chance.choices(lines, k=chance.randrange(4)) if lines else ():
        text.insert(chance.randint(0, len(text)), line[: chance.randint(1, len(line) - 2)] + b"\n")
    for line in chance.choices([b"\n", b"{}\n", b"\xff\n", b"plain\n"], k=chance.randrange(3)):
        text.insert(chance.randint(0, len(text)), line)
    # At least two lines apart, so that no line is cut in three.
    cuts = sorted(chance.sample(range(0, len(text) + 1, 2), k=min(chance.randrange(5), len(text) // 2)))
    pieces = [b"".join(text[start:end]) for start, end in pairwise([0, *cuts, len(text)])]
    if inside:
        for index in range(1, len(pieces)):
            moved = chance.randrange(max(1, pieces[index].find(b"\n")))
            pieces[index - 1] += pieces[index][:moved]
            pieces[index] = pieces[index][moved:]
    if chance.random() < 0.5:
        chance.shuffle(pieces)
    return pieces


def found(given: list[bytes], step: int) -> list[str]:
    """Return what is found of the first chain, without that the other one is unclosed."""
    _, reports = audited(given, NOTES, step=step)
    others = [report for report in reports if report.chain == OTHER.id]
    assert all(places(report) in (["unclosed"], ["missing"]) for report in others), others
    return next(places(report) for report in reports if report.chain == PROCESS.id)


@given(SEEDS)
def test_what_is_honest_is_never_called_changed(seed: int) -> None:
    assert found(files(seed, list(LINES), inside=True), 1 + seed % 5_000) == []


@given(st.integers(1, SIZE), SEEDS)
def test_a_log_is_intact_only_if_all_of_it_was_read(count: int, seed: int) -> None:
    """Who stores a log cuts its last lines in two, and puts other ends beside them."""
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    given_files = [b"".join(LINES[:-count])]
    for line in LINES[-count:]:
        at = chance.randint(1, len(line) - 2)
        ends = [b"}\n", b'":1}\n', b'"}\n', b'"x":1}\n']
        given_files += [line[:at], *chance.sample([line[at:], *ends], 5)]
    chance.shuffle(given_files)
    audit, reports = audited(given_files, [PROCESS.checkpoint()])
    assert [report.intact for report in reports] == [audit.lines == SIZE]


@given(PLACES, PLACES, SEEDS)
def test_lines_that_are_cut_and_edited_are_named(cut: set[int], changed: set[int], seed: int) -> None:
    lines = [edited(line, place) if place in changed else line for place, line in enumerate(LINES) if place not in cut]
    left = [place for place in range(SIZE) if place not in cut]
    end = max(left, default=-1) + 1
    expected = [*_named("gap", sorted(place for place in cut if place < end))]
    if end < SIZE:
        expected.append(_named("truncated", list(range(end, SIZE)))[0])
    # What names a line is the next one, and where that is gone, nothing: then the root alone could tell.
    seen = sorted(place for place in changed - cut if place + 1 not in cut and place != SIZE - 1)
    expected += [f"altered at {place}" for place in seen]
    told = [one for one in found(files(seed, lines), 1 + seed % 5_000) if one != "unclosed"]
    by_root = [one for one in told if one not in expected]
    assert [one for one in told if one in expected] == expected
    assert by_root in ([], [f"altered 0-{SIZE - 1}"])
    if by_root:
        assert changed - cut - set(seen)


@given(PLACES, SEEDS)
def test_a_changed_copy_beside_the_log_is_a_fork(changed: set[int], seed: int) -> None:
    lines = [*LINES, *(edited(LINES[place], place) for place in changed)]
    assert found(files(seed, lines), 1 + seed % 5_000) == _named("forked", sorted(changed))


@given(st.integers(0, SIZE - 1), SEEDS)
def test_another_story_from_a_line_on_is_a_fork_and_alone_it_is_altered(place: int, seed: int) -> None:
    other = rewritten([*LINES[:place], edited(LINES[place], place), *LINES[place + 1 :]])
    both = [*LINES, *other[place:]]
    assert found(files(seed, both), 999) == _named("forked", list(range(place, SIZE)))
    assert found(files(seed, other), 999) == [f"altered 0-{SIZE - 1}"]


@given(st.binary(max_size=3_000), SEEDS)
def test_garbage_is_read_without_an_end(garbage: bytes, seed: int) -> None:
    at = seed % SIZE
    lines = [*LINES[:at], garbage.replace(b'{"log"', b"") + b"\n", *LINES[at:]]
    assert found([b"".join(lines)], 1 + seed % 5_000) == []


def _named(code: str, numbers: list[int]) -> list[str]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return [f"{code} at {one[0]}" if len(one) == 1 else f"{code} {one[0]}-{one[-1]}" for one in ranges]
