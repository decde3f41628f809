"""The invariants of approvals, histories and identities: where they hold, for `generate_invariants`.

Holds: a number keeps its meaning. A sentence says where Bailiwick differs from common practice, and what it does not
offer. Tests name an invariant by `@pytest.mark.invariant(number)`.
"""

from typing import Final

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import SUBJECT_REVOCATIONS
from bailiwick_api.manifests import definitionguard, guards, historyguards, revocationguards
from enforcement import (
    Code,
    Field,
    Invariant,
    NoField,
    Role,
    SchemaRule,
    defining,
    deleting,
    deleting_history,
    opening,
    reviewing,
    writing_history,
    writing_revocation,
    writing_status,
)

_BY_HAND: Final = (
    "a grant written by hand must have origin PreApproved; only the decision point sets Requested and OnDeny"
)
_NO_OWNERS: Final = "a grant cannot have owner references or finalizers"
_DECIDE: Final = Code("bailiwick_engine.decision.decide.decide")
_FITNESS: Final = Code("bailiwick_engine.approval.grants.fitness")
_TALLY: Final = Code("bailiwick_engine.approval.quorum.tally")
_DEVIATIONS: Final = Code("bailiwick_engine.approval.fingerprint.deviations")
_ANSWERS: Final = Code("bailiwick_engine.approval.grants.answers")
_CURRENT: Final = Code("bailiwick_engine.approval.grants.current")
_SETTINGS: Final = Code("bailiwick_engine.compile.settingsdigest.settings_meaning")
_STATEMENT: Final = Code("bailiwick_engine.signatures.statement.review_statement")
_CONSUME: Final = Code("bailiwick_webhook.approvals.consumer.Consumer.consume")

