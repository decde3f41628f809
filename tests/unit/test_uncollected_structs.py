"""Structs that the garbage collector does not look into lead back to nothing that may hold them.

Holds: one that does stays in memory for ever, with all that it refers to, and no other test shows it. Data cannot lead
back to the frozen struct that it is part of. A function, a method or a future can, so no such struct has one.
"""

import asyncio
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
import pytest

import bailiwick_engine
import bailiwick_evidence
import bailiwick_policystore
import bailiwick_webhook
from bailiwick_webhook.record.writing.waitingline import WaitingLine

PACKAGES: Final = (bailiwick_engine, bailiwick_evidence, bailiwick_policystore, bailiwick_webhook)
# There is one for each record. What waits for its future holds the future and not the line, and the writer lets go of
# the line when it is written.
APART: Final = {WaitingLine}


def uncollected(module: ModuleType) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs of a module that the garbage collector does not look into."""
    for kind in vars(module).values():
        own = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
        if own and not kind.__struct_config__.gc:
            yield kind


def leads_back(hint: Any) -> bool:  # noqa: ANN401 - whatever stands at a field
    """Tell whether a value of this type may hold what refers to it."""
    origin = get_origin(hint)
    if hint is Callable or origin is Callable:
        return True
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, asyncio.Future):
        return True
    return any(leads_back(one) for one in get_args(hint))


STRUCTS: Final = sorted(
    {
        kind
        for package in PACKAGES
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith("__main__")
        for kind in uncollected(importlib.import_module(found.name))
    }
    - APART,
    key=lambda kind: kind.__qualname__,
)


@pytest.mark.parametrize("kind", STRUCTS)
def test_a_struct_that_is_not_collected_holds_no_function_and_no_future(kind: type[msgspec.Struct]) -> None:
    assert [name for name, hint in get_type_hints(kind).items() if leads_back(hint)] == []


def test_what_stands_apart_would_be_found() -> None:
    assert [[name for name, hint in get_type_hints(kind).items() if leads_back(hint)] for kind in APART] == [
        ["done", "gone"]
    ]
