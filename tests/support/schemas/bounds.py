"""The bounds of both kinds, written down a second time: whoever moves one in the models says so here as well.

Each row: path in the schema, `!` where the field is required, then what a value may be:
`text 1..63` characters, `number 1..5`, `list 1..64 by name` (a map), `list 1..8 set`, `list 0..4 any`, `map 1..16`,
`one of A B`, `time`, `yes or no`, `object`.
"""

from dataclasses import dataclass
from typing import Final

POLICY: Final = """
spec                                                   ! object
spec.endpoint                                          ! text 1..63
spec.endpointSettings                                    object
spec.endpointSettings.enforcers                        ! list 1..16 any
spec.endpointSettings.enforcers[].namespace              text 1..63
spec.endpointSettings.enforcers[].name                   text 1..253
spec.endpointSettings.enforcers[].certificate            object
spec.endpointSettings.enforcers[].certificate.spiffe     pattern
spec.endpointSettings.enforcers[].certificate.dns        text 1..253
spec.endpointSettings.http                               object
spec.endpointSettings.http.hosts                       ! list 1..16 set
spec.endpointSettings.http.hosts[]                     ! text 1..253
spec.endpointSettings.http.mcp                           yes or no
spec.endpointSettings.http.mcpPath                       pattern
spec.endpointSettings.http.routes                        list 1..128 any
spec.endpointSettings.http.routes[].methods            ! list 1..16 set
spec.endpointSettings.http.routes[].methods[]          ! pattern
spec.endpointSettings.http.routes[].path               ! pattern
spec.endpointSettings.http.routes[].action             ! text 1..128
spec.endpointSettings.http.routes[].actionProperties     map 1..16
spec.endpointSettings.http.routes[].actionProperties{} ! text 1..253
spec.endpointSettings.http.routes[].resource           ! object
spec.endpointSettings.http.routes[].resource.type      ! text 1..63
spec.endpointSettings.http.routes[].resource.id        ! text 1..253
spec.endpointSettings.http.routes[].resource.properties     map 1..16
spec.endpointSettings.http.routes[].resource.properties{} ! text 1..253
spec.endpointSettings.http.routes[].args                 map 1..32
spec.endpointSettings.http.routes[].args{}             ! pattern
spec.endpointSettings.http.routes[].forms                yes or no
spec.endpointSettings.identity                           object
spec.endpointSettings.identity.verification              one of Token Asserted
spec.endpointSettings.identity.audiences                 list 1..8 set
spec.endpointSettings.identity.audiences[]             ! text 1..253
spec.endpointSettings.identity.issuers                   list 1..8 set
spec.endpointSettings.identity.issuers[]               ! text 1..63
spec.endpointSettings.delegation                         object
spec.endpointSettings.delegation.maxDepth              ! number 1..4
spec.endpointSettings.delegation.principals            ! list 1..64 set
spec.endpointSettings.delegation.principals[]          ! text 1..63
spec.endpointSettings.delegation.ceiling               ! list 1..32 any
spec.endpointSettings.delegation.ceiling[].actions     ! list 1..64 set
spec.endpointSettings.delegation.ceiling[].actions[]   ! text 1..128
spec.endpointSettings.delegation.ceiling[].resources   ! list 1..16 any
spec.endpointSettings.delegation.ceiling[].resources[].type           ! text 1..63
spec.endpointSettings.delegation.ceiling[].resources[].ids            ! list 1..64 set
spec.endpointSettings.delegation.ceiling[].resources[].ids[]          ! text 1..253
spec.endpointSettings.delegation.ceiling[].resources[].properties       map 1..16
spec.endpointSettings.delegation.ceiling[].resources[].properties{}   ! list 1..16 set
spec.endpointSettings.delegation.ceiling[].resources[].properties{}[] ! text 0..253
spec.endpointSettings.delegation.ceiling[].conditions                   list 0..16 by name
spec.endpointSettings.delegation.ceiling[].conditions[].name          ! text 1..63
spec.endpointSettings.delegation.ceiling[].conditions[].expression    ! text 1..4096
spec.endpointSettings.delegation.ceiling[].conditions[].message         text 0..256
spec.endpointSettings.delegation.principalMustBeEntitled                yes or no
spec.endpointSettings.record                             object
spec.endpointSettings.record.keep                      ! list 1..32 set
spec.endpointSettings.record.keep[]                    ! pattern
spec.endpointSettings.session                            object
spec.endpointSettings.session.claim                      text 1..253
spec.endpointSettings.session.property                   pattern
spec.endpointSettings.history                            list 1..16 by name
spec.endpointSettings.history[].name                   ! text 1..63
spec.endpointSettings.history[].key                    ! list 0..4 set
spec.endpointSettings.history[].key[]                  ! pattern
spec.endpointSettings.history[].window                   pattern
spec.endpointSettings.history[].calendar                 object
spec.endpointSettings.history[].calendar.unit          ! one of Hour Day Week Month
spec.endpointSettings.history[].calendar.timeZone      ! text 1..64
spec.endpointSettings.history[].counts                 ! object
spec.endpointSettings.history[].counts.actions         ! list 1..64 set
spec.endpointSettings.history[].counts.actions[]       ! text 1..128
spec.endpointSettings.history[].counts.resources         list 1..16 any
spec.endpointSettings.history[].counts.resources[].type           ! text 1..63
spec.endpointSettings.history[].counts.resources[].ids            ! list 1..64 set
spec.endpointSettings.history[].counts.resources[].ids[]          ! text 1..253
spec.endpointSettings.history[].counts.resources[].properties       map 1..16
spec.endpointSettings.history[].counts.resources[].properties{}   ! list 1..16 set
spec.endpointSettings.history[].counts.resources[].properties{}[] ! text 0..253
spec.endpointSettings.history[].counts.when              text 1..4096
spec.endpointSettings.history[].counts.what              one of Allowed Succeeded Failed Denied
spec.endpointSettings.history[].counts.approved          one of Count Ignore
spec.endpointSettings.history[].amount                   object
spec.endpointSettings.history[].amount.of              ! pattern
spec.endpointSettings.history[].amount.digits          ! number 0..6
spec.endpointSettings.history[].outcomeWithin            pattern
spec.mode                                                one of Enforce Audit
spec.replaces                                            text 1..253
spec.suspend                                             yes or no
spec.expireTime                                          time
spec.subjects                                          ! list 1..64 by name
spec.subjects[].name                                   ! text 1..63
spec.subjects[].serviceAccount                           object
spec.subjects[].serviceAccount.namespace               ! text 1..63
spec.subjects[].serviceAccount.name                    ! text 1..253
spec.subjects[].user                                     object
spec.subjects[].user.issuer                            ! text 1..63
spec.subjects[].user.name                              ! text 1..253
spec.subjects[].group                                    object
spec.subjects[].group.issuer                           ! text 1..63
spec.subjects[].group.name                             ! text 1..253
spec.subjects[].entity                                   object
spec.subjects[].entity.type                            ! text 1..63
spec.subjects[].entity.ids                             ! list 1..64 set
spec.subjects[].entity.ids[]                           ! text 1..253
spec.subjects[].workload                                 object
spec.subjects[].workload.podSelector                     object
spec.subjects[].workload.podSelector.matchLabels       ! map 1..16
spec.subjects[].workload.podSelector.matchLabels{}     ! text 0..63
spec.subjects[].workload.imageDigests                    list 1..32 set
spec.subjects[].workload.imageDigests[]                ! pattern
spec.sensitive                                           list 1..32 set
spec.sensitive[]                                       ! pattern
spec.data                                                list 1..8 by name
spec.data[].name                                       ! text 1..63
spec.data[].from                                         text 1..253
spec.variables                                           list 0..32 by name
spec.variables[].name                                  ! text 1..63
spec.variables[].expression                            ! text 1..4096
spec.rules                                             ! list 1..64 by name
spec.rules[].name                                      ! text 1..63
spec.rules[].effect                                    ! one of Allow RequireApproval Deny
spec.rules[].subjects                                  ! list 1..64 set
spec.rules[].subjects[]                                ! text 1..63
spec.rules[].actions                                   ! list 1..64 set
spec.rules[].actions[]                                 ! text 1..128
spec.rules[].resources                                 ! list 1..16 any
spec.rules[].resources[].type                          ! text 1..63
spec.rules[].resources[].ids                           ! list 1..64 set
spec.rules[].resources[].ids[]                         ! text 1..253
spec.rules[].resources[].properties                      map 1..16
spec.rules[].resources[].properties{}                  ! list 1..16 set
spec.rules[].resources[].properties{}[]                ! text 0..253
spec.rules[].intents                                     list 1..16 set
spec.rules[].intents[]                                 ! text 1..63
spec.rules[].conditions                                  list 0..16 by name
spec.rules[].conditions[].name                         ! text 1..63
spec.rules[].conditions[].expression                   ! text 1..4096
spec.rules[].conditions[].message                        text 0..256
spec.rules[].expireTime                                  time
spec.rules[].approval                                    object
spec.rules[].approval.binding                            one of Exact Scope
spec.rules[].approval.requiredContext                    list 1..16 set
spec.rules[].approval.requiredContext[]                ! text 1..63
spec.rules[].approval.show                               list 1..32 set
spec.rules[].approval.show[]                           ! pattern
spec.rules[].approval.allowUnseen                        yes or no
spec.rules[].approval.presentation                       one of Lookup Token
spec.rules[].approval.open                               one of OnRequest OnDeny
spec.rules[].approval.limits                             object
spec.rules[].approval.limits.pendingPerSubject           number 1..50
spec.rules[].approval.limits.requestsPerHour             number 1..1000
spec.rules[].approval.limits.denyCooldownSeconds         number 0..86400
spec.rules[].approval.steps                            ! list 1..5 by name
spec.rules[].approval.steps[].name                     ! text 1..63
spec.rules[].approval.steps[].kind                     ! one of Human System
spec.rules[].approval.steps[].groups                     list 1..16 set
spec.rules[].approval.steps[].groups[]                 ! text 1..253
spec.rules[].approval.steps[].count                      number 1..5
spec.rules[].approval.steps[].signature                  one of Key Required
spec.rules[].approval.pendingSeconds                     number 30..86400
spec.rules[].approval.windowSeconds                      number 10..86400
spec.rules[].approval.maxUses                            number 1..50
spec.rules[].approval.reason                             object
spec.rules[].approval.reason.required                    yes or no
spec.rules[].approval.reason.pattern                     text 1..256
status                                                   object
status.observedGeneration                                number 0..
status.digest                                            text 0..80
status.ruleCount                                         number 0..64
status.gatedActionCount                                  number 0..4096
status.gatedActions                                      list 0..32 any
status.gatedActions[]                                  ! text 0..128
status.usage                                             object
status.usage.lastUsedTime                                time
status.usage.observedSince                               time
status.usage.unusedSince                                 time
status.shadow                                            object
status.shadow.observedGeneration                       ! number 0..
status.shadow.compared                                 ! number 0..
status.shadow.different                                ! number 0..
status.shadow.lastUpdateTime                             time
"""

