"""The ledger's lines beside checkpoints: policies by their digest, ended grants, revocations, keys, guards and modes.

Standing: beside `witness`, over `ledger`; the parts that notice a change call it. Holds: a call never waits; a text is
printed once for each digest in the life of a process, and each ended grant once. A repeated line is harmless, a missing
one is a defect. The text of a policy takes long, so `run` makes it in pieces.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.compile.policies import parse_steps
from bailiwick_engine.compile.policydigest import policy_text
from bailiwick_engine.signatures.registrars import ReviewerKeyFile
from bailiwick_engine.signatures.reviewsignature import key_fingerprint
from bailiwick_engine.signatures.statement import reason_digest, request_digest
from bailiwick_engine.steps import Steps
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.kube import Object
from bailiwick_operator.reconcile import retention

_LOG: Final = structlog.get_logger(__name__)
_TURN: Final = 0.005
_PART: Final = 16_000
"""Characters of a file of reviewers' keys in one line."""

_STEP: Final = ("name", "policy", "kind", "groups", "count", "signature")
_REVIEW: Final = ("reviewer", "step", "group", "decision", "binding", "signature")
_STATUS: Final = ("approvedTime", "notAfterTime", "uses", "useRecords", "resolved")
_REQUEST: Final = ("origin", "pendingUntilTime", "windowSeconds", "maxUses")


def final_state(grant: Object, digests: Mapping[str, str]) -> Object:
    """Return the members of a grant's last line, which show later what a use of it was based on.

    `digests`: of each policy by its uid, as it is known now. It has no value that reviewers were shown, no comment of
    theirs and no argument of the call.
    """
    metadata, spec, status = grant["metadata"], grant.get("spec") or {}, grant.get("status") or {}
    request = spec.get("request") or {}
    ended = retention.ended_grant(grant)
    binding = request.get("binding") or {}
    revocation = spec.get("revocation") or {}
    counted = {str(one.get("reviewer")): one.get("time") for one in status.get("counted") or ()}
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "phase": status.get("phase"),
        "created": metadata.get("creationTimestamp"),
        "ended": None if ended is None else ended.at.isoformat(),
        "endpoint": request.get("endpoint"),
        "requester": (request.get("requester") or {}).get("username"),
        "subject": (request.get("subject") or {}).get("id"),
        "action": (request.get("action") or {}).get("name"),
        "resource": _only(request.get("resource") or {}, ("type", "id")),
        "binding": _only(binding, ("mode", "digest")),
        "rules": [rule | {"policyDigest": digests.get(str(rule.get("uid")))} for rule in request.get("rules") or ()],
        "steps": [_only(step, _STEP) for step in request.get("steps") or ()],
        "reviews": [_review(review, counted) for review in spec.get("reviews") or ()],
        **_signed(grant),
        "counted": [one.get("reviewer") for one in status.get("counted") or ()],
        "voided": [one.get("reviewer") for one in status.get("voided") or ()],
        "revokedBy": revocation.get("by"),
        **_only(request, _REQUEST),
        **_only(status, _STATUS),
    }


def _signed(grant: Object) -> Object:
    """Return the digest of what is asked for where a step asks for a signature, which is over it."""
    request = (grant.get("spec") or {}).get("request") or {}
    if not any("signature" in step for step in request.get("steps") or ()):
        return {}
    try:
        return {"requestDigest": request_digest(grant)}
    except NotCanonicalError:
        return {"requestDigest": None}


def _review(review: Object, counted: Mapping[str, object]) -> Object:
    """Return a review without its words. Where it is signed, also what the signature is over and judged by.

    `counted`: when each review was counted, by the reviewer.
    """
    found = _only(review, _REVIEW)
    if "signature" in review:
        found["key"] = key_fingerprint(str(review["signature"]))
        found["counted"] = counted.get(str(review.get("reviewer")))
        if "reason" in review:
            found["reasonDigest"] = reason_digest(str(review["reason"]))
    return found


def _only(held: Object, names: tuple[str, ...]) -> Object:
    return {name: held[name] for name in names if name in held}


