"""What is full empties itself by time: logins that nobody ended, and sessions that are over."""

from typing import cast

from bailiwick_console.hosted.logins import LOGIN_SECONDS, PendingLogins
from bailiwick_console.hosted.people import PersonSessions, PersonToken
from bailiwick_console.visits.session import IDLE_SECONDS
from bailiwick_console.visits.visitor import ConsoleVisitor
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.apiserver.people import CurrentUser
from support.console.inprocess import TableCluster
from support.console.manyfold import MovedClocks


def begun(sessions: PersonSessions, clocks: MovedClocks, name: str) -> bool:
    cluster = cast("ClusterClient", TableCluster([]))
    visitor = ConsoleVisitor(cluster, CurrentUser(name, ()), None, leaves=True)
    return sessions.begin(visitor, PersonToken("t", None, name, clocks.wall() + 24 * 3600)) is not None


def test_logins_that_nobody_ended_make_room_after_ten_minutes() -> None:
    clocks = MovedClocks()
    logins = PendingLogins(clocks.monotonic, 2)
    assert all(logins.begin("/") for _ in range(2))
    clocks.later(LOGIN_SECONDS)
    assert logins.begin("/") is None
    clocks.later(1)
    assert all(logins.begin("/") for _ in range(2))
    assert logins.begin("/") is None


def test_sessions_that_are_over_make_room_for_other_people() -> None:
    clocks = MovedClocks()
    sessions = PersonSessions(clocks.monotonic, clocks.wall, 2)
    assert [begun(sessions, clocks, name) for name in ("carol", "dave", "mallory")] == [True, True, False]
    clocks.later(IDLE_SECONDS + 1)
    assert [begun(sessions, clocks, name) for name in ("mallory", "erin", "carol")] == [True, True, False]
