"""Opening: a request for approval becomes a grant (DESIGN, "Opening"; AuthZEN ARAP, submit and poll).

Holds: the decision point decides the body again and opens only where the verdict is that approval is needed; the name
follows from the request, so a storm of retries over any number of replicas opens one grant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from bailiwick_api.accounts import Installation
from bailiwick_api.guards import GRANT_NAME_PREFIX
from bailiwick_api.meta import API_VERSION
from bailiwick_engine import grants
from bailiwick_engine.binding import bound_context
from bailiwick_engine.call import Call, Subject
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compiled import Gate
from bailiwick_engine.conditions import matches_whole
from bailiwick_engine.display import items_of
from bailiwick_engine.grants import Fitness, Grant
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_webhook.cluster.client import Cluster
from bailiwick_webhook.store.store import Store

MAX_REASON: Final = 4096
# Each hop is a grant of this very request that ended; retention keeps far fewer than this many.
_MAX_CHAIN: Final = 50
_LONGEST_PENDING: Final = 86_400 - 60
_CONFLICT: Final = 409
_GONE: Final = 404
# Waits for its reviews, or serves.
_OPEN: Final = frozenset({Fitness.PENDING, Fitness.USABLE})

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """The grant that answers the request, new or already there."""

    grant: Grant
    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why none was opened, in a sentence."""

    detail: str


class Opener:
    """Opens grants. `now` is the time of day in seconds since the epoch."""

    possible = True

    def __init__(self, cluster: Cluster, store: Store, installation: Installation, now: Callable[[], float]) -> None:
        self._cluster = cluster
        self._store = store
        self._installation = installation
        self._now = now

    async def join(self, pending: Grant, call: Call, subject: Subject, gate: Gate) -> Opened | None:
        """Return the open grant that the store knows, read live; None where it has ended. Raises like `open`.

        Its name cannot be found again once the grant before it is deleted, so `open` could open a second one.
        """
        found = await self._cluster.read_grant(pending.namespace, pending.name)
        live = grants.parse(found.body) if found.ok else None
        if live is None or live.uid != pending.uid or self._fitness(live, call, subject, gate) not in _OPEN:
            return None
        return Opened(live, created=False)

    async def open(self, call: Call, subject: Subject, gate: Gate, digest: str, reason: str | None) -> Opened | Refused:
        """Open the grant for this call, or join the one that is open. Raises `ClusterUnavailableError`."""
        previous = self._latest_ended(call, subject, gate, digest)
        for _ in range(_MAX_CHAIN):
            name = grants.grant_name(call, gate, digest, subject.uid, previous_uid=previous)
            manifest = _manifest(name, call, subject, gate, digest, reason, self._now())
            answer = await self._cluster.create_grant(manifest)
            if answer.ok:
                created = grants.parse(answer.body)
                if created is None:
                    return Refused("the API server stored a grant that cannot be read; ask an administrator")
                return Opened(created, created=True)
            if answer.status != _CONFLICT:
                _log.error("grant not opened", status=answer.status, why=answer.message)
                return Refused(f"the API server refused the grant: {answer.message}")
            found = await self._cluster.read_grant(call.namespace, name)
            if found.status == _GONE:
                continue  # Deleted between the two calls: the name is free again.
            existing = grants.parse(found.body) if found.ok else None
            if existing is None:
                return Refused(f"approvalgrant {name} exists and cannot be read; ask an administrator")
            if not grants.answers(existing, call, subject, digest) or not grants.current(existing.request, gate):
                return Refused(f"approvalgrant {name} exists and is of another request; ask an administrator")
            match self._fitness(existing, call, subject, gate):
                case Fitness.PENDING | Fitness.USABLE:
                    return Opened(existing, created=False)
                case Fitness.DENIED:
                    # The store did not know yet. A denial is final: nobody is asked again.
                    return Refused(EXPLAINED[Reason.APPROVAL_DENIED].sentence)
            previous = existing.uid
        return Refused("too many grants of this request have ended; wait until the old ones are removed")

    def _latest_ended(self, call: Call, subject: Subject, gate: Gate, digest: str) -> str:
        """The uid that goes into the name. A store that lags only costs another round: the name then exists."""
        ended = grants.latest_ended(
            grant
            for grant in self._store.grants.candidates(call.namespace, call.endpoint, subject.uid)
            if grants.answers(grant, call, subject, digest)
            and grants.current(grant.request, gate)
            and self._fitness(grant, call, subject, gate) not in _OPEN
        )
        return ended.uid if ended else ""

    def _fitness(self, grant: Grant, call: Call, subject: Subject, gate: Gate) -> Fitness:
        around = Circumstances(self._now(), installation=self._installation)
        return grants.fitness(grant, gate, call, subject, around)

    async def read(self, namespace: str, endpoint: str, task_id: str) -> Grant | None:
        """Return the grant of a task of this endpoint, read live; None where there is none.

        Raises `ClusterUnavailableError`.
        """
        name, _, uid = task_id.partition(".")
        if not name.startswith(GRANT_NAME_PREFIX) or not name.replace("-", "").isalnum():
            return None
        answer = await self._cluster.read_grant(namespace, name)
        grant = grants.parse(answer.body) if answer.ok else None
        return grant if grant and grant.uid == uid and grant.request.endpoint == endpoint else None


