"""Shadow: decide a call again, with a candidate in place of the policy that it replaces.

Standing: over `decide`, which it calls; the code that answers calls never uses it. Holds: pure; if the candidate needs
an input that was not read for the live decision, the result is undecided, and never reported as a verdict.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.snapshot import CompiledEndpoint, ShadowEndpoint, Snapshot


class VerdictClass(StrEnum):
    """What a verdict means for the caller."""

    ALLOW = "allow"
    APPROVAL = "approval"
    """Denied, and an approval would let it through."""
    DENY = "deny"


class ShadowVerdict(msgspec.Struct, frozen=True):
    """What a candidate would have made of a call. `verdict` None: it is undecided."""

    shadow: ShadowEndpoint
    verdict: Verdict | None

    def differs(self, live: Verdict) -> bool:
        """Tell whether the caller would have got a different answer: another verdict, or another reason.

        Another rule with the same answer is not a difference: that is what `diff` is for.
        """
        verdict = self.verdict
        return verdict is not None and ((verdict_class(verdict), verdict.reason) != (verdict_class(live), live.reason))


def verdict_class(verdict: Verdict) -> VerdictClass:
    """Return what a verdict comes to; one that a grant decides as if the grant could be used."""
    if verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT}:
        return VerdictClass.ALLOW
    return VerdictClass.APPROVAL if verdict.awaits_approval else VerdictClass.DENY


def decide_shadow(
    snapshot: Snapshot,
    endpoint: CompiledEndpoint,
    call: Call,
    grants: Iterable[Grant],
    around: Circumstances,
    digest: str | None = None,
) -> Iterable[ShadowVerdict]:
    """Yield what each candidate of an endpoint would have made of a call, of all that the verdict on it was made from.

    `endpoint` is that of the call in the snapshot; `digest` is the call's, where it is known.
    """
    known = tuple(grants)
    for shadow in endpoint.shadows:
        if _asks_more(shadow.endpoint, endpoint, call):
            yield ShadowVerdict(shadow, None)
            continue
        made = Snapshot({(call.namespace, call.endpoint): shadow.endpoint}, snapshot.revision, snapshot.unreadable)
        beside = replace(around, history=_readings(shadow.endpoint, endpoint, around.history))
        verdict = decide(made, call, known, beside, digest)
        yield ShadowVerdict(shadow, None if verdict.wants_numbers else verdict)


def _readings(shadow: CompiledEndpoint, live: CompiledEndpoint, read: HistoryReadings) -> HistoryReadings:
    """Return what the candidate knows: the numbers of histories that count the same, as if it counted the call."""
    counted = {(one.name, one.digest) for one in live.histories}
    names = {one.name for one in shadow.histories if (one.name, one.digest) in counted}
    return HistoryReadings({name: held for name, held in read.numbers.items() if name in names}, counted=True)


def _asks_more(shadow: CompiledEndpoint, live: CompiledEndpoint, call: Call) -> bool:
    """Tell whether the candidate needs a party's workload and no live rule does: then it was not looked up."""
    parties = [party for party in (call.subject, *call.actors) if isinstance(party, Party) and party.workload is None]
    return any(
        shadow.asks_workload(call.action.name, call.resource, party)
        and not live.asks_workload(call.action.name, call.resource, party)
        for party in parties
    )
