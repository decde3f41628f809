"""What the names in a grant written by hand stand for: uids and digests, before anybody reviews it. Pure.

Holds: what is resolved is within each of the rules that the grant names, as the rules are now, and asks for exactly
their steps; whatever does not fit is said and nothing is guessed (invariants 14 and 17 of hack/invariants.py). A
grant is still only necessary: whether a call is let through is judged again when it is made.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.approvalgrant import Actor, Request, ResolvedNames as GrantResolved
from bailiwick_api.kinds.endpointpolicy import RESOURCE_ID_PATTERN
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine import keys
from bailiwick_engine.approval.gates import Gate, join_gates, plain_steps, unmeetable
from bailiwick_engine.decision.justification import reason_problem
from bailiwick_engine.keys import ASSERTED, CLUSTER, SERVICE_ACCOUNT, USER, Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledRule, SettingsMeaning
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.grantlimits import RuleLimits

_ID: Final = re.compile(RESOURCE_ID_PATTERN)


@dataclass(frozen=True, slots=True)
class ResolvedStatus:
    """`status` is what `status.resolved` is to be; `limits`: what the rules allow to be asked."""

    status: Status
    limits: RuleLimits


@dataclass(frozen=True, slots=True)
class UnresolvedReason:
    """Why not yet, or never; for its author."""

    why: str


@dataclass(frozen=True, slots=True)
class OverLimit:
    """Which limit of its rules the grant is over; for its author. It ends by that."""

    why: str


Resolution = ResolvedStatus | UnresolvedReason | OverLimit


@dataclass(frozen=True, slots=True)
class ResolutionInput:
    """What is known beside the grant.

    `policies` are those of its namespace that it names, by name, each with the rules that it names; None: there is none
    of that name. `settings`: what those of its endpoint make of an approval; None: no policy has any that compile, or
    several do. `accounts` are the uids of the service accounts that it names, by username; None: there is none.
    `asserted`: the endpoint takes its enforcer's word for who calls. `issuers`: how each names its people; None: they
    are not configured.
    """

    policies: Mapping[str, CompiledPolicy | BrokenPolicy | None]
    settings: SettingsMeaning | None
    accounts: Mapping[str, str | None]
    asserted: bool = False
    issuers: Mapping[str, UsernameTemplate] | None = None


class _UnfitError(Exception):
    """The message says what does not fit."""


def accounts_of(request: Request, *, asserted: bool) -> frozenset[str]:
    """Return the usernames of the cluster's service accounts that a request names: their uids are to be known."""
    if asserted:
        return frozenset()
    subject = request.subject
    found = {actor.id for actor in request.actors or () if _by_cluster(actor)}
    return frozenset(found | ({subject.id} if subject.type == SERVICE_ACCOUNT else set()))


def unnamed(request: Request, resolved: GrantResolved) -> tuple[str, ...]:
    """Return the people of a resolved grant by hand of whom nobody here knows what the API server calls them."""
    people = [name for _, name in _parties(request)]
    named = len(resolved.excluded_reviewers or ())
    return () if named >= len(set(people)) else tuple(people)


def misfit(request: Request, known: ResolutionInput) -> UnresolvedReason | None:
    """Return why the rules do not cover a request, whoever its parties are; `known.accounts` is not looked at."""
    try:
        _gates(request, known)
    except _UnfitError as error:
        return UnresolvedReason(str(error))
    return None


def resolve(request: Request, known: ResolutionInput) -> Resolution:
    """Return what a grant written by hand names, or why that cannot be said."""
    try:
        return _resolved(request, known)
    except _UnfitError as error:
        return UnresolvedReason(str(error))


def _gates(request: Request, known: ResolutionInput) -> list[tuple[CompiledRule, Gate]]:
    """Return each rule with its gate, where all of them cover what is requested."""
    if request.binding.mode != "Scope":
        raise _UnfitError(
            "a grant written by hand must have binding mode Scope: only the decision point can digest a call"
        )
    rules = [_rule(request, known, index) for index in range(len(request.rules))]
    for rule, gate in rules:
        _within(request, rule, gate)
    gates = [gate for _, gate in rules]
    if (why := unmeetable(gates)) is not None:
        raise _UnfitError(why)
    _fits(request, join_gates(gates))
    return rules


def _resolved(request: Request, known: ResolutionInput) -> ResolvedStatus:
    rules = _gates(request, known)
    subject_uid = _subject_uid(request, known)
    actors = [_actor_keys(request, known, index) for index in range(len(request.actors or ()))]
    person = _subject_keys(request, subject_uid, asserted=known.asserted)
    for rule, _ in rules:
        if not any(_names(rule, party) for party in (person, *actors)):
            who = "the subject" if not actors else "the subject or any of the actors"
            raise _UnfitError(f"rule {_spelled(rule)} does not name {who}: {request.subject.id}")
    barred = _usernames(request, subject_uid, known)
    status: Status = {
        "subjectUID": subject_uid,
        **({"excludedReviewers": barred} if barred else {}),
        "rules": [
            {"policy": found.policy, "rule": found.rule, "uid": found.policy_uid, "ruleDigest": found.rule_digest}
            for _, gate in rules
            for found in gate.rules
        ],
    }
    gate = join_gates([gate for _, gate in rules])
    return ResolvedStatus(status, RuleLimits(gate.limits, gate.scope_properties, gate.intents))


