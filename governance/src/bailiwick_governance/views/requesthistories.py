"""Histories of a request: what the endpoint has counted for the key of this call, and would have with the call.

Standing: over the engine's needs; the console's page of a request shows these facts. Holds: pure. The object is the one
that the decision point finds for the call; where that takes a member that the request does not hold, the facts name the
member, and no number is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bailiwick_api.kinds.meta import ENDPOINT_HISTORIES
from bailiwick_engine.approval.display import visible
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.compile.acceptance import carries_settings, endpoint_of
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.commit import ClockBounds, numbers_at
from bailiwick_engine.history.keys import object_key
from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed, history_needs
from bailiwick_engine.history.state import KeyState, parse_state
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, issuer_of
from bailiwick_engine.policy.histories import CompiledHistory, MemberPart, PartyPart, SessionPart
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_governance.display import Line, legible
from bailiwick_governance.grants.grantfacts import Fact, FactRows
from bailiwick_governance.grants.grantview import GrantView

Object = Mapping[str, Any]
_HELD: Final = frozenset(
    {
        ("subject", "id"),
        ("subject", "type"),
        ("action", "name"),
        ("resource", "type"),
        ("resource", "id"),
        ("context", "intent"),
    }
)
"""The members of a call that every request holds as the decision point read them."""
_WHOLE: Final = frozenset({("action",), ("resource",), ("intent",)})
"""The parts of keys that are made from these alone."""


@dataclass(frozen=True, slots=True)
class RequestHistory:
    """One history, and the object of this call. `name`: of the EndpointHistory; `key`: its `spec.key`.

    `read`: a rule that the request names reads it. `counts`: it counts this call; None: the request does not tell.
    `missing`: members of the call that it takes to find the object, and that the request does not hold; `uncounted`:
    those that it takes to tell whether it counts, or (where `counts` is True) by which amount. `need` None: there is no
    object to look at.
    """

    history: CompiledHistory
    read: bool
    counts: bool | None
    missing: tuple[str, ...]
    uncounted: tuple[str, ...]
    need: ObjectNeed | None


@dataclass(frozen=True, slots=True)
class RequestHistories:
    """The histories of a request, and their objects by name; None: there is no such object.

    `unread`: why an object could not be read, in words, by its name.
    """

    entries: tuple[RequestHistory, ...] = ()
    objects: Mapping[str, Object | None] | None = None
    unread: Mapping[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the objects to read."""
        return tuple(sorted({one.need.name for one in self.entries if one.need is not None}))


def request_histories(grant: GrantView, policies: Sequence[Object]) -> tuple[RequestHistory, ...]:
    """Return the histories that matter to a request: those that its rules read, and those that count its call."""
    place = (grant.namespace, str(grant.request["endpoint"]))
    own = [policy for policy in policies if endpoint_of(policy.get("spec")) == place[1]]
    # Few endpoints have any: the policies are compiled only where one may have.
    if not any(map(_declares_history, own)):
        return ()
    endpoint = Snapshot.of([compile_object(policy) for policy in own]).endpoints.get(place)
    if endpoint is None or endpoint.settings is None:
        return ()
    read = _names_read(grant, endpoint)
    reader = _RequestReader(grant, endpoint, place)
    found = (reader.read(history, read=history.name in read) for history in endpoint.histories)
    return tuple(one for one in found if one is not None)


def history_facts(grant: GrantView, found: RequestHistories) -> Iterator[Fact]:
    """Yield the numbers of each history of a request, as of the time of the page."""
    for one in found.entries:
        yield FactRows(
            f"History {legible(one.history.name)}", tuple(_rows(grant, one, found)), note=_role(one), aligned=True
        )


def unread_object(namespace: str) -> str:
    """Say which right is missing to read an object."""
    where = f"in namespace {visible(namespace)}"
    return f"you lack the verb get on {ENDPOINT_HISTORIES} {where}, and no role of Bailiwick has it"


