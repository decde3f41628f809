"""Every `x-kubernetes-validations` rule of policies and grants; `endpointpolicy` and `approvalgrant` attach them.

Holds: a rule belongs to a *required* parent, because the API server skips a transition rule on an optional field when
the field is added or removed. Each rule has a test on a real API server that fails without it (tests/cluster/crds).
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CelRule:
    """One validation rule: `expression` must be true, else the API server refuses with `message`."""

    expression: str
    message: str

    def as_extension(self) -> dict[str, str]:
        """Return the rule as the schema spells it."""
        return {"rule": self.expression, "message": self.message}


def validations(*rules: CelRule) -> dict[str, Any]:
    """Return the schema extension that holds these rules."""
    return {"x-kubernetes-validations": [rule.as_extension() for rule in rules]}


ENDPOINT_IMMUTABLE: Final = CelRule(
    "self == oldSelf", "endpoint is immutable: create a new policy for another endpoint"
)
RULE_SUBJECTS_KNOWN: Final = CelRule(
    # Nested exists would exceed the cost limit of one call with 64 names of 63 letters.
    "self.rules.all(r, sets.contains(self.subjects.map(x, x.name), r.subjects))",
    "a rule names a subject that is not in spec.subjects",
)
APPROVAL_WITH_EFFECT: Final = CelRule(
    "(self.effect == 'RequireApproval') == has(self.approval)",
    "approval is required with effect RequireApproval, and not allowed with any other effect",
)
DENY_NEVER_EXPIRES: Final = CelRule(
    "self.effect != 'Deny' || !has(self.expireTime)",
    "a Deny rule cannot have an expireTime: remove the rule instead",
)
DENY_HAS_NO_INTENTS: Final = CelRule(
    "self.effect != 'Deny' || !has(self.intents)",
    "a Deny rule cannot have intents, because a caller could bypass it by declaring another purpose",
)

INTENT_IS_RECORDED: Final = CelRule(
    "self != 'context.intent'",
    "context.intent cannot be sensitive: records contain the declared purpose like the action and the resource",
)
SCOPE_SHOWS_ITSELF: Final = CelRule(
    "self.binding != 'Scope' || (!has(self.show) && !self.allowUnseen)",
    "show and allowUnseen are allowed only with binding Exact: with binding Scope, reviewers see only the scope",
)
PEOPLE_SIGN: Final = CelRule(
    "!has(self.signature) || self.kind == 'Human'", "signature is allowed only with kind Human"
)
SUBJECT_IS_ONE_THING: Final = CelRule(
    "(has(self.serviceAccount) ? 1 : 0) + (has(self.user) ? 1 : 0) + (has(self.group) ? 1 : 0)"
    " + (has(self.entity) ? 1 : 0) == 1",
    "a subject must have exactly one of serviceAccount, user, group, entity",
)
ENFORCER_IS_ONE_THING: Final = CelRule(
    "has(self.certificate) ? !has(self.namespace) && !has(self.name) : has(self.namespace) && has(self.name)",
    "an enforcer must have either namespace and name of a service account, or a certificate",
)
CERTIFICATE_IS_ONE_NAME: Final = CelRule(
    "has(self.spiffe) != has(self.dns)", "a certificate is named by exactly one of spiffe, dns"
)
WORKLOAD_NEEDS_SERVICE_ACCOUNT: Final = CelRule(
    "!has(self.workload) || has(self.serviceAccount)", "workload is allowed only with serviceAccount"
)
WORKLOAD_SAYS_SOMETHING: Final = CelRule(
    "has(self.podSelector) || has(self.imageDigests)", "workload needs imageDigests, podSelector or both"
)
HTTP_SAYS_SOMETHING: Final = CelRule("has(self.routes) || self.mcp", "http needs routes, mcp: true or both")
DELEGATION_PRINCIPALS_KNOWN: Final = CelRule(
    "!has(self.endpointSettings) || !has(self.endpointSettings.delegation)"
    " || self.endpointSettings.delegation.principals.all(s, self.subjects.exists(x, x.name == s))",
    "delegation names a principal that is not in spec.subjects",
)
ENTITY_NEEDS_ASSERTED: Final = CelRule(
    "!has(self.endpointSettings) || self.subjects.all(x, !has(x.entity))"
    " || (has(self.endpointSettings.identity) && self.endpointSettings.identity.verification == 'Asserted')",
    "a subject with entity needs identity.verification: Asserted",
)
WINDOW_LIMITED: Final = CelRule(
    "int(self.substring(0, self.size() - 1)) <= (self.endsWith('m') ? 44640 : self.endsWith('h') ? 744 : 31)",
    "a window can be at most 31 days long",
)
HISTORY_HAS_ONE_WINDOW: Final = CelRule(
    "has(self.window) != has(self.calendar)", "a history must have exactly one of window, calendar"
)
OUTCOME_TIME_LIMITED: Final = CelRule(
    "int(self.substring(0, self.size() - 1)) <= (self.endsWith('m') ? 1440 : 24)",
    "an outcome can be reported for at most 24 hours",
)
OUTCOMES_ARE_COUNTED: Final = CelRule(
    "!has(self.outcomeWithin) || self.counts.what in ['Succeeded', 'Failed']",
    "outcomeWithin is allowed only with what: Succeeded or Failed",
)
DENIED_HAVE_NO_AMOUNT: Final = CelRule(
    "self.counts.what != 'Denied' || !has(self.amount)", "a history of denied calls cannot have an amount"
)
DENIED_ARE_NOT_APPROVED: Final = CelRule(
    "self.what != 'Denied' || self.approved == 'Count'", "approved: Ignore is not allowed with what: Denied"
)
SESSION_IS_ONE_THING: Final = CelRule(
    "has(self.claim) != has(self.property)", "a session must be exactly one of claim, property"
)
SESSION_KEY_NEEDS_SESSION: Final = CelRule(
    "has(self.session) || !has(self.history) || self.history.all(h, !('session' in h.key))",
    "a history with session in its key needs endpointSettings.session",
)
HISTORY_KEYS_LIMITED: Final = CelRule(
    "!has(self.history)"
    " || self.history.filter(h, !self.history.exists(o, o.name < h.name && sets.equivalent(o.key, h.key))).size() <= 4",
    "the histories of an endpoint can have at most 4 different keys",
)
REPLACES_IN_AUDIT: Final = CelRule(
    "!has(self.replaces) || self.mode == 'Audit'", "replaces is allowed only with mode Audit"
)
REPLACES_ANOTHER: Final = CelRule(
    "!has(self.spec.replaces) || self.spec.replaces != self.metadata.name", "a policy cannot replace itself"
)

REQUEST_IMMUTABLE: Final = CelRule("self == oldSelf", "the request is immutable: request a new grant")
DISPLAY_NEEDED: Final = CelRule(
    "self.origin == 'PreApproved' || has(self.display)",
    "display is required in a grant that the decision point opens",
)
EXACT_NEEDS_DIGEST: Final = CelRule(
    "self.binding.mode == 'Scope' || has(self.binding.digest)", "binding mode Exact requires a digest"
)
STEP_POLICY_KNOWN: Final = CelRule(
    "self.steps.all(s, self.rules.exists(r, r.policy == s.policy))",
    "the policy of each step must be the policy of one of the rules",
)
OPENED_NAMES_UIDS: Final = CelRule(
    "self.origin == 'PreApproved' || (has(self.subject.uid) && self.rules.all(r, has(r.uid) && has(r.ruleDigest)))",
    "a grant that the decision point opens must have the uids of the subject and the policies, and the digests of the"
    " rules",
)
PROPERTIES_OF_SCOPE: Final = CelRule(
    "self.binding.mode == 'Scope' || !has(self.resource.properties)",
    "resource.properties is allowed only with binding Scope: binding Exact binds the digest",
)
REVIEWS_APPEND_ONLY: Final = CelRule(
    "!has(oldSelf.reviews) || (has(self.reviews) && oldSelf.reviews.all(o, self.reviews.exists(r, r == o)))",
    "reviews are append-only",
)
REVOCATION_FINAL: Final = CelRule(
    "!has(oldSelf.revocation) || (has(self.revocation) && self.revocation == oldSelf.revocation)",
    "a revocation cannot be changed or removed",
)
USES_WITHIN_APPROVAL: Final = CelRule(
    "!has(self.status) || !has(self.status.uses) || self.status.uses <= self.spec.request.maxUses",
    "the grant has no uses left",
)
STATUS_STAYS: Final = CelRule("!has(oldSelf.status) || has(self.status)", "the status cannot be removed")
PHASE_FINAL: Final = CelRule(
    "!has(oldSelf.phase) || !(oldSelf.phase in ['Denied', 'Expired', 'Withdrawn', 'Consumed', 'Lapsed', 'Revoked'])"
    " || (has(self.phase) && self.phase == oldSelf.phase)",
    "a terminal phase cannot change",
)
ACTIVE_HAS_TIMES: Final = CelRule(
    "!has(self.phase) || self.phase != 'Active' || (has(self.approvedTime) && has(self.notAfterTime))",
    "an active grant must have approvedTime and notAfterTime",
)
APPROVED_TIME_ONCE: Final = CelRule(
    "!has(oldSelf.approvedTime) || (has(self.approvedTime) && self.approvedTime == oldSelf.approvedTime)",
    "approvedTime can be set only once",
)
NOT_AFTER_TIME_ONCE: Final = CelRule(
    "!has(oldSelf.notAfterTime) || (has(self.notAfterTime) && self.notAfterTime == oldSelf.notAfterTime)",
    "notAfterTime can be set only once",
)
USE_RECORDS_APPEND_ONLY: Final = CelRule(
    "!has(oldSelf.useRecords)"
    " || (has(self.useRecords) && oldSelf.useRecords.all(o, self.useRecords.exists(r, r == o)))",
    "use records are append-only",
)
USE_RECORD_PER_USE: Final = CelRule(
    "(has(self.uses) ? self.uses : 0) == (has(self.useRecords) ? self.useRecords.size() : 0)",
    "each use must have exactly one use record",
)
COUNTED_FOR_GOOD: Final = CelRule(
    "!has(oldSelf.counted)"
    " || (has(self.counted) && oldSelf.counted.all(o, self.counted.exists(r, r.reviewer == o.reviewer)))",
    "a counted review cannot be removed",
)
VOIDED_FOR_GOOD: Final = CelRule(
    "!has(oldSelf.voided)"
    " || (has(self.voided) && oldSelf.voided.all(o, self.voided.exists(r, r.reviewer == o.reviewer)))",
    "a void review cannot be removed",
)
COUNTED_OR_VOIDED: Final = CelRule(
    "!has(self.counted) || !has(self.voided) || self.counted.all(c, !self.voided.exists(v, v.reviewer == c.reviewer))",
    "a review cannot be both counted and void",
)
RESOLVED_ONCE: Final = CelRule(
    "!has(oldSelf.resolved) || (has(self.resolved) && self.resolved == oldSelf.resolved)",
    "resolved can be set only once",
)

REVOCATION_NAME: Final = CelRule(
    "self.metadata.name.matches('^r-[a-z2-7]{26}$')",
    "the name must be r- and 26 of the characters a-z and 2-7, as kubectl bailiwick take-back writes it",
)
REVOKED_SUBJECT_IMMUTABLE: Final = CelRule(
    "self.issuer == oldSelf.issuer && self.match == oldSelf.match",
    "issuer and match are immutable: create another SubjectRevocation",
)
REVOKED_TIMES_NEVER_BACK: Final = CelRule(
    "self.issuedBefore >= oldSelf.issuedBefore && self.asOf >= oldSelf.asOf && self.until >= oldSelf.until",
    "issuedBefore, asOf and until cannot go back",
)
HOLD_CHANGES_LATER: Final = CelRule(
    "self.hold == oldSelf.hold || self.asOf > oldSelf.asOf", "hold can change only with a later asOf"
)
CAUSE_CHANGES_LATER: Final = CelRule(
    "self.cause == oldSelf.cause || (self.cause.kind == 'Signal' && oldSelf.cause.kind == 'Signal'"
    " && (self.asOf > oldSelf.asOf || self.issuedBefore > oldSelf.issuedBefore))",
    "cause is immutable; only that of a signal can change, with a later asOf or issuedBefore",
)
PERSON_WITHIN_A_YEAR: Final = CelRule(
    "self.cause.kind != 'Person' || self.until <= self.asOf + duration('8784h')",
    "until can be at most 366 days after asOf",
)
CAUSE_IS_COMPLETE: Final = CelRule(
    "self.kind == 'Person' ? has(self.by) && has(self.reason) : has(self.event)",
    "a cause of kind Person must have by and reason, and one of kind Signal must have event",
)
