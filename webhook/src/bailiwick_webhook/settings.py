"""Settings: what the decision point was started with. `main` parses them once; nothing reads the environment later.

Holds: frozen; a combination that would be unsafe is refused here, with what to do instead.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailiwick_api.accounts import Installation
from bailiwick_engine.keys import CLUSTER
from bailiwick_webhook.flagvalues import Help, any_count, count, loopback, positive, silence
from bailiwick_webhook.http.bounds import Bounds
from bailiwick_webhook.http.places import MOST
from bailiwick_webhook.identity import issuers
from bailiwick_webhook.identity.issuers import IssuerConfig
from bailiwick_webhook.place import Place, cores
from bailiwick_webhook.record.limits import Limits

# What only a decision point with a cluster can use, by argparse's names.
_CLUSTER_ONLY: Final = (
    "kubeconfig",
    "api_timeout",
    "namespace",
    "webhook_account",
    "operator_account",
    "human_username_prefix",
    "relist_interval",
)
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Durations are in seconds. With `policies` there is no cluster.

    `processes` are all that there are to be; one of several has a `place`, and ports and files of its own by it.
    """

    policies: Path | None
    development: bool
    kubeconfig: Path | None
    issuers: tuple[IssuerConfig, ...]
    installation: Installation
    host: str
    port: int
    status_host: str
    status_port: int
    external_url: str
    tls_cert_file: Path | None
    tls_key_file: Path | None
    tls_poll_seconds: float
    tls_server_names: tuple[str, ...]
    record_file: Path | None
    record_fsync: bool
    record_limits: Limits
    record_key: bytes | None = field(repr=False)
    max_staleness: float
    hard_staleness: float
    relist_interval: float
    api_timeout: float
    drain_seconds: float
    bounds: Bounds
    requests_at_once: int
    log_level: str
    processes: int = 1
    process_silence: float = 30.0
    process_start: float = 300.0
    place: Place | None = None

    @property
    def tls(self) -> bool:
        """The decision paths are served over TLS."""
        return self.tls_cert_file is not None


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Parse the command line. Exits with status 2 and a sentence on what is wrong (argparse's way)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_standalone(parser, options, arguments)
    if bool(options.tls_cert_file) != bool(options.tls_key_file):
        parser.error("--tls-cert-file and --tls-key-file go together")
    if not options.tls_cert_file and not loopback(options.host):
        parser.error(
            f"{options.host} is not loopback: give --tls-cert-file and --tls-key-file, since tokens travel on this port"
        )
    if options.max_staleness > options.hard_staleness:
        parser.error("--max-staleness must not exceed --hard-staleness")
    _check_processes(parser, options)
    scheme = "https" if options.tls_cert_file else "http"
    external = (options.external_url or f"{scheme}://{options.host}:{options.port}").rstrip("/")
    if urlsplit(external).scheme not in {"http", "https"} or not urlsplit(external).netloc:
        parser.error(f"--external-url must be an absolute http(s) URL, not {external!r}")
    try:
        configured = issuers.load(options.issuers) if options.issuers else ()
    except issuers.IssuersError as error:
        parser.error(f"--issuers: {error}")
    _check_cluster_issuer(parser, options, configured)
    return Settings(
        policies=options.policies,
        development=options.development,
        kubeconfig=options.kubeconfig,
        issuers=configured,
        installation=Installation(
            namespace=options.namespace,
            webhook_name=options.webhook_account,
            operator_name=options.operator_account,
            human_username_prefixes=tuple(options.human_username_prefix),
        ),
        host=options.host,
        port=options.port,
        status_host=options.status_host,
        status_port=options.status_port,
        external_url=external,
        tls_cert_file=options.tls_cert_file,
        tls_key_file=options.tls_key_file,
        tls_poll_seconds=options.tls_poll_seconds,
        tls_server_names=tuple(options.tls_server_name),
        record_file=None if str(options.record_file) == "-" else options.record_file,
        record_fsync=options.record_fsync,
        record_limits=Limits(
            records=options.record_queue,
            size=options.record_queue_bytes,
            timeout=options.record_timeout,
            required=options.on_record_failure == "deny",
            first=options.record_before_answer == "all",
        ),
        record_key=_key(parser, options.record_hmac_key_file) if options.record_hmac_key_file else None,
        max_staleness=options.max_staleness,
        hard_staleness=options.hard_staleness,
        relist_interval=options.relist_interval,
        api_timeout=options.api_timeout,
        drain_seconds=options.drain_seconds,
        bounds=Bounds(options.connection_requests, options.connection_seconds, options.connections),
        requests_at_once=options.requests_at_once,
        log_level=options.log_level,
        processes=options.processes,
        process_silence=options.process_silence_seconds,
        process_start=options.process_start_seconds,
    )


def _check_processes(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Settle how many processes there are to be, and refuse what they could not share."""
    options.processes = options.processes or cores()
    if options.processes == 1:
        return
    if sys.platform != "linux":
        parser.error("--processes other than 1 needs Linux, whose kernel spreads connections over them")
    if options.port and options.status_port and 0 <= options.port - options.status_port < options.processes:
        last = options.status_port + options.processes - 1
        parser.error(f"--port {options.port} is one of the status ports {options.status_port} to {last}, one a process")


def _check_standalone(
    parser: argparse.ArgumentParser, options: argparse.Namespace, arguments: Sequence[str] | None
) -> None:
    """Refuse what does not go with `--policies` and `--development`, or without."""
    if options.development and options.policies is None:
        parser.error("--development goes with --policies: in a cluster everybody is asked for proof")
    if options.policies is None:
        return
    absent = object()
    seen = argparse.Namespace(**dict.fromkeys(_CLUSTER_ONLY, absent))
    parser.parse_args(arguments, seen)
    if given := [f"--{name.replace('_', '-')}" for name in _CLUSTER_ONLY if getattr(seen, name) is not absent]:
        parser.error(f"{given[0]} is about a cluster, and --policies is for a decision point without one")
    if not options.development:
        return
    for flag, host in (("--host", options.host), ("--status-host", options.status_host)):
        if not loopback(host):
            parser.error(
                f"{flag} {host} is not loopback: with --development anybody may ask, so that nobody else must be"
                " able to"
            )


def _check_cluster_issuer(
    parser: argparse.ArgumentParser, options: argparse.Namespace, configured: Iterable[IssuerConfig]
) -> None:
    """In a cluster its API server vouches for service accounts; without one, only the file of issuers can."""
    named = any(issuer.name == CLUSTER for issuer in configured)
    if named and options.policies is None:
        parser.error(f"--issuers: the name {CLUSTER} is taken: in a cluster its API server says whose a token is")
    if options.policies is not None and not options.development and not named:
        parser.error(
            f"--policies needs --issuers with an entry named {CLUSTER}, by whose keys the tokens of enforcers are"
            " verified; or --development, where anybody may ask"
        )


def _parser() -> argparse.ArgumentParser:
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
    serving.add_argument("--drain-seconds", type=positive, default=5.0, help="keep serving this long after SIGTERM")
    bounds = Bounds()
    serving.add_argument(
        "--connections",
        type=count,
        default=bounds.most,
        help="of one process, at most; for each one more a stranger's is closed",
    )
    serving.add_argument(
        "--connection-requests",
        type=count,
        default=bounds.requests,
        help="a connection is closed after so many, or a fifth fewer, so that clients come to new replicas too",
    )
    serving.add_argument(
        "--connection-seconds", type=positive, default=bounds.seconds, help="a connection is closed after so long"
    )
    serving.add_argument(
        "--requests-at-once",
        type=count,
        default=MOST,
        help="of one process, at most; further ones are answered 429 at once, and one sender alone may have half",
    )
    serving.add_argument(
        "--processes",
        type=any_count,
        default=1,
        help="so many share --port, each with a status port (--status-port and the next ones) and a record file"
        " (--record-file and .0, .1, ...) of its own; 0 is one for each core that we may use",
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
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"), help="on stderr")
    record = parser.add_argument_group("decision record")
    record.add_argument(
        "--record-file", metavar="FILE", type=Path, default=Path("-"), help="JSON lines are appended here; - is stdout"
    )
    _add_record(record)
    return parser


def _key(parser: argparse.ArgumentParser, file: Path) -> bytes:
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        parser.error(f"--record-hmac-key-file: {error}")
    if len(key) < _KEY_BYTES:
        parser.error(f"--record-hmac-key-file: {file} holds {len(key)} bytes, and a key takes {_KEY_BYTES} or more")
    return key


def _add_record(record: argparse._ArgumentGroup) -> None:
    usual = Limits()
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
