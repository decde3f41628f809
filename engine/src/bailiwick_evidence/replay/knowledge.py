"""Knowledge: what a record contains of its call, and what the candidate reads that the record does not contain.

Standing: under `replay`. Holds: an attribute is known to be absent only if an evaluated rule would have recorded it;
every other attribute that is read is unknown.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from bailiwick_engine import keys
from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.members import DATA, HISTORY, Path
from bailiwick_engine.decision import match
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.dimensions.resource import RESOURCE
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_evidence.derive.rebuild import CallOnRecord
from bailiwick_evidence.derive.shape import RecordShape
from bailiwick_evidence.replay.pairs import settings_of

# The record has its own members for these.
_SAID: Final = frozenset(
    {("action", "name")} | {(party, member) for party in ("subject", "actor", "resource") for member in ("type", "id")}
)
_INTENT: Final[Path] = ("context", "intent")
_GROUP: Final = "group"


def recorded_paths(endpoint: CompiledEndpoint | None, call: Call, passed: Sequence[Hop] | None) -> frozenset[Path]:
    """Return the paths that the record of a call contains, or lacks only because the call lacked them.

    `passed` are the hops that the engine evaluated; None if it denied before it evaluated any rule.
    """
    if endpoint is None or not isinstance(call.subject, Party):
        return frozenset()
    parties = (call.subject, *call.actors)
    if passed is None:
        rules = [rule for party in parties for rule, _ in match.candidates(endpoint, call, party)]
    else:
        rules = [finding.rule for hop in passed for finding in hop.findings]
    found = {path for rule in rules for path in reads_of(rule)}
    for rule in (rule for party in parties for rule in endpoint.index.speaking_of(party.keys, call.action.name)):
        if rule.effect is not Effect.ALLOW and any(entry.type == call.resource.type for entry in rule.resources):
            found |= RESOURCE.reads(rule)
    settings = endpoint.settings
    if settings is not None:
        found |= {tuple(kept.split(".")) for kept in settings.keep}
    return frozenset(found | _ceiling(endpoint, call))


def unrecorded_paths(
    endpoint: CompiledEndpoint | None, found: CallOnRecord, shape: RecordShape, has: Iterable[Path]
) -> set[Path]:
    """Return the paths that the rules of an endpoint can read of a call, but that its record does not contain.

    `has`: see `recorded_paths`. A path under a sealed one is sealed too, and is included.
    """
    if endpoint is None:
        return set()
    call, held = found.call, frozenset(has)
    asked = {path for rule in _rules_about(endpoint, call) for path in reads_of(rule)}
    return {
        path
        for path in asked | _ceiling(endpoint, call)
        if path not in _SAID
        # Of a history, all numbers are recorded, or none.
        and path[0] != HISTORY
        and (path[0] != "actor" or call.actors)
        and not (path == _INTENT and shape.intent is not None)
        and not _of_unknown_data(path, shape)
        and not covers(held - found.sealed, path)
    }


def covers(paths: Iterable[Path], path: Path) -> bool:
    """Tell whether one of these paths is this one, or above it."""
    return any(path[: len(one)] == one for one in paths)


def known_numbers(
    endpoint: CompiledEndpoint | None, old: CompiledEndpoint | None, found: CallOnRecord
) -> dict[str, HistoryNumbers]:
    """Return the recorded numbers of the histories that count on this side as they did for the record."""
    if endpoint is None or old is None:
        return {}
    counted = {(one.name, one.digest) for one in old.histories}
    return {
        one.name: found.history[one.name]
        for one in endpoint.histories
        if one.name in found.history and (one.name, one.digest) in counted
    }


def new_groups(old: CompiledEndpoint | None, new: CompiledEndpoint | None, call: Call) -> tuple[tuple[int, str], ...]:
    """Return the groups that only the candidate names, with the party that may be in them: 0 is the subject."""
    if new is None or not isinstance(call.subject, Party):
        return ()
    known = frozenset() if old is None else _named_subjects(old)
    asked = {key for rule in _rules_about(new, call) for key in rule.subjects} | _principals(new)
    groups = [keys.key_parts(key) for key in sorted(asked - known)]
    return tuple(
        (number, parts[2])
        for number, party in enumerate((call.subject, *call.actors))
        for parts in groups
        if parts[0] == _GROUP and parts[1] == party.issuer and party.type != keys.SERVICE_ACCOUNT
    )


def workload_unrecorded(
    old: CompiledEndpoint | None, new: CompiledEndpoint | None, call: Call, shape: RecordShape
) -> bool:
    """Tell whether the candidate requires a workload, or labels of one, that the record does not have."""
    if new is None or shape.subject is None or not isinstance(call.subject, Party):
        return False
    labels = set() if old is None else {name for rule in old.rules for name in _labels(rule)}
    for party, recorded in zip((call.subject, *call.actors), (shape.subject, *shape.actors), strict=True):
        asking = [rule for rule in _rules_about(new, call) if not party.keys.isdisjoint(rule.workloads)]
        if not asking or isinstance(recorded.workload, str):
            continue
        if recorded.workload is None or not labels.issuperset(name for rule in asking for name in _labels(rule)):
            return True
    return False


def proofs_alike(old: CompiledEndpoint | None, new: CompiledEndpoint | None, call: Call) -> bool:
    """Tell whether the proof of each party of a call would have the same result."""
    before, after = settings_of(old), settings_of(new)
    if before is None or after is None:
        return before is after
    if before.asserted is not after.asserted or (before.issuers - after.issuers) & _issuers(call):
        return False
    if not isinstance(call.subject, Party):
        return (before.issuers, before.audiences) == (after.issuers, after.audiences)
    return before.audiences <= after.audiences


def _issuers(call: Call) -> set[str]:
    parties = (call.subject, *call.actors)
    return {party.issuer for party in parties if isinstance(party, Party) and party.issuer is not None}


def _rules_about(endpoint: CompiledEndpoint, call: Call) -> Iterator[CompiledRule]:
    """Yield the rules that can apply to a call, for any parties and any unknown values."""
    for rule in endpoint.speaking_of(call.action.name):
        if any(entry.type == call.resource.type and call.resource.id in entry.ids for entry in rule.resources):
            yield rule


def _ceiling(endpoint: CompiledEndpoint, call: Call) -> frozenset[Path]:
    return frozenset().union(
        *(reads_of(entry) for entry in (endpoint.ceiling if call.actors else ()) if call.action.name in entry.actions)
    )


def _of_unknown_data(path: Path, shape: RecordShape) -> bool:
    """Tell whether a path belongs to data that was unknown by the record."""
    data = shape.data or {}
    return path[0] == DATA and len(path) > 1 and path[1] in data and data[path[1]] is None


def _named_subjects(endpoint: CompiledEndpoint) -> frozenset[keys.Key]:
    return frozenset().union(endpoint.broken, _principals(endpoint), *(rule.subjects for rule in endpoint.rules))


def _principals(endpoint: CompiledEndpoint) -> frozenset[keys.Key]:
    delegation = endpoint.settings.delegation if endpoint.settings else None
    return frozenset() if delegation is None else delegation.principals


def _labels(rule: CompiledRule) -> Iterator[str]:
    for requirement in (one for listed in rule.workloads.values() for one in listed):
        yield from (name for name, _ in requirement.labels)
