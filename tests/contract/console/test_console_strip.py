"""The strip stands on every page, costs none of them anything, and fails of nothing but by saying so."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from bailiwick_console.strip import keeper
from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import ServedConsole, TableCluster, served
from support.console.plainhttp import Page, Visit, form_of
from support.objects import stamp
from support.waits import until
from unit.console.cases import waiting
from unit.governance.cases import NOW
from unit.governance.health.test_evidence_facts import VKEY, entry

GRANT: Final = "/grants/crm/agr-wanted"
GUARD: Final = "ConfigMap bailiwick-guard in bailiwick-system"
ALL: Final = "Guards, logs and records lost"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedConsole]:
    # What is there is read, however busy the machine is.
    monkeypatch.setattr(keeper, "_PATIENCE", 30.0)
    with served(waiting()) as console:
        proven_before(console, 40)
        console.cluster.config_maps["bailiwick-witness"] = {"data": {}}
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def strip(page: Page) -> dict[str, tuple[str, str]]:
    found = re.findall(r'<li class="(\w+)"><span class="label">([^<]*)</span> ([^<]*)</li>', page.text)
    return {label: (tone, told) for tone, label, told in found}


def proven_before(console: ServedConsole, seconds: float) -> None:
    proven = stamp(datetime.fromtimestamp(time.time() - seconds, UTC))
    console.cluster.config_maps["bailiwick-guard"] = {"data": {"provenTime": proven}}


def proven(page: Page) -> int:
    """Return how many seconds ago the guards were proven, as the page says."""
    found = re.fullmatch(r"proven (\d+)s ago", strip(page)["Guards"][1])
    assert found is not None, strip(page)
    return int(found[1])


def test_it_stands_on_every_page(visit: Visit) -> None:
    shown = visit.get(GRANT)
    pages = [visit.get("/"), shown, visit.get("/grants/crm/agr-none"), visit.post(f"{GRANT}/review", form_of(shown))]
    pages[3] = visit.post(f"{GRANT}/review", form_of(shown))
    assert [page.status for page in pages] == [200, 200, 404, 409]
    for page in pages:
        assert (strip(page)["Guards"][0], 40 <= proven(page) < 90) == ("good", True)
        assert strip(page)["Logs and records lost"][0] == "unknown"


def test_it_is_read_once_in_a_while_and_not_for_every_page(
    console: ServedConsole, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/", GRANT, "/?list=ended"):
        visit.get(path)
    month = datetime.now(UTC).strftime("bailiwick-witness-%m")
    assert console.cluster.looked_up == ["bailiwick-guard", "bailiwick-witness", month]
    monkeypatch.setattr(keeper, "EVERY_SECONDS", 0.0)
    visit.get("/")
    until(lambda: len(console.cluster.looked_up) == 6, "it was read anew")


def test_it_tells_what_logs_lost_that_live_and_that_ended(console: ServedConsole, visit: Visit) -> None:
    month = datetime.now(UTC).strftime("%m")
    live = {"a": entry("a", NOW - time.time(), lost=0), "witness.vkey": VKEY}
    ended = {"b": entry("b", 0, lost=4), "a": entry("a", 0, lost=9), "witness.vkey": VKEY}
    maps = console.cluster.config_maps
    maps["bailiwick-witness"] = {"data": live}
    maps[f"bailiwick-witness-{month}"] = {"data": {**ended, "month": datetime.now(UTC).strftime("%Y-%m")}}
    assert strip(visit.get("/"))["Records lost"] == ("doubt", "none in 1 log; 4 in 1 log that ended this month")


def test_a_month_in_which_no_log_has_ended_yet_is_no_gap_in_what_is_known(console: ServedConsole, visit: Visit) -> None:
    live = {"a": entry("a", NOW - time.time(), lost=0), "witness.vkey": VKEY}
    console.cluster.config_maps["bailiwick-witness"] = {"data": live}
    assert strip(visit.get("/"))["Records lost"] == ("good", "none in 1 log")


def test_it_is_read_where_bailiwick_is_installed() -> None:
    with served(cluster=TableCluster([waiting()], installation="authz")) as console:
        told = strip(console.site.visit().get("/"))["Guards"]
    assert told == ("unknown", "not known: there is no ConfigMap bailiwick-guard in authz")


@pytest.mark.parametrize(
    ("failure", "label", "said"),
    [
        (
            ApiError("forbidden", 403),
            ALL,
            "not known: you may not read the ConfigMaps of the operator in bailiwick-system",
        ),
        (ApiError("gone", 404), "Guards", f"not known: there is no {GUARD}"),
        (ApiError("etcd <away>", 500), "Guards", f"not known: {GUARD}: etcd &lt;away&gt;"),
        (UserError("no answer"), ALL, "not known: the API server does not answer"),
        (ZeroDivisionError("secret"), ALL, "not known: reading it failed (ZeroDivisionError)"),
    ],
)
def test_what_cannot_be_read_is_said_there_and_the_page_is_whole(failure: Exception, label: str, said: str) -> None:
    table = TableCluster([waiting()], fails=lambda _, path: failure if "configmaps" in path else None)
    with served(cluster=table) as console:
        page = console.site.visit().get("/")
    assert page.status == 200
    assert "customers.export" in page.text
    assert strip(page)[label] == ("unknown", said)


def test_who_comes_back_after_a_pause_is_shown_what_is_so_now(
    console: ServedConsole, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proven(visit.get("/")) < 90
    proven_before(console, 90)
    monkeypatch.setattr(keeper, "EVERY_SECONDS", 0.0)
    assert proven(visit.get("/")) >= 90


def test_only_the_page_by_which_it_is_read_anew_waits_for_that(
    console: ServedConsole, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.get("/")
    released = threading.Event()

    def hangs(_: str, path: str) -> Exception | None:
        if "configmaps" in path:
            released.wait(60)
        return None

    console.cluster.fails = hangs
    monkeypatch.setattr(keeper, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "_PATIENCE", 0.1)
    # What was read before is told meanwhile.
    assert proven(visit.get("/")) < 90
    # Any other page waits not at all: the test would end by its time limit.
    monkeypatch.setattr(keeper, "_PATIENCE", 900.0)
    assert proven(visit.get("/")) < 90
    assert console.cluster.looked_up.count("bailiwick-guard") == 2
    released.set()


def test_a_page_waits_for_it_only_a_moment_and_only_once() -> None:
    released = threading.Event()

    def hangs(_: str, path: str) -> Exception | None:
        if "configmaps" in path:
            released.wait(30)
        return None

    with served(cluster=TableCluster([waiting()], fails=hangs)) as console:
        visit = console.site.visit()
        for _ in range(5):
            page = visit.get("/")
            assert strip(page) == {ALL: ("unknown", "not known: it is being read")}
        # Not once more while it is being read, and nobody's turn is taken by it.
        assert console.cluster.looked_up == ["bailiwick-guard"]
        released.set()
        until(lambda: "there is no" in strip(visit.get("/")).get("Guards", ("", ""))[1], "it was read")
