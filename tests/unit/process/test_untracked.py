"""Parsed JSON out of the collector's sight: all of it, and freed like everything else."""

import gc
import weakref

import orjson

from bailiwick_engine.steps import whole
from bailiwick_process.collector import untrack


class Held(dict[str, object]):
    """A dict that can be watched going."""


def test_every_object_and_list_leaves_the_collectors_sight() -> None:
    value = orjson.loads(b'{"a": [[1, {"b": []}], {}], "c": {"d": {"e": [2]}}}')
    whole(untrack(value))
    found, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        assert not gc.is_tracked(one)
        found += 1
        waiting += [
            inner for inner in (one.values() if isinstance(one, dict) else one) if isinstance(inner, dict | list)
        ]
    assert found == 9


def test_what_left_it_is_freed_with_its_last_reference() -> None:
    value = {"a": [Held()]}
    seen = weakref.ref(value["a"][0])
    whole(untrack(value))
    del value
    assert seen() is None


def test_a_large_value_takes_many_steps() -> None:
    assert sum(1 for _ in untrack([[] for _ in range(10_000)])) > 30
