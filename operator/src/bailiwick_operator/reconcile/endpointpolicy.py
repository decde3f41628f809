"""The status of an EndpointPolicy: whether it compiles, is served, and its endpoint can be asked about. Pure.

Holds: an endpoint has settings from exactly one policy. Where two policies carry them, both statuses say so; where none
does, each status says what to add. Expiry, suspension and Audit are reported, and leave a policy accepted; a policy
that is being deleted counts as suspended. Ready sums up: it is true once everything is as the policy wants it, and
every process decides by it. The status of a candidate also says whether it is judged in place of the policy that it
names.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bailiwick_api.kinds.policystatus import MOST_GATED_ACTIONS
from bailiwick_api.times import stamp
from bailiwick_engine.budget.ledger import Excess
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import (
    CompilationSummary,
    NotAcceptedReason,
    PolicyContext,
    list_names,
    list_problems,
)
from bailiwick_engine.compile.checks import expiry_message
from bailiwick_engine.policy.replacements import Replacement, replaced_by, standings
from bailiwick_operator.reconcile import programmed as programming
from bailiwick_operator.reconcile.conditions import DesiredCondition, Object, Status, differs, entries, truth
from bailiwick_operator.reconcile.endpointdata import data_ready, names
from bailiwick_operator.reconcile.programmed import ServedGeneration
from bailiwick_operator.reconcile.usage import NOTHING_KNOWN, PolicyUse, shadow, usage

OWNED: Final = (
    *("observedGeneration", "digest", "ruleCount", "gatedActionCount", "gatedActions"),
    *("usage", "shadow", "conditions"),
)
TYPES: Final = frozenset({"Accepted", "DataReady", "Programmed", "Ready", "Shadowing"})
# Reasons that take precedence over data: where they hold, no data is read.
_FIRST: Final = frozenset({"Deleting", "Expired", *NotAcceptedReason})


@dataclass(frozen=True, slots=True)
class PolicyObservation:
    """What is known beside the policy: its compilation, who carries the endpoint's settings, and who serves it.

    `principals` are the issuers of the principals for whom agents may act at the endpoint. `issuers`: for each
    configured issuer, whether it has a `kubernetesUsername`; None where issuers are not configured. `excess`: the
    budget that it exceeds, so that it was not compiled. `unknowns`: of the data that it names, reason and message for
    each object that is unknown. `replacing`: its condition as a candidate, None where it replaces no policy. `use`: its
    known use.
    """

    judged: CompilationSummary
    carriers: tuple[str, ...]
    serving: ServedGeneration | None = None
    principals: Collection[str] = ()
    issuers: Mapping[str, bool] | None = None
    excess: Excess | None = None
    unknowns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    replacing: DesiredCondition | None = None
    use: PolicyUse = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """`status` is None where nothing is to be written. `wake`: when time alone changes something.

    `asks`: the stored status does not say yet that this generation is programmed.
    """

    status: Status | None
    wake: datetime | None = None
    asks: bool = False


def carries_settings(policy: Object) -> bool:
    """Tell whether it carries `endpointSettings`, whether or not they can be read."""
    return acceptance.carries_settings(policy.get("spec"))


def is_asserted(policy: Object) -> bool:
    """Tell whether it carries its endpoint's settings and accepts the enforcer's assertion of who calls."""
    settings = _spec(policy).get("endpointSettings")
    identity = settings.get("identity") if isinstance(settings, dict) else None
    return isinstance(identity, dict) and identity.get("verification") == "Asserted"


def endpoint_of(policy: Object) -> str:
    """Return the name of its endpoint; policies whose endpoint cannot be read share the empty name."""
    return acceptance.endpoint_of(policy.get("spec"))


def reconcile(policy: Object, observed: PolicyObservation, now: datetime) -> PolicyPlan:
    """Return what the policy's status should be."""
    present: Status = policy.get("status") or {}
    generation: int = policy["metadata"]["generation"]
    judged = observed.judged
    accepted = _accepted_condition(policy, observed)
    denies = "it is over budget" if observed.excess is not None else "it does not compile" if judged.problems else None
    programmed = programming.condition(policy, observed.serving, denies=denies)
    data = data_ready(names(policy), observed.unknowns)
    ready = _ready_condition(accepted, programmed, policy, observed, now)
    if data is not None and data.status != "True" and ready.reason not in _FIRST:
        ready = DesiredCondition("Ready", "False", "DataNotReady", data.message)
    conditions = [accepted, data, programmed, ready, _shadowing_condition(accepted, programmed, observed.replacing)]
    wanted: Status = {
        "observedGeneration": generation,
        "conditions": entries([entry for entry in conditions if entry is not None], present, generation, now),
    }
    if judged.digest is not None:
        wanted |= {
            "digest": judged.digest,
            "ruleCount": judged.rules,
            "gatedActionCount": len(judged.gated),
            "gatedActions": list(judged.gated[:MOST_GATED_ACTIONS]),
        }
    wanted |= _use_status(policy, judged, observed.use, now)
    expires = None if _is_deleting(policy) else judged.expire_time
    return PolicyPlan(
        wanted if differs(wanted, present, OWNED, TYPES) else None,
        expires if expires is not None and expires > now else None,
        programming.programmed_condition(policy) is None,
    )


