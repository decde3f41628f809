"""Stores what signals do, as SubjectRevocation objects: one for each subject that an issuer names.

Standing: over `reconcile.signals`, which says what an object becomes. Holds: a write is judged at the resourceVersion
that it was made from, so that none undoes another. An issuer has at most `MOST_REVOCATIONS` objects; what would need
one more is stored for everybody of that issuer. An object is recognised by whom it names: another object that has its
name keeps no signal from being stored. One that is as of the future is not the operator's, whatever it says: no event
would count beside it. What is stored never becomes less by a time that may still be to come.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_api.kinds.subjectrevocation import KIND, RevokedIdentity
from bailiwick_api.times import parse_time
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.revocations import parse, revocation_name
from bailiwick_kube.paths import revocations_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from bailiwick_operator.reconcile.securityevent import AHEAD_SECONDS
from bailiwick_operator.reconcile.signals import ArrivedSignal, RevocationTerms, has_served, merged_spec

_LOG: Final = structlog.get_logger(__name__)
MOST_REVOCATIONS: Final = 5_000
TIDY_SECONDS: Final = 60.0
"""Seconds between two looks for what has served."""
_LIST_SECONDS: Final = 300.0
_FULL_SECONDS: Final = 5.0
_RISK: Final = "risk-level-change"
_MOST_ENDS: Final = 1_000
_WRITERS: Final = 8
_TRIES: Final = 5
_AHEAD: Final = timedelta(seconds=AHEAD_SECONDS + 1)
"""How far ahead the operator writes `asOf` at most: as far as an event may be, and what is rounded."""
SignalOutcome = Literal["stored", "everybody", "unchanged", "unstored"]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where signals about one subject are stored.

    `risk`: the hold for a risk level is an object of its own, since the end of one hold must not end the other.
    """

    match: frozenset[tuple[str, str]]
    risk: bool

    @classmethod
    def named_by(cls, signal: ArrivedSignal) -> "_Place":
        return cls(frozenset(signal.effect.match.items()), signal.effect.risk)

    @classmethod
    def stored_in(cls, body: Object) -> "_Place":
        spec = body["spec"]
        return cls(frozenset(spec["match"].items()), spec["cause"].get("event") == _RISK)


