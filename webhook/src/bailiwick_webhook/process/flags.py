"""The flags of the decision point, for argparse. Only `settings` uses them, and it checks their combinations.

Holds: every flag has a help text and, where it is not a switch, a default that is safe.
"""

import argparse
from pathlib import Path
from typing import Final

from bailiwick_api.accounts import Installation
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.compile.kubenames import ENDPOINT
from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from bailiwick_webhook.approvals.throttle import PENDING_GRANTS
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.process.flagvalues import (
    Help,
    RemovalNotice,
    any_count,
    base_url,
    count,
    fraction,
    percent,
    positive,
    seconds,
)
from bailiwick_webhook.record.writing.writer import QueueLimits

# Removed flags, with what to do instead.
REMOVED: Final = {
    "--processes": (
        "a decision point is one process: remove the flag, and start more replicas to serve more load"
        " (webhook.replicas in the chart)"
    ),
    "--process-silence-seconds": (
        "a decision point is one process: remove the flag, and have a liveness probe of /healthz restart one that hangs"
    ),
    "--process-start-seconds": (
        "a decision point is one process: remove the flag, and have a startup probe of /readyz limit its start"
    ),
}


def _add_record(record: argparse._ArgumentGroup) -> None:
    """Add the flags of the decision record to a group."""
    usual = QueueLimits()
    record.add_argument(
        "--record-file",
        metavar="FILE",
        type=Path,
        default=Path("-"),
        help="file to append JSON lines to; - means stdout",
    )
    record.add_argument(
        "--record-hmac-key-file",
        metavar="FILE",
        type=Path,
        help=(
            "file with the HMAC key, 32 bytes or more; records contain HMACs in place of sensitive values, or nothing"
            " without a key"
        ),
    )
    record.add_argument(
        "--record-fsync", action="store_true", help="fsync every batch, so a written record is on the disk"
    )
    record.add_argument(
        "--record-chain",
        choices=("on", "off"),
        default="on",
        help=(
            "chain the records, so that one that was removed or changed later is found, and sign checkpoints of them at"
            " /checkpoint of the status port"
        ),
    )
    record.add_argument(
        "--witness-wait-seconds",
        type=seconds,
        default=13.0,
        help=(
            "maximum seconds that a process which stops keeps its status port open after its last record, until the"
            " witness has requested the checkpoint over it; does not wait if no witness has requested one in the last"
            " minute; 0 means never"
        ),
    )
    record.add_argument(
        "--record-before-answer",
        choices=("uses", "all"),
        default="uses",
        help=(
            "which responses wait until their record is written: those that take a use of a grant, or all; other"
            " records are written within moments, and a crash of the process can lose them"
        ),
    )
    record.add_argument(
        "--on-record-failure",
        choices=("deny", "allow"),
        default="deny",
        help=(
            "what to do if a record cannot be written: deny the call, or allow the decision and count and log the"
            " loss; a call that takes a use of a grant is always denied"
        ),
    )
    record.add_argument(
        "--record-timeout",
        type=positive,
        default=usual.timeout,
        help="maximum seconds that a decision waits for its record",
    )
    record.add_argument(
        "--record-queue", type=count, default=usual.records, help="maximum records that wait to be written"
    )
    record.add_argument(
        "--record-queue-bytes", type=count, default=usual.size, help="maximum bytes of records that wait to be written"
    )
    record.add_argument(
        "--shadow-share",
        metavar="SHARE",
        type=fraction,
        default=1.0,
        help=(
            "share, from 0 to 1, of the calls of an endpoint with a candidate (spec.replaces) that are decided once"
            " more after their answer, with the candidate; chosen at random"
        ),
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    names = Installation()
    parser = argparse.ArgumentParser(
        prog="bailiwick-webhook",
        usage="%(prog)s [--kubeconfig FILE | --policies DIR] [FLAGS]",
        description=(
            "The decision point. It answers one question: is this identity allowed to do this on this resource now,"
            " with this approval?"
        ),
        formatter_class=Help,
        allow_abbrev=False,
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; any address other than loopback needs TLS"
    )
    serving.add_argument("--port", type=int, default=8443, help="port of the decision paths; 0 picks a free port")
    serving.add_argument(
        "--admission-port",
        type=int,
        default=9443,
        help="port of /admission, for the API server's reviews of policies and of its own calls; 0 picks a free port",
    )
    serving.add_argument(
        "--grpc-port",
        type=int,
        default=0,
        help="port of Envoy's ext_authz over gRPC; with --client-ca-file, only clients that show a certificate of these"
        " authorities can connect; 0 means none",
    )
    serving.add_argument(
        "--status-host", default="127.0.0.1", help="address of the status port, which exposes no secrets"
    )
    serving.add_argument(
        "--status-port",
        type=int,
        default=8081,
        help="port of /healthz, /readyz, /metrics, /checkpoint, /served and /usage; 0 picks a free port",
    )
    serving.add_argument(
        "--external-url", metavar="URL", default="", help="base of the URLs in responses (default: host and port)"
    )
    serving.add_argument("--tls-cert-file", metavar="FILE", type=Path, help="certificate chain, PEM")
    serving.add_argument("--tls-key-file", metavar="FILE", type=Path, help="private key, PEM")
    serving.add_argument(
        "--tls-poll-seconds", type=positive, default=5.0, help="how often to check the two files for changes"
    )
    serving.add_argument(
        "--tls-server-name",
        metavar="NAME",
        action="append",
        default=[],
        help="name that the certificate must be valid for; repeatable (default: any name)",
    )
    serving.add_argument(
        "--client-ca-file",
        metavar="FILE",
        type=Path,
        help=(
            "CA certificates, PEM: a client with a certificate from these CAs can request decisions if a policy lists"
            " a name of the certificate under enforcers; checked for changes as often as the two files"
        ),
    )
    serving.add_argument("--drain-seconds", type=positive, default=5.0, help="keep serving this long after SIGTERM")
    _add_bounds(parser.add_argument_group("limits of one process"))
    alone = parser.add_argument_group("standalone")
    alone.add_argument(
        "--policies",
        metavar="DIR",
        type=Path,
        help="decide from the *.yaml and *.yml files below this directory, without a cluster",
    )
    alone.add_argument(
        "--development",
        action="store_true",
        help=(
            "with --policies: allow anyone to request decisions and approve calls, and trust every identity that a"
            " request names; keeps approvals in memory, and listens on loopback only"
        ),
    )
    cluster = parser.add_argument_group("Kubernetes")
    cluster.add_argument(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        help="kubeconfig with the server, the CA, and a token or tokenFile (default: the pod's projected token)",
    )
    cluster.add_argument("--api-timeout", type=positive, default=5.0, help="seconds for one call to the API server")
    cluster.add_argument("--namespace", default=names.namespace, help="namespace of the installation")
    cluster.add_argument("--webhook-account", default=names.webhook_name, help="service account of the decision point")
    cluster.add_argument("--operator-account", default=names.operator_name, help="service account of the operator")
    cluster.add_argument(
        "--kubernetes-endpoint",
        metavar="NAME",
        default=ENDPOINT,
        help="endpoint of a namespace whose policies decide on the API server's own calls in that namespace",
    )
    cluster.add_argument(
        "--human-username-prefix",
        metavar="PREFIX",
        action="append",
        default=[],
        help="prefix of people's usernames; repeatable (default: every username that does not begin with system:)",
    )
    identity = parser.add_argument_group("identity")
    identity.add_argument(
        "--issuers",
        metavar="FILE",
        type=Path,
        help="YAML file of the issuers, besides the cluster, that policies can name; see examples/support/issuers.yaml",
    )
    identity.add_argument(
        "--registrar-keys",
        metavar="FILE",
        type=Path,
        help="public keys of the registrars, one .pub line each, whose signatures enrol the keys of reviewers",
    )
    identity.add_argument(
        "--registrar-quorum",
        metavar="N",
        type=count,
        default=1,
        help="number of registrars who must sign the file of reviewers' keys",
    )
    identity.add_argument(
        "--reviewers-installation",
        metavar="NAME",
        default="",
        help="name of this installation, which the file of reviewers' keys must have; required with --registrar-keys",
    )
    identity.add_argument(
        "--passkey-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="origin of a console where passkeys sign, such as https://bailiwick.example.com; repeatable; for consoles"
        f" on loopback {LOCAL_CONSOLES} (default: passkeys are not accepted)",
    )
    store = parser.add_argument_group("freshness")
    store.add_argument(
        "--max-staleness",
        type=positive,
        default=120.0,
        help="accept no grant if policies and grants in memory are older than this",
    )
    store.add_argument(
        "--hard-staleness",
        type=positive,
        default=900.0,
        help="deny every call if policies and grants in memory are older than this",
    )
    store.add_argument(
        "--relist-interval", type=positive, default=720.0, help="how often to list everything again, approximately"
    )
    _add_budget(parser.add_argument_group("budgets of namespaces; 0 means no limit"))
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        help="minimum level of what is logged to stderr",
    )
    parser.add_argument(
        "--otlp-endpoint",
        metavar="URL",
        type=base_url,
        help=(
            "collector that receives OpenTelemetry spans of decisions, by OTLP over HTTP; headers, certificate and"
            " sampler: OTEL_* variables (default: no spans)"
        ),
    )
    _add_record(parser.add_argument_group("decision record"))
    for flag, instead in REMOVED.items():
        parser.add_argument(flag, action=RemovalNotice, nargs="?", instead=instead, help=argparse.SUPPRESS)
    return parser


