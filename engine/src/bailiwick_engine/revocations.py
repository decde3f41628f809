"""Revocations: who is taken back, and which of their tokens, grants and reviews that refuses.

Standing: under `circumstances`. Holds: a revocation only ever denies, and a party that may be meant is refused. A
lookup takes the same few steps for one revocation as for thousands. A person who may take
subjects back can write them without end: beyond `MOST_BY_MATCH`, each takes little memory and refuses everybody of its
issuer.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import Any, Final, Literal

import msgspec
import orjson
from pydantic import ValidationError

from bailiwick_api.kinds.subjectrevocation import MEMBERS, RevokedIdentity, SubjectRevocationSpec
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import UsernameTemplate, fold_address, has_case
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT

NAME_PREFIX: Final = "r-"
_DIGEST_BYTES: Final = 16
_ANY: Final = "*"
"""Stands for every issuer. No issuer has this name."""
UNLISTED: Final = "?"
"""Stands for an issuer that the issuers file does not have. No issuer has this name."""
_SID: Final = "sid"
_EMAIL: Final = "email"
_USERNAME: Final = "username"
_CLAIMS: Final = ("sub", _SID, _EMAIL)
_SPARE_RANKS: Final = 8
MOST_BY_MATCH: Final = 25_000
"""So many are known by whom they name. Each can take six kilobytes: the keys of every part of what it names."""

Pairs = tuple[tuple[str, str], ...]
Shape = tuple[str, ...]


class PartyRevocation(msgspec.Struct, frozen=True):
    """One SubjectRevocation. `match`: members and values in the order of `MEMBERS`. Times: seconds since the epoch."""

    name: str
    issuer: str
    match: Pairs
    issued_before: float
    hold: bool
    as_of: float
    until: float

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Of two revocations of one party, the one that refuses all that the other does ranks before it."""
        return not self.hold, -self.issued_before, self.name

    def ends(self, created: float) -> bool:
        """Tell whether a grant of its subject that was created then counts no more."""
        return self.hold or created < self.issued_before

    def refuses(self, issued: object) -> bool:
        """Tell whether a token of its subject is refused. `issued`: its claim iat, whatever that is."""
        if self.hold or isinstance(issued, bool) or not isinstance(issued, int | float):
            return True
        return not issued >= self.issued_before


def revocation_name(
    issuer: str, match: RevokedIdentity, cause_kind: Literal["Signal", "Person"], written: str = ""
) -> str:
    """Return the name of the object.

    `written`: what tells the objects of one subject apart. A person may only create, so each of theirs has the time of
    its making. A signal's has none: the operator updates the one that is there, unless another subject stands in it.
    """
    pairs = [list(pair) for pair in _pairs(match)]
    digest = hashlib.sha256(orjson.dumps([issuer, pairs, cause_kind, written])).digest()
    return NAME_PREFIX + base64.b32encode(digest[:_DIGEST_BYTES]).decode().rstrip("=").lower()


def parse(raw: Mapping[str, Any]) -> PartyRevocation:
    """Parse a stored object. One that cannot be read holds everybody of its issuer, or of every issuer."""
    metadata, spec = raw.get("metadata") or {}, raw.get("spec")
    name = str(metadata.get("name", ""))
    try:
        found = SubjectRevocationSpec.model_validate(spec)
    except ValidationError:
        issuer = spec.get("issuer") if isinstance(spec, Mapping) else None
        return PartyRevocation(name, issuer if isinstance(issuer, str) else _ANY, (), 0.0, True, 0.0, 0.0)  # noqa: FBT003
    times = (found.issued_before, found.as_of, found.until)
    issued_before, as_of, until = map(datetime.timestamp, times)
    return PartyRevocation(name, found.issuer, _pairs(found.match), issued_before, found.hold, as_of, until)


def _pairs(match: RevokedIdentity) -> Pairs:
    return tuple((member, value) for member in MEMBERS if (value := getattr(match, member)) is not None)


