"""Leaf hashes that have no place in memory: when they are written, and what follows if they cannot be."""

import hashlib

import pytest

from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable


class _Shelf:
    """A spill with room for so many pages."""

    def __init__(self, room: int) -> None:
        self.room, self.writes = room, 0
        self.kept: dict[int, bytes] = {}

    def write(self, number: int, page: bytes) -> bool:
        self.writes += 1
        if len(self.kept) >= self.room and number not in self.kept:
            return False
        self.kept[number] = page
        return True

    def read(self, number: int) -> bytes:
        return self.kept[number]


def _filled(pages: LeafPages, count: int = 5_000) -> LeafTable:
    table = LeafTable(pages)
    for seq in range(count):
        table.set(seq, _leaf(seq))
    return table


def _leaf(seq: int) -> bytes:
    return hashlib.sha256(b"%d" % seq).digest()


class TestPagesWithoutAPlaceInMemory:
    def test_few_pages_are_written_nowhere(self) -> None:
        shelf = _Shelf(room=100)
        _filled(LeafPages(shelf, most=20))
        assert not shelf.writes

    def test_a_page_that_was_only_read_is_not_written_again(self) -> None:
        shelf = _Shelf(room=100)
        table = _filled(LeafPages(shelf, most=4))
        for _ in range(3):
            table.runs()
        # All of them once, some of them changed while they were there.
        written = shelf.writes
        for _ in range(3):
            table.runs()
        assert shelf.writes == written

    @pytest.mark.parametrize("room", [0, 1, 7])
    def test_where_there_is_no_room_nothing_is_lost(self, room: int) -> None:
        table = _filled(LeafPages(_Shelf(room), most=4))
        assert [table.get(seq) for seq in range(5_000)] == [_leaf(seq) for seq in range(5_000)]

    def test_full_pages_are_not_tried_again_each_time(self) -> None:
        shelf = _Shelf(room=0)
        _filled(LeafPages(shelf, most=4), count=50_000)
        assert shelf.writes < 10

    @pytest.mark.parametrize("spill", [None, _Shelf(room=9)])
    def test_a_page_that_was_never_begun_is_an_error(self, spill: _Shelf | None) -> None:
        pages = LeafPages(spill)
        pages.begin()
        with pytest.raises(KeyError):
            pages.page(1)

    def test_the_place_cannot_be_changed(self) -> None:
        pages = LeafPages(_Shelf(room=0))
        with pytest.raises(ValueError, match="a place already"):
            pages.spill = _Shelf(room=0)
