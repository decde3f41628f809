"""Places: whatever is taken and given back in whatever order, nobody is counted twice and nobody has too much."""

from collections import Counter

from hypothesis import given, strategies as st

from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.shares.bounds import Parts
from bailiwick_webhook.http.shares.slots import RequestSlot, RequestSlots, Sender, enforcer, other
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass

SENDERS = (
    *(enforcer(f"system:serviceaccount:a:{name}", namespace) for name in "xy" for namespace in ("one", "two")),
    *(other("system:serviceaccount:a:x"), other("127.0.0.1"), other("::1")),
)
# Which of the requests does it, and in whose name; None ends it.
STEPS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from([*SENDERS, None])), max_size=80)


def taken(place: RequestSlot, sender: Sender) -> bool:
    try:
        place.take(sender)
    except ProblemError as problem:
        return problem.status != 429
    return True


@given(enforcers=st.integers(1, 9), others=st.integers(1, 9), steps=STEPS)
def test_nobody_has_more_places_than_were_free_in_their_part_and_all_of_them_come_back(
    enforcers: int, others: int, steps: list[tuple[int, Sender | None]]
) -> None:
    counts = Counts()
    slots = RequestSlots(Parts(enforcers, others), counts)
    open_: dict[int, tuple[RequestSlot, Sender]] = {}
    for which, sender in steps:
        place, held = open_.pop(which, (slots.slot(), None))
        if sender is None:
            with place:
                pass
        else:
            part = [one for _, one in open_.values() if one.who is sender.who]
            free = (enforcers if sender.who is CallerClass.ENFORCERS else others) - len(part)
            its = sum(one.name == sender.name for one in part)
            theirs = sum(one.group == sender.group for one in part) if sender.group else 0
            fits = its < free and theirs < 3 * free
            # One that is held under the very same name already is not taken again.
            assert taken(place, sender) == (fits or sender == held)
            if fits or sender == held:
                open_[which] = place, sender
        assert sum(counts.under_way) == len(open_) <= enforcers + others
    for place, _ in open_.values():
        with place:
            pass
        with place:
            pass
    assert counts.under_way == [0, 0]
    assert slots.enforcers._held == slots.others._held == {}


@given(most=st.integers(1, 60), senders=st.integers(1, 6))
def test_senders_that_all_take_what_they_can_come_to_equal_shares(most: int, senders: int) -> None:
    slots = RequestSlots(Parts(1, most), Counts())
    held = Counter[int]()
    for _ in range(most):
        for sender in range(senders):
            try:
                slots.slot().take(other(f"127.0.0.{sender}"))
            except ProblemError:
                continue
            held[sender] += 1
    shares = [held[sender] for sender in range(senders)]
    assert max(shares) - min(shares) <= 1
    # One more of equal parts is left free, but for what does not divide.
    assert most - sum(shares) >= most // (senders + 1) - 1


@given(most=st.integers(4, 200), accounts=st.integers(1, 30))
def test_accounts_of_one_namespace_leave_a_quarter_to_all_others(most: int, accounts: int) -> None:
    slots = RequestSlots(Parts(most, 1), Counts())
    for _ in range(most):
        for account in range(accounts):
            taken(slots.slot(), enforcer(f"system:serviceaccount:crowd:{account}", "crowd"))
    assert slots.enforcers.free >= most // 4
    assert taken(slots.slot(), enforcer("system:serviceaccount:crm:crm-api", "crm"))


@given(most=st.integers(1, 200), senders=st.lists(st.sampled_from(["127.0.0.1", "127.0.0.2", "::1"]), max_size=300))
def test_others_take_nothing_of_the_enforcers_part(most: int, senders: list[str]) -> None:
    slots = RequestSlots(Parts(1, most), Counts())
    for sender in senders:
        taken(slots.slot(), other(sender))
    assert taken(slots.slot(), enforcer("system:serviceaccount:crm:crm-api", "crm"))
