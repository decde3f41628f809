"""Policies of one namespace in the cluster, compiled by the engine as where they are served.

Standing: beside `policies`, which has those in files. Holds: what does not compile is reported, and denies as it does
there; nothing of it is left out.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
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
from bailiwick_governance.apiserver.cluster import ClusterClient, policies_path
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_kube.paths import data_path

Object = dict[str, Any]
Tell = Callable[[str], None]
Compiler = Callable[[Object], CompiledPolicy | BrokenPolicy]


def read_namespace(cluster: ClusterClient) -> Snapshot:
    """Compile the policies of a namespace. Who is over budget there, their status says."""
    items, _ = cluster.list_all(policies_path(cluster.namespace))
    return compile_objects(items, lambda: cluster.list_all(data_path(cluster.namespace))[0], talk)


def compile_objects(
    items: Iterable[Object], data: Callable[[], Iterable[Object]], tell: Tell, compiler: Compiler = compile_object
) -> Snapshot:
    """Compile policies of one namespace. `data` reads its `EndpointData`, where one is asked for; it may raise.

    What is wrong is reported, a line at a time.
    """
    compiled = [_compile(raw, tell, compiler) for raw in items]
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
    except UserError as error:
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


def _compile(raw: Object, tell: Tell, compiler: Compiler) -> CompiledPolicy | BrokenPolicy:
    """Compile a policy of the cluster, unless it is over budget, and tell what is wrong with it by itself."""
    ref, spec, now = policy_ref(raw), raw.get("spec"), time.time()
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
