"""Search: which subjects, resources or actions a call could name and be allowed (AuthZEN 1.0, search APIs).

Holds: a result is a name that policies contain literally and that `decide` allows without a grant, so that an
evaluation agrees. If there may be others that are not found, the answer is `incomplete`. Subjects whose evaluation
says that an approval is required are also returned, separately from the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import partial
from math import inf
from typing import Final

from msgspec.structs import replace

from bailiwick_api.usernames import is_reserved
from bailiwick_engine import keys
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Action, Call, Json, Party, UnprovenParty
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide, find_revocation
from bailiwick_engine.decision.likeness import ACTION_NAME, RESOURCE_ID, NameKind, NameKinds
from bailiwick_engine.decision.match import disabled_reason
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import with_token_of

MAX_CANDIDATES: Final = 2_000
"""More names than a caller will read; those beyond make the answer incomplete."""

# Denials behind which an allow may hide: of a real token, of another workload, with what an evaluation brings along.
# A search counts nothing and reads no history, so that an evaluation may allow what depends on one.
_HIDING: Final = frozenset(
    {
        Reason.WORKLOAD_UNAPPROVED,
        Reason.CONDITION_ERROR,
        Reason.HISTORY_UNAVAILABLE,
        Reason.HISTORY_UNCOUNTABLE,
    }
)


# So many names are decided about in as much time as it takes to tell which of them are alike.
_FEW: Final = 8

# Of a subject who has shown no token.
_KNOWN: Final = frozenset({"type", "id", "properties"})


class SearchKind(StrEnum):
    """What is searched for."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


class Prospect(Enum):
    """What comes of a name: `APPROVAL` is denied `approval_required`; behind `HIDDEN`, denied, an allow may hide."""

    ALLOWED = "allowed"
    APPROVAL = "approval"
    HIDDEN = "hidden"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Names to be tried, in order. `hidden`: rules speak of others too, that cannot be listed.

    `kinds`: of which names a decision says the same; None: each is decided by itself.
    """

    names: tuple[str, ...]
    hidden: bool
    kinds: NameKinds | None = None


def candidates(endpoint: CompiledEndpoint, kind: SearchKind, call: Call, now: float) -> Candidates:
    """Return the names that an endpoint's rules give to what is searched for; that member of the call is a blank.

    Subjects: only those who would call for themselves, of the type that the blank names.
    """
    if kind is SearchKind.SUBJECT:
        return _subject_candidates(endpoint, call, now)
    if not isinstance(call.subject, Party):
        return Candidates((), hidden=False)
    names: set[str] = set()
    hidden = False
    kinds = NameKinds(call, ACTION_NAME if kind is SearchKind.ACTION else RESOURCE_ID, endpoint.ceiling, now)
    for hop, party in enumerate((call.subject, *call.actors)):
        for rule, given, covered in _speaking(endpoint, kind, call, party):
            kinds.list_rule(rule, hop, party, covered)
            if _gives(rule, call, now):
                names |= given
                hidden = hidden or covered is None
    found = _list_candidates(names, hidden=hidden)
    # A subject that is hypothetical is decided about twice, see `_prospect`. Names with the same rules may be counted
    # by different histories.
    if len(found.names) <= _FEW or call.subject.hypothetical or endpoint.histories:
        return found
    kinds.settle(found.names)
    return Candidates(found.names, found.hidden, kinds)


def _list_candidates(names: Iterable[str], *, hidden: bool) -> Candidates:
    ordered = sorted(names)
    return Candidates(tuple(ordered[:MAX_CANDIDATES]), hidden or len(ordered) > MAX_CANDIDATES)


def try_name(
    snapshot: Snapshot, endpoint: CompiledEndpoint, kind: SearchKind, call: Call, name: str, around: Circumstances
) -> Prospect:
    """Return what an evaluation of this name comes to; of several subjects of one name, the best.

    A subject is hypothetical: there is no token, so its claims, groups, uid and workload are unknown. A
    condition that reads claims is unknown, an Allow for a group or a workload does not count, and a Deny for one does.
    """
    answers = {
        _prospect(snapshot, filled, around)
        for filled in (_subjects(endpoint, call, name) if kind is SearchKind.SUBJECT else (_filled(kind, call, name),))
    }
    return next((one for one in Prospect if one in answers), Prospect.DENIED)


class Prospects:
    """What comes of the candidates of a search, by one decision for all about which `decide` says the same.

    A name takes less than a microsecond, and a decision where none was made yet about its like.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        endpoint: CompiledEndpoint,
        kind: SearchKind,
        call: Call,
        found: Candidates,
        around: Circumstances,
    ) -> None:
        self._tried = partial(try_name, snapshot, endpoint, kind, call, around=around)
        self._kinds = found.kinds
        self._known: dict[NameKind, Prospect] = {}

    def prospect(self, name: str) -> Prospect:
        """Return what an evaluation of one of the names comes to, see `try_name`."""
        kind = None if self._kinds is None else self._kinds.kind(name)
        if kind is None:
            return self._tried(name)
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = self._tried(name)
        return known


