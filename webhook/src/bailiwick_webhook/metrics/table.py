"""The metrics by name: the one table that the exposition and `docs/reference/metrics.md` are made from.

Holds: every label's values are listed here, so that the number of series is known before anybody asks anything; no
name of a namespace, endpoint, policy, rule or party, and nothing else that a caller chooses, is ever a label.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from bailiwick_engine.reasons import Reason


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


class Overload(StrEnum):
    """Why a request was refused that could have waited."""

    SHARE = "share"
    FULL = "full"
    BYTES = "bytes"
    RATE = "rate"
    STATUS = "status"


class CallerClass(StrEnum):
    """Of which part of the bounds somebody takes: whoever enforces the endpoint that they ask about, or all others."""

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


RANKS: Final = ("1", "2", "3", "4", "5")
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
BOUNDS: Final = (*(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),)


class Metric(NamedTuple):
    """One metric. `labels` with all the values that they can have."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()


_KIND: Final = ("kind", tuple(RequestKind))
_WHO: Final = ("who", tuple(CallerClass))
_PORT: Final = ("port", tuple(Port))

DECISIONS: Final = Metric(
    "bailiwick_decisions_total",
    "counter",
    "Decisions. Each item of a batch is one. outcome: allow (by a rule; a search was answered), grant (by an approval),"
    " opened (a request opened or joined an approval), deny, forbidden (the caller may not ask).",
    (_KIND, ("outcome", tuple(DecisionOutcome)), ("reason", tuple(Reason))),
)
DURATION: Final = Metric(
    "bailiwick_decision_duration_seconds",
    "histogram",
    "From the parsed request to the answer's content, with the use of a grant and the wait for the record. A batch"
    " counts once, whole.",
    (_KIND,),
)
RECORDS_WRITTEN: Final = Metric("bailiwick_records_written_total", "counter", "Decision records that were written.")
RECORDS_LOST: Final = Metric(
    "bailiwick_records_lost_total",
    "counter",
    "Decision records that were not written. With --on-record-failure deny their decisions were denied, or the process"
    " was stopped while it could not write.",
)
RECORDS_WAITING: Final = Metric("bailiwick_records_waiting", "gauge", "Decision records that wait to be written.")
RECORDS_BYTES: Final = Metric("bailiwick_records_waiting_bytes", "gauge", "Their size.")
RECORDS_FAILING: Final = Metric(
    "bailiwick_records_failing", "gauge", "1 while records cannot be written: the disk is full, or nobody reads."
)
USES: Final = Metric(
    "bailiwick_grant_uses_total",
    "counter",
    "Attempts to use a grant, after the live read. used: the call went through, or was the same call again.",
    (("outcome", tuple(Use)),),
)
REVIEWS: Final = Metric(
    "bailiwick_token_reviews_total",
    "counter",
    "Tokens of service accounts that the API server was asked about; cached answers are not asked for again.",
    (("outcome", tuple(TokenReviewOutcome)),),
)
TOKENS: Final = Metric(
    "bailiwick_approval_tokens_refused_total",
    "counter",
    "Approval tokens that were shown and proved nothing; in one body the same one counts once. why: issuer and audience"
    " mean another endpoint, or decision points with different --external-url; key means that it was signed by none of"
    " the present keys, or there are none; other means another approval than the one that it was shown for.",
    (("why", tuple(TokenProblem)),),
)
ADMISSIONS: Final = Metric(
    "bailiwick_admission_reviews_total",
    "counter",
    "Reviews of policies that the API server, or whoever reaches the port, asked for. unchanged: a deletion, or the"
    " spec stayed as it was; invalid, conflicted, unmapped_issuer, over_budget, unknown_version: the policy was"
    " refused; unreadable: it was no such review; overloaded, late, failed: it could not be judged, which the API"
    " server takes for a refusal.",
    (("outcome", tuple(Admission)),),
)
RESPONSES: Final = Metric(
    "bailiwick_http_responses_total",
    "counter",
    "Answers of the decision port, by class of status. A denial is 2xx: AuthZEN denies with 200.",
    (("class", CLASSES),),
)
OVERLOADS: Final = Metric(
    "bailiwick_requests_overloaded_total",
    "counter",
    "Requests that were answered 429 at once. share: too many of this sender, or about this namespace, are under way;"
    " full: too many of all senders; bytes: too many bytes of bodies are being read; rate: more decisions a second than"
    " --decisions-per-second-by-namespace; status: too many for the status port's /served and /metrics. who: enforcers"
    " of the endpoint that they ask about, or all others.",
    (("why", tuple(Overload)), _WHO),
)
UNDER_WAY: Final = Metric(
    "bailiwick_requests_under_way",
    "gauge",
    "Requests for decisions, searches and approvals that are being answered; --requests-at-once is the most of both"
    " together, of which --others-percent is the others'.",
    (_WHO,),
)
BODY_BYTES: Final = Metric(
    "bailiwick_body_bytes",
    "gauge",
    "Bytes of bodies that are being read; --body-bytes is the most of both together, of which --others-percent is the"
    " others'. A body that comes together with its head counts nowhere.",
    (_WHO,),
)
BODIES_SLOW: Final = Metric(
    "bailiwick_bodies_slow_total",
    "counter",
    "Bodies that were not waited for any longer, since they came more slowly than --body-bytes-per-second.",
    (_PORT, _WHO),
)
CONNECTIONS: Final = Metric(
    "bailiwick_connections",
    "gauge",
    "Open connections. On the decision port --connections is the most of both together, of which --others-percent is"
    " the others'; a connection is one of the others' until an enforcer is proven on it. On the admission port all are"
    " the others', and --admission-connections is the most.",
    (_PORT, _WHO),
)
LIMITED: Final = Metric(
    "bailiwick_connections_limited_total",
    "counter",
    "Connections that felt a bound. evicted: an idle one of the others was closed to make room for a new one; refused:"
    " a new one was closed, since something was under way on all of the others'; silent: its first request did not come"
    " in time; over_share: an enforcer has as many as it may, so that this one counts with the others'.",
    (_PORT, ("why", tuple(ConnectionLimit))),
)
HANDSHAKES: Final = Metric(
    "bailiwick_tls_handshakes_total",
    "counter",
    "TLS handshakes that were begun, by how they ended.",
    (_PORT, ("outcome", tuple(Handshake))),
)
HANDSHAKES_WAITING: Final = Metric(
    "bailiwick_tls_handshakes_waiting",
    "gauge",
    "Connections whose TLS handshake waits for its turn.",
    (_PORT,),
)
MALFORMED: Final = Metric(
    "bailiwick_requests_malformed_total",
    "counter",
    "Requests that are no HTTP, and uploads that broke off. The log has them at level debug.",
    (_PORT,),
)
AGE: Final = Metric(
    "bailiwick_store_age_seconds",
    "gauge",
    "Seconds since it was last known that policies and grants have not changed. Past --max-staleness no grant is"
    " accepted, past --hard-staleness everything is denied. +Inf before the first list.",
)
ENDPOINTS: Final = Metric("bailiwick_endpoints", "gauge", "Endpoints that policies speak of.")
POLICIES: Final = Metric("bailiwick_policies", "gauge", "Policies that compiled.")
BROKEN: Final = Metric(
    "bailiwick_broken_policies", "gauge", "Policies that did not compile, or are over budget, and therefore deny."
)
COMPILED: Final = Metric(
    "bailiwick_compiled_bytes",
    "gauge",
    "Bytes that policies take once they are compiled, as --budget-bytes counts them, without those over budget.",
)
COMPILED_LIMIT: Final = Metric(
    "bailiwick_compiled_limit_bytes", "gauge", "What they may take: --budget-bytes. 0 is no limit."
)
COMPILED_HIGHEST: Final = Metric(
    "bailiwick_namespace_compiled_bytes",
    "gauge",
    "The same of the namespaces that take most, by rank; the log names whoever takes four fifths of its limit.",
    (("rank", RANKS),),
)
NAMESPACE_LIMIT: Final = Metric(
    "bailiwick_namespace_compiled_limit_bytes",
    "gauge",
    "What a namespace may take: --namespace-budget-bytes, or its even share where all together would take too much."
    " 0 is no limit.",
)
OVER_BUDGET: Final = Metric(
    "bailiwick_policies_over_budget", "gauge", "Policies that are over budget and therefore deny; the log names whose."
)
CHANGE_AGE: Final = Metric(
    "bailiwick_policy_change_age_seconds",
    "gauge",
    "Since when the change of a policy waits that waits longest to be compiled; 0 where none does.",
)
OUTDATED: Final = Metric(
    "bailiwick_endpoints_outdated",
    "gauge",
    "Endpoints that deny what their policies would allow (policy_outdated), since a change has waited for two seconds.",
)
GUARD: Final = Metric(
    "bailiwick_guard_proven", "gauge", "1 while the guards over grants are proven; at 0 no grant is accepted."
)
CLOCK: Final = Metric(
    "bailiwick_clock_ahead_seconds",
    "gauge",
    "Seconds by which this process's clock is ahead of the API server's; negative: behind. Beyond 30 in either"
    " direction it uses and opens no grant. Absent without an API server, and before its first answer.",
)
RESTARTS: Final = Metric(
    "bailiwick_process_restarts_total",
    "counter",
    "Of --processes: how often this process was started again since it had died, or was ended since it stood still.",
)
CERTIFICATE_ENDS: Final = Metric(
    "bailiwick_serving_certificate_not_after_timestamp_seconds",
    "gauge",
    "When the certificate that is served with ends, or one of its chain before it, in seconds since 1970."
    " Absent without TLS, and before the first one.",
)
CERTIFICATE_REFUSED: Final = Metric(
    "bailiwick_serving_certificate_refused",
    "gauge",
    "1 while the files hold a certificate or key that is not served with; the last good one is, and /readyz says why."
    " Absent without TLS.",
)

METRICS: Final = (
    *(DECISIONS, DURATION, USES, RECORDS_WRITTEN, RECORDS_LOST, RECORDS_WAITING, RECORDS_BYTES, RECORDS_FAILING),
    *(AGE, ENDPOINTS, POLICIES, BROKEN),
    *(COMPILED, COMPILED_LIMIT, COMPILED_HIGHEST, NAMESPACE_LIMIT, OVER_BUDGET, CHANGE_AGE, OUTDATED),
    *(GUARD, REVIEWS, TOKENS, ADMISSIONS, RESPONSES, OVERLOADS),
    *(UNDER_WAY, BODY_BYTES, BODIES_SLOW, CONNECTIONS, LIMITED, HANDSHAKES, HANDSHAKES_WAITING, MALFORMED),
    *(CLOCK, RESTARTS, CERTIFICATE_ENDS, CERTIFICATE_REFUSED),
)
