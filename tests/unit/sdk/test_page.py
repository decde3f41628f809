"""What the SDK's page shows is there, by these names and with these arguments."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final

import pytest

import bailiwick
from bailiwick import AsyncBailiwick, Bailiwick, decision
from support.pages import DOCS, blocks

PAGE: Final = "reference/sdk.md"
TREES: Final = [ast.parse(block) for block in blocks(PAGE, "python")]


def imported() -> Iterator[tuple[str, str]]:
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from ((node.module, one.name) for one in node.names)


@pytest.mark.parametrize(("module", "name"), sorted(set(imported())))
def test_what_it_imports_can_be_imported(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def called(name: str) -> list[ast.Call]:
    nodes = [node for tree in TREES for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


def named(name: str) -> Any:  # noqa: ANN401 - whatever a block imports
    modules = [module for module, found in imported() if found == name]
    return getattr(importlib.import_module(modules[0]), name) if modules else getattr(bailiwick, name)


@pytest.mark.parametrize("name", ["AsyncBailiwick", "Bailiwick", "Call", "guarded", "install"])
def test_what_it_calls_takes_these_arguments(name: str) -> None:
    made = called(name)
    assert made
    for call in made:
        given = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
        inspect.signature(named(name)).bind(*call.args, **given)


@pytest.mark.parametrize("client", [Bailiwick, AsyncBailiwick])
def test_every_method_of_both_clients_is_on_it(client: type) -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    public = {name for name in vars(client) if not name.startswith("_")} - {"close"}
    assert {name for name in public if f"`{name}" not in text} == set()


def test_both_clients_have_one_shape() -> None:
    def shape(client: type) -> dict[str, list[str]]:
        methods = {name: one for name, one in vars(client).items() if not name.startswith("_") or name == "__init__"}
        return {name: list(inspect.signature(one).parameters) for name, one in methods.items()}

    assert shape(Bailiwick) == shape(AsyncBailiwick)


def test_every_reason_of_its_own_is_on_it() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    own = (decision.UNAVAILABLE, decision.NOT_EVALUATED, decision.UNKNOWN_OBLIGATION, decision.UNSPECIFIED)
    assert [reason for reason in own if f"`{reason}`" not in text] == []