def _rule(request: Request, known: ResolutionInput, index: int) -> tuple[CompiledRule, Gate]:
    ref = request.rules[index]
    policy = known.policies.get(ref.policy)
    if policy is None:
        raise _UnfitError(f"EndpointPolicy {ref.policy} does not exist in this namespace")
    if policy.endpoint is not None and policy.endpoint != request.endpoint:
        raise _UnfitError(f"policy {ref.policy} is for endpoint {policy.endpoint}, not {request.endpoint}")
    if isinstance(policy, BrokenPolicy):
        what = "is over budget" if policy.withheld else "does not compile"
        raise _UnfitError(f"policy {ref.policy} {what}: see its conditions")
    rule = next((rule for rule in policy.rules if rule.name == ref.rule), None)
    if rule is None:
        raise _UnfitError(f"policy {ref.policy} has no rule {ref.rule}")
    if rule.gate is None:
        raise _UnfitError(f"rule {_spelled(rule)} has effect {rule.effect}: only RequireApproval accepts an approval")
    if rule.audit:
        raise _UnfitError(f"policy {ref.policy} is in mode Audit, so it requires no approval")
    if known.settings is None:
        raise _UnfitError(
            f"endpoint {request.endpoint} has no endpointSettings in force: exactly one of its policies must have some"
        )
    gate = known.settings.gate(rule.gate, rule.actions)
    (found,) = gate.rules
    if ref.uid not in {None, found.policy_uid}:
        raise _UnfitError(f"the uid of policy {ref.policy} differs from spec.request.rules[{index}].uid")
    if ref.rule_digest not in {None, found.rule_digest}:
        raise _UnfitError(f"the digest of rule {_spelled(rule)} differs from spec.request.rules[{index}].ruleDigest")
    return rule, gate


def _within(request: Request, rule: CompiledRule, gate: Gate) -> None:
    """Raise where the scope reaches beyond what the rule speaks of, or the rule takes no scopes."""
    name, action, resource = _spelled(rule), request.action.name, request.resource
    if not gate.scope:
        raise _UnfitError(f"rule {name} has binding Exact: it accepts approvals of single calls, not of a scope")
    if "*" in action or action not in rule.actions:
        raise _UnfitError(f"action {action} is not one of the actions of rule {name}")
    if not _ID.fullmatch(resource.id):
        raise _UnfitError(f"resource id {resource.id} must be exact, or end in * after one of . : /")
    typed = [entry for entry in rule.resources if entry.type == resource.type]
    if not typed:
        raise _UnfitError(f"resource type {resource.type} is not in rule {name}")
    ids = NameSet.of((resource.id,))
    wide = [entry for entry in typed if entry.ids.covers(ids)]
    if not wide:
        raise _UnfitError(f"resource id {resource.id} covers more than the ids of rule {name}")
    bound = resource.properties or {}
    if not any(all(bound[key] in held for key, held in one.properties.items() if key in bound) for one in wide):
        raise _UnfitError(f"the properties of the resource are not among those that rule {name} lists")
    if request.intent is not None and not rule.accepts(request.intent):
        raise _UnfitError(f"rule {name} does not accept intent {request.intent}")


def _fits(request: Request, gate: Gate) -> None:
    """Raise where the grant asks for other steps than its rules together, or for more than they give."""
    asked, due = (plain_steps(steps) for steps in (request.steps, gate.steps))
    if asked != due:
        differing = sorted(name for name in {*asked, *due} if asked.get(name) != due.get(name))
        raise _UnfitError(
            f"the steps must be those of the rules, which are {_listed(due)}: correct {_listed(differing)}"
            " (policy, kind, groups and count must be those of the rule)"
        )
    for what, wanted, given in (
        ("windowSeconds", request.window_seconds, gate.window_seconds),
        ("maxUses", request.max_uses, gate.max_uses),
    ):
        if wanted > given:
            raise _UnfitError(f"{what} is {wanted}, but the rules allow at most {given}")
    if (wrong := reason_problem(gate, request.reason)) is not None:
        raise _UnfitError(f"{wrong}: see spec.request.reason")


