"""Waiting, against a cluster that says what a test has it say: changes, silence, and what breaks in between."""

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bailiwick_api.times import epoch_stamp
from bailiwick_cli.commands import wait as command
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.grantverbs import WaitCondition
from bailiwick_governance.apiserver.cluster import Event
from bailiwick_governance.errors import ApiError
from unit.governance.cases import stored

Object = dict[str, Any]


class Clock:
    """What `wait` takes for the module `time`."""

    def __init__(self) -> None:
        self.now = time.time()

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


CLOCK: Final = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "time", CLOCK)


class ScriptedCluster:
    """A cluster whose object is as `states` say, one after another; `watched` are the watches' events."""

    namespace = "crm"

    def __init__(self, *states: Object | None, watched: tuple[tuple[Event, ...], ...] = ()) -> None:
        self._states = list(states)
        self._watched = list(watched)
        self.watches = 0

    def get(self, _path: str) -> Object:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            raise ApiError("not found", 404)
        return state

    def watch(self, _path: str, _version: str, seconds: float, **_query: str) -> Iterator[Event]:
        self.watches += 1
        if self._watched:
            yield from self._watched.pop(0)
        else:
            CLOCK.sleep(min(seconds, 0.05))


def in_phase(phase: str | None, pending: float = 3600, **status: Any) -> Object:  # noqa: ANN401 - any field
    now = CLOCK.time()
    fields = {"phase": phase, "notAfterTime": epoch_stamp(now + 600), **status} if phase else None
    return stored(status=fields, pendingUntilTime=epoch_stamp(now + pending))


def wait(cluster: ScriptedCluster, until: WaitCondition = WaitCondition.APPROVED, timeout: float = 5) -> int:
    return command.wait(cluster, "agr-wanted", until, timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("phase", "approved", "ended"),
    [("Active", 0, 4), ("Denied", 1, 0), ("Withdrawn", 1, 0), ("Consumed", 1, 0), ("Pending", 4, 4), (None, 4, 4)],
)
def test_each_phase_has_its_exit_code(phase: str | None, approved: int, ended: int) -> None:
    assert wait(ScriptedCluster(in_phase(phase)), timeout=0) == approved
    assert wait(ScriptedCluster(in_phase(phase)), WaitCondition.ENDED, timeout=0) == ended


def test_a_change_that_is_watched_ends_it() -> None:
    cluster = ScriptedCluster(
        in_phase("Pending"), watched=((Event("BOOKMARK", {}), Event("MODIFIED", in_phase("Active"))),)
    )
    assert wait(cluster) == Exit.OK


def test_what_breaks_is_read_again() -> None:
    cluster = ScriptedCluster(in_phase("Pending"), in_phase("Active"), watched=((Event("GONE", {}),),))
    assert wait(cluster) == Exit.OK
    assert cluster.watches == 1


def test_a_deadline_that_passes_in_silence_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    began = CLOCK.now
    assert wait(ScriptedCluster(in_phase("Pending", pending=10)), timeout=30) == Exit.NO
    # What a grant says of times, it says in whole seconds.
    assert 9 <= CLOCK.now - began < 12
    assert capsys.readouterr().out == "approvalgrant.bailiwick.dev/agr-wanted expired\n"


def test_a_grant_that_is_deleted_has_ended() -> None:
    cluster = ScriptedCluster(in_phase("Pending"), None, watched=((Event("DELETED", {}),),))
    with pytest.raises(CliError, match="no longer exists") as ended:
        wait(cluster)
    assert ended.value.code == Exit.NO


def test_watches_that_end_at_once_are_no_busy_loop() -> None:
    cluster = ScriptedCluster(in_phase("Pending"))
    assert wait(cluster, timeout=2) == Exit.TIMED_OUT
    assert cluster.watches <= 6
