"""What the page of MCP says is so: every flag of the gateway with its default, every command and name that it shows."""

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick import web
from bailiwick.mcp import calls, mcpparams, refusals
from bailiwick.mcp.gateway import upstream
from bailiwick.mcp.gateway.flags import _parser, parse
from support.pages import DOCS, blocks, script

PAGE: Final = "reference/mcp.md"
TEXT: Final = (DOCS / PAGE).read_text(encoding="utf-8")


def flags() -> Iterator[argparse.Action]:
    yield from (action for action in _parser()._actions if action.dest != "help")


def test_every_flag_of_the_gateway_is_on_it_with_its_default() -> None:
    rows = re.findall(r"^\| (`--.+?) \| (.*?) \|", TEXT, re.MULTILINE)
    told = {name: default for names, default in rows for name in re.findall(r"--[a-z-]+", names)}
    assert set(told) == {action.option_strings[0] for action in flags()}
    for action in flags():
        if action.default not in {None, False}:
            said = told[action.option_strings[0]].strip("`")
            assert said == (f"{action.default:g}" if isinstance(action.default, float) else str(action.default))


def test_the_gateway_takes_the_command_that_it_shows() -> None:
    command = shlex.split(script(PAGE, "python -m bailiwick.mcp.gateway").replace("\\\n", " "))
    assert parse(command[3:]).endpoint == "shop/tools"


def imported() -> Iterator[tuple[str, str]]:
    for block in blocks(PAGE, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from ((node.module, one.name) for one in node.names)


@pytest.mark.parametrize(("module", "name"), sorted(set(imported())))
def test_what_it_imports_can_be_imported(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_every_reason_that_is_said_here_is_on_it() -> None:
    unknown = (calls.UNKNOWN_TOOL, calls.UNKNOWN_RESOURCE, calls.UNKNOWN_PROMPT)
    own = (web.UNMAPPED, calls.AMBIGUOUS, *unknown, web.UNAUTHENTICATED, refusals.APPROVAL_PENDING)
    assert [reason for reason in (*own, *upstream._SENTENCES) if f"`{reason}`" not in TEXT] == []


def test_every_member_that_passes_or_is_asked_about_is_on_it() -> None:
    named = {*mcpparams._ROUNDS.values(), mcpparams.META, mcpparams.RESERVED}
    own = {name.removeprefix("io.modelcontextprotocol/") for name in mcpparams.HARMLESS_META}
    others = {name for name in own if not name.startswith(mcpparams.RESERVED)}
    assert [name for name in sorted(named | others) if f"`{name}`" not in TEXT] == []


def test_every_method_that_passes_unasked_is_on_it() -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| `initialize`")]
    assert set(re.findall(r"`([^`]+)`", row)) == calls.HARMLESS
