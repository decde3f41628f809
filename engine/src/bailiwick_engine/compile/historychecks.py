"""Checks of histories that compile and are likely not what was meant.

Standing: beside `checks`, which calls it with a policy; what needs the whole endpoint, the command line asks. Holds:
pure; none raises.
"""

from collections.abc import Iterator

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.cel.members import HISTORY
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.histories import CompiledHistory, MemberPart, SessionPart
from bailiwick_engine.policy.model import CompiledRule, Effect
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.problem import Problem

_PATH = "spec.endpointSettings.history"
_STATED = ("context.", "resource.properties.")


def warnings(spec: EndpointPolicySpec) -> Iterator[Problem]:
    """Yield the histories whose key is nothing but the enforcer's word. A session that it states is the agent's too."""
    settings = spec.endpoint_settings
    for index, history in enumerate((settings.history if settings else None) or ()):
        if history.key and all(part == "intent" or part.startswith(_STATED) for part in history.key):
            yield Problem(
                f"{_PATH}[{index}].key",
                f"history {history.name}: {', '.join(history.key)} is only the enforcer's word, so an enforcer decides"
                " which calls are counted together: use a claim, or add agent to the key",
            )
        awaits = history.counts.what in {"Succeeded", "Failed"}
        if awaits and settings is not None and settings.http is not None and settings.http.routes:
            yield Problem(
                f"{_PATH}[{index}].counts.what",
                f"history {history.name}: calls that come by http routes are never counted, since a proxy cannot report"
                " what became of them: report outcomes from the application",
            )


def unread_histories(endpoint: CompiledEndpoint) -> Iterator[tuple[CompiledRule, str]]:
    """Yield each rule that reads a history, or a sum, that the endpoint does not have, and what is wrong with that."""
    if endpoint.settings is None:
        return
    sums = {one.name: one.amount is not None for one in endpoint.histories}
    known = ", ".join(sorted(sums)) or "none"
    for rule in endpoint.rules:
        read = sorted(path for path in reads_of(rule) if path[0] == HISTORY)
        for name in dict.fromkeys(path[1] for path in read if path[1] not in sums):
            what = f"rule {rule.name} reads history.{name}, but endpointSettings.history has no {name} (it has {known})"
            yield rule, f"{what}: the condition is always unknown"
        for name in dict.fromkeys(path[1] for path in read if path[2:] == ("sum",) and sums.get(path[1]) is False):
            what = f"rule {rule.name} reads history.{name}.sum, but history {name} has no amount"
            yield rule, f"{what}: the condition cannot be evaluated"


def uncountable_calls(endpoint: CompiledEndpoint) -> Iterator[tuple[CompiledRule, str]]:
    """Yield each rule that lets calls through that a history denies where they lack what it counts them by.

    A rule that reads the history knows of it.
    """
    for history in endpoint.histories:
        needed = ", ".join(_needed(history))
        for rule in endpoint.enforced if needed and not history.counts_denied else ():
            reads = any(history.name in one.histories for one in rule.conditions)
            if rule.effect is not Effect.DENY and not reads and _meets(history, rule):
                what = f"history {history.name} counts calls that rule {rule.name} lets through"
                yield rule, f"{what}: one that lacks {needed} is denied (history_uncountable)"


def _needed(history: CompiledHistory) -> Iterator[str]:
    """Yield what a call must have to be counted."""
    for part in history.key:
        match part:
            case SessionPart():
                yield "a session"
            case MemberPart(path) if path not in {("action",), ("resource",)}:
                yield ".".join(path)
    if history.amount is not None:
        yield ".".join(history.amount.path)


def _meets(history: CompiledHistory, rule: CompiledRule) -> bool:
    return history.actions.overlaps(rule.actions) and (
        history.resources is None
        or any(
            one.type == other.type and one.ids.overlaps(other.ids)
            for one in history.resources
            for other in rule.resources
        )
    )
