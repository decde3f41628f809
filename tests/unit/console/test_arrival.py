"""The terminal says what to do where the browser never comes, and nothing where it did."""

import asyncio

import pytest

from bailiwick_console.server import until_over
from bailiwick_console.visits.security import ConsoleAddress
from bailiwick_console.visits.session import IDLE_SECONDS, ConsoleSession

ADDRESS = ConsoleAddress("r0123", 40_000)


def told(session: ConsoleSession, patience: float, capsys: pytest.CaptureFixture[str]) -> str:
    async def waits() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, ended.set)
        assert await until_over(ended, session, ADDRESS, patience) == ""

    asyncio.run(waits())
    return capsys.readouterr().err


def test_a_browser_that_never_came_may_not_find_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(ConsoleSession(), 0.0, capsys)
    assert said.count("No browser has come yet.") == 1
    assert "If yours does not find r0123.bailiwick.localhost" in said
    # The token opens the console to whoever reads it: it stands on the terminal once.
    assert "token" not in said


def test_nothing_is_said_of_one_that_came_or_that_may_still_come(capsys: pytest.CaptureFixture[str]) -> None:
    came = ConsoleSession()
    came.begin(came.opening or "")
    assert told(came, 0.0, capsys) == ""
    assert told(ConsoleSession(), 60.0, capsys) == ""


def test_a_visit_that_is_over_ends_it_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    session = ConsoleSession(lambda: now[0])
    now[0] = IDLE_SECONDS + 1
    assert asyncio.run(until_over(asyncio.Event(), session, ADDRESS, 0.0)) == ": it was not used for half an hour"
    assert "No browser has come yet." in capsys.readouterr().err