INVARIANTS: Final = (
    Invariant(
        1,
        "Requester, subject, every actor of the chain and everyone whom the request excludes review none of it,"
        " administrators included; the decision point works the names out again from the real call. Not offered: owners"
        " of an account. Who runs an agent is known to you and not to the API server: keep them out of its groups.",
        (
            reviewing("you cannot review your own request"),
            Code("bailiwick_engine.approval.quorum.request_exclusions"),
            Code("bailiwick_engine.approval.grants.excluded_reviewers"),
            _TALLY,
        ),
    ),
    Invariant(
        2,
        "Who reviews, asks or revokes is who the API server authenticated; who names somebody else is refused, not"
        " corrected. People fill Human steps, service accounts System steps, and a group is one's own.",
        (
            reviewing(guards.REVIEW_NAMES_AUTHOR),
            reviewing("reviewerUID must be your uid"),
            reviewing("you are not a member of that group"),
            reviewing("set group to the group of this step for which you review"),
            reviewing("only people can review a Human step"),
            reviewing("only a service account can review a System step"),
            reviewing("revocation.by must be you"),
            reviewing(
                "the decision point, and no one else, sets revocation.for: it names the account for which it withdraws"
            ),
            opening("requester must be you"),
            opening("requester.uid must be your uid"),
        ),
    ),
    Invariant(
        3,
        "The right to review is the verb `approve` of the person who writes the review, on the policy of the step."
        " Neither of our accounts has it, and nothing of ours reviews for anybody. Who may impersonate a reviewer"
        " is that reviewer to the API server: its audit log has both names. Where a step asks for a signature, such a"
        " review does not count (30).",
        (
            reviewing("you need the verb approve on the endpointpolicy of the step"),
            opening("you need the verb request on each endpointpolicy that the grant names"),
            opening(guards.RULES_BOUNDED),
            Role("bailiwick-approve", "approve"),
            Role("bailiwick-edit", "approve", held=False),
            Role("bailiwick-webhook", "approve", held=False),
            Role("bailiwick-operator", "approve", held=False),
        ),
    ),
    Invariant(
        4,
        "No link and no task id carries authority. The decision point has no path that reviews, and tells of a task"
        " only to enforcers of its endpoint: a review is a write at the API server, under one's own login.",
        (
            reviewing("you need the verb approve on the endpointpolicy of the step"),
            Code("bailiwick_webhook.pipeline.pdp.Pdp.task"),
        ),
    ),
    Invariant(
        5,
        "A username reviews a grant once, fills one step and counts once. Two usernames of one person are two people:"
        " let your issuer give each person one.",
        (
            Field("ApprovalGrant", "spec.reviews[].reviewer"),
            reviewing("add one review at a time"),
            reviewing(guards.ONE_REVIEW_EACH),
            _TALLY,
        ),
    ),
    Invariant(
        6,
        "What was asked for never changes: `spec.request` is immutable as a whole, fields left out included. Another"
        " call, or more of it, is a new grant.",
        (
            SchemaRule(cel.REQUEST_IMMUTABLE),
            reviewing(cel.REQUEST_IMMUTABLE.message),
            writing_status(guards.NO_SCALE),
            SchemaRule(cel.REVIEWS_APPEND_ONLY),
            reviewing("reviews are append-only"),
            reviewing("labels of a grant are immutable"),
            opening("a new grant cannot have reviews or a revocation"),
        ),
    ),
    Invariant(
        7,
        "A review lies inside the grant that it is of, and repeats what was shown: the digest, or for a Scope the"
        " grant's uid. A grant created again under the same name has another uid and none of the reviews. A signature"
        " covers the whole request as it is stored, with the step, the group, the decision and the reason.",
        (
            _STATEMENT,
            reviewing("the review is for another request: its binding differs from the grant's binding"),
            reviewing("the grant has no such step"),
            Code("bailiwick_engine.approval.quorum.binding_of"),
        ),
    ),
    Invariant(
        8,
        "The decision point digests the call that is made, and only a grant of the same bytes serves it. A Scope grant"
        " serves what its subject, actors, action, resource and listed properties say.",
        (
            Code("bailiwick_engine.approval.binding.digest"),
            _ANSWERS,
            Code("bailiwick_engine.approval.display.lacking"),
            SchemaRule(cel.EXACT_NEEDS_DIGEST),
            SchemaRule(cel.PROPERTIES_OF_SCOPE),
        ),
    ),
    Invariant(
        9,
        "What is shown is rendered by the decision point from the values that are digested; the requester's words stand"
        " apart. A call that cannot be shown whole is not asked for, unless the rule says `allowUnseen`: then the"
        " approver reads that the arguments are not shown.",
        (
            Code("bailiwick_engine.approval.display.items_of"),
            Code("bailiwick_engine.approval.display.inspectable"),
            Field("EndpointPolicy", "spec.rules[].approval.allowUnseen"),
            SchemaRule(cel.DISPLAY_NEEDED),
            SchemaRule(cel.SCOPE_SHOWS_ITSELF),
            opening(
                "a grant written by hand must have binding Scope, without digest or display: only the decision point"
                " sets them"
            ),
            opening(guards.NAMES_RESERVED),
        ),
    ),
    Invariant(
        10,
        "A use is one status write at the resourceVersion that was judged, with one record for each: any number of"
        " replicas lets through exactly `maxUses` calls.",
        (
            _CONSUME,
            writing_status("the decision point can only add exactly one use"),
            writing_status(guards.USES_ARE_THE_PDPS),
            reviewing(guards.ANNOTATED),
            reviewing(guards.FIELDS_OWNED),
            SchemaRule(cel.USES_WITHIN_APPROVAL),
            SchemaRule(cel.USE_RECORD_PER_USE),
            SchemaRule(cel.USE_RECORDS_APPEND_ONLY),
            writing_status(guards.USES_RECORDED),
        ),
    ),
    Invariant(
        11,
        "The same `X-Request-ID` of the same enforcer for the same call takes one use within 30 seconds, on every"
        " replica; a dry run takes none.",
        (Code("bailiwick_webhook.approvals.consumer.Consumer.taken_before"), _CONSUME),
    ),
    Invariant(
        12,
        "The times of a grant are absolute, set once and judged when a call is decided, each in both directions: none"
        " before its creation, none later than that allows. A stopped operator keeps nothing alive. A process whose"
        " clock is 30 s ahead of the API server's, or behind, counts, approves, expires, deletes, opens and uses"
        " nothing. Not offered: a condition on the grant (`validWhile`); each call is judged by the rule's conditions.",
        (
            Code("bailiwick_engine.approval.granttimes.approval_fits"),
            Code("bailiwick_operator.loop.clock.Clock"),
            _CONSUME,
            SchemaRule(cel.ACTIVE_HAS_TIMES),
            SchemaRule(cel.APPROVED_TIME_ONCE),
            SchemaRule(cel.NOT_AFTER_TIME_ONCE),
            writing_status(guards.SET_ONCE),
            opening("pendingUntilTime must be within 24 hours from now"),
            Field("ApprovalGrant", "spec.request.windowSeconds"),
        ),
    ),
    Invariant(
        13,
        "A denial, a revocation and every other end is final. A denial beats approvals, also where the status does not"
        " count it, and a revocation of the grant beats all; one person revokes, also before approval and at any time"
        " after. A denial outlasts that a party is taken back. While a reviewer is taken back, what they approved ends"
        " and no new Approve of theirs counts, then or later; a Deny of theirs does.",
        (
            SchemaRule(cel.PHASE_FINAL),
            writing_status(cel.PHASE_FINAL.message),
            SchemaRule(cel.REVOCATION_FINAL),
            reviewing(cel.REVOCATION_FINAL.message),
            reviewing("the grant is revoked"),
            reviewing("the grant is no longer pending"),
            reviewing(
                "you must be the requester, or need the verb revoke or approve on an endpointpolicy of the grant"
            ),
            reviewing(
                "the decision point can withdraw only a pending grant that it opened, for the grant's requester or"
                " subject"
            ),
            writing_status("only an active grant can be used"),
            _FITNESS,
            Code("bailiwick_engine.approval.revokedgrants.ending_revocation"),
            Code("bailiwick_engine.approval.lifecycle.next_phase"),
            Code("bailiwick_operator.reconcile.approvalgrant.reconcile"),
        ),
    ),
    Invariant(
        14,
        "A grant is of the uids of its subject and its policies; a re-created account or policy inherits nothing. A"
        " grant written by hand names them, the operator resolves the uids once, and nobody reviews it before.",
        (
            SchemaRule(cel.OPENED_NAMES_UIDS),
            SchemaRule(cel.RESOLVED_ONCE),
            writing_status(guards.SET_ONCE),
            reviewing("the operator has not yet resolved the names in this grant: check its conditions and try again"),
            Code("bailiwick_operator.reconcile.resolution.resolve"),
            _ANSWERS,
            _CURRENT,
        ),
    ),
    Invariant(
        15,
        "A grant is necessary, never sufficient: each call is decided by the policies and data of now, and a Deny, an"
        " expiry, a suspension or a condition that is false or cannot be evaluated beats the grant.",
        (_DECIDE, _CONSUME),
    ),
    Invariant(
        16,
        "Of several rules that match the strictest counts, whatever their order and age, by one function. Where several"
        " ask for an approval, one grant meets all of them.",
        (_DECIDE, Code("bailiwick_engine.approval.gates.join_gates"), SchemaRule(cel.STEP_POLICY_KNOWN)),
    ),
    Invariant(
        17,
        "A grant dies with any change of what its rules mean, stricter or laxer, so its steps are always those of now."
        " Data that is read and settings of the endpoint count, all but named exceptions. Fewer uses and a shorter"
        " window count at once. (The reference lets a quorum be tightened; this is stricter.)",
        (Code("bailiwick_engine.compile.ruledigest.rule_digest"), _SETTINGS, _CURRENT),
    ),
    Invariant(
        18,
        "Status is written by our two accounts, each its own fields, along the phases of the schema.",
        (
            writing_status("only Bailiwick can write the status"),
            opening(guards.BORN_WITHOUT_STATUS),
            reviewing(guards.STATUS_UNCHANGED),
            writing_status(guards.USES_ARE_THE_PDPS),
            writing_status("the decision point can only add exactly one use"),
            SchemaRule(cel.PHASE_FINAL),
            SchemaRule(cel.STATUS_STAYS),
            SchemaRule(cel.COUNTED_FOR_GOOD),
            SchemaRule(cel.VOIDED_FOR_GOOD),
            SchemaRule(cel.COUNTED_OR_VOIDED),
            writing_status(cel.PHASE_FINAL.message),
            writing_status(guards.JUDGED_FOR_GOOD),
        ),
    ),
    Invariant(
        19,
        "Asking is bounded, by hand too: equal requests are one grant, and a rule limits how many wait for a subject,"
        " how many it asks for in an hour and how soon again after a denial. What no rule reads and no reviewer sees"
        " makes no other request. Each review is a write of its own: approving many at once is not offered.",
        (
            Code("bailiwick_engine.approval.grants.grant_name"),
            Code("bailiwick_webhook.approvals.throttle.Throttle"),
            Code("bailiwick_engine.approval.cooldown.same_request"),
            Code("bailiwick_operator.reconcile.grantlimits.exceeded"),
            opening("the label bailiwick.dev/subject is reserved for the decision point"),
            Field("EndpointPolicy", "spec.rules[].approval.limits.pendingPerSubject"),
            Field("EndpointPolicy", "spec.rules[].approval.limits.requestsPerHour"),
            Field("EndpointPolicy", "spec.rules[].approval.limits.denyCooldownSeconds"),
            Field("ApprovalGrant", "spec.request.maxUses"),
        ),
    ),
    Invariant(
        20,
        "Not offered: automatic approval; there is no field for it. A System step is a review by a service account that"
        " holds `approve` and has no part in the call, and it fills no Human step.",
        (
            NoField("EndpointPolicy", "spec.rules[].approval.auto"),
            reviewing("only a service account can review a System step"),
            reviewing("only people can review a Human step"),
        ),
    ),
    Invariant(
        21,
        "Not offered: an emergency path. No origin, no field and no group goes without reviews, and no grant lifts a"
        " Deny. Who must act at once edits the policy, which Git and the audit log show.",
        (
            NoField("EndpointPolicy", "spec.rules[].approval.emergency"),
            opening(_BY_HAND),
            Field("ApprovalGrant", "spec.request.origin"),
        ),
    ),
    Invariant(
        22,
        "The decision record is written before an answer that uses a grant. A grant is deleted by retention alone, once"
        " it has ended, or with its namespace; owner references and finalizers, deletion by another name, are refused.",
        (
            deleting("a grant is evidence: revoke it instead"),
            deleting(guards.ONLY_ENDED_DELETED),
            opening(_NO_OWNERS),
            reviewing(_NO_OWNERS),
            Code("bailiwick_webhook.record.writing.writer.RecordWriter"),
            Code("bailiwick_operator.reconcile.retention.RetainedGrants"),
        ),
    ),
    Invariant(
        23,
        "An approval that nobody could give is refused or told of: no step without reviewers, no empty list of groups,"
        " no people whom the API server does not know (`UnmappedIssuer`). Not offered: counting a group, since the"
        " API server cannot say who is in it. Policies change under RBAC, never by approval, so none locks itself.",
        (
            Field("EndpointPolicy", "spec.rules[].approval.steps[].count"),
            Field("EndpointPolicy", "spec.rules[].approval.steps[].groups"),
            Code("bailiwick_engine.compile.reviewers.unmapped_issuers"),
        ),
    ),
    Invariant(
        24,
        "An approval is nobody's to pass on: it serves the subject, the actors and the endpoint that it names, no"
        " matter who knows its id. The approval token is no bearer token: the live grant is always asked.",
        (_ANSWERS, Code("bailiwick_webhook.signing.approvaltoken.verify"), _CONSUME),
    ),
    Invariant(
        25,
        "Not offered: approvals of changes to Bailiwick itself. Policies, grants and roles change under RBAC and the"
        " guards, which never look at a grant: a grant gives its subject no right at the API server, and who edits"
        " policies does not thereby approve.",
        (
            Role("bailiwick-edit", "approve", held=False),
            Role("bailiwick-request", "approve", held=False),
            reviewing("you need the verb approve on the endpointpolicy of the step"),
        ),
    ),
    Invariant(
        26,
        "What cannot be read, proven, timed or recorded denies every gated call. The guards fail closed, and while they"
        " are not the proven ones no grant is used (`approval_unverifiable`): stored as shipped with all definitions"
        " of the group, served by their own names, with no other definition in the group. One of the guards refuses"
        " every other definition, every other name and the deletion of what has one, so none comes and goes without a"
        " trace. With keep on an API server's disk, no account changes or deletes a guard, its binding or one of the"
        " definitions through it, adds a definition to the group or gives one other names, or sends a group that"
        " decides to another server.",
        (
            _CONSUME,
            Code("bailiwick_webhook.store.guard.GuardWatch"),
            _DEVIATIONS,
            Code("bailiwick_engine.approval.definitions.intrusions"),
            defining(definitionguard.FOREIGN),
            defining(definitionguard.OWN_NAMES),
            defining(definitionguard.MISLEADING),
            defining(definitionguard.CANARY_IS_NEVER_DEFINED),
            Code("bailiwick_operator.guard.changes.GuardChanges"),
            Code("bailiwick_api.manifests.keep.keep_documents"),
        ),
    ),
    Invariant(
        27,
        "A decision counts again the reviews that a grant holds and the operator saw under a proven guard, not phases."
        " What came while a definition of others was seen in the group is void. While an operator leads, no record of"
        " proofs but its own counts. Where keep is required, no guard is proven unless the operator saw, at each API"
        " server that the cluster names, a refusal that only that server's own disk can make.",
        (
            _TALLY,
            _FITNESS,
            Code("bailiwick_operator.guard.keeper.GuardKeeper"),
            Code("bailiwick_operator.guard.keep.KeepWatch"),
            Code("bailiwick_operator.reconcile.guard.must_void"),
            Code("bailiwick_api.voidgrants.VoidGrants"),
        ),
    ),
    Invariant(
        28,
        "Not offered: binding to a pod or a session. A grant is of the account's uid, so every pod of that account can"
        " use it; from which images it may be used the subject's `workload` says, judged at each call.",
        (
            NoField("ApprovalGrant", "spec.request.subject.podUID"),
            Field("EndpointPolicy", "spec.subjects[].workload.imageDigests"),
            Code("bailiwick_webhook.identity.workloads.Workloads"),
        ),
    ),
    Invariant(
        29,
        "What an endpoint has counted is written by the decision point alone, belongs to one key, and never goes back."
        " A history is deleted by retention alone, once it counts nothing any more, or with its namespace; owner"
        " references and finalizers are refused.",
        (
            writing_history(historyguards.HISTORIES_ARE_THE_PDPS),
            writing_history("endpoint and key of a history are immutable"),
            writing_history("seq and clock of a history never fall"),
            writing_history("a history cannot have owner references or finalizers"),
            deleting_history(historyguards.ONLY_ENDED_HISTORIES_GO),
            deleting_history(historyguards.CANARY_IS_NEVER_STORED),
            Code("bailiwick_operator.histories.sweeper.HistorySweeper"),
            _DEVIATIONS,
        ),
    ),
    Invariant(
        30,
        "Where a step asks for a signature, only one by the reviewer's own enrolled key over this request, step and"
        " decision counts. Registrars alone enrol keys, and nothing of Bailiwick holds one. The operator verifies"
        " when it counts, the decision point at each use, and an auditor offline.",
        (
            reviewing(guards.REVIEW_SIGNED),
            SchemaRule(cel.PEOPLE_SIGN),
            Code("bailiwick_engine.signatures.reviewsignature.signature_problem"),
            Code("bailiwick_engine.signatures.registrars.ReviewerKeyFile.judge"),
            _FITNESS,
            Code("bailiwick_operator.reconcile.reviewsignatures.signatures_of"),
        ),
    ),
    Invariant(
        31,
        "A call that waits for an approval is kept by its caller, decided again when its caller repeats it, and run at"
        " most once for each use. What its caller keeps has no authority: it names a task, and nothing trusts it.",
        (
            Code("bailiwick.mcp.gate.McpGate.admit"),
            Code("bailiwick.mcp.resumption.read_resumption"),
            Code("bailiwick.client.Bailiwick.resume"),
            _CONSUME,
        ),
    ),
    Invariant(
        32,
        "Who is taken back has no token, grant or review of before: each decision is denied at every replica within a"
        " second, whatever was cached. An object that takes somebody back only denies, never denies less by itself, and"
        " is in force as long as it exists. A party without a token of its own is refused by its name.",
        (
            SchemaRule(cel.REVOKED_SUBJECT_IMMUTABLE),
            SchemaRule(cel.REVOKED_TIMES_NEVER_BACK),
            SchemaRule(cel.HOLD_CHANGES_LATER),
            writing_revocation(revocationguards.SIGNALS_ARE_THE_OPERATORS),
            writing_revocation(revocationguards.BY_NAMES_AUTHOR),
            writing_revocation(revocationguards.AS_OF_IS_NOT_AHEAD),
            writing_revocation(revocationguards.NOTHING_KEEPS_IT),
            Role("bailiwick-take-back", "create", resource=SUBJECT_REVOCATIONS),
            Role("bailiwick-take-back", "update", held=False, resource=SUBJECT_REVOCATIONS),
            Role("bailiwick-take-back", "delete", held=False, resource=SUBJECT_REVOCATIONS),
            Code("bailiwick_engine.decision.decide.find_revocation"),
            Code("bailiwick_engine.revocations.Revocations.refusal"),
            Code("bailiwick_operator.revocations.controller.RevocationController"),
        ),
    ),
)
NUMBERS: Final = frozenset(invariant.number for invariant in INVARIANTS)