def _add_bounds(bounded: argparse._ArgumentGroup) -> None:
    usual = Bounds()
    bounded.add_argument(
        "--others-percent",
        type=percent,
        default=usual.others_percent,
        help=(
            "percentage of connections, concurrent requests and body bytes for all callers together that are not"
            " enforcers of the requested endpoint; enforcers have the rest"
        ),
    )
    bounded.add_argument(
        "--connections",
        type=count,
        default=usual.connections,
        help=(
            "maximum open connections on --port; one enforcer can have at most half of the enforcers' share; when the"
            " others' share is full, an idle connection of the caller that has most of them is closed"
        ),
    )
    bounded.add_argument(
        "--admission-connections",
        type=count,
        default=usual.admission_connections,
        help=(
            "maximum open connections on --admission-port; at the limit, an idle connection of the address that has"
            " most of them is closed"
        ),
    )
    bounded.add_argument(
        "--connection-requests",
        type=count,
        default=usual.requests,
        help=(
            "close a connection after this many requests, or up to a fifth fewer, which lets clients reach new"
            " replicas too"
        ),
    )
    bounded.add_argument(
        "--connection-seconds", type=positive, default=usual.seconds, help="close a connection after this long"
    )
    bounded.add_argument(
        "--requests-at-once",
        type=count,
        default=usual.requests_at_once,
        help=(
            "maximum concurrent requests; a further request is immediately answered with 429; no enforcer can have"
            " more of the enforcers' share than is free, and no namespace more than three times that"
        ),
    )
    bounded.add_argument(
        "--body-bytes",
        type=count,
        default=usual.body_bytes,
        help="maximum bytes of request bodies that are being read at a time; shared like --requests-at-once",
    )
    bounded.add_argument(
        "--body-bytes-per-second",
        type=count,
        default=usual.pace.rate,
        help=(
            "minimum average rate of a request body after --body-grace-seconds, in bytes per second; a slower body is"
            " abandoned"
        ),
    )
    bounded.add_argument(
        "--body-grace-seconds",
        type=positive,
        default=usual.pace.grace,
        help="how long a request body can take before its rate is checked",
    )
    bounded.add_argument(
        "--decisions-per-second-by-namespace",
        type=any_count,
        default=usual.decisions_per_second,
        help=(
            "maximum decisions per second for the endpoints of one namespace; each item of a batch and each name that a"
            " search tries is one decision; a request for more is answered with 429; 0 means no limit"
        ),
    )


