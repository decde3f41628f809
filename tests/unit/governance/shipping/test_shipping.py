"""The shipper: what it stores and when, and what it says where a file or a store is not as it should be."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_governance.errors import UserError
from bailiwick_governance.shipping import recordfile, shipper
from bailiwick_governance.shipping.position import PositionFile
from bailiwick_governance.shipping.shipper import Shipper
from support.storefake import MemoryStore

LINES: Final = [b'{"line":%d}\n' % number for number in range(6)]


class World:
    """A file, a store, and shippers over them, one life after the other."""

    def __init__(self, folder: Path) -> None:
        self.path, self.state = folder / "decisions.log", folder / "state"
        self.state.mkdir()
        self.store = MemoryStore()
        self.messages: list[str] = []
        self.now = 0.0
        self.shipper = self.begin()

    def begin(self, piece: int = 1 << 20) -> Shipper:
        self.shipper = Shipper(
            self.path,
            self.store,
            PositionFile(self.state),
            seconds=10,
            tell=self.messages.append,
            piece=piece,
            clock=lambda: self.now,
        )
        return self.shipper

    def write(self, *lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.writelines(lines)

    def step(self, seconds: float = 0, *, everything: bool = False) -> bool:
        self.now += seconds
        return self.shipper.step(everything=everything)

    def warnings(self) -> list[str]:
        return [text for text in self.messages if text.startswith("warning: ")]

    def stored(self) -> dict[str, bytes]:
        """Return the lines of each object; of its name, what stands behind the id."""
        return {
            name.partition(".")[2]: gzip.decompress(content) for name, content in sorted(self.store.objects.items())
        }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_lines_wait_for_others_and_not_for_long(world: World) -> None:
    world.step()
    world.write(LINES[0], b'{"half')
    world.step(1)
    world.write(b'":1}\n', LINES[1])
    world.step(9)
    assert world.stored() == {}
    world.step(1)
    assert world.stored() == {"0/00000000000000000000.log.gz": LINES[0] + b'{"half":1}\n' + LINES[1]}
    world.write(LINES[2])
    world.step(9)
    assert len(world.stored()) == 1
    world.step(10)
    assert list(world.stored().values())[1:] == [LINES[2]]


def test_a_full_object_does_not_wait(world: World) -> None:
    world.begin(piece=3 * len(LINES[0]))
    world.write(*LINES[:4])
    world.step()
    assert list(world.stored().values()) == [b"".join(LINES[:3])]


def test_a_line_longer_than_an_object_is_one_alone(world: World) -> None:
    world.begin(piece=8)
    long = b'{"long":"' + b"x" * 99 + b'"}\n'
    world.write(long, b'{"a":1}\n', long)
    world.step()
    assert list(world.stored().values()) == [long, b'{"a":1}\n', long]


def test_a_line_that_no_decision_point_writes_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordfile, "_LONGEST", 64)
    world.begin(piece=8)
    world.write(b"x" * 99 + b"\n")
    with pytest.raises(UserError, match="the line at byte 0 is longer than"):
        world.step()


def test_a_store_that_is_down_is_said_once_a_minute_and_gets_all_of_it_later(world: World) -> None:
    world.store.failures = ["before"] * 5
    world.write(*LINES)
    assert [world.step(20, everything=True) for _ in range(6)] == [False] * 5 + [True]
    assert list(world.stored().values()) == [b"".join(LINES)]
    errors = [text for text in world.messages if text.startswith("error: ")]
    assert len(errors) == 2
    assert f"{len(b''.join(LINES))} bytes wait in {world.path}, for 60 seconds" in errors[1]
    assert "takes lines again, after 100 seconds" in world.messages[-1]


def test_an_object_that_was_stored_without_an_answer_is_not_stored_again(world: World) -> None:
    world.store.failures = ["after"]
    world.write(*LINES[:2])
    assert not world.step(everything=True)
    world.write(*LINES[2:])
    world.begin()
    assert world.step(everything=True)
    assert list(world.stored().values()) == [b"".join(LINES[:2]), b"".join(LINES[2:])]


OTHERS: Final[dict[str, bytes]] = {
    "other lines": gzip.compress(LINES[1]),
    "more lines than the file has": gzip.compress(b"".join((*LINES, *LINES))),
    "half a line": gzip.compress(LINES[0][:-3]),
    "nothing": gzip.compress(b""),
    "no bytes": b"",
    "no gzip": LINES[0],
    "gzip that is cut": gzip.compress(b"".join(LINES))[:-3],
    "something behind": gzip.compress(LINES[0]) + b"x",
}


@pytest.mark.parametrize("there", OTHERS.values(), ids=OTHERS)
def test_an_object_with_anything_else_stays_and_the_file_is_stored_beside_it(world: World, there: bytes) -> None:
    world.write(*LINES)
    world.step(everything=True)
    (name,) = world.store.objects
    world.store.objects[name] = there
    for kept in world.state.iterdir():
        kept.unlink()
    world.begin()
    assert not world.step(everything=True)
    assert world.step(everything=True)
    assert world.store.objects[name] == there
    assert name.endswith(".0/00000000000000000000.log.gz")
    assert gzip.decompress(world.store.objects[name.replace(".0/", ".1/")]) == b"".join(LINES)
    assert any(f"error: s3://memory/{name} is there, and holds other lines" in text for text in world.messages)


def test_an_object_with_other_lines_behind_is_another_one_however_the_store_sends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(*LINES)
    world.step(everything=True)
    (name,) = world.store.objects
    for kept in world.state.iterdir():
        kept.unlink()
    parts = [gzip.compress(LINES[0]), gzip.compress(b"other\n")]
    monkeypatch.setattr(world.store, "read", lambda _: iter(parts))
    world.begin()
    assert not world.step(everything=True)
    assert any(f"error: s3://memory/{name} is there, and holds other lines" in text for text in world.messages)


def test_a_position_that_cannot_be_kept_stops_nothing(world: World) -> None:
    world.state.rmdir()
    world.write(*LINES[:3])
    world.step(everything=True)
    world.write(*LINES[3:])
    world.step(everything=True)
    assert list(world.stored().values()) == [b"".join(LINES[:3]), b"".join(LINES[3:])]
    (warning,) = world.warnings()
    assert "how far" in warning
    assert "cannot be kept" in warning
    # A new process finds out again, and stores nothing twice.
    world.begin()
    world.step(everything=True)
    assert len(world.stored()) == 2


def malformed(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        kept = json.loads(text)
        return json.dumps(change(kept) or kept)

    return changed


KEPT: Final[dict[str, Callable[[str], str]]] = {
    "cut off": lambda text: text[:-2],
    "a list": malformed(lambda kept: [kept]),
    "a member more": malformed(lambda kept: kept.update(more=1)),
    "a member less": malformed(lambda kept: {"file": kept["file"]}),
    "before the file": malformed(lambda kept: kept.update(offset=-1)),
    "behind the file": malformed(lambda kept: kept.update(offset=1 << 40)),
    "within a line": malformed(lambda kept: kept.update(offset=5, tail_size=5)),
    "nowhere": malformed(lambda kept: kept.update(offset=3, tail_size=9)),
    "a number that is none": malformed(lambda kept: kept.update(offset=True)),
    "a path": malformed(lambda kept: kept.update(file="../x")),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_a_position_that_is_not_one_of_the_file_is_none(world: World, change: Callable[[str], str]) -> None:
    world.write(*LINES[:3])
    world.step(everything=True)
    (kept,) = world.state.iterdir()
    kept.write_text(change(kept.read_text()))
    world.write(*LINES[3:])
    world.begin()
    world.step(everything=True)
    assert b"".join(world.stored().values()) == b"".join(LINES)


def test_a_file_that_was_emptied_is_begun_again_and_it_is_said(world: World) -> None:
    world.write(*LINES[:3])
    world.step(everything=True)
    os.truncate(world.path, 0)
    world.step(everything=True)
    world.write(*LINES[3:])
    world.step(everything=True)
    found = [gzip.decompress(content) for content in world.store.objects.values()]
    assert found == [b"".join(LINES[:3]), b"".join(LINES[3:])]
    assert len({name.partition(".")[0] for name in world.store.objects}) == 2
    assert any("was emptied by another program" in text for text in world.messages)


def test_a_file_that_was_cut_and_grew_is_compared_and_stored_beside(world: World) -> None:
    world.write(*LINES[:3])
    world.step(everything=True)
    os.truncate(world.path, 2 * len(LINES[0]))
    world.write(*LINES[3:])
    assert not world.step(everything=True)
    assert world.step(everything=True)
    assert world.stored() == {
        "0/00000000000000000000.log.gz": b"".join(LINES[:3]),
        "1/00000000000000000000.log.gz": b"".join((*LINES[:2], *LINES[3:])),
    }
    assert any("was cut or changed before byte" in text for text in world.messages)


def test_a_file_that_was_renamed_is_stored_to_its_end_before_the_next_one(world: World) -> None:
    world.write(*LINES[:2])
    world.step(everything=True)
    moved = world.path.rename(world.path.with_name("old"))
    with moved.open("ab") as file:
        file.write(LINES[2] + b'{"torn')
    world.step(everything=True)
    world.write(LINES[3][:4])
    world.step(everything=True)
    with moved.open("ab") as file:
        file.write(b'":1}\n{"to')
    world.write(LINES[3][4:], LINES[4])
    world.step()
    world.step(10)
    names = list(world.store.objects)
    assert [gzip.decompress(world.store.objects[name]) for name in names] == [
        b"".join(LINES[:2]),
        LINES[2],
        b'{"torn":1}\n',
        LINES[3] + LINES[4],
    ]
    assert any("ends in 4 bytes of a line that has no end" in text for text in world.messages)


def test_files_that_are_renamed_while_the_store_is_down_are_all_stored(world: World) -> None:
    world.store.failures = ["before"] * 4
    for number, line in enumerate(LINES[:4]):
        world.write(line)
        assert not world.step(100, everything=True)
        world.path.rename(world.path.with_name(f"old-{number}"))
    world.write(LINES[4])
    assert world.step(100, everything=True)
    assert [gzip.decompress(content) for content in world.store.objects.values()] == LINES[:5]
    assert world.warnings() == []


def test_files_that_wait_are_bounded_and_it_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "_MOST_FILES", 2)
    world.store.failures = ["before"] * 5
    for number, line in enumerate(LINES[:5]):
        world.write(line)
        assert not world.step(10, everything=True)
        world.path.rename(world.path.with_name(f"old-{number}"))
    assert len(world.warnings()) == 1
    assert f"2 files that stood at {world.path} wait" in world.warnings()[0]
    world.write(LINES[5])
    assert world.step(100, everything=True)
    assert [gzip.decompress(content) for content in world.store.objects.values()] == [*LINES[:3], LINES[5]]


def test_a_file_that_was_renamed_while_no_process_looked_is_named(world: World) -> None:
    world.write(*LINES[:2])
    world.step(everything=True)
    world.write(LINES[2])
    world.path.rename(world.path.with_name("old"))
    world.write(LINES[3])
    world.begin()
    world.step(everything=True)
    (warning,) = world.warnings()
    assert f"another file than the one that was stored up to byte {2 * len(LINES[0])}. If that one has more" in warning
    # And that is what stores it.
    world.path, world.state = world.path.with_name("old"), world.state.with_name("other")
    world.state.mkdir()
    world.begin()
    world.step(everything=True)
    found = sorted(map(gzip.decompress, world.store.objects.values()))
    assert found == [b"".join(LINES[:2]), LINES[2], LINES[3]]


def test_a_file_that_was_cut_while_no_process_looked_is_named(world: World) -> None:
    for line in LINES[:2]:
        world.write(line)
        world.step(everything=True)
    os.truncate(world.path, len(LINES[0]))
    world.begin()
    world.step(everything=True)
    (warning,) = world.warnings()
    assert f"was cut or changed before byte {2 * len(LINES[0])}" in warning


def test_lines_that_were_cut_before_they_were_stored_are_named(world: World) -> None:
    world.write(*LINES[:2])
    world.step(everything=True)
    world.write(*LINES[2:4])
    world.step(1)
    os.truncate(world.path, 3 * len(LINES[0]))
    world.step(1)
    (warning,) = world.warnings()
    assert f"was cut at byte {3 * len(LINES[0])}" in warning
    world.write(LINES[4])
    world.step(everything=True)
    assert list(world.stored().values()) == [b"".join(LINES[:2]), LINES[2] + LINES[4]]
    assert len(world.warnings()) == 1


def test_what_is_no_file_of_its_own_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(LINES[0])
    world.path.symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="cannot be read"):
        world.step()
    world.path.unlink()
    os.mkfifo(world.path)
    with pytest.raises(UserError, match="is not a file"):
        world.step()
    assert world.store.objects == {}


def test_no_descriptor_is_left_open(world: World) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        world.write(b"%d\n" % number)
        world.step(everything=True)
        world.path.rename(world.path.with_name(f"old-{number}"))
        world.step(everything=True)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
