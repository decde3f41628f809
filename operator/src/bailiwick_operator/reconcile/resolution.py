"""Resolves the names in a grant written by hand to uids and digests, before it can be reviewed. Pure.

Holds: a resolved grant is within each of the rules that it names, as the rules are now, and asks for exactly their
steps; anything that does not fit is reported and nothing is guessed (invariants 14 and 17 of hack/invariants.py). A
grant is necessary, not sufficient: whether a call is allowed is decided again when it is made.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.approvalgrant import Actor, Request, ResolvedNames as GrantResolved
from bailiwick_api.kinds.matches import RESOURCE_ID_PATTERN
from bailiwick_api.usernames import ASSERTED, UsernameTemplate, is_reserved
from bailiwick_engine import keys
from bailiwick_engine.approval.gates import Gate, join_gates, plain_steps, unmeetable
from bailiwick_engine.decision.justification import reason_problem
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER, Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledRule, SettingsMeaning
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.grantlimits import RuleLimits

_ID: Final = re.compile(RESOURCE_ID_PATTERN)


@dataclass(frozen=True, slots=True)
class ResolvedStatus:
    """`status` is the desired `status.resolved`; `limits`: those of the rules."""

    status: Status
    limits: RuleLimits


@dataclass(frozen=True, slots=True)
class UnresolvedReason:
    """Why not yet, or never; for its author."""

    why: str


@dataclass(frozen=True, slots=True)
class OverLimit:
    """Which limit of its rules the grant exceeds; for its author. This ends the grant."""

    why: str


Resolution = ResolvedStatus | UnresolvedReason | OverLimit


@dataclass(frozen=True, slots=True)
class ResolutionInput:
    """What is known beside the grant.

    `policies` are those of its namespace that it names, by name, each with the rules that it names; None: there is no
    policy of that name. `settings`: what its endpoint's settings mean for an approval; None: no policy has settings
    that compile, or several policies do. `accounts` are the uids of the service accounts that it names, by username;
    None: there is no such account. `asserted`: the endpoint accepts its enforcer's assertion of who calls. `issuers`:
    how each issuer's people are named; None: issuers are not configured.
    """

    policies: Mapping[str, CompiledPolicy | BrokenPolicy | None]
    settings: SettingsMeaning | None
    accounts: Mapping[str, str | None]
    asserted: bool = False
    issuers: Mapping[str, UsernameTemplate] | None = None


class _UnfitError(Exception):
    """The message says what does not fit."""


def accounts_of(request: Request, *, asserted: bool) -> frozenset[str]:
    """Return the usernames of the cluster's service accounts that a request names, whose uids must be looked up."""
    if asserted:
        return frozenset()
    subject = request.subject
    actors = {actor.id for actor in request.actors or () if _is_cluster_account(actor)}
    return frozenset(actors | ({subject.id} if subject.type == SERVICE_ACCOUNT else set()))


def people_without_username(request: Request, resolved: GrantResolved) -> tuple[str, ...]:
    """Return the people of a resolved grant by hand whose usernames at the API server the operator does not know."""
    people = [name for _, name in _parties(request)]
    named = len(resolved.excluded_reviewers or ())
    return () if named >= len(set(people)) else tuple(people)


def misfit(request: Request, known: ResolutionInput) -> UnresolvedReason | None:
    """Return why the rules do not cover a request, regardless of its parties; `known.accounts` is not used."""
    try:
        _gates(request, known)
    except _UnfitError as error:
        return UnresolvedReason(str(error))
    return None


def resolve(request: Request, known: ResolutionInput) -> Resolution:
    """Return what the names in a grant written by hand stand for, or why that cannot be resolved."""
    try:
        return _resolve(request, known)
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
        _check_scope(request, rule, gate)
    gates = [gate for _, gate in rules]
    if (why := unmeetable(gates)) is not None:
        raise _UnfitError(why)
    _check_terms(request, join_gates(gates))
    return rules


