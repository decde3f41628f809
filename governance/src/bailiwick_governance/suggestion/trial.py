"""The trial of proposals: `diff` must say only narrower, and `replay` of the very log must turn no decision.

Standing: over `proposals`. Holds: what fails either is left out, with why. A person who applies some of the patches, or
a part of one, widens nothing either: each proposal is compared alone, and all together.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api import times
from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.compile.policydigest import policy_digest, policy_text
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.index import RuleIndex
from bailiwick_engine.policy.model import Effect
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_engine.steps import whole
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.linekinds import DECISIONS, POLICY_LIST
from bailiwick_evidence.replay.candidate import Candidate, CandidatePolicy
from bailiwick_evidence.replay.outcomes import CHANGES, Hindrance, ReplayClass, ReplayOutcome, not_replayable
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from bailiwick_governance.records.derivations import in_development, versions_of
from bailiwick_governance.suggestion.listings import PolicyListings
from bailiwick_governance.suggestion.operations import apply
from bailiwick_governance.suggestion.policybook import Object, PolicyBook, PolicyName
from bailiwick_governance.suggestion.proposals import Part, Proposal, patch
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.compare import compare

_TURNED: Final = CHANGES | {ReplayClass.MAYBE}
_UNSURE: Final = frozenset({Hindrance.ATTRIBUTE_NOT_RECORDED, Hindrance.SEALED})
_FINE: Final = frozenset({ChangeClass.NARROWER, ChangeClass.SAME})
_MOST_READINGS: Final = 4

Lines = Callable[[], Iterable[tuple[bytes, Mapping[str, Any] | None]]]
"""Reads the log once more: each line, and the line that opens its chain."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A proposal that is not shown."""

    proposal: Proposal
    why: str


