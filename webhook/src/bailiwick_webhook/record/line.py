"""What one record says: who, for whom, what, verdict, why, under which policies and snapshot, with which grant.

Holds: no token and no argument is ever in it, and of the context only what candidate rules read (see `evidence`). The
parts that many records share are encoded once.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from weakref import ref

import orjson

from bailiwick_api.kinds.approvalgrant import Review
from bailiwick_api.times import stamp
from bailiwick_engine.approval import quorum
from bailiwick_engine.approval.display import visible
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_engine.reasons import EXPLAINED, Disposition, Reason
from bailiwick_engine.signatures.reviewsignature import key_fingerprint
from bailiwick_webhook.evaluation import ShownToken
from bailiwick_webhook.record.evidence import AttributesRead, Evidence
from bailiwick_webhook.record.history import HistoryCount, history_attributes
from bailiwick_webhook.record.seals import ValueSealer

_NO_POLICY: Final = b'"policy":null,'
# Of a call of one's own that needs no approval.
_USUAL: Final = b'"actors":[],"hop":null,"digest":null,"grant":null,"audit":[],'
# OCSF 1.9, API Activity: https://schema.ocsf.io/classes/api_activity, with the profile Security Control.
_OCSF: Final = {
    "class_uid": 6003,
    "category_uid": 6,
    "activity_id": 99,
    "type_uid": 600399,
    "severity_id": 1,
    "metadata": {"version": "1.9.0-dev", "profiles": ["security_control"], "product": {"name": "Bailiwick"}},
}
# A grant's id is shorter; what is not one is another's text, and no record shall grow by it.
MAX_SHOWN_ID: Final = 320
# Names and uids of the API server: no token is so plain.
_ID: Final = re.compile(r"[a-z0-9.-]+")
# A member of an enumeration is looked up slowly, and this one is for every record.
_ALLOW: Final = Outcome.ALLOW


def grant_members(grant: Grant, evaluation_id: str, *, reviewed: bool) -> dict[str, Any]:
    """Return the state of a grant. `reviewed`: it was used, so that its reviews let the call through.

    Nothing that is shown to reviewers of the call is in it, only what binds the grant.
    """
    request, status = grant.request, grant.status
    uses = status.uses or 0
    # What a grant that was written by hand leaves to the operator.
    resolved = {(one.policy, one.rule): one.rule_digest for one in (status.resolved.rules if status.resolved else ())}
    taken = any(use.evaluation_id == evaluation_id for use in status.use_records or ())
    told: dict[str, Any] = {
        "name": grant.name,
        "uid": grant.uid,
        "uses": status.uses,
        # A call that is repeated finds its use taken.
        "uses_before": uses - taken,
        "max_uses": request.max_uses,
        "phase": grant.phase,
        "binding": {"mode": request.binding.mode, "digest": request.binding.digest},
        "rules": [
            {
                "policy": rule.policy,
                "rule": rule.rule,
                "digest": rule.rule_digest or resolved.get((rule.policy, rule.rule)),
            }
            for rule in request.rules
        ],
        "steps": [
            {"name": step.name, "policy": step.policy, "kind": step.kind, "groups": step.groups, "count": step.count}
            | ({} if step.signature is None else {"signature": step.signature})
            for step in request.steps
        ],
    }
    if grant.request_digest is not None:
        told["request"] = grant.request_digest
    if reviewed:
        counted = quorum.counted_reviewers(status)
        told["reviews"] = [
            {
                "reviewer": review.reviewer,
                "step": review.step,
                "group": review.group,
                "time": None if (time := counted[review.reviewer]) is None else stamp(time),
                "reason": review.reason,
                **_signature_members(review),
            }
            for review in grant.reviews
            if review.reviewer in counted
        ]
    return told


def _signature_members(review: Review) -> dict[str, Any]:
    """Return the signature of a review and its key, by its fingerprint; nothing where there is none."""
    if review.signature is None:
        return {}
    return {"key": key_fingerprint(review.signature), "signature": review.signature}


def disposition(verdict: Verdict, *, allowed: bool) -> Disposition:
    """Return OCSF's `disposition_id`."""
    if allowed:
        return Disposition.ALLOWED if verdict.outcome is _ALLOW else Disposition.APPROVED
    if verdict.outcome is Outcome.FORBIDDEN:
        return Disposition.UNAUTHORIZED
    return EXPLAINED[verdict.reason].disposition