class _RequestReader:
    """A request as a call, with the members that it holds and no others."""

    def __init__(self, grant: GrantView, endpoint: CompiledEndpoint, place: tuple[str, str]) -> None:
        request = grant.request
        asserted = endpoint.settings is not None and endpoint.settings.asserted
        raw = request["subject"]
        subject = _subject(raw, asserted=asserted)
        actors = tuple(_actor(one) for one in request.get("actors") or ())
        self._missing = {
            "subject": ("the subject's issuer and uid",) if subject is None else (),
            "agent": ("the agent's issuer and uid",) if (actors[0] if actors else subject) is None else (),
        }
        self._subject = subject or Party(raw["type"], raw["id"], "")
        self._call = Call(
            *place,
            ServiceAccount("", ""),
            self._subject,
            Action(request["action"]["name"]),
            Resource(request["resource"]["type"], request["resource"]["id"], None),
            {"intent": request["intent"]} if request.get("intent") else {},
            tuple(one for one in actors if one is not None),
        )
        self._inputs = seen(endpoint, self._call, self._subject, grant.now)

    def read(self, history: CompiledHistory, *, read: bool) -> RequestHistory | None:
        """Return what a history is to the request; None: nothing."""
        counts, uncounted = self._counts(history)
        if not read and counts is False:
            return None
        missing = tuple(dict.fromkeys(self._missing_parts(history)))
        # Without the amount that the request does not hold: the count is certain all the same.
        counted = replace(history, amount=None) if uncounted else history
        need = None if missing else self._need(counted, counts=counts is True)
        if counts is True and need is not None and not need.adds:
            counts, uncounted = False, ()
        if not read and counts is False:
            return None
        return RequestHistory(history, read, counts, missing, uncounted, need)

    def _counts(self, history: CompiledHistory) -> tuple[bool | None, tuple[str, ...]]:
        """Tell whether a history may count the call, and the members that it takes to be certain."""
        call = self._call
        if history.counts_denied or call.action.name not in history.actions:
            return False, ()
        missing: list[str] = []
        if history.resources is not None:
            if not any(one.covers(call.resource, absent_matches=True) for one in history.resources):
                return False, ()
            if not any(one.covers(call.resource, absent_matches=False) for one in history.resources):
                missing.append("resource.properties")
        if history.when is not None:
            missing += [".".join(path) for path in sorted(history.when.reads) if path not in _HELD]
        if missing or history.amount is None:
            return None if missing else True, tuple(dict.fromkeys(missing))
        return True, (".".join(history.amount.path),)

    def _missing_parts(self, history: CompiledHistory) -> Iterator[str]:
        for part in history.key:
            match part:
                case PartyPart(party):
                    yield from self._missing[party]
                case SessionPart(path):
                    yield ".".join(path)
                case MemberPart(path) if path not in _WHOLE:
                    yield ".".join(path)

    def _need(self, history: CompiledHistory, *, counts: bool) -> ObjectNeed | None:
        call, subject, inputs = self._call, self._subject, self._inputs
        if counts:
            needs = history_needs((history,), call, subject, inputs, (history.name,))
            return needs.objects[0] if isinstance(needs, HistoryNeeds) else None
        key = object_key(call.endpoint, history.key, call, subject, inputs)
        return None if key is None else ObjectNeed(*key, (history,), ())


