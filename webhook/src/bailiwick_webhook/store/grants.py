"""Grants: the sink that keeps them by endpoint and subject, to find them again; deciding reads them live.

Holds: what is found here is only ever a candidate; a grant that cannot be read is none. Kept as text, since most are
never asked for: parsed they would take ten times the room. What was asked for lately stays parsed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from bailiwick_engine.approval.binding import digest as digest_of
from bailiwick_engine.approval.grants import Grant, GrantKey, parse
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.call import Call, Party
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_webhook.store.listwatch import Key

_PARSED: Final = 1024
_FEW: Final = 16
_NONE: Final[Mapping[Key, float]] = {}
_DENIED: Final = "Denied"
_REVIEWED: Final = frozenset({"Active", "Consumed", "Denied"})
# What `parse` looks at, and nothing else: who wrote which field is half of a stored object.
_METADATA: Final = ("namespace", "name", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class _Text:
    """A grant as it is kept, and where. `asked` is the digest of the Idempotency-Key that it was asked for with.

    `bound` stands for the one call, or scope, that the decision point opened it for; None: it may be of any call.
    `idle`: written by hand, and no reviewer has made anything of it, so that it lets no call through. `until`: asked
    for and not decided, it waits until then, in seconds since the epoch.
    """

    place: GrantKey
    text: bytes
    asked: str | None = None
    bound: int | None = None
    idle: bool = False
    until: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """The text of every grant, and which stand at which place."""

    texts: dict[Key, _Text] = field(default_factory=dict)
    by_place: dict[GrantKey, list[Key]] = field(default_factory=dict)
    by_asked: dict[str, Key] = field(default_factory=dict)
    # By namespace, those that wait for their reviews, and until when.
    waiting: dict[str, dict[Key, float]] = field(default_factory=dict)

    def add(self, key: Key, obj: Mapping[str, Any]) -> None:
        """Keep a grant; not one that says neither of what nor for whom it is."""
        text = _text(obj)
        if text is None:
            return
        self.texts[key] = text
        if text.until is not None:
            self.waiting.setdefault(key[0], {})[key] = text.until
        if text.asked is not None:
            self.by_asked[text.asked] = key
        there = self.by_place.get(text.place)
        if there is None:
            self.by_place[text.place] = [key]
        else:
            there.append(key)

    def drop(self, key: Key) -> None:
        """Keep a grant no longer."""
        text = self.texts.pop(key, None)
        if text is not None:
            if text.until is not None and (waiting := self.waiting.get(key[0])) is not None:
                waiting.pop(key, None)
                if not waiting:
                    del self.waiting[key[0]]
            there = self.by_place[text.place]
            there.remove(key)
            if not there:
                del self.by_place[text.place]
            if text.asked is not None and self.by_asked.get(text.asked) == key:
                del self.by_asked[text.asked]


class Grants:
    """Every `ApprovalGrant` by endpoint and subject uid."""

    def __init__(self) -> None:
        self._kept = _Kept()
        self._parsed: BoundedCache[Key, tuple[_Text, Grant | None]] = BoundedCache(_PARSED)

    def grants_of(self, namespace: str, endpoint: str, subject_uid: str, call: Call | None = None) -> Iterable[Grant]:
        """Return the grants of this endpoint and subject, in no promised order. Read only when they are looked at.

        With a call, grants that cannot be of it may be left out.
        """
        return _GrantsOfPlace(self, (namespace, endpoint, subject_uid), call)

    def found(self, place: GrantKey, call: Call | None) -> Iterator[Grant]:
        """Yield the grants of one place."""
        there = tuple(self._kept.by_place.get(place, ()))
        # A busy caller has hundreds that ended, and to parse them all for each call would hold up the others.
        bound = _bound_to(call) if call is not None and len(there) > _FEW else None
        idle = 0
        for key in there:
            text = self._kept.texts.get(key)
            if text is None or (bound is not None and text.bound not in bound):
                continue
            # By hand anybody who may ask writes any number, and no limit holds them back.
            idle += text.idle
            if text.idle and idle > _FEW:
                continue
            grant = self._grant(key)
            if grant is not None:
                yield grant

    def asked_with(self, digest: str) -> Grant | None:
        """Return the grant that was asked for with the Idempotency-Key of this digest."""
        key = self._kept.by_asked.get(digest)
        return None if key is None else self._grant(key)

    def named(self, namespace: str, name: str) -> Grant | None:
        """Return the grant of this name."""
        return self._grant((namespace, name))

    def waiting(self, namespace: str, now: float) -> int:
        """Return how many grants of a namespace that were asked for wait for their reviews. `now`: since the epoch."""
        # One whose time is past is over, whether or not the operator has said so. It is kept: the clock may be set.
        return sum(until > now for until in self._kept.waiting.get(namespace, _NONE).values())

    def listing(self) -> "_Listing":
        """Begin a list."""
        return _Listing(self, _Kept())

    def replace(self, kept: _Kept) -> None:
        """Take this as every grant that exists."""
        self._kept = kept

    def apply(self, kind: str, key: Key, obj: dict[str, Any]) -> None:
        """Take one change."""
        self._parsed.pop(key, None)
        self._kept.drop(key)
        if kind != "DELETED":
            self._kept.add(key, obj)

    def _grant(self, key: Key) -> Grant | None:
        text = self._kept.texts.get(key)
        if text is None:
            return None
        known = self._parsed.get(key)
        if known is not None and (known[0] is text or known[0] == text):
            self._parsed.touch(key)
            return known[1]
        grant = parse(orjson.loads(text.text))
        self._parsed.put(key, (text, grant))
        return grant


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list on its way."""

    grants: Grants
    kept: _Kept

    def take(self, key: Key, obj: dict[str, Any]) -> None:
        self.kept.add(key, obj)

    def finish(self) -> None:
        self.grants.replace(self.kept)