def bounds(options: argparse.Namespace) -> Bounds:
    """Return the bounds from the options."""
    usual = Bounds()
    return Bounds(
        requests=options.connection_requests,
        seconds=options.connection_seconds,
        connections=options.connections,
        admission_connections=options.admission_connections,
        requests_at_once=options.requests_at_once,
        others_percent=options.others_percent,
        body_bytes=options.body_bytes,
        pace=usual.pace._replace(rate=options.body_bytes_per_second, grace=options.body_grace_seconds),
        decisions_per_second=options.decisions_per_second_by_namespace,
    )


def _add_budget(group: argparse._ArgumentGroup) -> None:
    usual = Budget()
    group.add_argument(
        "--budget-bytes",
        type=any_count,
        default=usual.total,
        help="limit for all compiled policies together; if they need more, namespaces share the limit evenly",
    )
    group.add_argument(
        "--namespace-budget-bytes",
        type=any_count,
        default=usual.namespace,
        help="limit for the compiled policies of one namespace",
    )
    group.add_argument(
        "--policy-budget-bytes", type=any_count, default=usual.policy, help="limit for one compiled policy"
    )
    group.add_argument(
        "--namespace-policies", type=any_count, default=usual.policies, help="maximum policies in one namespace"
    )
    group.add_argument(
        "--namespace-spec-bytes",
        type=any_count,
        default=usual.text,
        help="limit for the JSON of all policy specs in one namespace together",
    )
    group.add_argument(
        "--namespace-pending-grants",
        type=any_count,
        default=PENDING_GRANTS,
        help="maximum grants of one namespace that wait for reviews at a time; further grants are not opened",
    )
