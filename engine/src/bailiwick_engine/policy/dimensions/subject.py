"""The subject: the keys by which a rule names parties.

Holds: every kind of subject has its keys here. Parties are distinguished by the names in rules, see
`bailiwick_regions`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.endpointpolicy import Subject
from bailiwick_engine import keys
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, plain_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    any_call,
    no_attributes,
    no_limit,
    no_problems,
    no_reader,
    weightless,
)

SUBJECT_CLAUSE: Final = "subject"


@dataclass(frozen=True, eq=False, kw_only=True)
class SubjectPart:
    """Whom a rule names."""

    __slots__ = ()

    subjects: frozenset[Key]


def keys_of(subject: Subject) -> frozenset[Key]:
    """Return the keys of one entry of `spec.subjects`."""
    found: set[Key] = set()
    if subject.service_account is not None:
        found.add(keys.service_account(subject.service_account.username))
    if subject.user is not None:
        found.add(keys.user(subject.user.issuer, subject.user.name))
    if subject.group is not None:
        found.add(keys.group(subject.group.issuer, subject.group.name))
    if subject.entity is not None:
        found |= {keys.entity(subject.entity.type, name) for name in subject.entity.ids}
    return frozenset(found)


def _clauses(rule: SubjectPart, view: CallView) -> Iterable[Clause]:
    named = not view.party.keys.isdisjoint(rule.subjects)
    yield plain_clause(SUBJECT_CLAUSE, held=named, wanted=(keys.label(key) for key in sorted(rule.subjects)))


SUBJECT: Final = Dimension(
    name="subject",
    part=SubjectPart,
    written=frozenset({"subjects"}),
    aspect=Aspect.PARTY,
    compile=lambda source: {"subjects": source.keys},
    problems=no_problems,
    limit=no_limit,
    limits_with=(),
    clauses=_clauses,
    meaning=lambda rule, _: rule.subjects,
    atoms=any_call,
    reads=no_attributes,
    record_reader=no_reader,
    weight=weightless,
    uncounted={("Subject", "name"): "It is what rules of the same policy call the subject."},
    counted_otherwise={
        ("EndpointPolicySpec", "subjects"): "Those that the rule names count.",
        ("Rule", "subjects"): "They are names: what each stands for counts.",
    },
)
