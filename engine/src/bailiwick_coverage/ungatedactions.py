"""`ungated`: actions that look irreversible, and that somebody may do without an approval.

Standing: over `freecalls`. Holds: which actions look so is a list of words, which the caller may replace, and the
method DELETE of a route. A rule for a pattern of actions is tried with each word.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bailiwick_coverage import gates
from bailiwick_coverage.facts import ClusterFacts, ObjectRef
from bailiwick_coverage.findings import CoverageCode, CoverageFinding
from bailiwick_coverage.freecalls import EndpointRuling, FreeCall

_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_DELETE: Final = "DELETE"
_SHOWN: Final = 3


def parse_words(text: str) -> tuple[str, ...]:
    """Return the words of a file: one on a line, in small letters. A line that begins with # is none."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line.lower() for line in lines if line and not line.startswith("#")))


def looks_irreversible(action: str, words: Iterable[str]) -> bool:
    """Tell whether one of the words is a part of the name of an action: of `customers.export`, `exportAll`."""
    parts = {part.lower() for part in _PARTS.findall(action)}
    return not parts.isdisjoint(words)


def ungated(
    facts: ClusterFacts, rulings: Iterable[EndpointRuling], words: tuple[str, ...]
) -> Iterator[CoverageFinding]:
    """Yield a finding for each rule and action."""
    for ruling in rulings:
        if ruling.closed:
            continue
        exact, patterns = _actions(ruling, words)
        for action in exact:
            yield from _of_action(facts, ruling, action, action)
        for pattern in patterns:
            yield from _of_pattern(facts, ruling, pattern, words)


def _actions(ruling: EndpointRuling, words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the actions that look irreversible, and the patterns (without their star) that may cover some."""
    settings = ruling.endpoint.settings
    routes = () if settings is None or settings.routes is None else settings.routes.routes
    deleting = {route.action for route in routes if _DELETE in route.methods}
    exact: set[str] = {one for one in deleting if any(one in rule.actions for rule in ruling.endpoint.enforced)}
    patterns: set[str] = set()
    for rule in ruling.endpoint.enforced:
        exact |= {one for one in rule.actions.exact if looks_irreversible(one, words)}
        patterns |= {*rule.actions.prefixes, *([""] if rule.actions.everything else [])}
    return sorted(exact), sorted(patterns)


def _of_action(facts: ClusterFacts, ruling: EndpointRuling, action: str, shown: str) -> Iterator[CoverageFinding]:
    calls = ruling.free_calls(action)
    if calls is None:
        yield _too_much(ruling, action)
        return
    for ref, some in _by_policy(calls).items():
        yield _finding(facts, ruling, ref, some, shown)


def _of_pattern(
    facts: ClusterFacts, ruling: EndpointRuling, prefix: str, words: tuple[str, ...]
) -> Iterator[CoverageFinding]:
    """Yield the first action under a pattern that a rule allows by this pattern alone."""
    for word in words:
        action = f"{prefix}{word}"
        calls = ruling.free_calls(action)
        if calls is None:
            yield _too_much(ruling, action)
            return
        by_pattern = [one for one in calls if action not in one.rule.actions.exact and _is_by(one, prefix)]
        for ref, some in _by_policy(by_pattern).items():
            yield _finding(facts, ruling, ref, some, f"{prefix}*, so also {action},")
        if by_pattern:
            return


def _is_by(call: FreeCall, prefix: str) -> bool:
    return prefix in call.rule.actions.prefixes if prefix else call.rule.actions.everything


def _by_policy(calls: Iterable[FreeCall]) -> dict[ObjectRef, list[FreeCall]]:
    found: dict[ObjectRef, list[FreeCall]] = {}
    for one in calls:
        found.setdefault(ObjectRef("EndpointPolicy", one.rule.policy.namespace, one.rule.policy.name), []).append(one)
    return found


def _finding(
    facts: ClusterFacts, ruling: EndpointRuling, ref: ObjectRef, calls: list[FreeCall], shown: str
) -> CoverageFinding:
    rule, action = calls[0].rule, calls[0].action
    subjects = list(dict.fromkeys(one.subject for one in calls))
    listed = ", ".join(subjects[:_SHOWN]) + (f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else "")
    sentence = f"the rule {rule.name} allows {shown} to {listed} without an approval"
    fix = gates.gate_of_rule(facts.policies, ruling.key, rule, _gated(action, shown))
    return CoverageFinding(CoverageCode.UNGATED, ref, sentence, fix, f"{rule.name} {action}")


def _gated(action: str, shown: str) -> str:
    """Return what the gate is for: the action, or the pattern that allows it."""
    return action if shown == action else shown.partition(",")[0]


def _too_much(ruling: EndpointRuling, action: str) -> CoverageFinding:
    ref = ObjectRef("EndpointPolicy", ruling.key[0], ruling.key[1])
    return CoverageFinding(CoverageCode.UNKNOWN, ref, f"there is too much to examine to say who may do {action}")
