"""A test fails by itself if it leaves a connection, an HTTP session, a socket or a process open.

Standing: a plugin, loaded by tests/conftest.py. Without it the garbage collector finds what was left, some time later,
and whichever test runs then is blamed. Holds: what a fixture of a wider scope made may outlive the test; what belongs
to an event loop may not outlive the loop, whatever thread it ran in.
"""

import socket
import subprocess
import sys
import threading
import weakref
from asyncio import base_subprocess, selector_events, sslproto, unix_events
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, Final

import aiohttp
import pytest

_Finder = Callable[[Any], str | None]
_MADE: Final[list[weakref.ref[Any]]] = []
# These take a socket into a pool or a transport, which has a life of its own; and what the later ones start, whoever
# began that stack, control plane, operator or proxy ends. Some are shared by the tests of a module, or by all.
_OWNERS: Final = frozenset(
    {
        *("urllib3", "asyncio", "aiohttp", "aiohappyeyeballs"),
        *(
            "localcluster",
            "cluster.operator.operatorprocess",
            "support.proxies.proxyprocess",
            "support.proxies.servers",
        ),
        "support.commandline",
    }
)
# How far up it is to see who asked for a socket: socket.create_connection and http.client stand between.
_FRAMES: Final = 6
_wider = 0


def _unclosed(kind: str, name: str, closed: object) -> _Finder:
    """Return what finds one whose loop is closed, and closes it, so that the garbage collector finds nothing."""

    def find(one: Any) -> str | None:  # noqa: ANN401 - any object of a loop
        held = getattr(one, name, closed)
        if held is closed or not one._loop.is_closed():
            return None
        said = f"{kind} {one!r}"
        setattr(one, name, closed)
        if hasattr(held, "close"):
            held.close()
        return said

    return find


def _session(one: aiohttp.ClientSession) -> str | None:
    if one.closed or not one._loop.is_closed():
        return None
    one._connector = None
    return f"HTTP session {one!r}"


def _socket(one: socket.socket) -> str | None:
    if one.fileno() == -1:
        return None
    said = f"socket {one!r}"
    one.close()
    return said


def _process(one: subprocess.Popen[Any]) -> str | None:
    if one.returncode is not None:
        return None
    one.kill()
    one.wait()
    return f"process {one.args!r}"


# Each is open for us exactly when its own finalizer would say so.
_OF_A_LOOP: Final[dict[type, _Finder]] = {
    selector_events._SelectorTransport: _unclosed("connection", "_sock", None),  # type: ignore[attr-defined]  # not in the stubs
    sslproto._SSLProtocolTransport: _unclosed("TLS connection", "_closed", True),
    unix_events._UnixReadPipeTransport: _unclosed("pipe", "_pipe", None),  # type: ignore[attr-defined]  # likewise
    unix_events._UnixWritePipeTransport: _unclosed("pipe", "_pipe", None),  # type: ignore[attr-defined]  # likewise
    base_subprocess.BaseSubprocessTransport: _unclosed("process", "_closed", True),
    aiohttp.ClientSession: _session,
    aiohttp.BaseConnector: _unclosed("HTTP connector", "_closed", True),
}
_OF_A_TEST: Final[dict[type, _Finder]] = {socket.socket: _socket, subprocess.Popen: _process}


def _track(kind: type, follows: Callable[[], bool]) -> None:
    begin = kind.__init__  # type: ignore[misc]  # of the class that is patched, not of an instance

    @wraps(begin)
    def tracked(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - any constructor
        begin(self, *args, **kwargs)
        if follows():
            _MADE.append(weakref.ref(self))

    kind.__init__ = tracked  # type: ignore[misc]  # likewise


def _always() -> bool:
    return True


def _by_the_test() -> bool:
    """Tell whether the test itself is at work, not a fixture that outlives it, a thread, or an owner."""
    if _wider or threading.current_thread() is not threading.main_thread():
        return False
    frame = sys._getframe(2)
    for _ in range(_FRAMES):
        name = frame.f_globals.get("__name__", "")
        if name in _OWNERS or name.partition(".")[0] in _OWNERS:
            return False
        if frame.f_back is None:
            break
        frame = frame.f_back
    return True


def pytest_configure() -> None:
    for kinds, follows in ((_OF_A_LOOP, _always), (_OF_A_TEST, _by_the_test)):
        for kind in kinds:
            _track(kind, follows)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    global _wider  # noqa: PLW0603 - hooks share nothing else
    wider = fixturedef.scope != "function"
    _wider += wider
    try:
        return (yield)
    finally:
        _wider -= wider


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None]:
    yield
    if found := leaks():
        pytest.fail("the test left open, for another to be blamed:\n" + "\n".join(found), pytrace=False)


def leaks() -> list[str]:
    """Return what is open and has nobody left to close it, and close it. What may yet be closed is looked at again."""
    found, kept = [], []
    for reference in _MADE:
        if (one := reference()) is None:
            continue
        finder = next(finder for kind, finder in {**_OF_A_LOOP, **_OF_A_TEST}.items() if isinstance(one, kind))
        if said := finder(one):
            found.append(said)
        elif (loop := getattr(one, "_loop", None)) is not None and not loop.is_closed():
            kept.append(reference)
    _MADE[:] = kept
    return found
