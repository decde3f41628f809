"""The strip stands on every page, costs none of them anything, and fails of nothing but by saying so."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from bailiwick_cli.console.strip import keeper
from bailiwick_cli.errors import ApiError, CliError
from support.console.inprocess import ServedConsole, TableCluster, served
from support.console.plainhttp import Page, Visit, form_of
from support.objects import stamp
from support.waits import until
from unit.cli.cases import NOW
from unit.cli.console.cases import waiting
from unit.cli.console.strip.test_strip import VKEY, entry

GRANT: Final = "/grants/crm/agr-wanted"
GUARD: Final = "ConfigMap bailiwick-guard in bailiwick-system"


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with served(waiting()) as console:
        proven = stamp(datetime.fromtimestamp(time.time() - 40, UTC))
        console.cluster.config_maps["bailiwick-guard"] = {"data": {"provenTime": proven}}
        console.cluster.config_maps["bailiwick-witness"] = {"data": {}}
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def strip(page: Page) -> dict[str, tuple[str, str]]:
    found = re.findall(r'<li class="(\w+)"><span class="label">([^<]*)</span> ([^<]*)</li>', page.text)
    return {label: (tone, told) for tone, label, told in found}


def test_it_stands_on_every_page(visit: Visit) -> None:
    shown = visit.get(GRANT)
    pages = [visit.get("/"), shown, visit.get("/grants/crm/agr-none"), visit.post(f"{GRANT}/review", form_of(shown))]
    pages[3] = visit.post(f"{GRANT}/review", form_of(shown))
    assert [page.status for page in pages] == [200, 200, 404, 409]
    for page in pages:
        tone, told = strip(page)["Guards"]
        assert (tone, told.startswith("proven 4")) == ("good", True)
        assert strip(page)["Records lost"][0] == "unknown"


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
    ("failure", "said"),
    [
        (ApiError("forbidden", 403), f"not known: you may not read {GUARD}"),
        (ApiError("gone", 404), f"not known: there is no {GUARD}"),
        (ApiError("etcd <away>", 500), f"not known: {GUARD}: etcd &lt;away&gt;"),
        (CliError("no answer"), "not known: the API server does not answer"),
        (ZeroDivisionError("secret"), "not known: reading it failed (ZeroDivisionError)"),
    ],
)
def test_what_cannot_be_read_is_said_there_and_the_page_is_whole(failure: Exception, said: str) -> None:
    table = TableCluster([waiting()], fails=lambda _, path: failure if "configmaps" in path else None)
    with served(cluster=table) as console:
        page = console.site.visit().get("/")
    assert page.status == 200
    assert "customers.export" in page.text
    assert ('class="unknown"><span class="label">Guards</span> ' + said) in page.text


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
            assert strip(page)["Guards"] == ("unknown", "not known: it is being read")
        # Not once more while it is being read, and nobody's turn is taken by it.
        assert console.cluster.looked_up == ["bailiwick-guard"]
        released.set()
        until(lambda: "there is no" in strip(visit.get("/"))["Guards"][1], "it was read")
