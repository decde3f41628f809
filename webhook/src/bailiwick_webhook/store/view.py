"""View: what a decision needs of a store, whether that watches a cluster (`store`) or a directory (`directory`).

Holds: everything here is answered from memory.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from bailiwick_api.serverclock import ServerClock
from bailiwick_api.voidgrants import NONE, VoidGrants
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.budget.ledger import BudgetLedger
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS, Revocations
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust
from bailiwick_policystore.changes import OUTDATED_SECONDS, ChangeAges
from bailiwick_webhook.signing.keyring import Keyring

NOTHING_WAITS: Final = ChangeAges()
"""Of a view whose policies never change."""


class StoreState(msgspec.Struct, frozen=True, gc=False):
    """How a view stands at one moment, each as `View` has it. `moment`: by the clock of what waits, in seconds."""

    age: float
    freshness: Freshness
    revision: str
    guard_proven: bool
    waiting: ChangeAges = NOTHING_WAITS
    moment: float = 0.0
    void: VoidGrants = NONE
    revocations: Revocations = NO_REVOCATIONS
    reviewers: ReviewerTrust = NO_REVIEWER_KEYS

    def pending(self, namespace: str, endpoint: str) -> float | None:
        """Return for how many seconds a change of an endpoint's policies has waited to be compiled; None: none has."""
        # Almost always nothing waits anywhere, and this is on every decision's way.
        since = self.waiting.since(namespace, endpoint) if self.waiting else None
        return None if since is None else self.moment - since

    def is_outdated(self, namespace: str, endpoint: str) -> bool:
        """Tell whether a change of an endpoint's policies waits for too long to be compiled."""
        pending = self.pending(namespace, endpoint)
        return pending is not None and pending > OUTDATED_SECONDS


class View(Protocol):
    """Policies and grants as they are known, and how fresh that is."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The policies; None before they were first read."""

    def grants_of(self, namespace: str, endpoint: str, subject_uid: str, call: Call | None = None) -> Iterable[Grant]:
        """Return the grants of this endpoint and subject, in no promised order; those that the call may need."""

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether decisions are made from this generation of a policy, be it that they deny by it."""

    @property
    def waiting(self) -> ChangeAges:
        """Since when which endpoint has a change that is not in force."""

    @property
    def ledger(self) -> BudgetLedger:
        """What policies take, and who is over budget."""

    @property
    def synced(self) -> bool:
        """Everything was read at least once."""

    @property
    def age(self) -> float:
        """Seconds since it was last known that nothing has changed; infinite before `synced`."""

    @property
    def revision(self) -> str:
        """The state that decisions are made from."""

    @property
    def freshness(self) -> Freshness:
        """How old the view is, in the engine's words."""

    @property
    def guard_proven(self) -> bool:
        """Nothing but the shipped guards has let in what grants say."""

    @property
    def void(self) -> VoidGrants:
        """The grants that are void by name."""

    @property
    def revocations(self) -> Revocations:
        """Who is taken back."""

    @property
    def reviewers(self) -> ReviewerTrust:
        """Whose signatures of reviews count."""

    @property
    def clock(self) -> ServerClock | None:
        """Our clock beside the API server's; None without one."""

    @property
    def keyring(self) -> Keyring:
        """Our own signing keys; none where no Secret holds any."""

    def glance(self) -> StoreState:
        """Return at one look how old it is, how fresh, which state, and whether the guard is proven."""

    def report(self) -> Mapping[str, Any]:
        """Return what `/readyz` tells besides."""

    async def run(self) -> None:
        """Keep it up to date, for ever."""


def doubt(view: View, namespace: str, endpoint: str) -> Reason | None:
    """Return why a policy may speak of an endpoint or a party, though none in force does; None: none does.

    A view that is too old, or not there yet, knows nothing. It says so of every namespace, as a process denies that
    does not answer. A change of this endpoint counts from when no decision relies on what was before it.
    """
    if not namespace:
        # No policy is outside of namespaces.
        return None
    state = view.glance()
    if state.freshness is Freshness.DEAD or view.snapshot is None:
        return Reason.STORE_STALE
    return Reason.POLICY_OUTDATED if state.is_outdated(namespace, endpoint) else None


def freshness(age: float, max_staleness: float, hard_staleness: float) -> Freshness:
    """Return how fresh a view of this age is; all in seconds."""
    if age > hard_staleness:
        return Freshness.DEAD
    return Freshness.STALE if age > max_staleness else Freshness.FRESH
