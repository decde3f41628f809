"""Search: a search carried out, a few milliseconds at a time, in turn by tenant, and recorded.

Standing: under `pdp`. Holds: one snapshot and one moment for the whole search; nothing is used or opened; what was
found is recorded before it is answered, as a count, unless the installation would rather answer than record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import admit, find_revocation, may_ask
from bailiwick_engine.decision.search import Prospect, Prospects, SearchKind, candidates
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.observer import Observer, Stage, unobserved
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.pipeline.turns import TenantSlices
from bailiwick_webhook.record.search import search_line
from bailiwick_webhook.store.view import View

__all__ = ["SearchKind", "SearchResult", "Searcher", "unpaid"]

# Rules that are looked through without a pause.
_FEW: Final = 100
# Names that are tried with a call that is large: each takes as long as to decide it.
_MOST_LARGE: Final = 100


def unpaid(decisions: int) -> None:
    """Let a search make so many decisions, and charge no one."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found, in order of name. `with_approval`: subjects who are denied `approval_required`.

    `refused`: why every call of this subject is denied, whatever the rules.
    """

    names: tuple[str, ...]
    with_approval: tuple[str, ...]
    incomplete: bool
    refused: Reason | None
    time: float
    revision: str
    age: float


class Searcher:
    """Carries searches out. `now` is the time of day in seconds since the epoch. `observe`: see `observer`."""

    def __init__(
        self,
        store: View,
        records: Records,
        now: Callable[[], float],
        offload: Offload,
        observe: Observer = unobserved,
    ) -> None:
        self._observe = observe
        self._offload = offload
        self._store = store
        self._records = records
        self._now = now

    async def search(
        self,
        asked: EvaluationRequest,
        kind: SearchKind,
        snapshot: Snapshot,
        around: Circumstances,
        slices: TenantSlices,
        pay: Callable[[int], None] = unpaid,
    ) -> SearchResult | None:
        """Return what is found; None where the caller may not ask: about subjects, only an enforcer may.

        `pay` is called with how many decisions it takes, before any is made. Raises `RecordFailedError` and what `pay`
        raises.
        """
        call = asked.call
        endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
        whole = endpoint is not None and call.caller.username in endpoint.enforcers
        if endpoint is None or (kind is SearchKind.SUBJECT and not whole) or not may_ask(endpoint, call):
            pay(1)
            return None
        revision, age = self._store.revision, self._store.age
        admitted = admit(snapshot, endpoint, call, around)
        if around.outdated and not isinstance(admitted, Reason):
            # An evaluation of whatever was found would be denied.
            admitted = Reason.POLICY_OUTDATED
        names: list[str] = []
        gated: list[str] = []
        incomplete = False
        if isinstance(admitted, Reason):
            pay(1)
        else:
            work = partial(candidates, endpoint, kind, call, around.now)
            found = await self._offload.run(call.namespace, work, large=len(endpoint.rules) > _FEW)
            listed = found.names[:_MOST_LARGE] if asked.large else found.names
            incomplete = found.hidden or len(listed) < len(found.names)
            pay(max(1, len(listed)))
            told = Prospects(snapshot, endpoint, kind, call, found, around)
            prospects = await _prospects(listed, told.prospect, slices)
            names, gated, hidden = (prospects[one] for one in (Prospect.ALLOWED, Prospect.APPROVAL, Prospect.HIDDEN))
            # Only a search for subjects names those who need an approval.
            incomplete = incomplete or bool(hidden or (gated and kind is not SearchKind.SUBJECT))
            gated = gated if kind is SearchKind.SUBJECT else []
        refused = admitted if isinstance(admitted, Reason) else None
        revoked = find_revocation(endpoint, call, around) if refused is Reason.IDENTITY_REVOKED else None
        searched = SearchResult(tuple(names), tuple(gated), incomplete, refused, self._now(), revision, age)
        line = search_line(
            call,
            kind,
            found=len(names),
            with_approval=len(gated) if kind is SearchKind.SUBJECT else None,
            incomplete=incomplete,
            refused=refused,
            revocation=None if revoked is None else revoked.name,
            request_id=asked.request_id,
            revision=revision,
            age=age,
            now=searched.time,
        )
        with self._observe(Stage.RECORD, None):
            await self._records.write(line, must=False)
        return searched


async def _prospects(
    names: Sequence[str], prospect: Callable[[str], Prospect], slices: TenantSlices
) -> dict[Prospect, list[str]]:
    """Return names by what comes of them, a slice of time after the other."""
    found: dict[Prospect, list[str]] = {one: [] for one in Prospect}
    for name in names:
        if slices.over:
            await slices.turn()
        found[prospect(name)].append(name)
    return found