GRANT: Final = """
spec                                                   ! object
spec.request                                           ! object
spec.request.endpoint                                  ! text 1..63
spec.request.rules                                     ! list 1..4 by policy rule
spec.request.rules[].policy                            ! text 1..253
spec.request.rules[].uid                                 text 1..128
spec.request.rules[].rule                              ! text 1..63
spec.request.rules[].ruleDigest                          pattern
spec.request.requester                                 ! object
spec.request.requester.username                        ! text 1..512
spec.request.requester.uid                               text 1..128
spec.request.subject                                   ! object
spec.request.subject.type                              ! text 1..63
spec.request.subject.id                                ! text 1..512
spec.request.subject.uid                                 text 1..128
spec.request.actors                                      list 0..4 any
spec.request.actors[].issuer                             text 1..253
spec.request.actors[].id                               ! text 1..512
spec.request.actors[].uid                                text 1..128
spec.request.excludedReviewers                           list 0..16 set
spec.request.excludedReviewers[]                       ! text 1..512
spec.request.action                                    ! object
spec.request.action.name                               ! text 1..128
spec.request.resource                                  ! object
spec.request.resource.type                             ! text 1..63
spec.request.resource.id                               ! text 1..253
spec.request.resource.properties                         map 1..16
spec.request.resource.properties{}                     ! text 0..253
spec.request.intent                                      text 1..63
spec.request.binding                                   ! object
spec.request.binding.mode                              ! one of Exact Scope
spec.request.binding.digest                              pattern
spec.request.binding.request                             pattern
spec.request.binding.members                             list 0..64 any
spec.request.binding.members[]                         ! text 0..63
spec.request.display                                     list 0..64 by name
spec.request.display[].name                            ! text 1..253
spec.request.display[].value                           ! text 0..1024
spec.request.reason                                      text 0..4096
spec.request.idempotency                                 object
spec.request.idempotency.key                           ! pattern
spec.request.idempotency.request                       ! pattern
spec.request.steps                                     ! list 1..20 by name
spec.request.steps[].name                              ! text 1..381
spec.request.steps[].policy                            ! text 1..253
spec.request.steps[].kind                              ! one of Human System
spec.request.steps[].groups                              list 1..16 set
spec.request.steps[].groups[]                          ! text 1..253
spec.request.steps[].count                             ! number 1..5
spec.request.steps[].signature                           one of Key Required
spec.request.origin                                    ! one of Requested OnDeny PreApproved
spec.request.pendingUntilTime                          ! time
spec.request.windowSeconds                             ! number 10..86400
spec.request.maxUses                                   ! number 1..50
spec.reviews                                             list 0..20 by reviewer
spec.reviews[].reviewer                                ! text 1..512
spec.reviews[].reviewerUID                               text 0..128
spec.reviews[].step                                    ! text 1..381
spec.reviews[].group                                     text 1..253
spec.reviews[].decision                                ! one of Approve Deny
spec.reviews[].reason                                    text 0..1024
spec.reviews[].binding                                 ! text 1..80
spec.reviews[].signature                                 text 1..4096
spec.revocation                                          object
spec.revocation.by                                     ! text 1..512
spec.revocation.reason                                   text 0..1024
spec.revocation.for                                      text 1..512
status                                                   object
status.observedGeneration                                number 0..
status.phase                             one of Pending Active Denied Expired Withdrawn Consumed Lapsed Revoked
status.approvedTime                                      time
status.notAfterTime                                      time
status.counted                                           list 0..20 by reviewer
status.counted[].reviewer                              ! text 1..512
status.counted[].time                                    time
status.voided                                            list 0..20 by reviewer
status.voided[].reviewer                               ! text 1..512
status.voided[].message                                  text 0..1024
status.resolved                                          object
status.resolved.subjectUID                             ! text 1..128
status.resolved.excludedReviewers                        list 1..5 set
status.resolved.excludedReviewers[]                    ! text 1..512
status.resolved.rules                                  ! list 1..4 by policy rule
status.resolved.rules[].policy                         ! text 1..253
status.resolved.rules[].uid                            ! text 1..128
status.resolved.rules[].rule                           ! text 1..63
status.resolved.rules[].ruleDigest                     ! pattern
status.uses                                              number 0..50
status.useRecords                                        list 0..50 by key
status.useRecords[].key                                ! text 1..80
status.useRecords[].time                               ! time
status.useRecords[].evaluationID                       ! text 0..64
"""

