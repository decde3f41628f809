"""Search: which subjects, resources or actions a call could name and be allowed (AuthZEN 1.0, search APIs).

Holds: what is found is what policies name literally and `decide` allows without a grant, so that an evaluation of it
agrees; what may be there besides, and is not found, makes the answer `incomplete`. Of a subject an evaluation may say
that an approval is required: such subjects are told too, apart from the others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from msgspec.structs import replace

from bailiwick_engine import keys
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Action, Call, Json, Party, UnprovenParty
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason

MAX_CANDIDATES: Final = 2_000
"""More names than a caller will read; those beyond make the answer incomplete."""

# Denials behind which an allow may hide: of a real token, of another workload, with what an evaluation brings along.
_HIDING: Final = frozenset({Reason.WORKLOAD_UNAPPROVED, Reason.CONDITION_ERROR})


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
    """Names to be tried, in order. `hidden`: rules speak of others too, that cannot be listed."""

    names: tuple[str, ...]
    hidden: bool


def candidates(endpoint: CompiledEndpoint, kind: SearchKind, call: Call, now: float) -> Candidates:
    """Return the names that an endpoint's rules give to what is searched for; that member of the call is a blank.

    Subjects: only those who would call for themselves, of the type that the blank names.
    """
    names: set[str] = set()
    hidden = False
    for rule in _spoken(endpoint, kind, call):
        if rule.audit or rule.effect is Effect.DENY or not _speaks(rule, kind, call, now):
            continue
        found, more = _named(endpoint, rule, kind, call)
        names |= found
        hidden = hidden or more
    ordered = sorted(names)
    return Candidates(tuple(ordered[:MAX_CANDIDATES]), hidden or len(ordered) > MAX_CANDIDATES)


def tried(
    snapshot: Snapshot, endpoint: CompiledEndpoint, kind: SearchKind, call: Call, name: str, around: Circumstances
) -> Prospect:
    """Return what an evaluation of this name comes to; of several subjects of one name, the best.

    A subject is hypothetical: nobody has shown a token, so its claims, groups, uid and workload are unknown. A
    condition that reads claims is unknown, an Allow for a group or a workload does not count, and a Deny for one does.
    """
    answers = {
        _prospect(snapshot, filled, around)
        for filled in (_subjects(endpoint, call, name) if kind is SearchKind.SUBJECT else (_filled(kind, call, name),))
    }
    return next((one for one in Prospect if one in answers), Prospect.DENIED)


def _spoken(endpoint: CompiledEndpoint, kind: SearchKind, call: Call) -> Iterable[CompiledRule]:
    """Return the rules that `_speaks` has to be asked of, by what the call does name."""
    if kind is SearchKind.SUBJECT:
        return endpoint.speaking_of(call.action.name)
    if not isinstance(call.subject, Party):
        return ()
    parties = (call.subject, *call.actors)
    return dict.fromkeys(endpoint.index.naming(key for party in parties for key in party.keys))


def _speaks(rule: CompiledRule, kind: SearchKind, call: Call, now: float) -> bool:
    """Tell whether a rule speaks of all that the call does name and is in force."""
    if rule.suspended or rule.over(now) or not rule.accepts(call.intent):
        return False
    if kind is not SearchKind.ACTION and call.action.name not in rule.actions:
        return False
    if kind is SearchKind.RESOURCE:
        if all(entry.type != call.resource.type for entry in rule.resources):
            return False
    elif not rule.covers(call.resource):
        return False
    if kind is SearchKind.SUBJECT or not isinstance(call.subject, Party):
        return kind is SearchKind.SUBJECT
    return any(not party.keys.isdisjoint(rule.subjects) for party in (call.subject, *call.actors))


def _named(endpoint: CompiledEndpoint, rule: CompiledRule, kind: SearchKind, call: Call) -> tuple[set[str], bool]:
    """Return the names that a rule gives to what is searched for, and whether it speaks of more."""
    match kind:
        case SearchKind.ACTION:
            return set(rule.actions.exact), _open(rule.actions)
        case SearchKind.RESOURCE:
            entries = [entry.ids for entry in rule.resources if entry.type == call.resource.type]
            return {name for ids in entries for name in ids.exact}, any(_open(ids) for ids in entries)
        case SearchKind.SUBJECT:
            named = [(spelled, _of_type(endpoint, call, spelled)) for spelled in map(keys.spelled, rule.subjects)]
            groups = any(held and spelled[0] == "group" for spelled, held in named)
            return {spelled[-1] for spelled, held in named if held and spelled[0] != "group"}, groups


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
    if settings is None:
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
    return Prospect.HIDDEN if verdict.gate is not None or verdict.reason in _HIDING else Prospect.DENIED


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
    reads = [read for condition in rule.conditions for read in condition.reads]
    return all(read[0] != "subject" or (len(read) > 1 and read[1] in _KNOWN) for read in reads)


def _groups(snapshot: Snapshot, call: Call, issuer: str | None) -> tuple[str, ...]:
    endpoint = snapshot.endpoints[call.namespace, call.endpoint]
    spelled = [keys.spelled(key) for key in endpoint.named_subjects | endpoint.broken.keys()]
    return tuple(sorted(name for kind, *of, name in spelled if kind == "group" and of == [issuer]))


def _type(call: Call) -> str:
    return call.subject.type if isinstance(call.subject, Party) else ""


def _properties(call: Call) -> Mapping[str, Json] | None:
    return None if isinstance(call.subject, UnprovenParty) else call.subject.properties
