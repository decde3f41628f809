"""Checks of histories that compile and are likely not what was meant.

Standing: beside `checks`, which calls it with a policy; `reads` needs the endpoint. Holds: pure; none raises.
"""

from collections.abc import Iterator

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_api.kinds.histories import SESSION, HistoryDefinition, SessionSource
from bailiwick_engine.cel.members import HISTORY
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.problem import Problem

_PATH = "spec.endpointSettings.history"


def warnings(spec: EndpointPolicySpec) -> Iterator[Problem]:
    """Yield what to know of each history: whose word its key is, and which calls it denies."""
    settings = spec.endpoint_settings
    for index, history in enumerate((settings.history if settings else None) or ()):
        stated = [part for part in history.key if _is_stated(part, settings.session if settings else None)]
        if stated:
            yield Problem(
                f"{_PATH}[{index}].key",
                f"history {history.name}: {', '.join(stated)} is only the enforcer's word, so an enforcer decides which"
                " calls are counted together: use a claim, or add agent to the key",
            )
        awaits = history.counts.what in {"Succeeded", "Failed"}
        if awaits and settings is not None and settings.http is not None and settings.http.routes:
            yield Problem(
                f"{_PATH}[{index}].counts.what",
                f"history {history.name}: calls that come by http routes are never counted, since a proxy cannot report"
                " what became of them: report outcomes from the application",
            )
        if history.counts.what != "Denied" and (needed := _needed(history)):
            yield Problem(
                f"{_PATH}[{index}]",
                f"history {history.name}: a call that it counts and that lacks {', '.join(needed)} is denied"
                " (history_uncountable), even if a rule allows it",
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


def _is_stated(part: str, session: SessionSource | None) -> bool:
    """Tell whether a part of a key is what the enforcer says. A session that it states is counted with the agent."""
    if part == SESSION:
        return session is not None and session.property is not None
    return part.startswith(("context.", "resource.properties.")) or part == "intent"


def _needed(history: HistoryDefinition) -> list[str]:
    """Return what a call must have to be counted."""
    parts = [part for part in history.key if part in {SESSION, "intent"} or "." in part]
    return parts + ([history.amount.of] if history.amount is not None else [])