def _rows(grant: GrantView, one: RequestHistory, found: RequestHistories) -> Iterator[Line]:
    need = one.need
    if one.missing:
        listed = ", ".join(legible(name) for name in one.missing)
        yield _unknown(f"the key of the call has {listed}, which the request does not hold")
        return
    if need is None:
        why = "the call has no value for a part of the key"
        yield _unknown(f"{why}, or its `when` is not known, so that it cannot be counted" if one.counts else why)
        return
    yield [("Object", ""), (legible(need.name), "")]
    if (unread := (found.unread or {}).get(need.name)) is not None:
        yield _unknown(legible(unread))
        return
    state = _state((found.objects or {}).get(need.name), need)
    if state is None:
        yield _unknown("the object holds no valid state, so that calls that depend on it are denied")
        return
    moment = int(grant.now * 1000)
    clock = ClockBounds(moment, moment)
    before = ObjectNeed(need.name, need.key, (one.history,), ())
    yield [("Now", ""), (_numbers(numbers_at(state, before, clock, with_this=False).get(one.history.name)), "bold")]
    lacking = f"it takes {', '.join(map(legible, one.uncounted))}, which the request does not hold"
    if one.counts:
        after = numbers_at(state, need, clock, with_this=True).get(one.history.name)
        rest = (f", the sum is not known: {lacking}", "yellow") if one.uncounted else ("", "")
        yield [("With this call", ""), (_numbers(after), "bold"), rest]
    elif one.counts is None:
        yield [("With this call", ""), (f"not known: {lacking}", "yellow")]


def _role(one: RequestHistory) -> str:
    """Say what the history is to the request, in our own words."""
    counted = {True: "It counts this call", False: "It does not count this call", None: "It may count this call"}
    told = counted[one.counts]
    if one.counts is not False and one.history.awaits_outcome:
        told += f" when the outcome {one.history.what.lower()} is reported"
    if one.counts is not False and one.history.ignores_approved:
        told += ", but adds nothing for a call that an approval lets through"
    return f"{'A rule of this request reads it. ' if one.read else ''}{told}."


def _numbers(numbers: HistoryNumbers | None) -> str:
    if numbers is None:
        return "not known: a number is too large"
    texts = [f"count {numbers.count}"]
    if numbers.decimal_sum is not None:
        texts.append(f"sum {numbers.decimal_sum}")
    texts.append("no call before" if numbers.age is None else f"the latest call {numbers.age}s ago")
    return ", ".join(texts)


def _state(raw: Object | None, need: ObjectNeed) -> KeyState | None:
    """Return the state of an object; that of a key that nothing was counted for where there is no object."""
    if raw is None:
        return KeyState("", need.key)
    state = parse_state(raw.get("spec"))
    return state if state is not None and state.key == need.key else None


def _names_read(grant: GrantView, endpoint: CompiledEndpoint) -> frozenset[str]:
    named = {(reference["policy"], reference["rule"]) for reference in grant.request["rules"]}
    rules = (rule for rule in endpoint.rules if (rule.policy.name, rule.name) in named)
    return frozenset(name for rule in rules for condition in rule.conditions for name in condition.histories)


def _declares_history(policy: Object) -> bool:
    spec = policy["spec"]
    settings = spec["endpointSettings"] if carries_settings(spec) else None
    return isinstance(settings, Mapping) and bool(settings.get("history"))


def _subject(raw: Object, *, asserted: bool) -> Party | None:
    """Return the subject as the decision point verified it; None: the request does not hold its uid or issuer."""
    if asserted:
        return Party(raw["type"], raw["id"], str(raw.get("uid") or ""), issuer=None)
    issuer = CLUSTER if raw["type"] == SERVICE_ACCOUNT else _issuer(raw)
    return Party(raw["type"], raw["id"], raw["uid"], issuer=issuer) if raw.get("uid") and issuer else None


def _actor(raw: Object) -> Party | None:
    """Return an actor, whose type the request does not hold; a proven one is counted without it."""
    if not (raw.get("uid") and raw.get("issuer")):
        return None
    return Party(SERVICE_ACCOUNT if raw["issuer"] == CLUSTER else "user", raw["id"], raw["uid"], issuer=raw["issuer"])


def _issuer(raw: Object) -> str | None:
    return issuer_of(raw["uid"], raw["id"]) if raw.get("uid") else None


def _unknown(text: str) -> Line:
    return [("Numbers", ""), (f"not known: {text}", "yellow")]
