"""Gates: the requirements for an approval, of one RequireApproval rule or of several rules for one call.

Holds: several gates are met together, by one grant that names them all: their steps are combined, and for everything
else the strictest requirement counts.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_api.kinds.approvalrequirement import ApprovalRequirement, Limits, ReasonRequirement
from bailiwick_api.kinds.endpointpolicy import Rule
from bailiwick_api.manifests.guards import MAX_RULES

__all__ = [
    "MAX_RULES",
    "MOST_REVIEWS",
    "Gate",
    "GateRule",
    "gate_of",
    "in_place_of",
    "join_gates",
    "plain_steps",
    "unmeetable",
]

MOST_REVIEWS: Final = 20
"""As many as a grant holds."""


@dataclass(frozen=True, slots=True)
class GateRule:
    """A rule that asks for an approval. It is known by its policy's uid and its digest; the names are for people."""

    policy: str
    policy_uid: str
    rule: str
    rule_digest: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What an approval takes.

    `scope`: bound to the scope of the call, else to the digest of all of it. `scope_properties` are those properties of
    the resource that a scope binds. `show` are JSON pointers to what the approver sees, None: everything. `unseen`: the
    arguments may be hidden behind their digest. `by_token`: the caller must show the approval token. `on_deny`: the
    denial itself asks. `reads`: which attributes the rules read; `intents`: the rules list purposes.
    """

    rules: tuple[GateRule, ...]
    scope: bool
    steps: tuple[GrantStep, ...]
    pending_seconds: int
    window_seconds: int
    max_uses: int
    reasons: tuple[ReasonRequirement, ...]
    required_context: frozenset[str]
    show: tuple[str, ...] | None
    unseen: bool
    by_token: bool
    on_deny: bool
    scope_properties: frozenset[str]
    limits: Limits
    reads: frozenset[tuple[str, ...]] = frozenset()
    intents: bool = False

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """What the rules are known by: uid of the policy, digest of the rule."""
        return frozenset((rule.policy_uid, rule.rule_digest) for rule in self.rules)


def plain_steps(steps: Iterable[GrantStep]) -> dict[str, tuple[str, str, frozenset[str], int, str | None]]:
    """Return what steps ask for, by their names: two lists of steps are the same where these are equal."""
    return {
        step.name: (step.policy, step.kind, frozenset(step.groups or ()), step.count, step.signature) for step in steps
    }


def unmeetable(gates: Collection[Gate]) -> str | None:
    """Return why no one grant can meet all of these gates; None where one can."""
    if len(gates) > MAX_RULES:
        return f"{len(gates)} rules require an approval, but a grant can name at most {MAX_RULES}"
    reviews = sum(step.count for step in join_gates(gates).steps)
    if reviews > MOST_REVIEWS:
        return f"the rules together require {reviews} reviews, but a grant holds at most {MOST_REVIEWS}"
    return None


def gate_of(
    policy: str,
    policy_uid: str,
    rule: Rule,
    approval: ApprovalRequirement,
    digest: str,
) -> Gate:
    """Return the gate of one rule, without what the rule reads."""
    return Gate(
        rules=(GateRule(policy, policy_uid, rule.name, digest),),
        scope=approval.binding == "Scope",
        steps=tuple(
            GrantStep(
                name=f"{policy}.{rule.name}.{step.name}",
                policy=policy,
                kind=step.kind,
                groups=step.groups,
                count=step.count,
                signature=step.signature,
            )
            for step in approval.steps
        ),
        pending_seconds=approval.pending_seconds,
        window_seconds=approval.window_seconds,
        max_uses=approval.max_uses,
        reasons=(approval.reason,) if approval.reason else (),
        required_context=frozenset(approval.required_context or ()),
        show=tuple(approval.show) if approval.show else None,
        unseen=approval.allow_unseen,
        by_token=approval.presentation == "Token",
        on_deny=approval.open == "OnDeny",
        scope_properties=frozenset(name for entry in rule.resources for name in entry.properties or ()),
        limits=approval.limits or Limits(),
        intents=bool(rule.intents),
    )


def in_place_of(gate: Gate, policy: str, uid: str) -> Gate:
    """Return the gate of one rule as it would be in this other policy, so that the same grants open it."""
    return replace(
        gate,
        rules=tuple(replace(rule, policy=policy, policy_uid=uid) for rule in gate.rules),
        steps=tuple(
            step.model_copy(update={"name": f"{policy}{step.name.removeprefix(step.policy)}", "policy": policy})
            for step in gate.steps
        ),
    )


def join_gates(gates: Collection[Gate]) -> Gate:
    """Return the one gate that several come to, at least one. Its rules may be more than a grant can name."""
    if len(gates) == 1:
        return next(iter(gates))
    rules = sorted(
        {rule for gate in gates for rule in gate.rules}, key=lambda rule: (rule.policy, rule.rule, rule.policy_uid)
    )
    steps = {step.name: step for gate in gates for step in gate.steps}
    # A gate that shows everything shows more than any list of pointers.
    pointers = (
        None if any(gate.show is None for gate in gates) else {one: None for gate in gates for one in gate.show or ()}
    )
    return Gate(
        rules=tuple(rules),
        scope=all(gate.scope for gate in gates),
        steps=tuple(steps[name] for name in sorted(steps)),
        pending_seconds=min(gate.pending_seconds for gate in gates),
        window_seconds=min(gate.window_seconds for gate in gates),
        max_uses=min(gate.max_uses for gate in gates),
        reasons=tuple(reason for gate in gates for reason in gate.reasons),
        required_context=frozenset().union(*(gate.required_context for gate in gates)),
        show=None if pointers is None else tuple(sorted(pointers)),
        unseen=all(gate.unseen for gate in gates),
        by_token=any(gate.by_token for gate in gates),
        on_deny=all(gate.on_deny for gate in gates),
        scope_properties=frozenset().union(*(gate.scope_properties for gate in gates)),
        limits=Limits(
            pending_per_subject=min(gate.limits.pending_per_subject for gate in gates),
            requests_per_hour=min(gate.limits.requests_per_hour for gate in gates),
            deny_cooldown_seconds=max(gate.limits.deny_cooldown_seconds for gate in gates),
        ),
        reads=frozenset().union(*(gate.reads for gate in gates)),
        intents=any(gate.intents for gate in gates),
    )
