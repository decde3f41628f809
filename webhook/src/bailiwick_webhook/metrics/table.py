"""The metrics by name: the one table that the exposition and `docs/reference/metrics.md` are made from.

Holds: every label's values are listed here, so that the number of series is known before anybody asks anything; no
name of a namespace, endpoint, policy, rule or party, and nothing else that a caller chooses, is ever a label. The one
exception is SHADOWS: endpoints that have a candidate, which a policy's author chooses and no caller does, and so many
of them at most.
"""

from enum import StrEnum
from typing import Final

from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_engine.reasons import Reason
from bailiwick_process.metric import Metric


class TokenProblem(StrEnum):
    """Why an approval token or a binding token proves nothing."""

    OVERSIZED = "oversized"
    UNREADABLE = "unreadable"
    ALGORITHM = "algorithm"
    TYPE = "type"
    KEY = "key"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    SIGNATURE = "signature"
    EARLY = "early"
    EXPIRED = "expired"
    CLAIMS = "claims"
    NAMESPACE = "namespace"
    OTHER = "other"
    """It is of another approval than the one that it is shown for."""


class RequestKind(StrEnum):
    """What was asked."""

    EVALUATION = "evaluation"
    BATCH = "batch"
    REQUEST = "request"
    SEARCH = "search"


class DecisionOutcome(StrEnum):
    """What came of it."""

    ALLOW = "allow"
    GRANT = "grant"
    OPENED = "opened"
    DENY = "deny"
    FORBIDDEN = "forbidden"


class TokenReviewOutcome(StrEnum):
    """What the API server said of a token."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class Admission(StrEnum):
    """What came of a review of a policy."""

    ALLOWED = "allowed"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    CONFLICTED = "conflicted"
    UNMAPPED = "unmapped_issuer"
    OVER_BUDGET = "over_budget"
    FOREIGN = "unknown_version"
    UNREADABLE = "unreadable"
    OVERLOADED = "overloaded"
    LATE = "late"
    FAILED = "failed"


class Use(StrEnum):
    """What became of an attempt to use a grant."""

    USED = "used"
    REFUSED = "refused"


class HistoryCommit(StrEnum):
    """What became of a write of a history."""

    WRITTEN = "written"
    CONFLICT = "conflict"
    REFUSED = "refused"
    LOST = "lost"


class HistoryCause(StrEnum):
    """Why a call could not be counted, or what was counted before it not be read."""

    API_SERVER = "api_server"
    CONFLICT = "conflict"
    LATE = "late"
    RATION = "ration"
    CLOCK = "clock"
    GUARD = "guard"
    STATE = "state"
    REFUSED = "refused"
    NO_CLUSTER = "no_cluster"


class OutcomeResult(StrEnum):
    """What became of the outcome of a call that a history awaits."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    LATE = "late"
    UNAVAILABLE = "unavailable"
    MISSING = "missing"


class HistoryDenials(StrEnum):
    """What became of denied calls that a history counts."""

    COUNTED = "counted"
    DROPPED = "dropped"


class Overload(StrEnum):
    """Why a request was refused that could have waited."""

    SHARE = "share"
    FULL = "full"
    BYTES = "bytes"
    RATE = "rate"
    LOOKS = "looks"
    STATUS = "status"


class CallerClass(StrEnum):
    """Of which part of the bounds a caller takes: enforcers of the endpoint that they ask about, or all others."""

    ENFORCERS = "enforcers"
    OTHERS = "others"


class Port(StrEnum):
    """Where a connection was accepted."""

    DECISIONS = "decisions"
    ADMISSION = "admission"


class ConnectionLimit(StrEnum):
    """Why a connection was closed before its client wanted it, or counts for less than it could."""

    EVICTED = "evicted"
    REFUSED = "refused"
    SILENT = "silent"
    OVER_SHARE = "over_share"


class Handshake(StrEnum):
    """How a TLS handshake ended."""

    DONE = "done"
    FAILED = "failed"


