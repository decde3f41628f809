"""A cache has so many entries, and the one that nobody asked to stay goes first."""

from bailiwick_engine.boundedcache import BoundedCache


def filled(*keys: str, most: int = 3) -> BoundedCache[str, str]:
    cache: BoundedCache[str, str] = BoundedCache(most)
    for key in keys:
        cache.put(key, key.upper())
    return cache


def held(cache: BoundedCache[str, str]) -> str:
    return "".join(key for key in "abcde" if key in cache)


def test_what_was_put_is_found_and_nothing_else() -> None:
    cache = filled("a")
    assert cache.get("a") == "A"
    assert cache.get("b") is None
    assert ("a" in cache, "b" in cache) == (True, False)


def test_there_are_never_more_entries_than_it_may_have() -> None:
    assert held(filled(*"abcde")) == "cde"
    assert held(filled(*"abcde", most=1)) == "e"


def test_what_is_put_again_takes_the_place_of_the_older_and_is_the_last_to_go() -> None:
    cache = filled(*"abc")
    cache.put("a", "newer")
    cache.put("d", "D")
    assert cache.get("a") == "newer"
    assert held(cache) == "acd"


def test_what_is_touched_is_the_last_to_go() -> None:
    cache = filled(*"abc")
    cache.touch("a")
    cache.put("d", "D")
    assert held(cache) == "acd"


def test_to_look_something_up_makes_it_stay_no_longer() -> None:
    cache = filled(*"abc")
    assert cache.get("a") == "A"
    cache.put("d", "D")
    assert held(cache) == "bcd"


def test_what_was_taken_out_makes_room() -> None:
    cache = filled(*"abc")
    assert cache.pop("b", None) == "B"
    assert cache.pop("b", None) is None
    cache.put("d", "D")
    assert held(cache) == "acd"
