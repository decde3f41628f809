"""What was seen of a rule's uses does for all of them, in the words of policies, and is no more than the rule gives."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.names import NameSet
from bailiwick_evidence.usage.sightings import EntrySeen, LargestSeen, NamesSeen, PatternsSeen, rounded_up

SIX = ["a", "b", "c", "d", "e", "f"]


def seen(patterns: Iterable[str], names: Iterable[str]) -> PatternsSeen:
    found = PatternsSeen(patterns)
    for name in names:
        found.add(name)
    return found


@pytest.mark.parametrize(
    ("patterns", "names", "narrowed"),
    [
        (["*"], ["b", "a", "b"], ["a", "b"]),
        (["*"], SIX[:5], SIX[:5]),
        (["*"], SIX, ["*"]),
        (["*"], [f"p/{one}" for one in SIX], ["p/*"]),
        (["*"], [f"p/q/{one}" for one in SIX], ["p/q/*"]),
        (["*"], [f"p/q{one}" for one in SIX], ["p/*"]),
        (["*"], [f"p.{one}" for one in SIX], ["p.*"]),
        (["*"], [f"p:{one}" for one in SIX], ["p:*"]),
        (["*"], [f"p-{one}" for one in SIX], ["*"]),
        (["*"], [*(f"p/q/{one}" for one in SIX), "p/q/"], ["p/*"]),
        (["*"], [*(f"p/{one}" for one in SIX), "p/"], ["*"]),
        (["*"], [*(f"p/{one}" for one in SIX), "q"], ["*"]),
        (["p/*"], [f"p/{one}" for one in SIX], ["p/*"]),
        (["p/*"], [f"p/q/{one}" for one in SIX], ["p/q/*"]),
        (["p/*"], ["p/a"], ["p/a"]),
        (["a", "b", "c"], ["c", "a"], ["a", "c"]),
        (SIX, SIX, SIX),
        (["p/*", "q"], ["q"], ["q"]),
        (["a", "*"], ["a"], ["a"]),
        (["*"], ["a*"], ["*"]),
        (["*"], ["a\n"], ["*"]),
        (["*"], [f"p*/{one}" for one in SIX], ["*"]),
        (["*"], [], []),
    ],
)
def test_a_list_is_narrowed_to_what_was_seen(
    patterns: Sequence[str], names: Sequence[str], narrowed: Sequence[str]
) -> None:
    assert list(seen(patterns, names).narrow_patterns(64)) == list(narrowed)


def test_a_list_that_would_be_too_long_stays() -> None:
    found = seen(["p/*", "q/*"], ["p/a", "p/b", "q/a"])
    assert found.narrow_patterns(3) == ("p/a", "p/b", "q/a")
    assert found.narrow_patterns(2) == ("p/*", "q/*")


def test_no_more_names_are_kept_than_are_told_apart() -> None:
    found = NamesSeen("*")
    for number in range(10_000):
        found.add(f"p/{number}")
    assert (len(found.few), found.narrow_patterns()) == (6, ("p/*",))


NAMES = st.text("ab.:/-*", min_size=1, max_size=6)
PATTERNS = st.sampled_from(["*", "a/*", "a.*", "a.b:*", "a", "a/b"])


@given(st.lists(PATTERNS, min_size=1, max_size=3, unique=True), st.lists(NAMES, max_size=20))
def test_a_narrowed_list_covers_what_was_seen_and_nothing_that_was_not_given(
    patterns: list[str], names: list[str]
) -> None:
    before = NameSet.of(patterns)
    used = [name for name in names if name in before]
    narrowed = NameSet.of(seen(patterns, used).narrow_patterns(64))
    assert all(name in narrowed for name in used)
    assert before.covers(narrowed)


class TestEntries:
    def test_narrow_the_values_of_properties_that_every_use_had(self) -> None:
        entry = EntrySeen("order", ["*"], {"env": ["prod", "test"], "tier": ["1", "2"]})
        env, tier = ("resource", "properties", "env"), ("resource", "properties", "tier")
        assert entry.add("order", "1", {env: "test", tier: "1"})
        assert entry.add("order", "2", {env: "test"})
        assert entry.properties["env"].narrow_values() == ("test",)
        # Of the second use the tier is not known.
        assert entry.properties["tier"].narrow_values() == ("1", "2")

    @pytest.mark.parametrize(
        ("kind", "name", "value"), [("invoice", "1", "prod"), ("order", "x", "prod"), ("order", "1", "other")]
    )
    def test_take_no_use_that_was_not_by_them(self, kind: str, name: str, value: str) -> None:
        entry = EntrySeen("order", ["1"], {"env": ["prod"]})
        assert not entry.add(kind, name, {("resource", "properties", "env"): value})
        assert entry.ids.count == 0

    def test_take_a_use_whose_property_is_sealed(self) -> None:
        entry = EntrySeen("order", ["1"], {"env": ["prod"]})
        assert entry.add("order", "1", {("resource", "properties", "env"): {"hmac": "x"}})
        assert entry.properties["env"].unknown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (99, "99"),
        (100, "100"),
        (101, "110"),
        (887, "890"),
        (995, "1000"),
        (9_000, "9000"),
        (123_456, "130000"),
        (-123, "-120"),
        (0.13, "0.13"),
        (0.131, "0.14"),
        (12.01, "13"),
        (99.5, "100"),
        (1e-12, None),
        (2**53, None),
        (9_007_199_254_740_991, None),
    ],
)
def test_a_number_is_rounded_up_to_two_digits(value: float, text: str | None) -> None:
    assert rounded_up(value) == text


@given(st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15))
def test_a_rounded_number_is_no_smaller(value: float) -> None:
    text = rounded_up(value)
    assert text is None or float(text) >= value


@pytest.mark.parametrize("value", ["8", None, True, float("nan"), float("inf"), {"hmac": "x"}])
def test_what_is_no_number_leaves_no_bound(value: object) -> None:
    largest = LargestSeen()
    largest.add(8)
    assert largest.upper_bound == "8"
    largest.add(value)
    assert largest.upper_bound is None