class ShadowDrop(StrEnum):
    """Why a call was not decided again, or what it came to not recorded."""

    QUEUE = "queue"
    LARGE = "large"
    RECORD = "record"
    FAILED = "failed"


RANKS: Final = ("1", "2", "3", "4", "5")
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
BOUNDS: Final = (*(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),)
MOST_ENDPOINTS: Final = 32
"""Endpoints that have series of their own: the first of the life of a process that are decided with a candidate."""
MOST_OF_ONE: Final = 4
"""Those of them that are of one namespace, so that none takes the series of all."""
OTHERS: Final = "other"
UNDECIDED: Final = "undecided"


_KIND: Final = ("kind", tuple(RequestKind))
_WHO: Final = ("who", tuple(CallerClass))
_PORT: Final = ("port", tuple(Port))

DECISIONS: Final = Metric(
    "bailiwick_decisions_total",
    "counter",
    "Decisions. Each item of a batch is one. outcome: allow (by a rule; a search was answered), grant (by an"
    " approval), opened (a request opened or joined an approval), deny, forbidden (the caller is not an enforcer).",
    (_KIND, ("outcome", tuple(DecisionOutcome)), ("reason", tuple(Reason))),
)
DURATION: Final = Metric(
    "bailiwick_decision_duration_seconds",
    "histogram",
    "Time from the parsed request to the content of the response, including the use of a grant and the wait for the"
    " record. A batch counts once.",
    (_KIND,),
)
USES: Final = Metric(
    "bailiwick_grant_uses_total",
    "counter",
    "Attempts to use a grant, after the live read. used: the call was allowed, or was a repeated call.",
    (("outcome", tuple(Use)),),
)
HISTORY_COMMITS: Final = Metric(
    "bailiwick_history_commits_total",
    "counter",
    "Writes of EndpointHistory objects. written: the calls in it are counted; conflict: another replica wrote first,"
    " and the calls were judged again; refused: the API server refused it; lost: the API server did not respond, so it"
    " may have been written.",
    (("outcome", tuple(HistoryCommit)),),
)
HISTORY_CALLS: Final = Metric(
    "bailiwick_history_calls_total",
    "counter",
    "Calls that were counted, once for each object. Divided by the commits that were written, it is the number of calls"
    " that shared a write.",
)
HISTORY_DENIED: Final = Metric(
    "bailiwick_history_denied_calls_total",
    "counter",
    "Denied calls that a history counts. counted: they stand in the object; dropped: too many keys waited to be"
    " counted, the API server refused the object or it cannot be read, or the process ended first.",
    (("outcome", tuple(HistoryDenials)),),
)
HISTORY_OUTCOMES: Final = Metric(
    "bailiwick_history_outcomes_total",
    "counter",
    "Outcomes of calls that a history counts by their outcome. succeeded, failed, cancelled: as reported for the first"
    " time; repeated: reported before; conflict: another one was reported before; late: it was too late, or there is no"
    " such call; unavailable: it could not be counted or recorded; missing: none was reported in time, seen at the next"
    " write of the object.",
    (("result", tuple(OutcomeResult)),),
)
HISTORY_SECONDS: Final = Metric(
    "bailiwick_history_commit_duration_seconds",
    "histogram",
    "Time of one write of an EndpointHistory object that the API server answered.",
)
HISTORY_UNAVAILABLE: Final = Metric(
    "bailiwick_history_unavailable_total",
    "counter",
    "Calls denied with history_unavailable, or answered without numbers. why: api_server: it did not respond;"
    " conflict: other replicas wrote first for two seconds; late: it took too long; ration: more writes, new keys,"
    " reads or dry runs a second than one namespace or this process has; clock: this clock and the API server's differ"
    " by more than 30 seconds; guard: the guards are not proven; state: an object is unreadable, full, or behind what"
    " was seen of it before; refused: the API server refused the request, for example because of a quota; no_cluster:"
    " there is no API server.",
    (("why", tuple(HistoryCause)),),
)
REVIEWS: Final = Metric(
    "bailiwick_token_reviews_total",
    "counter",
    "Service-account tokens that the API server was asked to verify. Cached results are not counted.",
    (("outcome", tuple(TokenReviewOutcome)),),
)
TOKENS: Final = Metric(
    "bailiwick_approval_tokens_refused_total",
    "counter",
    "Approval tokens that were rejected. The same token counts once per request body. why: issuer and audience mean"
    " that the token is for another endpoint, or that decision points have different --external-url; key means that"
    " none of the current keys signed it, or that there are no keys; other means that it belongs to another approval.",
    (("why", tuple(TokenProblem)),),
)
ADMISSIONS: Final = Metric(
    "bailiwick_admission_reviews_total",
    "counter",
    "Admission reviews of policies, from the API server or any other client that reaches the port. unchanged: a"
    " deletion, or the spec is the same as before; invalid, conflicted, unmapped_issuer, over_budget, unknown_version:"
    " the policy was rejected; unreadable: the request was not an admission review of a policy; overloaded, late,"
    " failed: the policy could not be checked, and the API server rejects it.",
    (("outcome", tuple(Admission)),),
)
RESPONSES: Final = Metric(
    "bailiwick_http_responses_total",
    "counter",
    "Responses on the decision port, by status class. A denial is 2xx: AuthZEN denies with 200.",
    (("class", CLASSES),),
)
OVERLOADS: Final = Metric(
    "bailiwick_requests_overloaded_total",
    "counter",
    "Requests that were immediately answered with 429. share: too many concurrent requests from this client, or for"
    " this namespace; full: too many concurrent requests from all clients; bytes: too many bytes of request bodies are"
    " being read; rate: more decisions per second than --decisions-per-second-by-namespace; looks: too many"
    " looks per second at requests for approval that are not known; status: too many requests to /served, /usage,"
    " /checkpoint or /metrics on the status port. who: enforcers of the requested endpoint, or all others.",
    (("why", tuple(Overload)), _WHO),
)
UNDER_WAY: Final = Metric(
    "bailiwick_requests_under_way",
    "gauge",
    "Requests for decisions, searches and approvals in progress. --requests-at-once limits enforcers and others"
    " together; --others-percent of it is the share of others.",
    (_WHO,),
)
BODY_BYTES: Final = Metric(
    "bailiwick_body_bytes",
    "gauge",
    "Bytes of request bodies that are being read. --body-bytes limits enforcers and others together; --others-percent"
    " of it is the share of others. A body that arrives together with its head is not counted.",
    (_WHO,),
)
BODIES_SLOW: Final = Metric(
    "bailiwick_bodies_slow_total",
    "counter",
    "Request bodies that were abandoned because they arrived more slowly than --body-bytes-per-second.",
    (_PORT, _WHO),
)
CONNECTIONS: Final = Metric(
    "bailiwick_connections",
    "gauge",
    "Open connections. On the decision port, --connections limits enforcers and others together, and --others-percent"
    " of it is the share of others. A connection counts as one of others until an enforcer has proven its identity on"
    " it. On the admission port, all connections count as others, and --admission-connections is the limit.",
    (_PORT, _WHO),
)
LIMITED: Final = Metric(
    "bailiwick_connections_limited_total",
    "counter",
    "Connections that reached a limit. evicted: an idle connection of others was closed to make room for a new one;"
    " refused: a new connection was closed, because all connections of others were in use; silent: the first request"
    " did not arrive in time; over_share: an enforcer reached its limit, so it counts as one of others.",
    (_PORT, ("why", tuple(ConnectionLimit))),
)
HANDSHAKES: Final = Metric(
    "bailiwick_tls_handshakes_total",
    "counter",
    "TLS handshakes, by outcome.",
    (_PORT, ("outcome", tuple(Handshake))),
)
HANDSHAKES_WAITING: Final = Metric(
    "bailiwick_tls_handshakes_waiting",
    "gauge",
    "Connections that wait for their TLS handshake to start.",
    (_PORT,),
)
MALFORMED: Final = Metric(
    "bailiwick_requests_malformed_total",
    "counter",
    "Requests that are not valid HTTP, and uploads that broke off. The log has them at level debug.",
    (_PORT,),
)
SHADOWED: Final = (*VerdictClass, UNDECIDED)

