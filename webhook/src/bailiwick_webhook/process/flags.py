"""The flags of the decision point, as argparse takes them. Only `settings` asks, and checks what is given together.

Holds: every flag has a help text and, where it is not a switch, a default that is safe.
"""

import argparse
from pathlib import Path

from bailiwick_api.accounts import Installation
from bailiwick_engine.budget.ledger import Budget
from bailiwick_webhook.approvals.throttle import PENDING_GRANTS
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.process.flagvalues import Help, any_count, count, percent, positive, silence
from bailiwick_webhook.record.limits import QueueLimits


def parser() -> argparse.ArgumentParser:
    """Return what parses the command line."""
    names = Installation()
    parser = argparse.ArgumentParser(
        prog="bailiwick-webhook",
        usage="%(prog)s [--kubeconfig FILE | --policies DIR] [FLAGS]",
        description="The decision point: may this identity do this on this resource now, with the approval it shows?",
        formatter_class=Help,
        allow_abbrev=False,
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on; anything but loopback needs TLS")
    serving.add_argument("--port", type=int, default=8443, help="port of the decision paths; 0 takes a free one")
    serving.add_argument(
        "--admission-port",
        type=int,
        default=9443,
        help="port of /admission/validate, where the API server asks about policies; 0 takes a free one",
    )
    serving.add_argument("--status-host", default="127.0.0.1", help="address of the status port; it tells no secrets")
    serving.add_argument(
        "--status-port", type=int, default=8081, help="port of /healthz, /readyz and /metrics; 0 takes a free one"
    )
    serving.add_argument(
        "--external-url", metavar="URL", default="", help="base of the URLs in answers (default: host and port)"
    )
    serving.add_argument("--tls-cert-file", metavar="FILE", type=Path, help="certificate chain, PEM")
    serving.add_argument("--tls-key-file", metavar="FILE", type=Path, help="private key, PEM")
    serving.add_argument(
        "--tls-poll-seconds", type=positive, default=5.0, help="look this often whether the two files have changed"
    )
    serving.add_argument(
        "--tls-server-name",
        metavar="NAME",
        action="append",
        default=[],
        help="name that a certificate must be for to be served with; repeatable (default: whatever it is for)",
    )
    serving.add_argument(
        "--client-ca-file",
        metavar="FILE",
        type=Path,
        help="certificate authorities, PEM: whoever shows a client certificate of theirs may ask under its names, where"
        " a policy's enforcers list one; looked at as often as the two files",
    )
    serving.add_argument("--drain-seconds", type=positive, default=5.0, help="keep serving this long after SIGTERM")
    serving.add_argument(
        "--processes",
        type=any_count,
        default=1,
        help="so many share --port and --admission-port, each with a status port (--status-port and the next ones) and"
        " a record file (--record-file and .0, .1, ...) of its own; 0 is one for each core that we may use",
    )
    serving.add_argument(
        "--process-silence-seconds",
        type=silence,
        default=30.0,
        help="one of several processes whose loop has not turned for so long is killed and started again",
    )
    serving.add_argument(
        "--process-start-seconds", type=silence, default=300.0, help="the same, until it serves for the first time"
    )
    _add_bounds(parser.add_argument_group("bounds, of one process"))
    alone = parser.add_argument_group("standalone")
    alone.add_argument(
        "--policies",
        metavar="DIR",
        type=Path,
        help="decide by the *.yaml and *.yml files below this directory, without a cluster",
    )
    alone.add_argument(
        "--development",
        action="store_true",
        help="with --policies: anybody may ask and whoever is named is believed; listens on loopback only",
    )
    cluster = parser.add_argument_group("Kubernetes")
    cluster.add_argument(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        help="server, CA and token or tokenFile to use (default: as a pod, by its projected token)",
    )
    cluster.add_argument("--api-timeout", type=positive, default=5.0, help="seconds for one call to the API server")
    cluster.add_argument("--namespace", default=names.namespace, help="namespace of the installation")
    cluster.add_argument("--webhook-account", default=names.webhook_name, help="service account of the decision point")
    cluster.add_argument("--operator-account", default=names.operator_name, help="service account of the operator")
    cluster.add_argument(
        "--human-username-prefix",
        metavar="PREFIX",
        action="append",
        default=[],
        help="usernames that begin so are people; repeatable (default: whatever does not begin with system:)",
    )
    identity = parser.add_argument_group("identity")
    identity.add_argument(
        "--issuers",
        metavar="FILE",
        type=Path,
        help="YAML file of the issuers besides the cluster that policies may name; see examples/support/issuers.yaml",
    )
    store = parser.add_argument_group("freshness")
    store.add_argument("--max-staleness", type=positive, default=120.0, help="older than this: no grant is accepted")
    store.add_argument("--hard-staleness", type=positive, default=900.0, help="older than this: everything is denied")
    store.add_argument("--relist-interval", type=positive, default=720.0, help="list everything anew about this often")
    _add_budget(parser.add_argument_group("budgets of namespaces; 0 is no limit"))
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"), help="on stderr")
    record = parser.add_argument_group("decision record")
    record.add_argument(
        "--record-file", metavar="FILE", type=Path, default=Path("-"), help="JSON lines are appended here; - is stdout"
    )
    _add_record(record)
    return parser


def _add_bounds(bounded: argparse._ArgumentGroup) -> None:
    usual = Bounds()
    bounded.add_argument(
        "--others-percent",
        type=percent,
        default=usual.others_percent,
        help="percent of connections, requests under way and body bytes for all callers together that do not enforce"
        " the endpoint that they ask about; enforcers have the rest",
    )
    bounded.add_argument(
        "--connections",
        type=count,
        default=usual.connections,
        help="most open connections on --port; one enforcer has at most half of the enforcers' part; where the others'"
        " part is full, an idle connection of the caller that has most of them is closed",
    )
    bounded.add_argument(
        "--admission-connections",
        type=count,
        default=usual.admission_connections,
        help="most open connections on --admission-port; where they are too many, an idle one of the address that has"
        " most of them is closed",
    )
    bounded.add_argument(
        "--connection-requests",
        type=count,
        default=usual.requests,
        help="a connection is closed after so many requests, or up to a fifth fewer, so that clients come to new"
        " replicas too",
    )
    bounded.add_argument(
        "--connection-seconds", type=positive, default=usual.seconds, help="a connection is closed after so long"
    )
    bounded.add_argument(
        "--requests-at-once",
        type=count,
        default=usual.requests_at_once,
        help="most requests under way; a further one is answered 429 at once; no enforcer may have more of the"
        " enforcers' part than is free, and no namespace more than three times that",
    )
    bounded.add_argument(
        "--body-bytes",
        type=count,
        default=usual.body_bytes,
        help="most bytes of bodies that are being read; shared as --requests-at-once is",
    )
    bounded.add_argument(
        "--body-bytes-per-second",
        type=count,
        default=usual.pace.rate,
        help="bytes a second at which a body must come, on average, after --body-grace-seconds; a slower one is given"
        " up",
    )
    bounded.add_argument(
        "--body-grace-seconds",
        type=positive,
        default=usual.pace.grace,
        help="how long a body may take before its rate is looked at",
    )
    bounded.add_argument(
        "--decisions-per-second-by-namespace",
        type=any_count,
        default=usual.decisions_per_second,
        help="most decisions a second about the endpoints of one namespace; each item of a batch is one; a request that"
        " asks for more is answered 429; 0 is no limit",
    )


def bounds(options: argparse.Namespace) -> Bounds:
    """Return the bounds that were given."""
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
        help="that all policies may take once they are compiled; where that is too little, namespaces share it evenly",
    )
    group.add_argument(
        "--namespace-budget-bytes",
        type=any_count,
        default=usual.namespace,
        help="that one namespace's policies may take",
    )
    group.add_argument("--policy-budget-bytes", type=any_count, default=usual.policy, help="that one policy may take")
    group.add_argument(
        "--namespace-policies", type=any_count, default=usual.policies, help="policies that a namespace may have"
    )
    group.add_argument(
        "--namespace-spec-bytes",
        type=any_count,
        default=usual.text,
        help="of JSON that the specs of a namespace's policies may have together",
    )
    group.add_argument(
        "--namespace-pending-grants",
        type=any_count,
        default=PENDING_GRANTS,
        help="grants of a namespace that may wait for their reviews at once; further ones are not opened",
    )


def _add_record(record: argparse._ArgumentGroup) -> None:
    usual = QueueLimits()
    record.add_argument(
        "--record-hmac-key-file",
        metavar="FILE",
        type=Path,
        help="key of the HMACs that stand for sensitive values, 32 bytes or more; without it nothing is left of them",
    )
    record.add_argument("--record-fsync", action="store_true", help="written means on the disk: fsync every batch")
    record.add_argument(
        "--record-before-answer",
        choices=("uses", "all"),
        default="uses",
        help="which answers wait until their record is written: those that take a use of a grant, or all; the others"
        " are written within moments, and a crash of the process can take those with it",
    )
    record.add_argument(
        "--on-record-failure",
        choices=("deny", "allow"),
        default="deny",
        help="what becomes of a decision whose record cannot be written: denied, or given, and the loss counted and"
        " logged; what takes a use of a grant is always denied",
    )
    record.add_argument(
        "--record-timeout", type=positive, default=usual.timeout, help="seconds that a decision waits for its record"
    )
    record.add_argument("--record-queue", type=count, default=usual.records, help="records that may wait to be written")
    record.add_argument(
        "--record-queue-bytes", type=count, default=usual.size, help="bytes of records that may wait to be written"
    )
