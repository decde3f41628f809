"""Store: all that is watched, under one roof, and how fresh it is.

Holds: what a decision reads here is in memory; `freshness` is what docs/reference/availability.md promises.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from bailiwick_api.accounts import Installation
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_api.voidgrants import VoidGrants
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.revocations import Revocations
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, ReviewerTrust
from bailiwick_kube.responses import ApiResponse
from bailiwick_policystore.changes import ChangeAges
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.refetch import Read
from bailiwick_webhook.cluster.client import DATA, GRANTS, POLICIES, REVOCATIONS, ApiClient, Collection
from bailiwick_webhook.signing.keyring import STALE_KEYS, Keyring
from bailiwick_webhook.store import view
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.guard import GuardWatch
from bailiwick_webhook.store.keys import Keys
from bailiwick_webhook.store.listwatch import ListWatch, Sink
from bailiwick_webhook.store.pulse import Pulse
from bailiwick_webhook.store.reviewers import ReviewerWatch
from bailiwick_webhook.store.revocations import RevocationWatch

_LOOK_SECONDS: Final = 1.0
_NO_ISSUERS: Final[Mapping[str, UsernameTemplate]] = {}
# Without a frame of Python for each, since it is on every decision's way.
_HEARD: Final = attrgetter("heard")
_UNHEARD: Final = "the API server has not been heard of for too long"
_STALE_REVIEWERS: Final = ReviewerTrust(problem=_UNHEARD)
_UNKNOWN_DATA: Final = "data is unknown, conditions that read it do not hold"
_UNKNOWN_REVOCATIONS: Final = (
    "this process is not ready before it has read who is taken back: apply crds/ and the roles"
)


class Store:
    """Policies, grants, revocations, the guard and the signing keys, kept up to date by `run`.

    `issuers`: how the API server names the people of each issuer.
    """

    def __init__(  # noqa: PLR0913 - what is watched, and for how long it is believed
        self,
        cluster: ApiClient,
        installation: Installation,
        *,
        max_staleness: float,
        hard_staleness: float,
        relist: float,
        budget: Budget | None = None,
        issuers: Mapping[str, UsernameTemplate] = _NO_ISSUERS,
        tend: Callable[[], None] = lambda: None,
        registrars: Registrars = NO_REGISTRARS,
    ) -> None:
        self.policies = PolicyController(
            budget,
            read=_reading(cluster.read_policy),
            read_data=_reading(cluster.read_data),
            version=lambda: self._decided_by[0].resource_version,
            tend=tend,
        )
        self.grants = Grants()
        self.revoked = RevocationWatch(issuers)
        self._reviewers = ReviewerWatch(installation, registrars)
        self.guard = GuardWatch(installation, self._reviewers.floor_changed)
        self.keys = Keys(installation)
        self.clock = cluster.clock
        self._cluster = cluster
        self._max_staleness = max_staleness
        self._hard_staleness = hard_staleness
        self._pulse = Pulse(time.monotonic)

        def watch(collection: Collection, sink: Sink, without: str = "") -> ListWatch:
            return ListWatch(cluster, collection, sink, relist_interval=relist, pulse=self._pulse, without=without)

        self._decided_by = (
            watch(POLICIES, self.policies),
            watch(GRANTS, self.grants),
            watch(REVOCATIONS, self.revoked, _UNKNOWN_REVOCATIONS),
        )
        self._data_awaited = True
        self._beside = watch(DATA, self.policies.data, _UNKNOWN_DATA)
        self._guarded_by = tuple(watch(collection, sink) for collection, sink in self.guard.collections())
        self._signed_by = watch(self.keys.collection, self.keys.sink)
        # Without registrars no key counts, so that nothing need be known of any.
        self._reviewed_by = watch(self._reviewers.collection, self._reviewers.sink) if registrars else None

    async def run(self) -> None:
        """Keep everything up to date, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pulse.run())
            tasks.create_task(self.policies.run())
            for listwatch in (*self._decided_by, self._beside, *self._guarded_by, self._signed_by):
                tasks.create_task(listwatch.run())
            if self._reviewed_by is not None:
                tasks.create_task(self._reviewed_by.run())
            tasks.create_task(self._lose_old_data())

    async def _lose_old_data(self) -> None:
        """Let data be unknown of which nothing was heard for too long, while policies may be heard of."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._beside.synced and self._beside.age > self._hard_staleness:
                self.policies.data.lose()

    @property
    def snapshot(self) -> Snapshot | None:
        """The policies, compiled; None before the first list was."""
        return self.policies.snapshot

    def grants_of(self, namespace: str, endpoint: str, subject_uid: str, call: Call | None = None) -> Iterable[Grant]:
        """Return the grants of this endpoint and subject, in no promised order; those that the call may need."""
        return self.grants.grants_of(namespace, endpoint, subject_uid, call)

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether the snapshot holds this generation of a policy, sound or broken, or of an object of data."""
        return self.policies.serves(uid, generation)

    @property
    def waiting(self) -> ChangeAges:
        """Since when which endpoint has a change that is not in force."""
        return self.policies.waiting

    @property
    def ledger(self) -> BudgetLedger:
        """What policies take, and who is over budget."""
        return self.policies.ledger

    @property
    def synced(self) -> bool:
        """Policies, grants and revocations were listed, and data too, unless it cannot be: then it is unknown."""
        if self.policies.snapshot is None or not all(listwatch.synced for listwatch in self._decided_by):
            return False
        # Once and for all: a process that answered without data goes on to answer while it takes it up.
        self._data_awaited = self._data_awaited and not (self.policies.data.in_force or self._beside.failing)
        return not self._data_awaited

    @property
    def age(self) -> float:
        """Seconds since all of what is decided by was last known to be current; see `listwatch`."""
        return max(listwatch.age for listwatch in self._decided_by)

    @property
    def revision(self) -> str:
        """The two collections' resource versions, policies then grants, up to which decisions know everything."""
        policies, grants, _ = self._decided_by
        # What is compiled may be newer than what is not: named is what nothing older is missing of.
        reached = self.policies.reached
        return f"{policies.resource_version if reached is None else reached}/{grants.resource_version}"

    @property
    def freshness(self) -> Freshness:
        """How old the view is, in the engine's words."""
        return view.freshness(self.age, self._max_staleness, self._hard_staleness)

    @property
    def guard_proven(self) -> bool:
        """The guard is proven, and what says so is not stale itself."""
        return self.guard.proven and all(listwatch.age <= self._max_staleness for listwatch in self._guarded_by)

    def watch_route(self) -> Callable[[], Awaitable[bool]]:
        """Return what tells, later, whether the API server itself has answered for grants from now until then.

        That raises `ClusterUnavailableError`.
        """
        begun = self.guard.route

        async def served_here() -> bool:
            # Side by side, since both are on the way of every use. A definition of others in our group is looked for
            # by the watch alone: to list them all would cost more than the use.
            route, definition = await asyncio.gather(
                self._cluster.read_grants_route(), self._cluster.read_grants_definition()
            )
            return route.ok and definition.ok and self.guard.covers_route(route.body, definition.body, begun)

        return served_here

    @property
    def void(self) -> VoidGrants:
        """The grants that are void by name, as the operator recorded them with the proof."""
        return self.guard.void

    @property
    def revocations(self) -> Revocations:
        """Who is taken back."""
        return self.revoked.index

    @property
    def reviewers(self) -> ReviewerTrust:
        """Whose signatures of reviews count; none's while the file of their keys may have changed unheard of."""
        return self._reviewers_at(time.monotonic())

    def _reviewers_at(self, now: float) -> ReviewerTrust:
        watched = self._reviewed_by
        stale = watched is not None and now - watched.heard > self._max_staleness
        return _STALE_REVIEWERS if stale else self._reviewers.trust

    @property
    def keyring(self) -> Keyring:
        """The signing keys; none while they are not known, or may have changed unheard of."""
        return STALE_KEYS if self._signed_by.age > self._max_staleness else self.keys.keyring

    def glance(self) -> view.StoreState:
        """Return how the view stands at this moment: on every decision's way, so with one look at the clock."""
        now = time.monotonic()
        policies, grants, revoked = self._decided_by
        age = now - min(policies.heard, grants.heard, revoked.heard)
        freshness = view.freshness(age, self._max_staleness, self._hard_staleness)
        guarded = self.guard.proven and now - min(map(_HEARD, self._guarded_by)) <= self._max_staleness
        return view.StoreState(
            age=age,
            freshness=freshness,
            revision=self.revision,
            guard_proven=guarded,
            waiting=self.policies.waiting,
            moment=now,
            void=self.guard.void,
            revocations=self.revoked.index,
            reviewers=self._reviewers_at(now),
        )

    def report(self) -> Mapping[str, Any]:
        """Return how guard, keys and clock stand: no matter of readiness, since only grants need them."""
        keyring = self.keyring
        return {
            "guard": {"proven": self.guard_proven, "why": self.guard.why},
            "keys": {
                "kids": [key.kid for key in keyring.keys],
                "why": self.keys.why or (_UNHEARD if keyring.is_stale else ""),
            },
            "clock": {"agrees": self.clock.agree, "why": self.clock.problem or ""},
            **({} if self._reviewed_by is None else {"reviewers": {"why": self.reviewers.problem}}),
        }


def _reading(ask: Callable[[str, str], Awaitable[ApiResponse]]) -> Read:
    """Return what reads one object, None where it is not there. It raises `ClusterUnavailableError`."""

    async def read(key: tuple[str, str]) -> dict[str, Any] | None:
        answer = await ask(*key)
        return answer.body if answer.ok else None

    return read