class _GrantsOfPlace(msgspec.Struct, frozen=True):
    """The grants of one place, each time as they are then: most decisions need none, and never look."""

    grants: Grants
    place: GrantKey
    call: Call | None

    def __iter__(self) -> Iterator[Grant]:
        return self.grants.found(self.place, self.call)


def _bound_to(call: Call) -> frozenset[int | None] | None:
    """Return what the `bound` of a grant that answers the call is one of (see `grants.answers`); None: not known."""
    if not isinstance(call.subject, Party):
        return None
    try:
        digest = digest_of(call, call.subject)
    except NotCanonicalError:
        return None
    about = (call.action.name, call.resource.type, call.resource.id)
    return frozenset((None, hash((*about, digest)), hash((*about, None)), hash((*about, _DENIED))))


def _bound_by(request: Mapping[str, Any], phase: str | None) -> int:
    binding = request["binding"]
    digest = binding.get("digest") if binding.get("mode") == "Exact" else None
    if phase == _DENIED:
        # A denial may hold for other calls with the same resource.
        digest = _DENIED
    return hash((request["action"]["name"], request["resource"]["type"], request["resource"]["id"], digest))


def _text(obj: Mapping[str, Any]) -> _Text | None:
    try:
        metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
        request = obj["spec"]["request"]
        by_hand = request.get("origin") == "PreApproved"
        # As `Grant.subject_uid` has it, and no surer: what is found is judged as it is read live. One by hand is
        # no subject's before it is resolved, whatever it says, so that no number of them delays a subject's decisions.
        stated = None if by_hand else request["subject"].get("uid")
        uid = stated or ((obj.get("status") or {}).get("resolved") or {}).get("subjectUID") or ""
        place = (metadata["namespace"], request["endpoint"], uid)
        if not all(isinstance(part, str) for part in place):
            return None
        text = orjson.dumps({"metadata": metadata, "spec": obj["spec"], "status": obj.get("status")})
        # A copy is as long as the text; what orjson returns keeps the room that it wrote in, six times as much.
        # Of what the decision point opened alone: anybody's grant by hand could claim a key.
        asked = None if by_hand else (request.get("idempotency") or {}).get("key")
        phase = (obj.get("status") or {}).get("phase")
        bound = None if by_hand else _bound_by(request, phase)
        idle = by_hand and phase not in _REVIEWED
        until = None if by_hand else _waits_until(obj)
        return _Text(place, bytes(memoryview(text)), asked if isinstance(asked, str) else None, bound, idle, until)
    except (KeyError, TypeError, AttributeError):
        return None


def _waits_until(obj: Mapping[str, Any]) -> float | None:
    if (obj.get("status") or {}).get("phase") not in {None, "Pending"} or obj["spec"].get("revocation"):
        return None
    try:
        return datetime.fromisoformat(obj["spec"]["request"]["pendingUntilTime"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