CONDITIONS: Final = """
status.conditions                                        list 0..16 by type
status.conditions[].type                               ! text 0..64
status.conditions[].status                             ! one of True False Unknown
status.conditions[].observedGeneration                   number 0..
status.conditions[].lastTransitionTime                 ! time
status.conditions[].reason                             ! text 1..128
status.conditions[].message                              text 0..4096
"""


@dataclass(frozen=True, slots=True)
class Bound:
    """One row."""

    kind: str
    path: str
    required: bool
    what: str
    low: int = 0
    high: int | None = None
    words: tuple[str, ...] = ()
    """The choices, or the keys of a list (`set` and `any` for lists without)."""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


def bounds() -> list[Bound]:
    """Return all rows."""
    tables = {"EndpointPolicy": POLICY + CONDITIONS, "ApprovalGrant": GRANT + CONDITIONS}
    return [_bound(kind, line) for kind, table in tables.items() for line in table.split("\n") if line]


def _bound(kind: str, line: str) -> Bound:
    path, *words = line.split()
    required = words[0] == "!"
    what, *rest = words[required:]
    match what:
        case "text" | "number" | "map":
            return Bound(kind, path, required, what, *_range(rest[0]))
        case "list":
            keys = tuple(word for word in rest[1:] if word != "by")
            return Bound(kind, path, required, what, *_range(rest[0]), words=keys)
        case "one":
            return Bound(kind, path, required, "choice", words=tuple(rest[1:]))
        case _:
            return Bound(kind, path, required, what)


def _range(text: str) -> tuple[int, int | None]:
    low, high = text.split("..")
    return int(low), int(high) if high else None
