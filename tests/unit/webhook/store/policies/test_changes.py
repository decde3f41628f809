"""An endpoint waits for each change that answers hang on, whatever other change of the policy comes between."""

from typing import Final

from bailiwick_webhook.store.policies.backlog import PolicyChange
from bailiwick_webhook.store.policies.changes import Changes

KEY: Final = ("crm", "a")
PLACE: Final = ("crm", "crm-api")


def heard(changes: Changes, since: float, *, quiet: bool = False) -> PolicyChange:
    change = PolicyChange(KEY, since, text=b"{}", places={PLACE}, quiet=quiet)
    changes.hear(change, str(since))
    return change


def put(changes: Changes, change: PolicyChange) -> None:
    changes.begin(change)
    changes.put(change, [PLACE])


def published(changes: Changes) -> None:
    for _ in changes.published():
        pass


def test_a_quiet_change_that_was_put_does_not_hide_one_that_was_heard_after_it() -> None:
    changes = Changes()
    put(changes, heard(changes, 1.0))
    changes.build(PLACE)
    # It became a candidate, and stands by itself again.
    put(changes, heard(changes, 2.0, quiet=True))
    heard(changes, 3.0)
    published(changes)
    assert changes.waiting.since(*PLACE) == 3.0


def test_of_two_that_count_it_is_the_older_one() -> None:
    changes = Changes()
    put(changes, heard(changes, 1.0))
    changes.build(PLACE)
    put(changes, heard(changes, 2.0))
    heard(changes, 3.0)
    published(changes)
    assert changes.waiting.since(*PLACE) == 2.0