class Chronicle:
    """Lives in the main loop. `clock` is monotonic."""

    def __init__(self, ledger: OperatorLedger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._waiting: dict[str, Object] = {}
        self._woken = asyncio.Event()
        self._generations: dict[str, int] = {}
        self._modes: dict[str, Object] = {}
        self._digests: dict[str, str] = {}
        self._printed: set[str] = set()
        self._ended: set[str] = set()
        self._revoked: dict[str, int] = {}
        self._guard: str | None = None

    def policy_changed(self, policy: Object, *, gone: bool) -> None:
        """Record that a policy came, changed or went."""
        metadata, spec = policy["metadata"], policy.get("spec")
        uid = metadata["uid"]
        if gone:
            self._waiting.pop(uid, None)
            self._generations.pop(uid, None)
            if (was := self._modes.pop(uid, None)) is not None:
                self._ledger.say("mode", policy=_name(policy), uid=uid, deleted=True, was=was)
            return
        if self._generations.get(uid) == metadata.get("generation"):
            return
        self._generations[uid] = metadata.get("generation")
        mode = _mode(spec)
        was = self._modes.get(uid)
        self._modes[uid] = mode
        if was is not None and was != mode:
            self._ledger.say("mode", policy=_name(policy), uid=uid, **mode, was=was)
        self._waiting[uid] = policy
        self._woken.set()

    def grant_changed(self, grant: Object, *, gone: bool) -> None:
        """Record that a grant came, changed or went."""
        uid, phase = grant["metadata"]["uid"], (grant.get("status") or {}).get("phase")
        if (phase in TERMINAL_PHASES or gone) and uid not in self._ended:
            self._ended.add(uid)
            try:
                members = final_state(grant, self._digests)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                _LOG.error("a grant cannot be read: the ledger does not say how it ended", uid=uid, problem=str(error))
                members = {"uid": uid, "phase": phase}
            # A grant that had not ended was deleted by someone who has the right to.
            self._ledger.say("grant", **members, **({} if phase in TERMINAL_PHASES else {"deleted": True}))
        if gone:
            self._ended.discard(uid)

    def revocation_changed(self, revocation: Object, *, gone: bool, early: bool) -> None:
        """Record that a subject is taken back, that it is so in another way, or that this has ended.

        `early`: the object was deleted before its `until`, by a person, or by the operator after the end of a hold.
        """
        metadata, spec = revocation["metadata"], revocation.get("spec") or {}
        uid, generation = metadata["uid"], metadata.get("generation")
        if not gone and self._revoked.get(uid) == generation:
            return
        if gone:
            self._revoked.pop(uid, None)
        else:
            self._revoked[uid] = generation
        state = "ended" if gone else "in force"
        self._ledger.say(
            "revocation", state=state, **({"early": early} if gone else {}), name=metadata["name"], uid=uid, **spec
        )

    def keys_changed(self, published: Iterable[str], removed: Iterable[str]) -> None:
        """Record which signing keys were published and removed, by their thumbprints."""
        self._ledger.say("keys", published=sorted(published), removed=sorted(removed))

    def guard_recorded(self, fingerprint: str) -> None:
        """Record the fingerprint by which the guards over grants are recorded."""
        if fingerprint != self._guard:
            self._ledger.say("guard", fingerprint=fingerprint, was=self._guard)
            self._guard = fingerprint

    def keep_changed(self, apiservers: str, was: str) -> None:
        """Record how many API servers keep the guards from their own disk, of how many."""
        self._ledger.say("keep", apiservers=apiservers, was=was)

    def reviewers_recorded(self, file: ReviewerKeyFile, serial: int) -> None:
        """Record a file of reviewers' keys with the signatures of the registrars, before any review counts by it.

        It is cut, so that each line is an entry of the chain.
        """
        texts = [file.text[start : start + _PART] for start in range(0, len(file.text), _PART)]
        about = {"serial": serial, "digest": file.digest, "parts": len(texts)}
        for part, text in enumerate(texts):
            self._ledger.say("reviewers", **about, part=part, text=text, signatures=file.signatures)

    async def run(self) -> None:
        """Print policies until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                policy = self._waiting.pop(next(iter(self._waiting)))
                try:
                    await self._print(policy)
                except Exception:  # noqa: BLE001 - one policy of an unforeseen shape must not stop all the others
                    _LOG.exception("internal error while printing a policy to the ledger")

    async def _print(self, policy: Object) -> None:
        text = await self._run_steps(_text(policy.get("spec")))
        if text is None:
            # It does not parse, so no call was ever decided by it.
            return
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        self._digests[policy["metadata"]["uid"]] = digest
        if digest not in self._printed:
            self._printed.add(digest)
            self._ledger.say(
                "policy",
                digest=digest,
                policy=_name(policy),
                uid=policy["metadata"]["uid"],
                generation=policy["metadata"].get("generation"),
                text=text.decode(),
            )

    async def _run_steps(self, steps: Steps[bytes | None]) -> bytes | None:
        until = self._clock() + _TURN
        while True:
            try:
                next(steps)
            except StopIteration as end:
                text: bytes | None = end.value
                return text
            if self._clock() >= until:
                await asyncio.sleep(0)
                until = self._clock() + _TURN


def _text(spec: object) -> Steps[bytes | None]:
    parsed = yield from parse_steps(spec)
    if isinstance(parsed, tuple):
        return None
    return (yield from policy_text(parsed))


def _mode(spec: object) -> Object:
    held = spec if isinstance(spec, dict) else {}
    return {"mode": held.get("mode", "Enforce"), "suspend": held.get("suspend", False)}


def _name(policy: Object) -> str:
    return f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"