def _subject_uid(request: Request, known: ResolutionInput) -> str:
    subject = request.subject
    stated = subject.uid
    if known.asserted:
        uid = keys.uid_of(ASSERTED, subject.id)
        if keys.issuer_of(uid, subject.id) is None:
            raise _UnfitError("the name of the subject is too long for a grant written by hand")
    elif subject.type == SERVICE_ACCOUNT:
        found = known.accounts.get(subject.id)
        if found is None:
            raise _UnfitError(f"service account {subject.id} does not exist")
        uid = found
    elif subject.type != USER:
        # As the decision point spells it for everybody whom an issuer vouches for.
        raise _UnfitError(f"spec.request.subject.type is {subject.type}: it must be {SERVICE_ACCOUNT} or {USER}")
    elif stated is None or keys.issuer_of(stated, subject.id) is None:
        raise _UnfitError(f"spec.request.subject.uid must have the form <issuer>#{subject.id}")
    else:
        uid = stated
    if stated not in {None, uid}:
        raise _UnfitError(f"the uid of {subject.id} differs from spec.request.subject.uid")
    return uid


def _subject_keys(request: Request, uid: str, *, asserted: bool) -> frozenset[Key]:
    subject = request.subject
    if asserted:
        return keys.of_asserted(subject.type, subject.id)
    if subject.type == SERVICE_ACCOUNT:
        return frozenset((keys.service_account(subject.id),))
    return keys.of_person(keys.issuer_of(uid, subject.id) or "", subject.id, ())


def _usernames(request: Request, subject_uid: str, known: ResolutionInput) -> list[str]:
    """Return what the API server calls the people whom a grant names: none of them reviews it (invariant 1).

    Where people approve, raises for whom it has no name: the decision point could not tell a reviewer from them. Leaves
    out whose name takes more to know than a grant says; the decision point knows it from their token.
    """
    people = any(step.kind == "Human" for step in request.steps)
    found = set()
    for issuer, name in _people(request, subject_uid, known):
        naming = None if known.issuers is None or issuer is None else known.issuers.get(issuer)
        if people and (issuer is None or (known.issuers is not None and (naming is None or naming.template is None))):
            lacks = "has no claims.kubernetesUsername" if naming is not None else "is not configured"
            whose = f"comes from issuer {issuer}, which {lacks}" if issuer else "is asserted by the enforcer alone"
            raise _UnfitError(
                f"people review this grant, and {name} {whose}: Bailiwick cannot detect a review by {name}"
            )
        if naming is not None and (username := naming.username(name)) is not None:
            found.add(username)
    return sorted(found)


def _people(request: Request, subject_uid: str, known: ResolutionInput) -> list[tuple[str | None, str]]:
    """Return who of a grant's parties is a person: the issuer, None for whom nobody vouches, and the name."""
    if known.asserted:
        return [(None, name) for is_subject, name in _parties(request) if is_subject]
    of_subject = keys.issuer_of(subject_uid, request.subject.id)
    actors = [(actor.issuer, actor.id) for actor in request.actors or () if not _by_cluster(actor)]
    return [*((of_subject, name) for is_subject, name in _parties(request) if is_subject), *actors]


def _parties(request: Request) -> list[tuple[bool, str]]:
    """Return who of a grant's parties is no service account of the cluster, and whether it is the subject."""
    subject = [] if request.subject.type == SERVICE_ACCOUNT else [(True, request.subject.id)]
    return [*subject, *((False, actor.id) for actor in request.actors or () if not _by_cluster(actor))]


def _actor_keys(request: Request, known: ResolutionInput, index: int) -> frozenset[Key]:
    """Return what a rule can name an actor by. Its uid is bound as it is written."""
    actor = (request.actors or ())[index]
    where = f"spec.request.actors[{index}].uid"
    if actor.uid is None:
        raise _UnfitError(f"{where} is required: a grant is bound to the exact actors of the call")
    if known.asserted:
        return keys.of_asserted(SERVICE_ACCOUNT, actor.id) | keys.of_asserted(USER, actor.id)
    if not _by_cluster(actor):
        return keys.of_person(actor.issuer or "", actor.id, ()) | {keys.service_account(actor.id)}
    uid = known.accounts.get(actor.id)
    if uid is None:
        raise _UnfitError(f"service account {actor.id} does not exist")
    if uid != actor.uid:
        raise _UnfitError(f"the uid of {actor.id} differs from {where}")
    return frozenset((keys.service_account(actor.id),))


def _by_cluster(actor: Actor) -> bool:
    return actor.issuer == CLUSTER


def _names(rule: CompiledRule, party: frozenset[Key]) -> bool:
    """Tell whether a rule may speak of a party. Who is in a group shows when they call, so it may be anybody's."""
    issuers = {parts[1] for key in party if (parts := keys.key_parts(key))[0] == USER}
    return not party.isdisjoint(rule.subjects) or any(
        parts[0] == "group" and parts[1] in issuers for parts in map(keys.key_parts, rule.subjects)
    )


def _spelled(rule: CompiledRule) -> str:
    return f"{rule.policy.name}/{rule.name}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