def _has_case(member: str, value: str) -> bool:
    """Tell whether the case of a value counts."""
    return member != _EMAIL and has_case(value)


def _folded(member: str, value: str) -> str:
    """Return a value as it is compared."""
    return value if _has_case(member, value) else fold_address(value)


class _Bucket:
    """The revocations under one key, and the strictest of them. Only the heap's first rank is sure to be in force."""

    __slots__ = ("_ranks", "held", "strictest")

    def __init__(self) -> None:
        self.held: dict[str, PartyRevocation] = {}
        self.strictest: PartyRevocation | None = None
        self._ranks: list[tuple[bool, float, str]] = []

    def put(self, revocation: PartyRevocation) -> None:
        self.held[revocation.name] = revocation
        heappush(self._ranks, revocation.rank)
        self._choose()

    def remove(self, name: str) -> None:
        self.held.pop(name, None)
        self._choose()

    def _choose(self) -> None:
        if len(self._ranks) > _SPARE_RANKS + 2 * len(self.held):
            self._ranks = [one.rank for one in self.held.values()]
            heapify(self._ranks)
        strictest = None
        while self._ranks and strictest is None:
            found = self.held.get(self._ranks[0][2])
            if found is not None and found.rank == self._ranks[0]:
                strictest = found
            else:
                heappop(self._ranks)
        self.strictest = strictest


