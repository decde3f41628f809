"""Where a log of tiles has its bundles, and that a bundle is read as a whole or not at all."""

import pytest

from bailiwick_evidence.clusterlog.tiles import BundleError, bundle_path, entries_of
from support.evidence.tilelogs import bundle_of

ENTRIES = [b"one", b"", b"x" * 65_535]


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "tile/entries/000"),
        (5, 256, "tile/entries/005"),
        (999, 256, "tile/entries/999"),
        (1_000, 256, "tile/entries/x001/000"),
        (1_234_067, 256, "tile/entries/x001/x234/067"),
        (0, 1, "tile/entries/000.p/1"),
        (70_000, 255, "tile/entries/x070/000.p/255"),
    ],
)
def test_a_bundle_is_where_the_specification_says(number: int, width: int, path: str) -> None:
    assert bundle_path(number, width) == path


def test_entries_come_out_as_they_went_in() -> None:
    assert entries_of(bundle_of(ENTRIES), 3) == ENTRIES
    assert entries_of(b"", 0) == []


@pytest.mark.parametrize(
    ("bundle", "width", "why"),
    [
        (bundle_of(ENTRIES)[:-1], 3, "it ends in the middle of entry 2"),
        (b"\x00", 1, "it ends in the middle of entry 0"),
        (bundle_of([b"one"]) + b"\x01", 2, "it ends in the middle of entry 1"),
        (bundle_of(ENTRIES), 4, "it has 3 entries in place of 4"),
        (b"", 1, "it has 0 entries in place of 1"),
        (bundle_of(ENTRIES), 2, "it has more bytes than 2 entries"),
        (bundle_of(ENTRIES) + b"\x00", 3, "it has more bytes than 3 entries"),
    ],
)
def test_what_is_no_bundle_of_so_many_entries_is_refused(bundle: bytes, width: int, why: str) -> None:
    with pytest.raises(BundleError) as refused:
        entries_of(bundle, width)
    assert str(refused.value) == why
