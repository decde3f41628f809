"""One look at the store tells what its properties tell one by one."""

import math
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.store.store import Store
from support.revocations import manifest
from support.signingkeys import secret, signing_key

NOW: Final = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1_000.0]
    monkeypatch.setattr("bailiwick_webhook.store.store.time.monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def store(clock: list[float]) -> Store:
    assert clock
    return Store(
        cast("Any", SimpleNamespace(clock=ServerClock(), read_policy=None, read_data=None)),
        Installation(),
        max_staleness=120,
        hard_staleness=900,
        relist=600,
    )


def told(store: Store) -> tuple[float, Freshness, str, bool]:
    seen = store.glance()
    found = (seen.age, seen.freshness, seen.revision, seen.guard_proven)
    assert found == (store.age, store.freshness, store.revision, store.guard_proven)
    return found


def test_before_the_first_list_it_is_dead(store: Store) -> None:
    assert told(store) == (math.inf, Freshness.DEAD, "/", False)


@pytest.mark.parametrize("later", [0, 1, 2])
@pytest.mark.parametrize(
    ("passed", "freshness", "guarded"),
    [
        (0.0, Freshness.FRESH, True),
        (120.0, Freshness.FRESH, True),
        (120.1, Freshness.STALE, False),
        (900.0, Freshness.STALE, False),
        (900.1, Freshness.DEAD, False),
    ],
)
def test_it_grows_old(
    store: Store, clock: list[float], passed: float, freshness: Freshness, guarded: bool, later: int
) -> None:
    store.guard.proven = True
    for number, watch in enumerate((*store._decided_by, *store._guarded_by)):
        watch.heard, watch.resource_version = clock[0], str(number)
    # The one that was silent longest counts.
    store._decided_by[later].heard += 50
    clock[0] += passed
    assert told(store)[1:] == (freshness, "0/1", guarded)


@pytest.mark.parametrize(("silent", "freshness"), [(121, Freshness.STALE), (901, Freshness.DEAD)])
def test_a_silent_watch_of_revocations_is_as_one_of_grants(
    store: Store, clock: list[float], silent: float, freshness: Freshness
) -> None:
    for watch in (*store._decided_by, *store._guarded_by):
        watch.heard = clock[0]
    assert told(store)[1] is Freshness.FRESH
    store._decided_by[2].heard -= silent
    assert told(store)[1] is freshness


def test_it_is_not_there_before_revocations_were_listed(store: Store, clock: list[float]) -> None:
    policies, grants, revoked = store._decided_by
    policies.heard = grants.heard = clock[0]
    assert store.age == math.inf
    assert not store.synced
    revoked.heard = clock[0]
    assert store.age == 0


def test_a_list_replaces_all_revocations_and_a_broken_one_none(store: Store) -> None:
    agent, other = (manifest(sub=f"system:serviceaccount:agents:{name}") for name in ("agent", "other"))
    store.revoked.apply("ADDED", ("", agent["metadata"]["name"]), agent)
    assert len(store.glance().revocations) == 1
    listing = store.revoked.listing()
    listing.take(("", other["metadata"]["name"]), other)
    # Its rest may never come: until then, what was known is in force.
    assert [one.name for one in store.revocations] == [agent["metadata"]["name"]]
    listing.finish()
    assert [one.name for one in store.revocations] == [other["metadata"]["name"]]
    store.revoked.apply("DELETED", ("", other["metadata"]["name"]), other)
    assert not store.glance().revocations


def test_a_silent_watch_of_the_guard_leaves_it_unproven(store: Store, clock: list[float]) -> None:
    store.guard.proven = True
    for watch in (*store._decided_by, *store._guarded_by):
        watch.heard = clock[0]
    assert told(store)[3]
    store._guarded_by[-1].heard -= 121
    assert not told(store)[3]


def test_a_guard_that_is_not_proven_is_not_proven_by_watching_it(store: Store, clock: list[float]) -> None:
    for watch in (*store._decided_by, *store._guarded_by):
        watch.heard = clock[0]
    assert not told(store)[3]


def test_data_is_waited_for_at_the_start_unless_it_cannot_be_read_and_then_never_again(
    store: Store, clock: list[float]
) -> None:
    for watch in store._decided_by:
        watch.heard = clock[0]
    store.policies.snapshot = Snapshot({})
    assert not store.synced
    store._beside.failing = True
    assert store.synced
    # The roles were mended: it goes on to answer while it takes up what is there.
    store._beside.failing = False
    assert store.synced


@pytest.mark.parametrize(("silent", "known"), [(120.0, True), (120.1, False)])
def test_of_signing_keys_that_may_be_gone_unheard_of_there_are_none(
    store: Store, clock: list[float], silent: float, known: bool
) -> None:
    key = signing_key(NOW)
    listed = {("bailiwick-system", SIGNING_KEYS_SECRET): {**secret([key]), "metadata": {"resourceVersion": "1"}}}
    store.keys.sink.replace(listed)
    # All else was heard of just now: the watch of this one Secret failed.
    for watch in (*store._decided_by, *store._guarded_by):
        watch.heard = clock[0]
    store._signed_by.heard = clock[0] - silent
    assert [one.kid for one in store.keyring.keys] == [key.kid] * known
    assert store.keyring.is_stale is not known
    assert bool(store.report()["keys"]["why"]) is not known