def _speaking(
    endpoint: CompiledEndpoint, kind: SearchKind, call: Call, party: Party
) -> Iterator[tuple[CompiledRule, AbstractSet[str], AbstractSet[str] | None]]:
    """Yield the rules that speak of a party and all that the call names, each once, with the names that it gives.

    Then those that it covers as well; None where it speaks of more.
    """
    index, resource = endpoint.index, call.resource
    if kind is SearchKind.ACTION:
        for rule in dict.fromkeys(index.naming(party.keys)):
            if rule.covers(resource):
                actions = rule.actions
                yield rule, actions.exact, None if actions.everything or actions.prefixes else actions.exact
        return
    for rule in index.speaking_of(party.keys, call.action.name):
        entries = [entry for entry in rule.resources if entry.type == resource.type]
        given = frozenset[str]().union(*(entry.ids.exact for entry in entries))
        if any(_open(entry.ids) for entry in entries):
            yield rule, given, None
        elif entries:
            certain = rule.effect is Effect.ALLOW
            holding = [entry for entry in entries if entry.holds_properties(resource, absent_matches=not certain)]
            yield rule, given, frozenset[str]().union(*(entry.ids.exact for entry in holding))


def _subject_candidates(endpoint: CompiledEndpoint, call: Call, now: float) -> Candidates:
    names: set[str] = set()
    hidden = False
    for rule in endpoint.speaking_of(call.action.name):
        if not _gives(rule, call, now) or not rule.covers(call.resource):
            continue
        named = [(spelled, _of_type(endpoint, call, spelled)) for spelled in map(keys.key_parts, rule.subjects)]
        hidden = hidden or any(held and spelled[0] == "group" for spelled, held in named)
        names.update(spelled[-1] for spelled, held in named if held and spelled[0] != "group")
    return _list_candidates(names, hidden=hidden)


def _gives(rule: CompiledRule, call: Call, now: float) -> bool:
    """Tell whether a name that a rule gives may be allowed by it: it is enforced, no Deny, and in force."""
    return (
        not rule.audit
        and rule.effect is not Effect.DENY
        and (not rule.limits or disabled_reason(rule, call, now) is None)
    )


def _open(names: NameSet) -> bool:
    return names.everything or bool(names.prefixes)


def _of_type(endpoint: CompiledEndpoint, call: Call, spelled: tuple[str, ...]) -> bool:
    """Tell whether a key can be that of a subject of the type that is searched for, as the endpoint proves subjects."""
    settings, wanted = endpoint.settings, _type(call)
    if settings is None:
        return False
    match spelled:
        case ("entity", kind, _):
            return settings.asserted and kind == wanted
        case ("user" | "group", issuer, _):
            return not settings.asserted and wanted == USER and issuer in settings.issuers
        case _:
            return wanted == SERVICE_ACCOUNT and (settings.asserted or CLUSTER in settings.issuers)


