"""However few pages of leaf hashes stay in memory, the tables answer as if all did; the oracle is a dictionary."""

import hashlib
from typing import Final

from hypothesis import given, strategies as st

from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.merkle import root
from bailiwick_governance.records.leaffile import LeafFile

_TABLES: Final = 3
_NUMBERS: Final = st.one_of(st.integers(0, 40), st.integers(0, 3_000), st.integers(10**12, 10**12 + 600))
_CHANGES: Final = st.tuples(
    st.integers(0, _TABLES - 1), _NUMBERS, st.sampled_from(["set", "set", "set", "drop", "get"])
)


class TestPagesBesideTheMemory:
    @given(changes=st.lists(_CHANGES, max_size=60), most=st.integers(1, 5), first=st.integers(0, 700))
    def test_they_answer_what_was_set_last(self, changes: list[tuple[int, int, str]], most: int, first: int) -> None:
        pages = LeafPages(LeafFile(), most)
        tables = [LeafTable(pages) for _ in range(_TABLES)]
        known: list[dict[int, bytes]] = [{} for _ in range(_TABLES)]
        for seq in range(first):
            _set(tables[0], known[0], seq)
        for at, seq, change in changes:
            if change == "set":
                _set(tables[at], known[at], seq)
            elif change == "drop" and seq in known[at]:
                tables[at].drop(seq)
                del known[at][seq]
            assert tables[at].get(seq) == known[at].get(seq)
        for table, leaves in zip(tables, known, strict=True):
            assert (table.count, table.size) == (len(leaves), max(leaves, default=-1) + 1)
            found = {
                seq: leaf
                for start, end in table.runs()
                for seq, leaf in enumerate(table.hashes_between(start, end), start)
            }
            assert found == leaves
        whole = next(seq for seq in range(4_000) if seq not in known[0])
        assert tables[0].roots([whole])[whole] == root(known[0][seq] for seq in range(whole))
        filled = tables[1].filled_from(tables[0])
        both = {**known[0], **known[1]}
        assert {seq: filled.get(seq) for seq in both} == both
        # What is set in a copy is not set in what it was copied from.
        _set(filled, both, 7)
        assert tables[1].get(7) == known[1].get(7)


def _set(table: LeafTable, known: dict[int, bytes], seq: int) -> None:
    known[seq] = hashlib.sha256(b"%d of %d" % (len(known), seq)).digest()
    table.set(seq, known[seq])
