"""A storm of revocations: what one more costs, and a decision, is the same for one as for thousands of them."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from bailiwick_engine.call import Party
from bailiwick_engine.keys import USER
from bailiwick_engine.revocations import PartyRevocation, Revocations
from support.revocations import revocation

MANY = 5_000
BYTES_EACH = 12 * 1024
LONG_BYTES_EACH = 6 * 1024
"""Of one that names four members, beside what they are themselves."""
BEYOND_BYTES_EACH = 1024
"""Of one beyond the most that are known by whom they name, whatever it names."""
ROUNDS = 500
SLOWER = 8.0
"""How many times as long a lookup may take: room for a busy machine. One that looked at each would take thousands."""


def sessions(count: int, sub: str = "carol") -> list[PartyRevocation]:
    """Return revocations of as many sessions of one person: an issuer sends such a storm with its own events."""
    return [revocation(f"r-{number}", "corp", before=1.0, sub=sub, sid=f"s{number}") for number in range(count)]


def people(count: int) -> list[PartyRevocation]:
    return [revocation(f"r-{number}", "corp", before=1.0, sub=f"p{number}") for number in range(count)]


def seconds(work: Callable[[], object]) -> float:
    """Return the best of some runs."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            work()
        best = min(best, time.perf_counter() - began)
    return best


def index_of(held: list[PartyRevocation]) -> Revocations:
    found = Revocations()
    for one in held:
        found.put(one)
    return found


def test_a_change_takes_as_long_among_thousands_of_issuers() -> None:
    """Whoever may take somebody back may write any name of an issuer."""
    few = index_of(sessions(1))
    many = index_of([revocation(f"r-{number}", f"i{number}", sub="carol") for number in range(4 * MANY)])
    one = revocation("r-more", "more", before=1.0, sub="carol")

    def turn(index: Revocations) -> None:
        index.put(one)
        index.remove("r-more")

    assert seconds(lambda: turn(many)) < SLOWER * seconds(lambda: turn(few))


def test_a_revocation_of_long_members_takes_little_more_memory_than_it_has_text() -> None:
    names, count = ("sub", "sid", "email", "username"), 500
    matches: list[dict[str, Any]] = [
        {name: f"{name}{number}".ljust(500, "x") for name in names} for number in range(count)
    ]
    held = [revocation(f"r-{number}", "corp", **match) for number, match in enumerate(matches)]
    tracemalloc.start()
    index = index_of(held)
    bytes_each = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert len(index) == count
    assert bytes_each < LONG_BYTES_EACH


def test_those_beyond_the_most_take_little_memory_whatever_they_name() -> None:
    """Whoever may take somebody back may write objects without end."""
    names, count = ("sub", "sid", "email", "username"), 2_000
    index = Revocations(most=1)
    index.put(revocation("r-first", "corp", sub="carol"))
    tracemalloc.start()
    for number in range(count):
        match: dict[str, Any] = {name: f"{name}{number}".ljust(500, "x") for name in names}
        index.put(revocation(f"r-{number}", "corp", **match))
    bytes_each = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert len(index) == count + 1
    assert bytes_each < BEYOND_BYTES_EACH


def test_a_lookup_takes_as_long_among_thousands_as_beside_one() -> None:
    party = Party(USER, "carol", "corp#carol", {"sub": "carol", "sid": "mine", "iat": 2.0}, issuer="corp")
    few = index_of(sessions(1))
    base = seconds(lambda: few.refusal(party, shown=True))
    for held in (sessions(MANY), people(MANY), [*sessions(MANY // 2), *people(MANY // 2)]):
        many = index_of(held)
        assert seconds(lambda: many.refusal(party, shown=True)) < SLOWER * base  # noqa: B023 - asked at once
        assert many.refusal(party, shown=True) is None


def test_a_change_takes_as_long_among_thousands_as_beside_one() -> None:
    few, many = index_of(sessions(1)), index_of(sessions(MANY))
    one = revocation("r-more", "corp", before=1.0, sub="carol", sid="more")

    def turn(index: Revocations) -> None:
        index.put(one)
        index.remove("r-more")

    assert seconds(lambda: turn(many)) < SLOWER * seconds(lambda: turn(few))


def test_thousands_take_little_memory() -> None:
    held = sessions(MANY)
    tracemalloc.start()
    try:
        index = index_of(held)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index) == MANY
    assert taken < MANY * BYTES_EACH