@dataclass
class ProposalTrial:
    """Tries proposals of a book, by the decisions since `begin`.

    `replayed`: of how many decisions the last reading found what they would come to.
    """

    book: PolicyBook
    texts: PolicyTexts
    begin: float
    listings: PolicyListings
    left_out: list[LeftOut] = field(default_factory=list)
    replayed: int = 0
    _indexes: dict[EndpointKey, RuleIndex] = field(default_factory=dict, init=False)

    def passing(self, proposals: Sequence[Proposal], lines: Lines) -> tuple[Proposal, ...]:
        """Return those that hold. What does not is in `left_out`."""
        kept = self._compare(self._leaving_gates(self._leaving_rules(proposals)))
        for _ in range(_MOST_READINGS):
            blamed = self._blame(kept, lines) if kept else {}
            if not blamed and not self.replayed:
                blamed = dict.fromkeys(range(len(kept)), "replay could tell of no decision")
            if not blamed:
                return tuple(kept)
            for proposal, why in blamed.items():
                self._leave(kept[proposal], why)
            # What is left was compared with more beside it.
            kept = self._compare([one for at, one in enumerate(kept) if at not in blamed])
        for one in kept:
            self._leave(one, "decisions still come out otherwise without what was left out before")
        return ()

    def _leave(self, proposal: Proposal, why: str) -> None:
        self.left_out.append(LeftOut(proposal, why))

    def _leaving_rules(self, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
        """Yield those that leave a policy a rule: one without any is none."""
        gone = Counter(one.policy for one in proposals if one.removals)
        for one in proposals:
            if one.removals and gone[one.policy] == len(self.book.policies[one.policy].rules):
                self._leave(one, "no rule of the policy would be left: delete the policy")
            else:
                yield one

    def _leaving_gates(self, proposals: Iterable[Proposal]) -> Iterator[Proposal]:
        """Yield those that leave the gates of an endpoint of which the files may not have all.

        What a gate does not hold any more, a policy that is not compared may allow. Less of an Allow widens only where
        the rules of a subject cost so much that with those of other policies they may cost too much for a decision.
        """
        for one in proposals:
            _, rule = self.book.policies[one.policy].rules[one.rule]
            harmless = rule.effect is Effect.ALLOW and not self._is_laden(self._endpoint(one), rule.subjects)
            why = None if harmless else self.listings.unlike(self._endpoint(one))
            if why is None:
                yield one
            else:
                self._leave(one, f"another policy may allow it: {why}")

    def _is_laden(self, endpoint: EndpointKey, subjects: Collection[Key]) -> bool:
        """Tell whether the files' rules for one of these subjects count in what a decision costs."""
        index = self._indexes.get(endpoint)
        if index is None:
            ours = [
                one for name, one in self.book.policies.items() if (name.namespace, one.compiled.endpoint) == endpoint
            ]
            index = self._indexes[endpoint] = RuleIndex.of(rule for one in ours for rule in one.compiled.rules)
        return not index.laden.keys().isdisjoint(subjects)

    def _compare(self, proposals: Iterable[Proposal]) -> list[Proposal]:
        """Return those with which nothing goes further. Endpoints know nothing of each other."""
        found: dict[EndpointKey, list[Proposal]] = {}
        for one in proposals:
            found.setdefault(self._endpoint(one), []).append(one)
        return [one for some in found.values() for one in self._compared_together(some)]

    def _compared_together(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Return those of one endpoint with which nothing goes further, alone and together."""
        kept = [one for one in proposals if not self._wider(one, [one])]
        if self._widening(kept) is None:
            return kept
        together: list[Proposal] = []
        for one in kept:
            if not self._wider(one, [*together, one]):
                together.append(one)
        return together

    def _wider(self, proposal: Proposal, beside: Sequence[Proposal]) -> bool:
        why = self._widening(beside)
        if why is not None:
            self._leave(proposal, why)
        return why is not None

    def _widening(self, proposals: Sequence[Proposal]) -> str | None:
        """Return why these cannot be had; None if `diff` says that nothing goes further."""
        sides = self.book.sides(self.specs(proposals))
        if isinstance(sides, str):
            return sides
        for change in compare(*sides, time.time()):
            if change.kind not in _FINE:
                return f"diff says {change.kind}: {change.what}"
        return None

    def specs(self, proposals: Iterable[Proposal]) -> dict[PolicyName, Object]:
        """Return the changed policies as they would be."""
        return {
            name: apply(self.book.policies[name].raw, patch(some)) for name, some in group_by_policy(proposals).items()
        }

    def _blame(self, proposals: Sequence[Proposal], lines: Lines) -> dict[int, str]:
        """Replay, and return by the place of a proposal why it cannot be had."""
        specs = self.specs(proposals)
        sides = [
            _ReplaySide(self.texts, self._candidates({name: self.book.policies[name].raw for name in specs})),
            _ReplaySide(self.texts, self._candidates(specs)),
        ]
        found: dict[int, Counter[str]] = {}
        self.replayed = 0
        for text, opening in lines():
            record = parse_line(text)
            kind = record.get("kind")
            if kind == POLICY_LIST:
                for side in sides:
                    side.book.learn(record)
            elif kind in DECISIONS and not self._before(record):
                now, then = (side.book.outcome(record, versions_of(opening)) for side in sides)
                if then is None or now is None:
                    continue
                if in_development(opening):
                    # Where anybody may ask, the policies alone do not decide.
                    then = not_replayable(Hindrance.STATE)
                self.replayed += then.kind is not ReplayClass.NOT_REPLAYABLE
                if _is_turned(record, now, then):
                    for at in self._at_fault(proposals, record):
                        found.setdefault(at, Counter())[then.code] += 1
        return {at: f"replay says {_count_text(codes)}" for at, codes in found.items()}

    def _at_fault(self, proposals: Sequence[Proposal], record: Mapping[str, Any]) -> list[int]:
        """Return the places of the proposals that leave a call out; all of its endpoint, where none is named."""
        policy, grant = record.get("policy"), record.get("grant")
        rules = {(policy["name"], policy["rule"])} if isinstance(policy, dict) else set()
        if isinstance(grant, dict):
            rules |= {(one["policy"], one["rule"]) for one in grant["rules"]}
        near = [at for at, one in enumerate(proposals) if "/".join(self._endpoint(one)) == record["endpoint"]]
        own = [at for at in near if (proposals[at].policy.name, proposals[at].rule) in rules]
        return [at for at in own if _leaves_out(proposals[at], record)] or own or near

    def _endpoint(self, proposal: Proposal) -> EndpointKey:
        return proposal.policy.namespace, self.book.policies[proposal.policy].compiled.endpoint

    def _before(self, record: Mapping[str, Any]) -> bool:
        now = record.get("now")
        return times.is_moment(now) and now < self.begin

    def _candidates(self, specs: Mapping[PolicyName, Object]) -> list[CandidatePolicy]:
        found: list[CandidatePolicy] = []
        for name, raw in specs.items():
            spec = parse_spec(raw)
            if isinstance(spec, tuple):
                continue  # it compiled when it was compared
            digest = whole(policy_digest(spec))
            self.texts.add(digest, whole(policy_text(spec)))
            found.append(CandidatePolicy(*name, spec.endpoint, digest))
        return found


class _ReplaySide:
    def __init__(self, texts: PolicyTexts, policies: Sequence[CandidatePolicy]) -> None:
        self.book: Final = ReplayBook(EndpointStates(texts, Candidate(policies, overlay=True)))


def group_by_policy(proposals: Iterable[Proposal]) -> dict[PolicyName, list[Proposal]]:
    """Return proposals by the policy that they change."""
    found: dict[PolicyName, list[Proposal]] = {}
    for one in proposals:
        found.setdefault(one.policy, []).append(one)
    return found


def _is_turned(record: Mapping[str, Any], now: ReplayOutcome, then: ReplayOutcome) -> bool:
    """Tell whether a decision comes, or may come, to something else than by the policies as they are.

    Of a call that was let through it must be certain that it does not.
    """
    if then.kind in {ReplayClass.MAYBE, ReplayClass.NOT_REPLAYABLE} and record["decision"] is True:
        return True
    if then.kind in _TURNED:
        return then.code != now.code or then.may != now.may
    return then.hindrance in _UNSURE and then.code != now.code


def _leaves_out(proposal: Proposal, record: Mapping[str, Any]) -> bool:
    """Tell whether a call is certain not to be under the rule any more, by what its record has of it."""
    value: Any = proposal.changes[-1]["value"] if proposal.changes else None
    attributes: Mapping[str, Any] = record.get("attributes") or {}
    match proposal.part:
        case Part.ACTIONS:
            return record["action"] not in NameSet.of(value)
        case Part.RESOURCES:
            return not any(_may_be_of(entry, record["resource"], attributes) for entry in value)
        case Part.CONDITIONS:
            path, _, bound = value["expression"].partition(" <= ")
            number = attributes.get(path)
            return not isinstance(number, int | float) or number > float(bound)
        case _:
            return False


def _may_be_of(entry: Mapping[str, Any], resource: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Tell whether a resource is, or may be, of an entry of a rule's resources."""
    if entry["type"] != resource["type"] or resource["id"] not in NameSet.of(entry["ids"]):
        return False
    told = [
        (attributes.get(f"resource.properties.{name}"), values) for name, values in entry.get("properties", {}).items()
    ]
    return all(not isinstance(value, str) or value in values for value, values in told)


def _count_text(codes: Counter[str]) -> str:
    return ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
