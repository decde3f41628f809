"""Open pages hear of changes by a stream, which is nobody's look at a page and ends with the visit."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_console.live import streams
from bailiwick_console.live.streams import STREAMS, gather
from bailiwick_console.live.watch import FeedListener, GrantChange
from bailiwick_console.visits.session import IDLE_SECONDS
from bailiwick_governance.apiserver.cluster import Event
from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import ServedConsole, served
from support.console.plainhttp import EventStream, Visit
from support.waits import until
from unit.console.cases import waiting

GRANT: Final = "crm/agr-wanted"


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with served(waiting()) as console:
        yield console
        # So that the thread of the watch ends with the test.
        console.cluster.told.put(None)


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def heard(stream: EventStream) -> tuple[str | None, str]:
    """Return the id of the next event and the grant that it is about."""
    event = stream.event()
    assert event is not None
    assert event["event"] == "change"
    return event.get("id"), json.loads(event["data"])["grant"]


def watches(console: ServedConsole) -> list[str]:
    return [path.rpartition("?")[2] for method, path in console.cluster.asked if method == "WATCH"]


def test_a_list_hears_first_that_it_may_have_missed_something_and_then_what_changes(
    console: ServedConsole, visit: Visit
) -> None:
    with visit.stream() as stream:
        assert (stream.status, stream.answer.headers["Content-Type"]) == (200, "text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert heard(stream) == (None, "")
        console.cluster.change("101")
        assert heard(stream) == ("101", GRANT)
        assert watches(console) == ["100"]


@pytest.mark.parametrize(("version", "tells"), [("6", True), ("7", False)])
def test_the_page_of_a_grant_hears_at_once_where_it_is_another_by_now(
    console: ServedConsole, visit: Visit, version: str, tells: bool
) -> None:
    with visit.stream(f"/events?grant={GRANT}&version={version}") as stream:
        if tells:
            assert heard(stream) == (None, GRANT)
        console.cluster.change("101", "agr-other")
        assert heard(stream) == ("101", "crm/agr-other")


def test_the_page_of_a_grant_that_is_gone_hears_so(visit: Visit) -> None:
    with visit.stream("/events?grant=crm/agr-none&version=7") as stream:
        assert heard(stream) == (None, "crm/agr-none")


@pytest.mark.parametrize("grant", ["..%2f..%2fx", "crm", "crm%2f..", "CRM/x", "a/b/c"])
def test_what_is_no_name_of_a_grant_is_not_asked_for(console: ServedConsole, visit: Visit, grant: str) -> None:
    with visit.stream(f"/events?grant={grant}&version=7") as stream:
        assert heard(stream) == (None, "")
    assert {path for method, path in console.cluster.asked if method == "GET"} == {
        "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants"
    }


def test_a_page_that_comes_back_hears_what_it_missed_and_nothing_twice(console: ServedConsole, visit: Visit) -> None:
    with visit.stream() as kept:
        heard(kept)
        for version in ("101", "102", "103"):
            console.cluster.change(version, f"agr-{version}")
            assert heard(kept)[0] == version
        with visit.stream(headers={"Last-Event-ID": "101"}) as back:
            assert [heard(back) for _ in range(2)] == [("102", "crm/agr-102"), ("103", "crm/agr-103")]
        with visit.stream(headers={"Last-Event-ID": "103"}) as back:
            console.cluster.change("104")
            assert heard(back) == ("104", GRANT)


def test_a_page_that_was_away_for_too_long_hears_that_anything_may_have_changed(visit: Visit) -> None:
    with visit.stream(headers={"Last-Event-ID": "1"}) as stream:
        assert heard(stream) == (None, "")


def test_several_pages_are_one_watch_and_another_page_waits_for_none(console: ServedConsole, visit: Visit) -> None:
    with contextlib.ExitStack() as open_:
        many = [open_.enter_context(visit.stream()) for _ in range(STREAMS)]
        for stream in many:
            heard(stream)
        with visit.stream() as refused:
            assert refused.status == 429
        console.cluster.change("101")
        assert {heard(stream) for stream in many} == {("101", GRANT)}
        assert visit.get("/").status == 200
    assert watches(console) == ["100"]
    # Pages that were left make room at once.
    with visit.stream() as again:
        assert again.status == 200


def test_what_the_server_forgot_is_told_as_a_change_of_anything(console: ServedConsole, visit: Visit) -> None:
    with visit.stream() as stream:
        heard(stream)
        console.cluster.told.put(Event("GONE", {}))
        assert heard(stream) == ("100", "")
        console.cluster.change("101")
        assert heard(stream) == ("101", GRANT)


def test_a_watch_that_breaks_goes_on_where_it_was(console: ServedConsole, visit: Visit) -> None:
    with visit.stream() as stream:
        heard(stream)
        console.cluster.change("101")
        heard(stream)
        console.cluster.told.put(Event("BOOKMARK", {"metadata": {"resourceVersion": "150"}}))
        console.cluster.told.put(None)
        console.cluster.change("151")
        assert heard(stream) == ("151", GRANT)
    assert watches(console) == ["100", "150"]


def test_where_nobody_may_watch_there_is_no_stream(console: ServedConsole, visit: Visit) -> None:
    console.cluster.fails = lambda method, _: ApiError("no <watch>", 403) if method == "GET" else None
    with visit.stream() as stream:
        assert stream.status == 502
    console.cluster.fails = lambda *_: None
    with visit.stream() as stream:
        assert heard(stream) == (None, "")


@pytest.mark.parametrize("failure", [UserError("away"), ApiError("no right", 403), KeyError("metadata")])
def test_a_watch_that_fails_ends_its_streams_so_that_pages_ask_by_themselves(
    console: ServedConsole, visit: Visit, failure: Exception
) -> None:
    with visit.stream() as stream:
        heard(stream)
        console.cluster.told.put(failure)
        assert stream.event() == {"event": "over", "data": ""}
        assert stream.event() is None


def test_a_stream_is_no_look_and_ends_with_the_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.02)
    with served(waiting()) as console:
        visit = console.site.visit()
        with visit.stream() as stream:
            heard(stream)
            assert stream.beat() == ":\n"
            console.clock.now += IDLE_SECONDS - 1
            with visit.stream() as second:
                heard(second)
            console.clock.now += 2
            assert stream.event() is None
        with visit.stream() as late:
            assert late.status == 403
        console.cluster.told.put(None)


def test_nothing_is_told_any_more_once_the_visit_is_over(console: ServedConsole, visit: Visit) -> None:
    with visit.stream() as stream:
        heard(stream)
        console.clock.now += IDLE_SECONDS + 1
        console.cluster.change("101")
        assert stream.event() is None


def test_the_console_ends_although_pages_are_open() -> None:
    with served(waiting()) as console:
        visit = console.site.visit()
        entered = visit.stream()
        stream = entered.__enter__()
        heard(stream)
        console.cluster.told.put(None)
    assert stream.event() == {"event": "over", "data": ""}
    entered.__exit__(None, None, None)


@pytest.mark.parametrize(
    "headers",
    [{"Cookie": "bailiwick-console=guessed"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}],
    ids=["another cookie", "another site", "another host"],
)
def test_a_stream_that_is_not_known_to_be_ours_is_refused(
    console: ServedConsole, visit: Visit, headers: dict[str, str]
) -> None:
    with visit.stream(headers=headers) as stream:
        assert stream.status == 403
    assert console.cluster.asked == []


def test_where_nobody_listens_any_more_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.02)
    before = set(threading.enumerate())
    with served(waiting()) as console:
        visit = console.site.visit()
        with visit.stream() as stream:
            heard(stream)
            (watching,) = {one for one in threading.enumerate() if one.name == "console-watch"} - before
        # It sees at its next event, or when its watch is over, that nobody is there.
        until(lambda: _ended(console, watching), "the watch has ended")
        with visit.stream() as stream:
            heard(stream)
            until(lambda: watches(console) == ["100", "100"], "it is watched anew")
        console.cluster.told.put(None)


def _ended(console: ServedConsole, watching: threading.Thread) -> bool:
    console.cluster.change("101")
    return not watching.is_alive()


class TestManyChanges:
    def test_are_told_once_for_each_grant_in_order(self) -> None:
        changes = [GrantChange("1", "a/x"), GrantChange("2", "a/y"), GrantChange("3", "a/x")]
        assert gather([*changes]) == [changes[1], changes[2]]

    def test_are_told_as_a_change_of_anything(self) -> None:
        assert gather([GrantChange(str(one), f"a/{one}") for one in range(20)]) == [GrantChange("19")]
        assert gather([GrantChange("1", "a/x"), GrantChange("2"), None]) == [GrantChange("2")]

    def test_of_one_who_does_not_keep_up_are_bounded(self) -> None:
        async def flooded() -> list[GrantChange | None]:
            listener = FeedListener()
            for number in range(300):
                listener.tell(GrantChange(str(number), "a/x"))
            listener.tell(None)
            return [listener.heard.get_nowait() for _ in range(listener.heard.qsize())]

        found = asyncio.run(flooded())
        assert found[0] == GrantChange("256")
        assert (len(found), found[-1]) == (45, None)
