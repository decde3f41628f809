"""Numbers of lines as ranges, first and last.

Standing: under `judgement`. Holds: no number is in two ranges, and none is lost.
"""

from collections.abc import Iterable, Iterator, Sequence


def ranges_without(start: int, end: int, left_out: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of `[start, end)` as ranges, first and last, without a few numbers."""
    for seq in sorted(seq for seq in left_out if start <= seq < end):
        if seq > start:
            yield start, seq - 1
        start = seq + 1
    if end > start:
        yield start, end - 1


def ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return sorted numbers as ranges, first and last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