class RecordLines:
    """Makes records. `key` is that of the HMACs; None leaves nothing of values that must not be read."""

    def __init__(self, key: bytes | None = None) -> None:
        self._sealed = ValueSealer(key)
        # Each goes with its endpoint: of one that is gone no call would ask again.
        self._evidence: dict[EndpointKey, tuple[ref[CompiledEndpoint], Evidence]] = {}
        self._second = -1
        self._until_second = b""
        self._outcomes: dict[tuple[str, Outcome, Reason, bool, bool], bytes] = {}

    def line(  # noqa: PLR0913 - the parts of one record
        self,
        call: Call,
        verdict: Verdict,
        endpoint: CompiledEndpoint | None,
        *,
        kind: str,
        evaluation_id: str,
        request_id: str | None,
        item: int | None = None,
        trace: str | None,
        allowed: bool,
        used: Grant | None,
        token: ShownToken | None = None,
        revision: str,
        age: float,
        pending: float | None = None,
        now: float,
        judged: float | None = None,
        weighed: Sequence[Hop] | None = None,
        read: AttributesRead | None = None,
        history: Sequence[HistoryCount] = (),
    ) -> bytes:
        """Return the record as one JSON line. `kind` is evaluation or request; `used` is the grant used or opened.

        `endpoint` is that of the snapshot that was decided by, None where it is not known. Where an endpoint has many
        policies, a line that lists them comes before the first record that was decided by them. `weighed`
        is what the verdict came from, where that is known; `read` is what `reading` returned, where it was asked
        already. `token` is the approval token that was shown. `item` is the call's place in a batch. `pending`: for so
        many seconds a change of the endpoint's policies has not been part of the snapshot. `judged` is the moment that
        conditions saw, where it is not `now`. `history`: what the verdict was made with of each history, and what was
        counted.
        """
        evidence = None if endpoint is None else self._evidence_of(call, endpoint)
        subject = call.subject
        own: dict[str, Any] = {
            "now": now if judged is None else judged,
            "request_id": None if request_id is None else visible(request_id),
            "caller": {"id": call.caller.username, "uid": call.caller.uid},
            "subject": _party(subject) if isinstance(subject, Party) else None,
            "action": call.action.name,
            "resource": {"type": call.resource.type, "id": call.resource.id},
            "intent": call.intent,
            "snapshot": {"revision": revision, "age_seconds": round(age, 3)},
        }
        if pending is not None:
            own["snapshot"]["pending_seconds"] = round(pending, 3)
        usual = not call.actors and verdict.digest is None and used is None and not verdict.audit
        if not usual:
            own["actors"] = [_party(actor) for actor in call.actors]
            own["hop"] = verdict.hop
            own["digest"] = verdict.digest
            own["grant"] = (
                None if used is None else grant_members(used, evaluation_id, reviewed=allowed and kind == "evaluation")
            )
            own["audit"] = [{"policy": name, "rule": rule, "effect": effect} for name, rule, effect in verdict.audit]
        if call.shown is not None:
            own["approval"] = {"id": _shown_id(call.shown.id), "token": None if token is None else _token(token)}
        if item is not None:
            own["item"] = item
        if trace is not None:
            own["traceparent"] = trace
        preamble = b""
        if evidence is None or endpoint is None:
            common, policy = orjson.dumps({"endpoint": f"{call.namespace}/{call.endpoint}"})[1:-1] + b",", _NO_POLICY
        else:
            preamble, evidence.preamble = evidence.preamble, b""
            common, policy = evidence.common, self._policy(evidence, verdict.rule)
            if isinstance(subject, Party) and (subject.groups or call.actors or evidence.parties.asking):
                _tell_parties(own, evidence, call, endpoint)
            _tell_read(own, evidence, evidence.read(call, endpoint, weighed) if read is None else read, history)
        return b"".join(
            (
                preamble,
                self._time(now),
                self._outcome(kind, verdict, allowed=allowed),
                b'"evaluation_id":"',
                evaluation_id.encode(),
                b'",',
                common,
                policy,
                _USUAL if usual else b"",
                orjson.dumps(own, option=orjson.OPT_APPEND_NEWLINE)[1:],
            )
        )

    def reading(
        self, call: Call, endpoint: CompiledEndpoint | None, weighed: Sequence[Hop] | None
    ) -> Callable[[], AttributesRead]:
        """Return what tells what is read of a call. It may be called in another thread: all that is shared is here."""
        if endpoint is None:
            return lambda: (None, None)
        evidence = self._evidence_of(call, endpoint)
        return lambda: evidence.read(call, endpoint, weighed)

    def _evidence_of(self, call: Call, endpoint: CompiledEndpoint) -> Evidence:
        key = (call.namespace, call.endpoint)
        found = self._evidence.get(key)
        if found is None or found[0]() is not endpoint:
            found = self._evidence[key] = (
                ref(endpoint, partial(self._over, key)),
                Evidence(*key, endpoint, self._sealed),
            )
        return found[1]

    def _over(self, key: EndpointKey, of: "ref[CompiledEndpoint]") -> None:
        found = self._evidence.get(key)
        if found is not None and found[0] is of:
            del self._evidence[key]

    @staticmethod
    def _policy(evidence: Evidence, rule: CompiledRule | None) -> bytes:
        return _NO_POLICY if rule is None else evidence.named(rule)

    def _time(self, now: float) -> bytes:
        second = int(now)
        if second != self._second:
            self._second = second
            self._until_second = datetime.fromtimestamp(second, UTC).strftime('{"time":"%Y-%m-%dT%H:%M:%S.').encode()
        return b'%b%03d+00:00",' % (self._until_second, (now - second) * 1000)

    def _outcome(self, kind: str, verdict: Verdict, *, allowed: bool) -> bytes:
        # By all that `disposition` looks at, and what else is recorded.
        key = (kind, verdict.outcome, verdict.reason, allowed, verdict.dry_run)
        found = self._outcomes.get(key)
        if found is None:
            members = {
                "kind": kind,
                **_OCSF,
                "activity_name": kind,
                "action_id": 1 if allowed else 2,
                "disposition_id": disposition(verdict, allowed=allowed),
                "decision": allowed,
                "reason": verdict.reason.value,
                "dry_run": verdict.dry_run,
            }
            found = self._outcomes[key] = orjson.dumps(members)[1:-1] + b","
        return found


