"""An endpoint waits for each change that answers hang on, whatever other change of the policy comes between."""

from typing import Final

from bailiwick_policystore.changes import PendingChanges

KEY: Final = ("crm", "a")
PLACE: Final = ("crm", "crm-api")
OTHER: Final = ("crm", "other")


def heard(changes: PendingChanges, since: float, *, quiet: bool = False) -> None:
    changes.hear(KEY, {PLACE}, since, str(since), quiet=quiet)


def put(changes: PendingChanges) -> None:
    changes.note_begun(KEY)
    changes.note_put(KEY, [PLACE])


def published(changes: PendingChanges) -> None:
    for _ in changes.note_published():
        pass


def test_a_quiet_change_that_was_put_does_not_hide_one_that_was_heard_after_it() -> None:
    changes = PendingChanges()
    heard(changes, 1.0)
    put(changes)
    changes.note_built(PLACE)
    # It became a candidate, and stands by itself again.
    heard(changes, 2.0, quiet=True)
    put(changes)
    heard(changes, 3.0)
    published(changes)
    assert changes.ages.since(*PLACE) == 3.0


def test_of_two_that_count_it_is_the_older_one() -> None:
    changes = PendingChanges()
    heard(changes, 1.0)
    put(changes)
    changes.note_built(PLACE)
    heard(changes, 2.0)
    put(changes)
    heard(changes, 3.0)
    published(changes)
    assert changes.ages.since(*PLACE) == 2.0


def test_what_was_broken_off_waits_since_it_was_heard_though_it_changed_meanwhile() -> None:
    changes = PendingChanges()
    heard(changes, 1.0)
    changes.note_begun(KEY)
    changes.hear(KEY, {OTHER}, 2.0, "2", quiet=False)
    changes.resume(KEY)
    assert (changes.ages.since(*PLACE), changes.ages.since(*OTHER), changes.reached) == (1.0, 1.0, "1.0")
    changes.note_begun(KEY)
    changes.note_put(KEY, [OTHER])
    changes.note_built(OTHER)
    published(changes)
    assert (bool(changes.ages), changes.reached) == (False, None)