SHADOWS: Final = Metric(
    "bailiwick_shadow_total",
    "counter",
    "Calls that were decided once more, with a candidate (spec.replaces) in place of the policy that it replaces. live:"
    " the verdict that was answered by; shadow: the candidate's; undecided: a rule of the candidate asks for the"
    " workload of a party, and no rule in force does. endpoint: the first endpoints with a candidate, as"
    f" namespace/name, {MOST_OF_ONE} of a namespace at most; the rest is other.",
    (
        ("endpoint", (f"at most {MOST_ENDPOINTS} endpoints", OTHERS)),
        ("live", tuple(VerdictClass)),
        ("shadow", SHADOWED),
    ),
)
DROPS: Final = Metric(
    "bailiwick_shadow_dropped_total",
    "counter",
    "Shadow decisions that were left out, so that they do not take what answers need. queue: too many"
    " calls wait, of all or of the namespace, or calls wait that were decided by two other states of the endpoint's"
    " policies; large: a call with a large body waits, of the namespace or of too many others; record: decided, but the"
    " record had no room to spare, or could not be written; failed: an internal error.",
    (("why", tuple(ShadowDrop)),),
)
RECORDS_WRITTEN: Final = Metric("bailiwick_records_written_total", "counter", "Decision records written.")
RECORDS_LOST: Final = Metric(
    "bailiwick_records_lost_total",
    "counter",
    "Decision records not written. With --on-record-failure deny, their calls were denied, or the process stopped"
    " while it could not write.",
)
RECORDS_WAITING: Final = Metric("bailiwick_records_waiting", "gauge", "Decision records in the queue.")
RECORDS_BYTES: Final = Metric("bailiwick_records_waiting_bytes", "gauge", "Size of the decision records in the queue.")
RECORDS_FAILING: Final = Metric(
    "bailiwick_records_failing",
    "gauge",
    "1 while records cannot be written: the disk is full, or no process reads the pipe.",
)
LOG_SIZE: Final = Metric(
    "bailiwick_log_size",
    "gauge",
    "Lines in the chain of this process that are written. Absent with --record-chain off.",
)
LOG_CHECKPOINTS: Final = Metric(
    "bailiwick_log_checkpoints_total",
    "counter",
    "Checkpoints of this process's chain that were signed for a client of /checkpoint on the status port.",
)
LOG_UNASKED: Final = Metric(
    "bailiwick_log_unasked_seconds",
    "gauge",
    "Seconds since a checkpoint was last requested, or since the start. The operator, which is the witness, requests"
    " one every few seconds. Absent with --record-chain off.",
)