def _subjects(endpoint: CompiledEndpoint, call: Call, name: str) -> Iterator[Call]:
    """Yield the call for every subject of this name: of each issuer, or on the enforcer's word."""
    settings, wanted, properties = endpoint.settings, _type(call), _properties(call)
    # A policy can name a person so, and no evaluation can be about one.
    if settings is None or (wanted == USER and is_reserved(name)):
        return
    if settings.asserted:
        yield replace(call, subject=Party(wanted, name, "", {}, properties, issuer=None))
    elif wanted == SERVICE_ACCOUNT:
        yield replace(call, subject=Party(wanted, name, "", {}, properties, hypothetical=True))
    else:
        for issuer in sorted(settings.issuers - {CLUSTER}):
            if keys.user(issuer, name) in endpoint.named_subjects:
                yield replace(call, subject=Party(wanted, name, "", {}, properties, issuer=issuer, hypothetical=True))


def _filled(kind: SearchKind, call: Call, name: str) -> Call:
    if kind is SearchKind.ACTION:
        return replace(call, action=Action(name))
    return replace(call, resource=replace(call.resource, id=name))


def _prospect(snapshot: Snapshot, call: Call, around: Circumstances) -> Prospect:
    found = _plain(snapshot, call, around)
    subject = call.subject
    if found not in {Prospect.ALLOWED, Prospect.APPROVAL} or not isinstance(subject, Party):
        return found
    if subject.hypothetical and subject.issuer not in {None, CLUSTER}:
        # In no group it holds by the name alone; if it holds in every group too, no group takes it away.
        everywhere = replace(subject, groups=_groups(snapshot, call, subject.issuer))
        if _plain(snapshot, replace(call, subject=everywhere), around) is not found:
            return Prospect.HIDDEN
    return found


def _plain(snapshot: Snapshot, call: Call, around: Circumstances) -> Prospect:
    verdict = decide(snapshot, call, (), around)
    if verdict.outcome is Outcome.ALLOW:
        return Prospect.ALLOWED
    if verdict.reason is Reason.APPROVAL_REQUIRED and verdict.gate is not None and _sure(snapshot, call, verdict.gate):
        return Prospect.APPROVAL
    if verdict.reason is Reason.IDENTITY_REVOKED:
        return Prospect.HIDDEN if _may_show_newer(snapshot, call, around) else Prospect.DENIED
    return Prospect.HIDDEN if verdict.gate is not None or verdict.reason in _HIDING else Prospect.DENIED


def _may_show_newer(snapshot: Snapshot, call: Call, around: Circumstances) -> bool:
    """Tell whether what refuses a hypothetical subject by name would not refuse a token that is issued later."""
    subject = call.subject
    if not isinstance(subject, Party) or not subject.hypothetical:
        return False
    later = replace(call, subject=with_token_of(subject, inf))
    return find_revocation(snapshot.endpoints[call.namespace, call.endpoint], later, around) is None


def _sure(snapshot: Snapshot, call: Call, gate: Gate) -> bool:
    """Tell whether a rule of the gate holds whatever the subject's token says: a gate that is unknown is shut too."""
    if isinstance(call.subject, Party) and not call.subject.hypothetical:
        return True
    named = {(rule.policy_uid, rule.rule) for rule in gate.rules}
    return any(
        (rule.policy.uid, rule.name) in named and not rule.workloads and _reads_what_is_known(rule)
        for rule in snapshot.endpoints[call.namespace, call.endpoint].speaking_of(call.action.name)
    )


def _reads_what_is_known(rule: CompiledRule) -> bool:
    return all(read[0] != "subject" or (len(read) > 1 and read[1] in _KNOWN) for read in reads_of(rule))


def _groups(snapshot: Snapshot, call: Call, issuer: str | None) -> tuple[str, ...]:
    endpoint = snapshot.endpoints[call.namespace, call.endpoint]
    spelled = [keys.key_parts(key) for key in endpoint.named_subjects | endpoint.broken.keys()]
    return tuple(sorted(name for kind, *of, name in spelled if kind == "group" and of == [issuer]))


def _type(call: Call) -> str:
    return call.subject.type if isinstance(call.subject, Party) else ""


def _properties(call: Call) -> Mapping[str, Json] | None:
    return None if isinstance(call.subject, UnprovenParty) else call.subject.properties