class Revocations:
    """All revocations in force, by whom they name. Falsy when there is none.

    `templates`: how each issuer's people are named at the API server, from the issuers file. Only the thread that
    watches puts and removes. Other threads may look up meanwhile: no change lets a party through that both the state
    before and the state after it refuse. `most`: so many are known by whom they name. One beyond them holds everybody
    of its issuer until it is removed, or put in again when there is room.
    """

    def __init__(self, templates: Mapping[str, UsernameTemplate] | None = None, *, most: int = MOST_BY_MATCH) -> None:
        self._most = most
        self._templates = dict(templates or {})
        self._all: dict[str, PartyRevocation] = {}
        # Most keys have one revocation: it stands for a bucket, which takes ten times the memory.
        self._buckets: dict[Hashable, _Bucket | PartyRevocation] = {}
        # By issuer, how many of its revocations name which members together. There are 15 such shapes at most.
        self._counts: dict[str, Counter[Shape]] = {}
        self._shapes: dict[str, tuple[Shape, ...]] = {}
        self._username_patterns = {
            issuer: pattern for issuer, one in self._templates.items() if (pattern := one.pattern()) is not None
        }

    @property
    def issuers(self) -> Collection[str]:
        """The issuers of people, as the issuers file has them."""
        return self._templates.keys()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[PartyRevocation]:
        return iter(self._all.values())

    def get(self, name: str) -> PartyRevocation | None:
        """Return the revocation of this name."""
        return self._all.get(name)

    def put(self, revocation: PartyRevocation) -> None:
        """Take one in, in place of the one of its name."""
        before = self._all.get(revocation.name)
        if (before is None or not before.match) and len(self._all) - (before is not None) >= self._most:
            revocation = msgspec.structs.replace(revocation, match=(), hold=True)
        keys = self._keys(revocation)
        for key in keys:
            self._add(key, revocation)
        self._count(revocation, 1)
        self._all[revocation.name] = revocation
        if before is not None:
            self._drop(before, self._keys(before) - keys)

    def remove(self, name: str) -> None:
        """Let one go."""
        revocation = self._all.pop(name, None)
        if revocation is not None:
            self._drop(revocation, self._keys(revocation))

    def _add(self, key: Hashable, revocation: PartyRevocation) -> None:
        present = self._buckets.get(key)
        if isinstance(present, _Bucket):
            present.put(revocation)
        elif present is None or present.name == revocation.name:
            self._buckets[key] = revocation
        else:
            bucket = _Bucket()
            bucket.put(present)
            bucket.put(revocation)
            self._buckets[key] = bucket

    def _drop(self, revocation: PartyRevocation, keys: Iterable[Hashable]) -> None:
        for key in keys:
            present = self._buckets[key]
            if isinstance(present, _Bucket):
                present.remove(revocation.name)
                if present.held:
                    continue
            del self._buckets[key]
        self._count(revocation, -1)

    def _count(self, revocation: PartyRevocation, more: int) -> None:
        issuer, shape = revocation.issuer, _shape(revocation)
        counts = self._counts.setdefault(issuer, Counter())
        counts[shape] += more
        if not counts[shape]:
            del counts[shape]
        # Only where the set of shapes changes: thousands of revocations have the same few.
        if (shape in counts) != (shape in self._shapes.get(issuer, ())):
            self._shapes[issuer] = tuple(sorted(counts))
        if not counts:
            del self._counts[issuer], self._shapes[issuer]

    def _keys(self, revocation: PartyRevocation) -> frozenset[Hashable]:
        """Return every key under which a lookup may find it."""
        issuer, match = revocation.issuer, revocation.match
        keys: set[Hashable] = set()
        if not match:
            keys.add(("everybody", issuer))
            if issuer != CLUSTER and issuer not in self._templates:
                keys.add(("everybody", UNLISTED))
        shape, folded = _shape(revocation), [(member, _folded(member, value)) for member, value in match]
        for size in range(1, len(folded) + 1):
            keys.update(("token", issuer, shape, known) for known in combinations(folded, size))
        for member, value in match:
            if member == _SID:
                continue
            has_case, name = _has_case(member, value), _folded(member, value)
            keys.add(("name", issuer, has_case, name))
            if member == _USERNAME:
                keys.add((_USERNAME, issuer, has_case, name))
            # A service account is the cluster's, whatever another issuer says. A name as it is written, as in lookups.
            if issuer == CLUSTER or not value.startswith(SERVICE_ACCOUNT_PREFIX):
                keys.add(("name", _ANY, has_case, name))
        keys.update(self._reviewer_keys(issuer, dict(match)))
        return frozenset(keys)

    def _reviewer_keys(self, issuer: str, match: Mapping[str, str]) -> Iterator[Hashable]:
        """Yield the keys of the API server's names of whom a match names."""
        template = self._templates.get(issuer)
        names = [match.get(_USERNAME), match.get("sub") if issuer == CLUSTER else None]
        names.append(None if template is None else template.fill(match))
        for username in filter(None, names):
            yield "reviewer", _has_case(_USERNAME, username), _folded(_USERNAME, username)
        if names[-1] is not None and template is not None and template.reads(_EMAIL):
            yield "reviewer", False, fold_address(names[-1])

    def refusal(self, party: Party, *, shown: bool) -> PartyRevocation | None:
        """Return the revocation that refuses a party; None where none does.

        `shown`: a token of its own was verified. Without one nothing says when it was issued, so that its name decides.
        """
        found = self.naming(party, shown=shown)
        if found is None:
            return None
        issued = party.claims.get("iat") if _has_token(party, shown=shown) else None
        return found if found.refuses(issued) else None

    def naming(self, party: Party, *, shown: bool) -> PartyRevocation | None:
        """Return the strictest revocation of a party, whenever its token was issued."""
        if _has_token(party, shown=shown) and party.issuer is not None:
            return self._of_token(party.issuer, party)
        found = self.of_name(party.issuer, party.id, party.username)
        if party.issuer is None or party.type == SERVICE_ACCOUNT or not party.claims:
            return found
        # A person within a chain: of them, the token of another says more than their name.
        return _strictest_of((found, self._of_token(party.issuer, party)))

    def _of_token(self, issuer: str, party: Party) -> PartyRevocation | None:
        claims = party.claims
        known = {one: _folded(one, value) for one in _CLAIMS if isinstance(value := claims.get(one), str)}
        username = party.username
        if party.type == SERVICE_ACCOUNT:
            known["sub"] = known[_USERNAME] = party.id
        elif username is None and (template := self._templates.get(issuer)) is not None:
            # An email that is not verified makes no username for the API server, but says whom to refuse.
            username = template.fill({one: value for one, value in claims.items() if isinstance(value, str)})
        if username is not None:
            username = known[_USERNAME] = _folded(_USERNAME, username)
        found = [self._strictest(("everybody", _ANY)), self._strictest(("everybody", issuer))]
        found += self._in_shapes(issuer, known)
        if known.get("sub") != party.id:
            # Policies name the person by another claim, and so may those who take the person back.
            found += self._in_shapes(issuer, {**known, "sub": _folded("sub", party.id)})
        if issuer != CLUSTER and username is not None:
            found += self._in_shapes(CLUSTER, {_USERNAME: username})
        return _strictest_of(found)

    def _in_shapes(self, issuer: str, known: Mapping[str, str]) -> Iterator[PartyRevocation | None]:
        for shape in self._shapes.get(issuer, ()):
            pairs = tuple((member, known[member]) for member in shape if member in known)
            if pairs:
                yield self._strictest(("token", issuer, shape, pairs))

    def of_name(self, issuer: str | None, name: str, username: str | None = None) -> PartyRevocation | None:
        """Return the strictest revocation of whom an issuer calls so.

        `issuer` None: it is not known which. `UNLISTED`: any that the issuers file does not have.
        """
        if not name:
            return None
        vouching = issuer or _ANY
        where = _ANY if vouching == UNLISTED else vouching
        if name.startswith(SERVICE_ACCOUNT_PREFIX):
            where = vouching = CLUSTER
        elif issuer is not None and username is None and (template := self._templates.get(issuer)) is not None:
            username = template.username(name)
        found = [
            self._strictest(("everybody", _ANY)),
            self._strictest(("everybody", vouching)),
            self._strictest(("name", where, True, name)),
            self._strictest(("name", where, False, fold_address(name))),
        ]
        if username is not None:
            known = (_has_case(_USERNAME, username), _folded(_USERNAME, username))
            found += [self._strictest(("name", CLUSTER, *known)), self._strictest((_USERNAME, where, *known))]
        if where == _ANY:
            found.append(self.of_reviewer(name))
        return _strictest_of(found)

    def of_reviewer(self, username: str) -> PartyRevocation | None:
        """Return a revocation of the person or account that the API server calls so."""
        found = [
            self._strictest(("everybody", _ANY)),
            self._strictest(("reviewer", True, username)),
            self._strictest(("reviewer", False, fold_address(username))),
        ]
        if username.startswith(SERVICE_ACCOUNT_PREFIX):
            found.append(self._strictest(("everybody", CLUSTER)))
        for issuer, pattern in self._username_patterns.items():
            everybody = self._strictest(("everybody", issuer))
            if everybody is not None and pattern.fullmatch(username):
                found.append(everybody)
        return _strictest_of(found)

    def _strictest(self, key: Hashable) -> PartyRevocation | None:
        found = self._buckets.get(key)
        return found.strictest if isinstance(found, _Bucket) else found


def with_token_of(party: Party, issued: float) -> Party:
    """Return a party as one who shows a token that was issued then. On an enforcer's word there is none."""
    if party.issuer is None:
        return party
    return msgspec.structs.replace(party, claims={**party.claims, "iat": issued}, hypothetical=False)


def _shape(revocation: PartyRevocation) -> Shape:
    return tuple(member for member, _ in revocation.match)


def _has_token(party: Party, *, shown: bool) -> bool:
    return shown and party.issuer is not None and not party.hypothetical


def _strictest_of(found: Iterable[PartyRevocation | None]) -> PartyRevocation | None:
    return min((one for one in found if one is not None), key=lambda one: one.rank, default=None)


NONE: Final = Revocations()
"""None is in force. Put nothing in."""