LOG_NOTES_REFUSED: Final = Metric(
    "bailiwick_log_notes_refused_total",
    "counter",
    "Checkpoints of the operator's log that were sent to /checkpoint on the status port and not taken into the chain,"
    " because the witness of this installation did not cosign them, or its key is not known here.",
)

AGE: Final = Metric(
    "bailiwick_store_age_seconds",
    "gauge",
    "Seconds since policies, grants and revocations were last known to be current. Above --max-staleness no grant is"
    " accepted; above --hard-staleness every call is denied. +Inf before the first list.",
)
ENDPOINTS: Final = Metric("bailiwick_endpoints", "gauge", "Endpoints that have policies.")
POLICIES: Final = Metric("bailiwick_policies", "gauge", "Policies that compiled.")
BROKEN: Final = Metric(
    "bailiwick_broken_policies", "gauge", "Policies that did not compile or are over budget, and therefore deny."
)
COMPILED: Final = Metric(
    "bailiwick_compiled_bytes",
    "gauge",
    "Bytes of compiled policies, as --budget-bytes counts them. Policies over budget are not included.",
)
COMPILED_LIMIT: Final = Metric(
    "bailiwick_compiled_limit_bytes",
    "gauge",
    "Limit of the bytes of compiled policies: --budget-bytes. 0 means no limit.",
)
COMPILED_HIGHEST: Final = Metric(
    "bailiwick_namespace_compiled_bytes",
    "gauge",
    "Bytes of compiled policies in the namespaces that use most, by rank. The log names each namespace that uses four"
    " fifths of its limit.",
    (("rank", RANKS),),
)
NAMESPACE_LIMIT: Final = Metric(
    "bailiwick_namespace_compiled_limit_bytes",
    "gauge",
    "Limit of the bytes of compiled policies in one namespace: --namespace-budget-bytes, or an even share if all"
    " namespaces together need too much. 0 means no limit.",
)
OVER_BUDGET: Final = Metric(
    "bailiwick_policies_over_budget",
    "gauge",
    "Policies that are over budget and therefore deny. The log names the namespaces.",
)
CHANGE_AGE: Final = Metric(
    "bailiwick_policy_change_age_seconds",
    "gauge",
    "Age in seconds of the oldest policy change that is not compiled yet; 0 if there is none.",
)
OUTDATED: Final = Metric(
    "bailiwick_endpoints_outdated",
    "gauge",
    "Endpoints that deny calls which their policies would allow (policy_outdated), because a change has waited for"
    " more than two seconds.",
)
GUARD: Final = Metric(
    "bailiwick_guard_proven", "gauge", "1 while the guards over grants are proven. At 0, no grant is accepted."
)
REVOCATIONS: Final = Metric(
    "bailiwick_revocations", "gauge", "SubjectRevocation objects in force: this process denies those whom they name."
)
CLOCK: Final = Metric(
    "bailiwick_clock_ahead_seconds",
    "gauge",
    "Seconds by which this process's clock is ahead of the API server's clock; negative: behind. Beyond 30 in either"
    " direction, the process uses and opens no grant. Absent without an API server, and before its first response.",
)
CERTIFICATE_ENDS: Final = Metric(
    "bailiwick_serving_certificate_not_after_timestamp_seconds",
    "gauge",
    "Expiry of the serving certificate, or of the certificate in its chain that expires first, in seconds since 1970."
    " Absent without TLS, and before the first certificate.",
)
CERTIFICATE_REFUSED: Final = Metric(
    "bailiwick_serving_certificate_refused",
    "gauge",
    "1 while the files contain a certificate or key that cannot be used. The decision point serves with the last valid"
    " one, and /readyz says why. Absent without TLS.",
)

METRICS: Final = (
    *(DECISIONS, DURATION, USES, SHADOWS, DROPS),
    *(HISTORY_COMMITS, HISTORY_CALLS, HISTORY_DENIED, HISTORY_OUTCOMES, HISTORY_SECONDS, HISTORY_UNAVAILABLE),
    *(RECORDS_WRITTEN, RECORDS_LOST, RECORDS_WAITING, RECORDS_BYTES, RECORDS_FAILING),
    *(LOG_SIZE, LOG_CHECKPOINTS, LOG_UNASKED, LOG_NOTES_REFUSED),
    *(AGE, ENDPOINTS, POLICIES, BROKEN),
    *(COMPILED, COMPILED_LIMIT, COMPILED_HIGHEST, NAMESPACE_LIMIT, OVER_BUDGET, CHANGE_AGE, OUTDATED),
    *(GUARD, REVOCATIONS, REVIEWS, TOKENS, ADMISSIONS, RESPONSES, OVERLOADS),
    *(UNDER_WAY, BODY_BYTES, BODIES_SLOW, CONNECTIONS, LIMITED, HANDSHAKES, HANDSHAKES_WAITING, MALFORMED),
    *(CLOCK, CERTIFICATE_ENDS, CERTIFICATE_REFUSED),
)