def _resolve(request: Request, known: ResolutionInput) -> ResolvedStatus:
    rules = _gates(request, known)
    subject_uid = _subject_uid(request, known)
    actors = [_actor_keys(request, known, index) for index in range(len(request.actors or ()))]
    person = _subject_keys(request, subject_uid, asserted=known.asserted)
    for rule, _ in rules:
        if not any(_may_name(rule, party) for party in (person, *actors)):
            who = "the subject" if not actors else "the subject or any of the actors"
            raise _UnfitError(f"rule {_display_name(rule)} does not name {who}: {request.subject.id}")
    barred = _usernames(request, subject_uid, known)
    status: Status = {
        "subjectUID": subject_uid,
        **({"excludedReviewers": barred} if barred else {}),
        "rules": [
            {"policy": ref.policy, "rule": ref.rule, "uid": ref.policy_uid, "ruleDigest": ref.rule_digest}
            for _, gate in rules
            for ref in gate.rules
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
        raise _UnfitError(
            f"rule {_display_name(rule)} has effect {rule.effect}: only RequireApproval accepts an approval"
        )
    if rule.audit:
        raise _UnfitError(f"policy {ref.policy} is in mode Audit, so it requires no approval")
    if known.settings is None:
        raise _UnfitError(
            f"endpoint {request.endpoint} has no endpointSettings in force: exactly one of its policies must have some"
        )
    gate = known.settings.gate(rule.gate, rule.actions)
    (present,) = gate.rules
    if ref.uid not in {None, present.policy_uid}:
        raise _UnfitError(f"the uid of policy {ref.policy} differs from spec.request.rules[{index}].uid")
    if ref.rule_digest not in {None, present.rule_digest}:
        raise _UnfitError(
            f"the digest of rule {_display_name(rule)} differs from spec.request.rules[{index}].ruleDigest"
        )
    return rule, gate


def _check_scope(request: Request, rule: CompiledRule, gate: Gate) -> None:
    """Raise where the scope is wider than the rule, or the rule accepts no scopes."""
    name, action, resource = _display_name(rule), request.action.name, request.resource
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
    if not any(all(bound[key] in values for key, values in entry.properties.items() if key in bound) for entry in wide):
        raise _UnfitError(f"the properties of the resource are not among those that rule {name} lists")
    if request.intent is not None and not rule.accepts(request.intent):
        raise _UnfitError(f"rule {name} does not accept intent {request.intent}")


def _check_terms(request: Request, gate: Gate) -> None:
    """Raise where the grant asks for other steps than its rules together, or for more than they allow."""
    actual, required = (plain_steps(steps) for steps in (request.steps, gate.steps))
    if actual != required:
        differing = sorted(name for name in {*actual, *required} if actual.get(name) != required.get(name))
        raise _UnfitError(
            f"the steps must be those of the rules, which are {_join(required)}: correct {_join(differing)}"
            " (policy, kind, groups, count and signature must be those of the rule)"
        )
    for name, wanted, most in (
        ("windowSeconds", request.window_seconds, gate.window_seconds),
        ("maxUses", request.max_uses, gate.max_uses),
    ):
        if wanted > most:
            raise _UnfitError(f"{name} is {wanted}, but the rules allow at most {most}")
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
        account_uid = known.accounts.get(subject.id)
        if account_uid is None:
            raise _UnfitError(f"service account {subject.id} does not exist")
        uid = account_uid
    elif subject.type != USER:
        # As the decision point spells it for everyone whom an issuer vouches for.
        raise _UnfitError(f"spec.request.subject.type is {subject.type}: it must be {SERVICE_ACCOUNT} or {USER}")
    elif is_reserved(subject.id):
        raise _UnfitError(f"{subject.id} begins with system:, as no person's name does: see spec.request.subject.type")
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
    """Return the API server's usernames of the people whom a grant names: none of them may review it (invariant 1).

    Where people approve, raises for a person without a username: the decision point could not tell a reviewer from
    them. Leaves out people whose username needs more than the grant says; the decision point knows it from their token.
    """
    people = any(step.kind == "Human" for step in request.steps)
    usernames = set()
    for issuer, name in _people(request, subject_uid, known):
        naming = None if known.issuers is None or issuer is None else known.issuers.get(issuer)
        if people and (issuer is None or (known.issuers is not None and (naming is None or naming.template is None))):
            lacks = "has no claims.kubernetesUsername" if naming is not None else "is not configured"
            whose = f"comes from issuer {issuer}, which {lacks}" if issuer else "is asserted by the enforcer alone"
            raise _UnfitError(
                f"people review this grant, and {name} {whose}: Bailiwick cannot detect a review by {name}"
            )
        if naming is not None and (username := naming.username(name)) is not None:
            usernames.add(username)
    return sorted(usernames)


def _people(request: Request, subject_uid: str, known: ResolutionInput) -> list[tuple[str | None, str]]:
    """Return the people among a grant's parties: issuer and name. The issuer is None where none vouches for them."""
    if known.asserted:
        return [(None, name) for is_subject, name in _parties(request) if is_subject]
    issuer = keys.issuer_of(subject_uid, request.subject.id)
    actors = [(actor.issuer, actor.id) for actor in request.actors or () if not _is_cluster_account(actor)]
    return [*((issuer, name) for is_subject, name in _parties(request) if is_subject), *actors]


def _parties(request: Request) -> list[tuple[bool, str]]:
    """Return the parties that are not service accounts of the cluster: whether it is the subject, and the name."""
    subject = [] if request.subject.type == SERVICE_ACCOUNT else [(True, request.subject.id)]
    return [*subject, *((False, actor.id) for actor in request.actors or () if not _is_cluster_account(actor))]


def _actor_keys(request: Request, known: ResolutionInput, index: int) -> frozenset[Key]:
    """Return the keys by which a rule can name an actor. Its uid is bound as it is written."""
    actor = (request.actors or ())[index]
    where = f"spec.request.actors[{index}].uid"
    if actor.uid is None:
        raise _UnfitError(f"{where} is required: a grant is bound to the exact actors of the call")
    if known.asserted:
        return keys.of_asserted(SERVICE_ACCOUNT, actor.id) | keys.of_asserted(USER, actor.id)
    if not _is_cluster_account(actor):
        return keys.of_person(actor.issuer or "", actor.id, ()) | {keys.service_account(actor.id)}
    uid = known.accounts.get(actor.id)
    if uid is None:
        raise _UnfitError(f"service account {actor.id} does not exist")
    if uid != actor.uid:
        raise _UnfitError(f"the uid of {actor.id} differs from {where}")
    return frozenset((keys.service_account(actor.id),))


def _is_cluster_account(actor: Actor) -> bool:
    return actor.issuer == CLUSTER


def _may_name(rule: CompiledRule, party: frozenset[Key]) -> bool:
    """Tell whether a rule may name a party. Membership of a group is known only at the call, so any group may match."""
    issuers = {parts[1] for key in party if (parts := keys.key_parts(key))[0] == USER}
    return not party.isdisjoint(rule.subjects) or any(
        parts[0] == "group" and parts[1] in issuers for parts in map(keys.key_parts, rule.subjects)
    )


def _display_name(rule: CompiledRule) -> str:
    return f"{rule.policy.name}/{rule.name}"


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