def changed_use_status(policy: Object, judged: CompilationSummary, use: PolicyUse, now: datetime) -> Status | None:
    """Return the status fields of the policy's use where the stored status differs; None where it does not."""
    wanted, present = _use_status(policy, judged, use, now), policy.get("status") or {}
    return None if all(wanted.get(name) == present.get(name) for name in ("usage", "shadow")) else wanted


def shadowing_conditions(
    endpoint: str, policies: Iterable[Object], elsewhere: Callable[[str], str | None]
) -> dict[str, DesiredCondition]:
    """Return the condition of each candidate among all policies of one endpoint, by name.

    `elsewhere` returns the endpoint of a policy of the namespace, None where there is no such policy.
    """
    replaced = {policy["metadata"]["name"]: replaced_by(policy.get("spec")) for policy in policies}
    return {
        name: DesiredCondition(
            "Shadowing", truth(candidate.standing is Replacement.IN_PLACE), candidate.standing, candidate.message
        )
        for name, candidate in standings(endpoint, replaced, elsewhere).items()
    }


def _use_status(policy: Object, judged: CompilationSummary, use: PolicyUse, now: datetime) -> Status:
    status: Status = {}
    if (uses := usage(policy, use, now, gives=judged.gives and not judged.problems)) is not None:
        status["usage"] = uses
    if judged.digest is not None and replaced_by(policy.get("spec")) is not None:
        status["shadow"] = shadow(policy, use, now)
    return status


def _accepted_condition(policy: Object, observed: PolicyObservation) -> DesiredCondition:
    judged = observed.judged
    others = set(observed.carriers) - {policy["metadata"]["name"]}
    context = PolicyContext(others, observed.principals, observed.issuers, observed.excess)
    refusal = acceptance.refusal(judged, endpoint_of(policy), context, carries=carries_settings(policy))
    if refusal is not None:
        return DesiredCondition("Accepted", "False", refusal.why, refusal.message)
    warnings = f"; warnings: {list_problems(judged.warnings)}" if judged.warnings else ""
    return DesiredCondition("Accepted", "True", "Compiled", f"{_count(judged.rules, 'rule')} compiled{warnings}")


def _ready_condition(
    accepted: DesiredCondition, programmed: DesiredCondition, policy: Object, observed: PolicyObservation, now: datetime
) -> DesiredCondition:
    endpoint = endpoint_of(policy)
    if _is_deleting(policy):
        return DesiredCondition(
            "Ready",
            "False",
            "Deleting",
            "being deleted, but held by its finalizers. Until it is gone, Allow rules do not match,"
            " RequireApproval rules"
            " deny, and Deny rules and endpointSettings stay in force",
        )
    if accepted.status != "True":
        return DesiredCondition("Ready", "False", accepted.reason, accepted.message)
    if not observed.carriers:
        return DesiredCondition(
            "Ready",
            "False",
            "EndpointUnconfigured",
            acceptance.unconfigured_message(endpoint),
        )
    if len(observed.carriers) > 1:
        return DesiredCondition(
            "Ready",
            "False",
            "Conflicted",
            f"endpointSettings of {endpoint} are set in {list_names(observed.carriers)}: set them in only one policy",
        )
    reason, message = _enforcement(observed.judged, now)
    if reason != "Expired" and programmed.status != "True":
        # kstatus: a policy that is not served everywhere yet is in progress.
        return DesiredCondition("Ready", programmed.status, programmed.reason, programmed.message)
    return DesiredCondition("Ready", truth(reason != "Expired"), reason, message)


def _shadowing_condition(
    accepted: DesiredCondition, programmed: DesiredCondition, replacing: DesiredCondition | None
) -> DesiredCondition | None:
    """Return whether the policy is judged in place of another: only once it compiles and every process has it."""
    if replacing is None or replacing.status != "True":
        return replacing
    if accepted.status != "True":
        return DesiredCondition(replacing.type, "False", "NotCompiled", accepted.message)
    if programmed.status != "True":
        return DesiredCondition(replacing.type, programmed.status, programmed.reason, programmed.message)
    return replacing


def _is_deleting(policy: Object) -> bool:
    return "deletionTimestamp" in policy["metadata"]


def _enforcement(judged: CompilationSummary, now: datetime) -> tuple[str, str]:
    if judged.expire_time is not None and now >= judged.expire_time:
        return "Expired", expiry_message(judged.expire_time)
    until = f" until {stamp(judged.expire_time)}" if judged.expire_time is not None else ""
    if judged.audit:
        return "Audit", f"evaluated and recorded{until}, but never affects a decision"
    if judged.suspend:
        return (
            "Suspended",
            f"suspended{until}: Allow rules do not match, RequireApproval rules deny, Deny rules stay in force",
        )
    return "Enforced", f"in force{until}"


def _spec(policy: Object) -> Object:
    spec = policy.get("spec")
    return spec if isinstance(spec, dict) else {}


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
