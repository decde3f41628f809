"""Opener: a request for approval becomes a grant (AuthZEN ARAP, submit, poll and cancel).

Holds: the decision point decides the body again and opens only where the verdict is that approval is needed; the name
follows from the request, so a storm of retries over any number of replicas opens one grant.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import isinf
from typing import Any, Final

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalgrant import ApprovalGrantSpec
from bailiwick_api.serverclock import span_of
from bailiwick_engine.approval import grants
from bailiwick_engine.approval.cooldown import same_request
from bailiwick_engine.approval.grants import Fitness, Grant
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.justification import reason_problem
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_process.rates import TokenBuckets
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.grantids import parsed
from bailiwick_webhook.approvals.grantsapi import GrantsApi, GrantView
from bailiwick_webhook.approvals.throttle import PENDING_GRANTS, Throttle, waits
from bailiwick_webhook.loglimit import LogLimit

# Each hop is a grant of this very request that ended; retention keeps far fewer than this many.
_MAX_CHAIN: Final = 50
_MAX_WITHDRAWALS: Final = 5
# Looks at tasks of an endpoint that memory does not know: more than grants are opened, and memory lags by a moment.
LOOKS: Final = 20.0
_LOOKS_PER_SECOND: Final = 10.0
_LOOKED_AT: Final = 1000
# Waits for its reviews, or serves.
_OPEN: Final = frozenset({Fitness.PENDING, Fitness.USABLE})

_log: Final = LogLimit()


@dataclass(frozen=True, slots=True)
class OpenedGrant:
    """The grant that answers the request, new or already there."""

    grant: Grant
    created: bool


@dataclass(frozen=True, slots=True)
class RefusedOpening:
    """Why none was opened, in a sentence. `reason` where that is what the verdict comes to.

    `duplicate`: the Idempotency-Key was used for another request.
    """

    detail: str
    reason: Reason | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class UnreadTask:
    """No look at a task was possible: whether there is one is not known."""


_SKEWED: Final = RefusedOpening(EXPLAINED[Reason.CLOCK_SKEW].sentence, Reason.CLOCK_SKEW)
_CHANGED: Final = (
    "something in the cluster changed it on admission: ask an administrator which policy or webhook changes"
    " approvalgrants"
)
_COOLS: Final = RefusedOpening(EXPLAINED[Reason.APPROVAL_DENIED].sentence, Reason.APPROVAL_DENIED)


class Opener:
    """Opens grants. `now` is the time of day in seconds since the epoch; `pending`: as in `Throttle`.

    `span`: as in `ServerClock`, where there is another clock than `now`. `clock` counts seconds from anywhere.
    """

    possible = True

    def __init__(
        self,
        cluster: GrantsApi,
        store: GrantView,
        installation: Installation,
        now: Callable[[], float],
        pending: int = PENDING_GRANTS,
        *,
        span: Callable[[], tuple[float, float]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._installation = installation
        self._span = span or span_of(now)
        self._clock = clock
        self._looks: TokenBuckets[tuple[str, str]] = TokenBuckets(_LOOKS_PER_SECOND, LOOKS, _LOOKED_AT)
        self._throttle = Throttle(cluster, store, self._earliest, pending)

    async def again(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:
        """Return what was answered to the same Idempotency-Key before; None where there is none. Raises like `open`.

        Another replica may not know of it yet; what is the same request has the same name there too.
        """
        idempotency = wanted.idempotency()
        known = self._store.grants.asked_with(idempotency["key"]) if idempotency else None
        if idempotency is None or known is None:
            return None
        live = await self._live(known)
        if live is None or live.by_hand or live.request.idempotency is None:
            return None
        if live.request.idempotency.request != idempotency["request"]:
            return RefusedOpening(
                "this Idempotency-Key was already used for a different request: send a new key", duplicate=True
            )
        return OpenedGrant(live, created=False)

    async def join(self, known: Grant, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:
        """Return the open grant that the store knows, read live; None where it has ended. Raises like `open`.

        Its name cannot be found again once the grant before it is deleted, so `open` could open a second one.
        """
        live = await self._live(known)
        if live is None:
            return None
        if self._cools(live, wanted):
            return _COOLS
        return OpenedGrant(live, created=False) if self._fitness(live, wanted) in _OPEN else None

    async def open(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening:
        """Open the grant for this call, or join the one that is open. Raises `ClusterUnavailableError`."""
        if (wrong := reason_problem(wanted.gate, wanted.reason)) is not None:
            return RefusedOpening(wrong)
        if (unfit := wanted.problem()) is not None:
            return RefusedOpening(f"no grant can hold this call: {unfit}")
        call, subject = wanted.call, wanted.subject
        async with self._throttle.one_at_a_time(call, subject) as ours:
            if not ours:
                return RefusedOpening("too many concurrent requests for this subject", Reason.APPROVAL_THROTTLED)
            previous, known = self._latest_ended(wanted), self._pending(wanted)
            if known is not None and (joined := await self.join(known, wanted)) is not None:
                # Of the same storm, opened while this one waited.
                return joined
            # An answer has the time: without one, clocks that agree again would not be noticed here.
            if self._skewed() and await self._still_skewed(wanted, previous):
                # Whether a limit or a cool-down is over is not known.
                return _SKEWED
            if any(self._cools(grant, wanted) for grant in self._candidates(wanted)):
                # Whatever the verdict came from: what a reviewer denied is not asked for again so soon.
                return _COOLS
            if (reached := await self._throttle.reached(call, subject, wanted.gate.limits)) is not None:
                # Unless it is there already: who joins adds nothing. A flood of denials that ask costs no look.
                joined = await self._existing(wanted, previous) if wanted.origin == "Requested" else None
                return joined or RefusedOpening(f"too many requests: {reached}", Reason.APPROVAL_THROTTLED)
            # Until when it waits for its reviews is stamped by our clock, and judged by others.
            return _SKEWED if self._skewed() else await self._create(wanted, previous)

    async def _create(self, wanted: GrantDraft, previous: str) -> OpenedGrant | RefusedOpening:
        for _ in range(_MAX_CHAIN):
            manifest = wanted.manifest(previous, self._span()[1])
            name = manifest["metadata"]["name"]
            answer = await self._cluster.create_grant(manifest)
            if answer.ok:
                return _created(answer.body, manifest)
            if answer.status != HTTPStatus.CONFLICT:
                _log.error("grant not opened", status=answer.status, why=answer.message)
                return RefusedOpening(f"the API server rejected the grant: {answer.message}")
            found = await self._cluster.read_grant(wanted.call.namespace, name)
            if found.status == HTTPStatus.NOT_FOUND:
                continue  # Deleted between the two calls: the name is free again.
            existing = grants.parse(found.body) if found.ok else None
            if existing is None:
                return RefusedOpening(f"approvalgrant {name} exists but cannot be read: ask an administrator")
            if not self._of_this(existing, wanted):
                return RefusedOpening(
                    f"approvalgrant {name} exists but belongs to another request: ask an administrator"
                )
            if self._fitness(existing, wanted) in _OPEN:
                return OpenedGrant(existing, created=False)
            if self._cools(existing, wanted):
                # The store did not know yet.
                return _COOLS
            previous = existing.uid
        return RefusedOpening("too many grants of this request have ended: wait until the old ones are removed")

    async def _existing(self, wanted: GrantDraft, previous: str) -> OpenedGrant | None:
        """Return the open grant of this very request that another replica opened a moment ago."""
        found = await self._cluster.read_grant(wanted.call.namespace, wanted.name(previous))
        existing = grants.parse(found.body) if found.ok else None
        if existing is None or not self._of_this(existing, wanted) or self._fitness(existing, wanted) not in _OPEN:
            return None
        return OpenedGrant(existing, created=False)

    def _latest_ended(self, wanted: GrantDraft) -> str:
        """The uid that goes into the name. A store that lags only costs another round: the name then exists."""
        ended = grants.latest_ended(
            grant for grant in self._same_requests(wanted) if self._fitness(grant, wanted) not in _OPEN
        )
        return ended.uid if ended else ""

    def _pending(self, wanted: GrantDraft) -> Grant | None:
        return next((grant for grant in self._same_requests(wanted) if self._fitness(grant, wanted) in _OPEN), None)

    def _same_requests(self, wanted: GrantDraft) -> list[Grant]:
        return [grant for grant in self._candidates(wanted) if self._of_this(grant, wanted)]

    def _candidates(self, wanted: GrantDraft) -> Iterable[Grant]:
        call = wanted.call
        return self._store.grants_of(call.namespace, call.endpoint, wanted.subject.uid, call)

    def _of_this(self, grant: Grant, wanted: GrantDraft) -> bool:
        return (
            not grant.by_hand
            and grants.answers(grant, wanted.call, wanted.subject, wanted.digest)
            and grants.current(grant, wanted.gate)
            and (grant.request.binding.mode == "Scope") == wanted.gate.scope
        )

    def _earliest(self) -> float:
        return self._span()[0]

    def _skewed(self) -> bool:
        """Tell whether our clock is not the API server's."""
        return isinf(self._earliest())

    async def _still_skewed(self, wanted: GrantDraft, previous: str) -> bool:
        await self._cluster.read_grant(wanted.call.namespace, wanted.name(previous))
        return self._skewed()

    def _around(self) -> Circumstances:
        earliest, later = self._span()
        return Circumstances(
            later,
            installation=self._installation,
            void=self._store.void,
            revocations=self._store.revocations,
            reviewers=self._store.reviewers,
            earliest=earliest,
        )

    def _fitness(self, grant: Grant, wanted: GrantDraft) -> Fitness:
        return grants.fitness(grant, wanted.gate, wanted.call, wanted.subject, self._around())

    def _cools(self, grant: Grant, wanted: GrantDraft) -> bool:
        """Tell whether a reviewer denied this very call, or one that is the same request, and none is asked yet."""
        call, subject = wanted.call, wanted.subject
        if not (grants.answers(grant, call, subject, wanted.digest) or same_request(call, subject, wanted.gate)(grant)):
            return False
        if self._fitness(grant, wanted) is not Fitness.DENIED:
            return False
        since = grant.denied_at
        return since is None or not self._around().surely_past(since + wanted.gate.limits.deny_cooldown_seconds)

    async def _live(self, known: Grant) -> Grant | None:
        found = await self._cluster.read_grant(known.namespace, known.name)
        live = grants.parse(found.body) if found.ok else None
        return live if live is not None and live.uid == known.uid else None

    async def withdraw(self, grant: Grant, at_the_word_of: str, reason: str | None) -> Grant | RefusedOpening:
        """Withdraw a pending grant of ours at its requester's word. Raises `ClusterUnavailableError`."""
        said = {"by": self._installation.webhook, "for": at_the_word_of} | ({"reason": reason} if reason else {})
        live: Grant | None = grant
        for _ in range(_MAX_WITHDRAWALS):
            if live is None or not waits(live, self._earliest()):
                return RefusedOpening("it is no longer pending")
            if any(review.decision == "Deny" for review in live.reviews):
                # A denial that the operator is yet to look at would be gone with it, and the call asked for again.
                return RefusedOpening("a reviewer has already denied it")
            answer = await self._cluster.revoke_grant(live.namespace, live.name, live.resource_version, said)
            withdrawn = grants.parse(answer.body) if answer.ok else None
            if withdrawn is not None:
                return withdrawn
            if answer.status != HTTPStatus.CONFLICT:
                _log.error("grant not withdrawn", grant=live.name, status=answer.status, why=answer.message)
                return RefusedOpening(f"the API server rejected the withdrawal: {answer.message}")
            # Reviewed meanwhile, as like as not.
            live = await self._live(grant)
        return RefusedOpening("the grant changes too fast to be withdrawn: try again")

    async def read(self, namespace: str, endpoint: str, task_id: str) -> Grant | UnreadTask | None:
        """Return the grant of a task of this endpoint, read live; None where there is none.

        Applications look at tasks for callers who prove nothing, so ids that memory does not know have a ration: any
        number of them can be made up. Raises `ClusterUnavailableError`.
        """
        named = parsed(task_id)
        if named is None:
            return None
        known = self._store.grants.named(namespace, named.name)
        if (known is None or known.uid != named.uid) and not self._looks.take((namespace, endpoint), self._clock()):
            return UnreadTask()
        answer = await self._cluster.read_grant(namespace, named.name)
        grant = grants.parse(answer.body) if answer.ok else None
        return grant if grant and grant.uid == named.uid and grant.request.endpoint == endpoint else None


def _created(stored: Mapping[str, Any], manifest: Mapping[str, Any]) -> OpenedGrant | RefusedOpening:
    """Return the grant that was created; a refusal where it is not the one that was sent."""
    created = grants.parse(stored)
    if created is None:
        return RefusedOpening("the API server stored a grant that cannot be read: ask an administrator")
    if created.request != ApprovalGrantSpec.model_validate(manifest["spec"]).request:
        _log.error("grant not opened: it was changed on admission", grant=created.name)
        return RefusedOpening(_CHANGED)
    return OpenedGrant(created, created=True)
