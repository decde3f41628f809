"""What is stored of a record file is the file's whole lines, each once and in its place, whatever happens meanwhile."""

import gzip
import itertools
import os
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import given, strategies as st

from bailiwick_governance.shipping.position import PositionFile
from bailiwick_governance.shipping.shipper import Shipper
from support.storefake import MemoryStore

CHUNKS: Final = st.one_of(st.binary(max_size=40), st.lists(st.sampled_from([b"\n", b"{}", b"\0\r"])).map(b"".join))
# How a step ends: well; the store is down; it takes the object and does not say so; the process is killed before it
# keeps its position, or after; its state is gone; time passes.
EVENTS: Final = st.sampled_from(["step", "down", "unsaid", "killed", "restarted", "forgotten", "late"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def stored(store: MemoryStore) -> list[tuple[str, int, bytes]]:
    """Return the objects as folder, offset and lines, in order."""
    found = []
    for name, content in sorted(store.objects.items()):
        folder, _, rest = name.partition("/")
        found.append((folder, int(rest.partition(".")[0]), gzip.decompress(content)))
    return found


@given(st.lists(st.tuples(CHUNKS, EVENTS), max_size=40), st.integers(1, 64), st.booleans())
def test_each_whole_line_is_stored_once_whatever_breaks(
    writes: list[tuple[bytes, str]], piece: int, conditional: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, state, clock = Path(folder, "records"), Path(folder, "state"), Clock()
        state.mkdir()
        store = MemoryStore(conditional=conditional)

        def begin() -> Shipper:
            return Shipper(path, store, PositionFile(state), seconds=5, tell=lambda _: None, piece=piece, clock=clock)

        shipper, whole = begin(), b""
        for chunk, drawn in writes:
            # What a store without conditions loses with the state is on the page.
            event = "restarted" if drawn == "forgotten" and not conditional else drawn
            whole += chunk
            with path.open("ab") as file:
                file.write(chunk)
            store.failures = {"down": ["before"], "unsaid": ["after"], "killed": ["after"]}.get(event, [])
            clock.now += 6 if event == "late" else 1
            shipper.step(everything=event in {"unsaid", "killed"})
            if event == "forgotten":
                for kept in state.iterdir():
                    kept.unlink()
            if event in {"killed", "restarted", "forgotten"}:
                shipper = begin()
        store.failures = []
        assert shipper.step(everything=True)
        found = stored(store)
        assert b"".join(lines for _, _, lines in found) == whole[: whole.rfind(b"\n") + 1]
        assert [at for _, at, _ in found] == [0, *itertools.accumulate(len(lines) for _, _, lines in found)][:-1]
        assert len({file for file, _, _ in found}) <= 1
        assert all(lines.endswith(b"\n") for _, _, lines in found)


LINES: Final = st.lists(
    st.binary(min_size=1, max_size=9).filter(lambda line: b"\n" not in line), max_size=6, unique=True
)


@given(st.lists(st.tuples(LINES, st.sampled_from(["renamed", "cut", "emptied"])), min_size=1, max_size=4))
def test_lines_that_were_seen_before_a_file_was_rotated_or_cut_are_stored(turns: list[tuple[list[bytes], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, store, clock = Path(folder, "records"), MemoryStore(), Clock()
        shipper = Shipper(path, store, PositionFile(Path(folder)), seconds=5, tell=lambda _: None, clock=clock)
        seen: set[bytes] = set()
        for number, (drawn, what) in enumerate(turns):
            # As in a chain, no line comes twice.
            lines = [b"%d:%b\n" % (number, line) for line in drawn]
            with path.open("ab") as file:
                file.writelines(lines)
            while not shipper.step(everything=True):
                clock.now += 100
            seen |= set(lines)
            if what == "renamed":
                path.rename(path.with_name(f"records.{number}"))
            else:
                os.truncate(path, 0 if what == "emptied" else path.stat().st_size // 2)
                if what == "cut" and path.read_bytes()[-1:] not in {b"", b"\n"}:
                    with path.open("ab") as file:
                        file.write(b"\n")  # As a decision point does that finds a torn line.
        found = [line + b"\n" for _, _, lines in stored(store) for line in lines.split(b"\n")[:-1]]
        assert seen <= set(found)
