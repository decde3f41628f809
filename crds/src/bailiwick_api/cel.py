"""Every `x-kubernetes-validations` rule of the two kinds; `endpointpolicy` and `approvalgrant` hang them on models.

Holds: a rule stands on a *required* parent, because a transition rule on an optional field is skipped when the field is
added or removed. Each rule has a test on a real API server that goes red without it (tests/cluster/crds).
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


ENDPOINT_IMMUTABLE: Final = CelRule("self == oldSelf", "endpoint is immutable: write a new policy for another endpoint")
RULE_SUBJECTS_KNOWN: Final = CelRule(
    # Not by exists in exists: with 64 names of 63 letters that passes the cost limit of one call.
    "self.rules.all(r, sets.contains(self.subjects.map(x, x.name), r.subjects))",
    "a rule names a subject that spec.subjects does not list",
)
APPROVAL_WITH_EFFECT: Final = CelRule(
    "(self.effect == 'RequireApproval') == has(self.approval)",
    "approval goes with effect RequireApproval, and only with it",
)
DENY_NEVER_EXPIRES: Final = CelRule(
    "self.effect != 'Deny' || !has(self.expireTime)",
    "a Deny rule cannot expire: remove the rule instead",
)
DENY_HAS_NO_INTENTS: Final = CelRule(
    "self.effect != 'Deny' || !has(self.intents)",
    "a Deny rule has no intents: a caller would escape it by declaring another purpose",
)

INTENT_IS_RECORDED: Final = CelRule(
    "self != 'context.intent'",
    "context.intent cannot be sensitive: records name the declared purpose as they name action and resource",
)
SCOPE_SHOWS_ITSELF: Final = CelRule(
    "self.binding != 'Scope' || (!has(self.show) && !self.allowUnseen)",
    "an approval of a Scope is shown the scope and nothing else: show and allowUnseen go with binding Exact",
)
SUBJECT_IS_ONE_THING: Final = CelRule(
    "(has(self.serviceAccount) ? 1 : 0) + (has(self.user) ? 1 : 0) + (has(self.group) ? 1 : 0)"
    " + (has(self.entity) ? 1 : 0) == 1",
    "a subject is exactly one of serviceAccount, user, group, entity",
)
ENFORCER_IS_ONE_THING: Final = CelRule(
    "has(self.certificate) ? !has(self.namespace) && !has(self.name) : has(self.namespace) && has(self.name)",
    "an enforcer is a service account, by namespace and name, or a certificate",
)
CERTIFICATE_IS_ONE_NAME: Final = CelRule(
    "has(self.spiffe) != has(self.dns)", "a certificate is named by exactly one of spiffe, dns"
)
WORKLOAD_NEEDS_SERVICE_ACCOUNT: Final = CelRule(
    "!has(self.workload) || has(self.serviceAccount)", "workload goes with serviceAccount only"
)
WORKLOAD_SAYS_SOMETHING: Final = CelRule(
    "has(self.podSelector) || has(self.imageDigests)", "workload needs imageDigests, podSelector or both"
)
DELEGATION_PRINCIPALS_KNOWN: Final = CelRule(
    "!has(self.endpointSettings) || !has(self.endpointSettings.delegation)"
    " || self.endpointSettings.delegation.principals.all(s, self.subjects.exists(x, x.name == s))",
    "delegation names a principal that spec.subjects does not list",
)
ENTITY_NEEDS_ASSERTED: Final = CelRule(
    "!has(self.endpointSettings) || self.subjects.all(x, !has(x.entity))"
    " || (has(self.endpointSettings.identity) && self.endpointSettings.identity.verification == 'Asserted')",
    "a subject of kind entity needs identity.verification Asserted",
)

REQUEST_IMMUTABLE: Final = CelRule("self == oldSelf", "the request is immutable: ask for a new grant")
DISPLAY_NEEDED: Final = CelRule(
    "self.origin == 'PreApproved' || has(self.display)",
    "a grant that the decision point opens shows the call: display is needed",
)
EXACT_NEEDS_DIGEST: Final = CelRule(
    "self.binding.mode == 'Scope' || has(self.binding.digest)", "binding mode Exact needs a digest"
)
STEP_POLICY_KNOWN: Final = CelRule(
    "self.steps.all(s, self.rules.exists(r, r.policy == s.policy))",
    "a step belongs to the policy of one of the rules",
)
OPENED_NAMES_UIDS: Final = CelRule(
    "self.origin == 'PreApproved' || (has(self.subject.uid) && self.rules.all(r, has(r.uid) && has(r.ruleDigest)))",
    "a grant that the decision point opens names the uids of subject and policies, and the digests of the rules",
)
PROPERTIES_OF_SCOPE: Final = CelRule(
    "self.binding.mode == 'Scope' || !has(self.resource.properties)",
    "properties of the resource are bound by themselves in a Scope only: Exact binds the digest",
)
REVIEWS_APPEND_ONLY: Final = CelRule(
    "!has(oldSelf.reviews) || (has(self.reviews) && oldSelf.reviews.all(o, self.reviews.exists(r, r == o)))",
    "reviews are append-only",
)
REVOCATION_FINAL: Final = CelRule(
    "!has(oldSelf.revocation) || (has(self.revocation) && self.revocation == oldSelf.revocation)",
    "a revocation is final",
)
USES_WITHIN_APPROVAL: Final = CelRule(
    "!has(self.status) || !has(self.status.uses) || self.status.uses <= self.spec.request.maxUses",
    "more uses than approved",
)
STATUS_STAYS: Final = CelRule("!has(oldSelf.status) || has(self.status)", "a status is never removed")
PHASE_FINAL: Final = CelRule(
    "!has(oldSelf.phase) || !(oldSelf.phase in ['Denied', 'Expired', 'Withdrawn', 'Consumed', 'Lapsed', 'Revoked'])"
    " || (has(self.phase) && self.phase == oldSelf.phase)",
    "a terminal phase is final",
)
ACTIVE_HAS_TIMES: Final = CelRule(
    "!has(self.phase) || self.phase != 'Active' || (has(self.approvedTime) && has(self.notAfterTime))",
    "an active grant has approvedTime and notAfterTime",
)
APPROVED_TIME_ONCE: Final = CelRule(
    "!has(oldSelf.approvedTime) || (has(self.approvedTime) && self.approvedTime == oldSelf.approvedTime)",
    "approvedTime is set once",
)
NOT_AFTER_TIME_ONCE: Final = CelRule(
    "!has(oldSelf.notAfterTime) || (has(self.notAfterTime) && self.notAfterTime == oldSelf.notAfterTime)",
    "notAfterTime is set once",
)
USE_RECORDS_APPEND_ONLY: Final = CelRule(
    "!has(oldSelf.useRecords)"
    " || (has(self.useRecords) && oldSelf.useRecords.all(o, self.useRecords.exists(r, r == o)))",
    "use records are append-only",
)
USE_RECORD_PER_USE: Final = CelRule(
    "(has(self.uses) ? self.uses : 0) == (has(self.useRecords) ? self.useRecords.size() : 0)",
    "one record for each use",
)
COUNTED_FOR_GOOD: Final = CelRule(
    "!has(oldSelf.counted)"
    " || (has(self.counted) && oldSelf.counted.all(o, self.counted.exists(r, r.reviewer == o.reviewer)))",
    "a counted review stays counted",
)
VOIDED_FOR_GOOD: Final = CelRule(
    "!has(oldSelf.voided)"
    " || (has(self.voided) && oldSelf.voided.all(o, self.voided.exists(r, r.reviewer == o.reviewer)))",
    "a voided review stays void",
)
COUNTED_OR_VOIDED: Final = CelRule(
    "!has(self.counted) || !has(self.voided) || self.counted.all(c, !self.voided.exists(v, v.reviewer == c.reviewer))",
    "a review is counted or void, never both",
)
RESOLVED_ONCE: Final = CelRule(
    "!has(oldSelf.resolved) || (has(self.resolved) && self.resolved == oldSelf.resolved)",
    "what a grant names is resolved once",
)