class SignalStore:
    """The revocations of one issuer's signals. `clock` is monotonic, in seconds.

    `now`: the latest time that it can be; `earliest`: the earliest, None while the clock is not trusted.
    """

    def __init__(
        self,
        kube: OperatorClient,
        terms: RevocationTerms,
        *,
        now: Callable[[], datetime],
        earliest: Callable[[], datetime | None],
        clock: Callable[[], float],
        survey: GrantSurvey,
    ) -> None:
        self._kube = kube
        self._survey = survey
        self._terms = terms
        self._now = now
        self._earliest = earliest
        self._clock = clock
        self._held: dict[_Place, Object] = {}
        self._listed = float("-inf")
        # When holds ended that were never stored, or are gone: an older hold that arrives later does not begin. After
        # a restart it does, which only denies.
        self._ends: BoundedCache[_Place, datetime] = BoundedCache(_MOST_ENDS)
        self._writers = asyncio.Semaphore(_WRITERS)

    async def store(self, signals: Sequence[ArrivedSignal]) -> dict[str, SignalOutcome]:
        """Store what these signals do. Returns what became of each, by its jti."""
        if not signals:
            return {}
        try:
            await self._refresh(_LIST_SECONDS)
            new = {_Place.named_by(one) for one in signals} - self._held.keys()
            if len(self._held) + len(new) > MOST_REVOCATIONS:
                # Some may be over since.
                await self._refresh(_FULL_SECONDS)
        except (RefusedError, UnreachableError) as error:
            _LOG.warning("revocations cannot be listed", issuer=self._terms.issuer, why=str(error))
            return dict.fromkeys((one.cause.jti for one in signals), "unstored")
        places: dict[_Place, list[ArrivedSignal]] = {}
        overflow: set[_Place] = set()
        for one in signals:
            place = _Place.named_by(one)
            if one.effect.issued_before is not None and self._is_full(place, places):
                place = _Place(frozenset(), place.risk)
                overflow.add(place)
            places.setdefault(place, []).append(one)
        results = await asyncio.gather(*(self._write(place, arrived) for place, arrived in places.items()))
        return {
            one.cause.jti: "everybody" if result == "stored" and place in overflow else result
            for (place, arrived), result in zip(places.items(), results, strict=True)
            for one in arrived
        }

    async def tidy(self) -> None:
        """Delete what is kept for holds that ended, once no token and no grant from before is left."""
        try:
            await self._refresh(_LIST_SECONDS)
            earliest = self._earliest()
            served = [one for one in self._held.items() if has_served(one[1]["spec"], self._terms, earliest)]
            if earliest is None or not served:
                return
            unfinished = await self._survey.find_unfinished([parse(body) for _, body in served], earliest)
            if unfinished is None:
                return
            for place, body in served:
                # Asked for each one: the clock can be set while another one is deleted.
                if body["metadata"]["name"] not in unfinished and self._earliest() is not None:
                    answer = await self._kube.delete_revocation(body)
                    if answer.ok or answer.missing:
                        self._forget(place)
        except (RefusedError, UnreachableError) as error:
            _LOG.warning("revocations whose hold ended are not deleted", issuer=self._terms.issuer, why=str(error))

    def _is_full(self, place: _Place, places: Collection[_Place]) -> bool:
        if place in self._held or place in places:
            return False
        return len(self._held) + sum(one not in self._held for one in places) >= MOST_REVOCATIONS

    async def _refresh(self, seconds: float) -> None:
        """List the issuer's objects if that was so long ago. Raises `RefusedError` and `UnreachableError`."""
        if self._clock() - self._listed < seconds:
            return
        began = self._clock()
        listed = await self._kube.list(revocations_path())
        present = {_Place.stored_in(body): body for body in listed.items if self._is_ours(body)}
        for place in self._held.keys() - present.keys():
            self._forget(place)
        self._held = present
        self._listed = began

    def _is_ours(self, body: Object) -> bool:
        spec = body["spec"]
        if spec["issuer"] != self._terms.issuer or spec["cause"]["kind"] != "Signal":
            return False
        as_of = parse_time(spec["asOf"])
        return as_of is not None and as_of <= self._now() + _AHEAD

    async def _write(
        self, place: _Place, arrived: Sequence[ArrivedSignal]
    ) -> Literal["stored", "unchanged", "unstored"]:
        async with self._writers:
            try:
                return await self._put_merged(place, arrived)
            except (RefusedError, UnreachableError) as error:
                why = str(error)
        _LOG.warning("a revocation cannot be stored: trying again", issuer=self._terms.issuer, why=why)
        return "unstored"

    async def _put_merged(self, place: _Place, arrived: Sequence[ArrivedSignal]) -> Literal["stored", "unchanged"]:
        """Write what these signals make of an object. Raises `RefusedError` and `UnreachableError`."""
        match, why = dict(place.match), ""
        name = self._name(match, _RISK if place.risk else "")
        for _ in range(_TRIES):
            present = self._held.get(place)
            stored = None if present is None else present["spec"]
            spec = merged_spec(
                self._terms, match, stored, self._ends.get(place), arrived, self._now(), self._earliest()
            )
            if spec is None:
                self._remember_ends(place, arrived)
                return "unchanged"
            if present is None:
                body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
                answer = await self._kube.create(revocations_path(), body)
            else:
                name = present["metadata"]["name"]
                answer = await self._kube.replace(revocations_path(name), present | {"spec": spec})
            if answer.ok:
                self._held[place] = answer.body
                return "stored"
            why = answer.message
            if not (answer.conflict or answer.missing):
                break
            if not await self._read(place, name):
                # Another subject stands in the object of this name. The next name cannot be guessed.
                name = self._name(match, secrets.token_hex(8))
        raise RefusedError(why)

    async def _read(self, place: _Place, name: str) -> bool:
        """Read the object of this name again. Returns whether it is free or of this place."""
        answer = await self._kube.get(revocations_path(name))
        if answer.ok and self._is_ours(answer.body) and _Place.stored_in(answer.body) == place:
            self._held[place] = answer.body
            return True
        self._forget(place)
        return not answer.ok

    def _name(self, match: Mapping[str, str], written: str) -> str:
        return revocation_name(self._terms.issuer, RevokedIdentity(**match), "Signal", written)

    def _forget(self, place: _Place) -> None:
        body = self._held.pop(place, None)
        ended = None if body is None or body["spec"].get("hold") else parse_time(body["spec"]["asOf"])
        if ended is not None:
            self._ends.put(place, ended)

    def _remember_ends(self, place: _Place, arrived: Sequence[ArrivedSignal]) -> None:
        ends = [one.effect.at for one in arrived if one.effect.hold is False]
        if ends and place not in self._held:
            known = self._ends.get(place)
            self._ends.put(place, max(ends if known is None else [*ends, known]))
