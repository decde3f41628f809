"""Work in the background: what it came to is kept, why it failed too, and whoever waits is told when it is over."""

import asyncio
import threading

import pytest

from bailiwick_console.markup.listpages import page_of
from bailiwick_console.threads.background import BackgroundWork, WorkProgress, WorkShelf
from bailiwick_governance.errors import UserError


def test_whoever_waits_is_told_when_it_is_over_and_else_goes_on() -> None:
    go = threading.Event()

    async def waits() -> tuple[bool, bool, str]:
        work = BackgroundWork(lambda _: "found" if go.wait(60) else "late")
        early = await work.wait(0.01)
        go.set()
        return early, await work.wait(60), work.result()

    assert asyncio.run(waits()) == (False, True, "found")


def test_why_it_failed_is_told_each_time() -> None:
    def fails(_: WorkProgress) -> str:
        raise UserError("no such file")

    async def waits() -> BackgroundWork[str]:
        work = BackgroundWork(fails)
        assert await work.wait(60)
        return work

    work = asyncio.run(waits())
    for _ in range(2):
        with pytest.raises(UserError, match="no such file"):
            work.result()


def test_progress_is_told_in_words_and_never_beyond_all_of_it() -> None:
    progress = WorkProgress()
    assert progress.summary == "Beginning"
    progress.begin("Reading lines", 4 << 20)
    progress.heard(1 << 20)
    assert progress.summary == "Reading lines: 25 % of 4 MiB"
    progress.heard(1 << 30)
    assert progress.summary == "Reading lines: 100 % of 4 MiB"


def test_work_that_is_given_up_ends_at_the_next_piece() -> None:
    progress = WorkProgress()
    progress.give_up()
    with pytest.raises(UserError, match="stopped for a newer request"):
        progress.heard(1)


def test_a_shelf_keeps_one_thing_of_each_class() -> None:
    shelf = WorkShelf()
    assert shelf.get(dict) is shelf.get(dict)
    assert shelf.get(list) == []


@pytest.mark.parametrize(
    ("wanted", "number", "entries"),
    [
        ("1", 1, "ab"),
        ("3", 3, "e"),
        ("4", 3, "e"),
        ("0", 1, "ab"),
        ("-1", 1, "ab"),
        ("٣", 1, "ab"),
        ("9" * 5000, 1, "ab"),
    ],
)
def test_a_number_beyond_a_list_means_the_nearest_page(wanted: str, number: int, entries: str) -> None:
    page = page_of("abcde", wanted, 2)
    assert (page.number, page.pages, page.total, "".join(page.entries)) == (number, 3, 5, entries)
    assert page_of("", wanted, 2).pages == 1
