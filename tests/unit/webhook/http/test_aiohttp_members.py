"""Of aiohttp only public names are used where HTTP is served, so that its minor versions may come in by the locks."""

import ast
import inspect
from pathlib import Path
from typing import Final

import pytest
from aiohttp import StreamReader, web  # noqa: TID251 - whose members are looked at
from aiohttp.base_protocol import BaseProtocol

import bailiwick_webhook.http
from bailiwick_webhook.http.transport.connections import Connection, Connections
from bailiwick_webhook.http.transport.statusserver import StatusServer

HTTP: Final = Path(bailiwick_webhook.http.__path__[0])
THEIRS: Final = (
    *(web.RequestHandler, BaseProtocol, web.Server, web.Application, web.BaseRunner, web.AppRunner, web.BaseSite),
    *(web.BaseRequest, web.Request, web.StreamResponse, web.Response, StreamReader),
)


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def members(kind: type) -> set[str]:
    """Return the private members of a class, and of the objects that it makes, as its source names them."""
    found = {name for name in dir(kind) if private(name)}
    for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(kind) or kind))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            found |= {node.attr} if private(node.attr) else set()
    return found


PRIVATE: Final = frozenset().union(*map(members, THEIRS))


def used(path: Path) -> set[str]:
    """Return the private names that a module reads or writes of anything but its own objects."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and private(node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def test_some_private_members_are_known() -> None:
    assert {"_waiter", "_messages", "_force_close", "_reading_paused", "_make_server", "_paused"} <= PRIVATE


@pytest.mark.parametrize("path", sorted(HTTP.rglob("*.py")), ids=lambda path: str(path.relative_to(HTTP)))
def test_no_private_member_of_aiohttps_objects_is_used(path: Path) -> None:
    assert used(path) & PRIVATE == set()


@pytest.mark.parametrize("kind", [Connection, Connections, StatusServer])
def test_what_inherits_from_aiohttp_has_no_name_in_common_with_its_private_members(kind: type) -> None:
    ours = {one for one in kind.__mro__ if one.__module__.startswith("bailiwick_webhook")}
    theirs = frozenset().union(*(members(one) for one in kind.__mro__ if one.__module__.startswith("aiohttp")))
    names = {name for one in ours for name in vars(one) if private(name)}
    names |= {
        node.attr
        for one in ours
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(one) or one)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        if private(node.attr)
    }
    assert names & theirs == set()
