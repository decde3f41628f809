"""The panels of the Grafana dashboard, in their order.

Standing: under `dashboard`, which makes JSON of them. Holds: each metric has a panel; a test says so.
"""

from dataclasses import dataclass
from typing import Final

_QUANTILE: Final = (
    "histogram_quantile({}, sum by (le) (rate(bailiwick_decision_duration_seconds_bucket{{%}}[$__rate_interval])))"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: its title, the unit of its axis, and expressions with the legend of each. `%` is the selector."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""


PANELS: Final = (
    Panel(
        "Decisions",
        "reqps",
        (("sum by (outcome) (rate(bailiwick_decisions_total{%}[$__rate_interval]))", "{{outcome}}"),),
        "Each item of a batch is one decision. Denials are included.",
    ),
    Panel(
        "Denials by reason",
        "reqps",
        (
            (
                'topk(10, sum by (reason) (rate(bailiwick_decisions_total{%, outcome="deny"}[$__rate_interval])))',
                "{{reason}}",
            ),
        ),
        "See docs/reference/reasons.md for the reasons.",
    ),
    Panel(
        "Decision duration",
        "s",
        tuple((_QUANTILE.format(quantile), f"p{quantile * 100:g}") for quantile in (0.5, 0.9, 0.99)),
    ),
    Panel(
        "Responses by status class",
        "reqps",
        (("sum by (class) (rate(bailiwick_http_responses_total{%}[$__rate_interval]))", "{{class}}"),),
    ),
    Panel(
        "Concurrent requests, and requests over the limit",
        "short",
        (
            ("sum by (pod, who) (bailiwick_requests_under_way{%})", "{{pod}} {{who}}"),
            (
                "sum by (why, who) (increase(bailiwick_requests_overloaded_total{%}[$__rate_interval]))",
                "refused: {{why}} {{who}}",
            ),
        ),
        "--requests-at-once is the limit of one process. Enforcers and all others each have a share of it.",
    ),
    Panel(
        "Open connections",
        "none",
        (("sum by (pod, port, who) (bailiwick_connections{%})", "{{pod}} {{port}} {{who}}"),),
        "--connections and --admission-connections are the limits of one process.",
    ),
    Panel(
        "Connections that reached a limit",
        "none",
        (
            (
                "sum by (port, why) (increase(bailiwick_connections_limited_total{%}[$__rate_interval]))",
                "{{port}} {{why}}",
            ),
        ),
    ),
    Panel(
        "TLS handshakes",
        "reqps",
        (
            (
                "sum by (port, outcome) (rate(bailiwick_tls_handshakes_total{%}[$__rate_interval]))",
                "{{port}} {{outcome}}",
            ),
            ("sum by (port) (bailiwick_tls_handshakes_waiting{%})", "{{port}} waiting"),
        ),
    ),
    Panel(
        "Request bodies that are being read",
        "bytes",
        (("sum by (pod, who) (bailiwick_body_bytes{%})", "{{pod}} {{who}}"),),
        "--body-bytes is the limit of one process.",
    ),
    Panel(
        "Client errors",
        "none",
        (
            (
                "sum by (port, who) (increase(bailiwick_bodies_slow_total{%}[$__rate_interval]))",
                "slow bodies: {{port}} {{who}}",
            ),
            (
                "sum by (port) (increase(bailiwick_requests_malformed_total{%}[$__rate_interval]))",
                "malformed: {{port}}",
            ),
        ),
    ),
    Panel(
        "Age of policies and grants",
        "s",
        (("max by (pod) (bailiwick_store_age_seconds{%})", "{{pod}}"),),
        "Above --max-staleness no grant is accepted; above --hard-staleness every call is denied.",
    ),
    Panel(
        "Pending approvals",
        "none",
        (
            ("max(bailiwick_operator_grants_pending{%})", "all"),
            ("max by (rank) (bailiwick_operator_namespace_grants_pending{%})", "namespace {{rank}}"),
        ),
        "The namespaces with the most pending approvals, by rank.",
    ),
    Panel(
        "Time that approvals are pending",
        "s",
        (
            ("max by (rank) (bailiwick_operator_namespace_oldest_pending_grant_age_seconds{%})", "oldest: {{rank}}"),
            (
                (
                    "histogram_quantile(0.9, sum by (le, outcome)"
                    " (rate(bailiwick_operator_grant_pending_seconds_bucket{%}[$__rate_interval])))"
                ),
                "p90: {{outcome}}",
            ),
        ),
    ),
    Panel("Guards proven", "none", (("min by (pod) (bailiwick_guard_proven{%})", "{{pod}}"),)),
    Panel(
        "Policies",
        "none",
        (
            ("max(bailiwick_policies{%})", "compiled"),
            ("max(bailiwick_broken_policies{%})", "broken"),
            ("max(bailiwick_endpoints{%})", "endpoints"),
        ),
    ),
    Panel(
        "Memory of compiled policies",
        "bytes",
        (
            ("max(bailiwick_compiled_bytes{%})", "all"),
            ("max(bailiwick_compiled_limit_bytes{%})", "limit of all"),
            ("max by (rank) (bailiwick_namespace_compiled_bytes{%})", "namespace {{rank}}"),
            ("min(bailiwick_namespace_compiled_limit_bytes{%})", "limit of a namespace"),
        ),
        "The namespaces that use most, by rank. The log names those near their limit.",
    ),
    Panel(
        "Policies over budget, and endpoints that wait for a change",
        "none",
        (
            ("max by (pod) (bailiwick_policies_over_budget{%})", "over budget: {{pod}}"),
            ("max by (pod) (bailiwick_endpoints_outdated{%})", "outdated: {{pod}}"),
        ),
        "Both deny calls, with policy_invalid and policy_outdated. Other endpoints are not affected.",
    ),
    Panel(
        "Age of the oldest policy change that is not compiled",
        "s",
        (("max by (pod) (bailiwick_policy_change_age_seconds{%})", "{{pod}}"),),
        "After two seconds, its endpoint denies calls that its old policies would allow.",
    ),
    Panel(
        "Time until the certificate expires",
        "s",
        (
            ("min by (pod) (bailiwick_serving_certificate_not_after_timestamp_seconds{%}) - time()", "{{pod}}"),
            ("max(bailiwick_serving_certificate_refused{%})", "a new one is rejected"),
        ),
    ),
    Panel(
        "Reviews of policies",
        "reqps",
        (("sum by (outcome) (rate(bailiwick_admission_reviews_total{%}[$__rate_interval]))", "{{outcome}}"),),
        "Outcomes of the API server's admission reviews.",
    ),
    Panel(
        "Uses of grants",
        "reqps",
        (("sum by (outcome) (rate(bailiwick_grant_uses_total{%}[$__rate_interval]))", "{{outcome}}"),),
    ),
    Panel(
        "Calls that are counted",
        "reqps",
        (
            ("sum(rate(bailiwick_history_calls_total{%}[$__rate_interval]))", "counted"),
            ("sum by (outcome) (rate(bailiwick_history_commits_total{%}[$__rate_interval]))", "writes: {{outcome}}"),
            (
                "sum by (result) (rate(bailiwick_history_outcomes_total{%}[$__rate_interval]))",
                "outcomes: {{result}}",
            ),
            (
                "sum by (outcome) (rate(bailiwick_history_denied_calls_total{%}[$__rate_interval]))",
                "denied calls: {{outcome}}",
            ),
            ("sum by (why) (rate(bailiwick_history_unavailable_total{%}[$__rate_interval]))", "denied: {{why}}"),
        ),
        "Calls that wait for the same object share a write.",
    ),
    Panel(
        "Time of a write that counts calls",
        "s",
        (
            (
                (
                    "histogram_quantile(0.99,"
                    " sum by (le) (rate(bailiwick_history_commit_duration_seconds_bucket{%}[$__rate_interval])))"
                ),
                "p99",
            ),
        ),
    ),
    Panel(
        "Decision records",
        "reqps",
        (
            ("sum(rate(bailiwick_records_written_total{%}[$__rate_interval]))", "written"),
            ("sum(rate(bailiwick_records_lost_total{%}[$__rate_interval]))", "lost"),
        ),
    ),
    Panel(
        "Decision records in the queue",
        "none",
        (
            ("sum by (pod) (bailiwick_records_waiting{%})", "{{pod}}"),
            ("max(bailiwick_records_failing{%})", "failing"),
        ),
    ),
    Panel(
        "Time since the operator asked for a checkpoint",
        "s",
        (("max by (pod) (bailiwick_log_unasked_seconds{%})", "{{pod}}"),),
        "Records that are removed or changed are found with certainty only if they were witnessed before.",
    ),
    Panel(
        "Lines of the log",
        "none",
        (
            ("sum by (pod) (bailiwick_log_size{%})", "{{pod}}"),
            ("sum(increase(bailiwick_log_checkpoints_total{%}[$__rate_interval]))", "checkpoints"),
            (
                "sum(increase(bailiwick_log_notes_refused_total{%}[$__rate_interval]))",
                "refused notes of the operator's log",
            ),
        ),
    ),
    Panel(
        "Token reviews by the API server",
        "reqps",
        (("sum by (outcome) (rate(bailiwick_token_reviews_total{%}[$__rate_interval]))", "{{outcome}}"),),
    ),
    Panel(
        "Rejected approval tokens",
        "reqps",
        (("sum by (why) (rate(bailiwick_approval_tokens_refused_total{%}[$__rate_interval]))", "{{why}}"),),
    ),
    Panel(
        "Candidates that decide otherwise",
        "reqps",
        (
            (
                "sum by (endpoint, live, shadow) (rate(bailiwick_shadow_total{%}[$__rate_interval]))",
                "{{endpoint}}: {{live}} to {{shadow}}",
            ),
            ("sum by (why) (rate(bailiwick_shadow_dropped_total{%}[$__rate_interval]))", "left out: {{why}}"),
        ),
    ),
    Panel(
        "Operator leader and its state",
        "none",
        (
            ("sum(bailiwick_operator_leading{%})", "leaders"),
            ("max(bailiwick_operator_guard_proven{%})", "guards proven"),
            ("sum by (apiservers) (bailiwick_guard_keep{%})", "guards on disk: {{apiservers}}"),
            ("max(bailiwick_operator_keys_ok{%})", "signing keys OK"),
            ("max(bailiwick_operator_clock_agrees{%})", "the clocks agree"),
            ("max(bailiwick_operator_grants_void_by_name{%})", "grants void by name"),
            ("sum by (kind) (bailiwick_operator_objects{%})", "{{kind}}"),
        ),
    ),
    Panel(
        "Status writes of the operator",
        "reqps",
        (
            (
                "sum by (kind, outcome) (rate(bailiwick_operator_status_writes_total{%}[$__rate_interval]))",
                "{{kind}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Unexpected events",
        "none",
        tuple(
            (f"sum(increase(bailiwick_operator_{name}_total{{%}}[$__rate_interval]))", legend)
            for name, legend in (
                ("guard_falls", "guards fell"),
                ("grants_voided", "grants made void"),
                ("ghosts", "objects gone unheard"),
                ("events_dropped", "Events dropped"),
                ("witness_changes", "what was witnessed was changed"),
                ("ledger_lost", "lines of the ledger lost"),
            )
        ),
    ),
    Panel(
        "Clocks, ahead of the API server's",
        "s",
        (
            ("max by (pod) (bailiwick_clock_ahead_seconds{%})", "{{pod}}"),
            ("max(bailiwick_operator_clock_ahead_seconds{%})", "operator"),
        ),
    ),
    Panel(
        "Logs of the decision point, as witnessed",
        "none",
        (
            ("max(bailiwick_log_inconsistent{%})", "refused"),
            ("sum(rate(bailiwick_operator_ledger_lines_total{%}[$__rate_interval]))", "ledger, lines a second"),
            *((f"max(bailiwick_operator_witness_{it}{{%}})", it) for it in ("chains", "without_chain", "silent", "ok")),
        ),
    ),
    Panel(
        "Histories",
        "none",
        (
            ("max(bailiwick_operator_histories{%})", "objects"),
            ("max(bailiwick_operator_histories_undated{%})", "kept, without a readable hour"),
            (
                "sum by (outcome) (increase(bailiwick_operator_history_deletions_total{%}[$__rate_interval]))",
                "deletions, {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Signals of issuers",
        "none",
        (
            (
                "sum by (issuer, outcome) (increase(bailiwick_signals_total{%}[$__rate_interval]))",
                "{{issuer}} {{outcome}}",
            ),
            ("time() - max by (issuer) (bailiwick_signals_verified_timestamp_seconds{%})", "{{issuer}}, seconds since"),
            ("max(bailiwick_revocations{%})", "revocations in force"),
        ),
    ),
    Panel("Revocations in force", "none", (("max(bailiwick_revocations{%})", "objects"),)),
    Panel(
        "Notifications",
        "none",
        (
            (
                "sum by (scope, outcome) (increase(bailiwick_operator_notifications_total{%}[$__rate_interval]))",
                "{{scope}} {{outcome}}",
            ),
            ("max by (scope) (bailiwick_operator_notifications_waiting{%})", "{{scope}} waiting"),
            ("max by (scope) (bailiwick_operator_notification_targets_failing{%})", "{{scope}} targets failing"),
        ),
    ),
    Panel(
        "Coverage",
        "none",
        (
            ("max by (code) (bailiwick_coverage_findings{%})", "{{code}}"),
            ("max by (code) (bailiwick_coverage_exempt_findings{%})", "{{code}}, exempt"),
            (
                "sum by (outcome) (increase(bailiwick_coverage_counts_total{%}[$__rate_interval]))",
                "counts, {{outcome}}",
            ),
            ("time() - max(bailiwick_coverage_counted_timestamp_seconds{%})", "seconds since the count"),
        ),
    ),
    Panel("Since the operator heard of an object", "s", (("max(bailiwick_operator_event_age_seconds{%})", "age"),)),
)