def reason_problem(gate: Gate, reason: str | None) -> str | None:
    """Return what is wrong with the requester's reason, in a sentence; None where it will do."""
    wanted = gate.reason
    if reason is None or not reason.strip():
        return "a reason is needed" if wanted is not None and wanted.required else None
    if len(reason) > MAX_REASON:
        return f"a reason has at most {MAX_REASON} characters"
    if wanted is not None and wanted.pattern and matches_whole(wanted.pattern, reason) is not True:
        return f"the reason must match {wanted.pattern}"
    return None


def _manifest(
    name: str, call: Call, subject: Subject, gate: Gate, digest: str, reason: str | None, now: float
) -> dict[str, Any]:
    # The guard counts 24 hours by the API server's clock; a minute less leaves room for ours to be ahead of it.
    pending_until = datetime.fromtimestamp(now, UTC) + timedelta(seconds=min(gate.pending_seconds, _LONGEST_PENDING))
    request: dict[str, Any] = {
        "endpoint": call.endpoint,
        "rules": [{"policy": gate.policy, "uid": gate.policy_uid, "rule": gate.rule, "ruleDigest": gate.rule_digest}],
        "requester": {"username": call.caller.username, "uid": call.caller.uid},
        "subject": {"type": subject.type, "id": subject.id, "uid": subject.uid},
        # Of the parties of this very call, by the API server's names for them: none of them approves.
        "excludedReviewers": sorted(grants.excluded_reviewers(call, subject)),
        "action": {"name": call.action.name},
        "resource": {"type": call.resource.type, "id": call.resource.id},
        "binding": {"mode": "Exact", "digest": digest, "members": sorted(bound_context(call.context))},
        "display": list(items_of(call)),
        "steps": [step.model_dump(mode="json", exclude_none=True) for step in gate.steps],
        "origin": "Requested",
        "pendingUntilTime": pending_until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "windowSeconds": gate.window_seconds,
        "maxUses": gate.max_uses,
    }
    actors = [
        {"id": actor, "uid": uid} | ({"issuer": issuer} if issuer is not None else {})
        for issuer, actor, uid in grants.chain(call)
    ]
    optional = {"intent": call.intent, "reason": reason, "actors": actors}
    return {
        "apiVersion": API_VERSION,
        "kind": "ApprovalGrant",
        "metadata": {"name": name, "namespace": call.namespace},
        # An empty list, so that the first review is added like every other: `add /spec/reviews/-`.
        "spec": {"request": request | {key: value for key, value in optional.items() if value}, "reviews": []},
    }
