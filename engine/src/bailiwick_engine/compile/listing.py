"""Policies of one namespace as the API server lists them, compiled as where they are served.

Standing: over `policies`. Holds: what does not compile is reported, and denies as it does there; nothing of it is left
out. Data that cannot be read counts as unknown.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from bailiwick_engine.approval.display import visible
from bailiwick_engine.cel.data import read_data
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import NotAcceptedReason
from bailiwick_engine.compile.checks import expiries
from bailiwick_engine.compile.policies import compile_object, parse_spec, policy_ref
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot

Object = dict[str, Any]
Tell = Callable[[str], None]
Compiler = Callable[[Object], CompiledPolicy | BrokenPolicy]


class DataUnreadError(Exception):
    """The data of a namespace could not be read; the message says why."""


def compile_listed(
    items: Iterable[Object],
    data: Callable[[], Iterable[Object]],
    tell: Tell,
    now: float,
    compiler: Compiler = compile_object,
) -> Snapshot:
    """Compile policies of one namespace. `data` returns its `EndpointData`, if a policy reads one.

    It may raise `DataUnreadError`. What is wrong is reported, a line at a time. `now`: seconds since the epoch.
    """
    compiled = [*map(partial(_compile, tell, now, compiler), items)]
    snapshot = _add_data(data, Snapshot.of(compiled), tell)
    for (_, name), found in snapshot.endpoints.items():
        if found.conflicted:
            first, *others = sorted(carrier.name for carrier in found.carriers)
            tell(f"error: the policy {visible(first)}: {visible(acceptance.conflict_message(name, others))}")
        elif not found.carriers:
            tell(f"error: {visible(acceptance.unconfigured_message(name))}")
    return snapshot


def _add_data(data: Callable[[], Iterable[Object]], snapshot: Snapshot, tell: Tell) -> Snapshot:
    """Return the snapshot with the data that its policies read, as it is in the cluster."""
    wanted = {name for found in snapshot.endpoints.values() for name in found.data_names}
    if not wanted:
        return snapshot
    try:
        items = data()
    except DataUnreadError as error:
        # Without the right to see it, or without the kind: here it is unknown, whatever it is to the decision point.
        tell(f"error: data cannot be read, and counts as unknown: {error}")
        return snapshot
    objects = {}
    for raw in items:
        metadata = raw["metadata"]
        if metadata["name"] in wanted:
            made = read_data(metadata["name"], metadata["uid"], metadata["generation"], raw.get("spec"))
            objects[made.name] = made
            if made.unknown is not None:
                tell(f"error: the EndpointData {visible(made.name)}: {visible(str(made.unknown.problem))}")
    for name in sorted(wanted - objects.keys()):
        tell(f"error: there is no EndpointData {visible(name)}: conditions that read it are unknown")
    return replace(snapshot, endpoints={key: found.with_data(objects) for key, found in snapshot.endpoints.items()})


def _compile(tell: Tell, now: float, compiler: Compiler, raw: Object) -> CompiledPolicy | BrokenPolicy:
    """Compile a policy of the cluster, unless it is over budget, and tell what is wrong with it by itself."""
    ref, spec = policy_ref(raw), raw.get("spec")
    name = visible(ref.name)
    if (excess := budget_excess(raw)) is not None:
        tell(f"error: the policy {name} is over budget: {visible(excess)}")
        return withheld(ref, spec)
    policy = compiler(raw)
    if isinstance(policy, BrokenPolicy):
        for problem in acceptance.judge(ref, spec).problems:
            tell(f"error: the policy {name} is invalid: {visible(str(problem))}")
    elif not isinstance(parsed := parse_spec(spec), tuple):
        for expiry in expiries(parsed):
            if expiry.time <= now:
                tell(f"warning: the policy {name}: {visible(str(expiry.problem))}")
    return policy


def budget_excess(raw: Object) -> str | None:
    """Return what the status says of the budget that an object is over; None where it counts."""
    generation = raw["metadata"].get("generation")
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if (
            condition.get("reason") == NotAcceptedReason.OVER_BUDGET
            and condition.get("observedGeneration") == generation
        ):
            return str(condition.get("message", ""))
    return None
