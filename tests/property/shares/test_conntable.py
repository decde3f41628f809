"""Whose each connection is, whatever comes and goes: nobody is counted twice, and only who rests makes room."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, strategies as st

from bailiwick_webhook.http.shares.bounds import Parts
from bailiwick_webhook.http.shares.conntable import ConnectionTable, TableEntry
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, ConnectionLimit, Port

ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"])
ACCOUNTS = st.sampled_from(["system:serviceaccount:a:one", "system:serviceaccount:a:two"])
WHICH = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), ADDRESSES),
        st.tuples(st.just("begins"), WHICH),
        st.tuples(st.just("proven"), WHICH, ACCOUNTS, st.booleans()),
        st.tuples(st.just("rests"), WHICH),
        st.tuples(st.just("leave"), WHICH),
        # As when a client goes away while it is proven.
        st.tuples(st.just("late"), WHICH, ACCOUNTS, st.booleans()),
    ),
    max_size=100,
)


@dataclass
class One:
    """A connection as the model has it."""

    entry: TableEntry | None = None
    busy: bool = False
    ended: bool = False

    def end(self) -> None:
        assert not self.busy, "something is under way on it"
        self.ended = True


@given(enforcers=st.integers(1, 6), others=st.integers(1, 6), steps=STEPS)
def test_nobody_is_counted_twice_and_only_who_rests_makes_room(
    enforcers: int, others: int, steps: list[tuple[object, ...]]
) -> None:
    asyncio.run(_held(Parts(enforcers, others), steps))


async def _held(parts: Parts, steps: list[tuple[object, ...]]) -> None:
    counts = Counts()
    table = ConnectionTable(Port.DECISIONS, parts, 3600.0, counts)
    made: list[One] = []
    for what, *given_ in steps:
        if what == "admit":
            one = One()
            made.append(one)
            one.entry = table.admit(str(given_[0]), one.end)
        else:
            which = given_[0]
            assert isinstance(which, int)
            if made:
                _step(table, parts, made, made[which % len(made)], str(what), given_[1:])
        _look(table, counts, parts, made)
    for one in made:
        assert one.entry is not None
        table.leave(one.entry)
    assert {counts.connections[Port.DECISIONS, who] for who in CallerClass} == {0}
    assert not table._queue
    assert not table._known_queue
    assert table._shares._held == {}


def _step(table: ConnectionTable, parts: Parts, made: list[One], one: One, what: str, more: list[object]) -> None:
    entry = one.entry
    assert entry is not None
    if what == "late":
        table.leave(entry)
        one.ended, one.busy = True, False
        table.note_caller(entry, str(more[0]), enforces=bool(more[1]))
        table.rests(entry)
    elif one.ended:
        return
    elif what == "leave":
        table.leave(entry)
        one.ended, one.busy = True, False
    elif what == "begins":
        table.begins(entry)
        one.busy = True
    elif what == "rests" and one.busy:
        one.busy = False
        table.rests(entry)
    elif what == "proven" and one.busy:
        account, enforces = str(more[0]), bool(more[1])
        others = [
            other.entry for other in made if other is not one and other.entry is not None and other.entry.enforcer
        ]
        its = sum(other.holder == account for other in others)
        table.note_caller(entry, account, enforces=enforces)
        # No account has more than is free.
        assert entry.enforcer == (enforces and its + 1 <= parts.enforcers - len(others))
        assert entry.holder == account


def _look(table: ConnectionTable, counts: Counts, parts: Parts, made: list[One]) -> None:
    open_ = [one for one in made if not one.ended]
    theirs = [one for one in open_ if one.entry is not None and one.entry.enforcer]
    rest = [one for one in open_ if one not in theirs]
    assert (
        counts.connections[Port.DECISIONS, CallerClass.ENFORCERS] == table.enforcers == len(theirs) <= parts.enforcers
    )
    assert counts.connections[Port.DECISIONS, CallerClass.OTHERS] == len(rest)
    # More than there may be only for as long as something is under way on all of them.
    assert len(rest) <= parts.others or all(one.busy for one in rest)
    for one in open_:
        assert one.entry is not None
        assert not (one.busy and one.entry.queue is not None)
    assert counts.connections_limited[Port.DECISIONS, ConnectionLimit.SILENT] == 0
