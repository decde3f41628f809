"""How long the tests wait: as long as they say on a quiet machine, and longer on a busy one."""

import itertools
import os
from types import SimpleNamespace

import pytest

from localcluster import rest
from localcluster.errors import AccessError, UnreachableError
from localcluster.login import Login
from localcluster.machineload import stretch
from localcluster.rest import Rest
from support import waits
from support.waits import until


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.5, 0.5))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    seconds = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), sleep=lambda _: None)
    monkeypatch.setattr(waits, "time", clock)
    monkeypatch.setattr(rest, "time", clock)


def test_what_holds_is_waited_for_no_longer() -> None:
    answers = iter([False, False, True])
    until(lambda: next(answers), "the third")
    assert next(answers, "all were asked") == "all were asked"


@pytest.mark.parametrize(("load", "asked"), [(0.5, 6), (2.0, 6), (6.0, 16), (100.0, 41)])
def test_what_never_holds_is_asked_for_the_longer_the_busier_the_machine_is(
    load: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    answers = 0

    def holds() -> bool:
        nonlocal answers
        answers += 1
        return False

    with pytest.raises(TimeoutError, match=r"not within 5 s, .*: never; last seen: False"):
        until(holds, "never", 5)
    assert answers == asked


@pytest.mark.parametrize(("load", "asked"), [(0.5, 4), (6.0, 14)])
def test_what_never_stands_at_the_api_server_is_read_the_longer_the_busier_the_machine_is(
    load: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    reads: list[str] = []

    def get(_: Rest, path: str) -> None:
        reads.append(path)
        raise UnreachableError("nobody listens")

    monkeypatch.setattr(Rest, "get", get)
    with pytest.raises(AccessError, match="within 5 s; last: nobody listens"):
        Rest(Login("https://127.0.0.1:1", None)).wait("/api", lambda _: True, 5)
    assert len(reads) == asked


def test_a_quiet_machine_stretches_nothing() -> None:
    assert stretch() == 1.0
