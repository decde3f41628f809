"""Who makes room: against a plain model that looks through all there are."""

from hypothesis import given, strategies as st

from bailiwick_engine.fairqueue import FairQueue
from bailiwick_webhook.http.shares.eviction import EvictionQueue

HOLDERS = st.sampled_from("abcd")
# Add for a holder, remove the n-th that is there, or evict.
STEPS = st.lists(st.one_of(HOLDERS, st.integers(0, 9), st.none()), max_size=120)


@given(STEPS)
def test_the_oldest_of_whoever_has_most_makes_room(steps: list[str | int | None]) -> None:
    queue: EvictionQueue[int] = EvictionQueue()
    there: list[tuple[str, int]] = []
    for number, step in enumerate(steps):
        if isinstance(step, str):
            queue.add(step, number)
            there.append((step, number))
        elif isinstance(step, int):
            if step < len(there):
                queue.remove(*there.pop(step))
        elif there:
            holder, item = queue.first()
            has = {name: [one for other, one in there if other == name] for name, _ in there}
            assert len(has[holder]) == max(map(len, has.values()))
            assert item == has[holder][0]
            queue.remove(holder, item)
            there.remove((holder, item))
        assert bool(queue) == bool(there)


@given(st.lists(st.one_of(HOLDERS, st.integers(0, 9), st.none()), max_size=120))
def test_each_address_has_its_turn_and_its_oldest_goes_first(steps: list[str | int | None]) -> None:
    queue: FairQueue[int] = FairQueue()
    # In the order of turns, each with its own in the order in which they came.
    there: list[tuple[str, list[int]]] = []
    for number, step in enumerate(steps):
        if isinstance(step, str):
            queue.put(step, number)
            own = next((items for address, items in there if address == step), None)
            if own is None:
                there.append((step, [number]))
            else:
                own.append(number)
        elif isinstance(step, int):
            flat = [(address, item) for address, items in there for item in items]
            if step < len(flat):
                address, item = flat[step]
                assert queue.drop(address, item)
                assert not queue.drop(address, item)
                own = next(items for other, items in there if other == address)
                own.remove(item)
                there = [entry for entry in there if entry[1]]
        elif there:
            address, items = there.pop(0)
            assert queue.pop() == items.pop(0)
            if items:
                there.append((address, items))
        assert queue.count == sum(len(items) for _, items in there)