def _shown_id(text: str) -> str:
    """What is no grant's id may be anything, a token in the wrong place too."""
    if len(text) <= MAX_SHOWN_ID and _ID.fullmatch(text):
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _token(token: ShownToken) -> dict[str, str | None]:
    return {"jti": token.jti, "sha256": token.sha256, "refused": token.refused}


def _party(party: Party) -> dict[str, Any]:
    """`issuer` None: on the enforcer's word."""
    return {"type": party.type, "id": party.id, "uid": party.uid, "issuer": party.issuer}


def _tell_read(own: dict[str, Any], evidence: Evidence, read: AttributesRead, history: Sequence[HistoryCount]) -> None:
    """Add what rules read of the call and of histories, and what was counted."""
    attributes, limits = read
    if history:
        own["history"] = [count.member for count in history]
        if attributes is not None and evidence.histories:
            attributes = {**attributes, **history_attributes(evidence.histories, history)}
    if attributes is not None:
        own["attributes"] = attributes
    if limits is not None:
        own["limits"] = limits


def _tell_parties(own: dict[str, Any], evidence: Evidence, call: Call, endpoint: CompiledEndpoint) -> None:
    """Add what rules ask of the parties."""
    subject, facts = call.subject, evidence.parties
    if isinstance(subject, Party):
        facts.tell(own["subject"], subject, call, endpoint)
    for actor, told in zip(call.actors, own.get("actors", ()), strict=True):
        facts.tell(told, actor, call, endpoint)
