"""Settings of the decision point. `main` parses them once at the start; nothing reads the environment later.

Holds: frozen; a combination that would be unsafe is refused here, with what to do instead.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailiwick_api import issuers
from bailiwick_api.accounts import Installation
from bailiwick_api.issuers import IssuerConfig
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.compile.kubenames import ENDPOINT
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, RegistrarsError, make_registrars
from bailiwick_evidence.seal import KEY_BYTES, key_in
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.process import flags
from bailiwick_webhook.process.flagvalues import is_loopback
from bailiwick_webhook.record.writing.chainlog import PodName
from bailiwick_webhook.record.writing.writer import QueueLimits

# What only a decision point with a cluster can use, by argparse's names.
_CLUSTER_ONLY: Final = (
    "admission_port",
    "admission_connections",
    "kubeconfig",
    "api_timeout",
    "namespace",
    "webhook_account",
    "operator_account",
    "human_username_prefix",
    "relist_interval",
    "namespace_pending_grants",
    "registrar_keys",
    "registrar_quorum",
    "reviewers_installation",
    "passkey_origin",
)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Everything that can be set. Durations are in seconds. With `policies` there is no cluster."""

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
    client_ca_file: Path | None
    record_file: Path | None
    record_fsync: bool
    record_limits: QueueLimits
    record_key: bytes | None = field(repr=False)
    max_staleness: float
    hard_staleness: float
    relist_interval: float
    api_timeout: float
    drain_seconds: float
    bounds: Bounds
    log_level: str
    admission_port: int = 0
    kubernetes_endpoint: str = ENDPOINT
    grpc_port: int = 0
    otlp_endpoint: str | None = None
    budget: Budget = Budget()  # noqa: RUF009 - frozen
    pending_grants: int = 0
    record_chain: bool = True
    shadow_share: float = 1.0
    witness_wait: float = 0.0
    pod: PodName | None = None
    registrars: Registrars = NO_REGISTRARS

    @property
    def tls(self) -> bool:
        """The decision paths are served over TLS."""
        return self.tls_cert_file is not None


def parse(arguments: Sequence[str] | None = None) -> WebhookSettings:
    """Parse the command line. Exits with status 2 and a sentence on what is wrong (argparse's way)."""
    parser = flags.parser()
    options = parser.parse_args(arguments)
    _check_standalone(parser, options, arguments)
    if bool(options.tls_cert_file) != bool(options.tls_key_file):
        parser.error("set --tls-cert-file and --tls-key-file together")
    if options.client_ca_file and not options.tls_cert_file:
        parser.error("--client-ca-file needs --tls-cert-file and --tls-key-file: clients show certificates over TLS")
    if not options.tls_cert_file and not is_loopback(options.host):
        parser.error(
            f"{options.host} is not loopback: set --tls-cert-file and --tls-key-file, because clients send tokens to"
            " this port"
        )
    if options.max_staleness > options.hard_staleness:
        parser.error("--max-staleness must not exceed --hard-staleness")
    _check_budget(parser, options)
    _check_ports(parser, options)
    scheme = "https" if options.tls_cert_file else "http"
    external = (options.external_url or f"{scheme}://{options.host}:{options.port}").rstrip("/")
    if urlsplit(external).scheme not in {"http", "https"} or not urlsplit(external).netloc:
        parser.error(f"--external-url must be an absolute http(s) URL, not {external!r}")
    try:
        configured = issuers.load(options.issuers, schemaerrors.problems) if options.issuers else ()
    except issuers.IssuersError as error:
        parser.error(f"--issuers: {error}")
    _check_cluster_issuer(parser, options, configured)
    if options.passkey_origin and not options.registrar_keys:
        parser.error("--passkey-origin needs --registrar-keys: registrars enrol the passkeys of reviewers")
    return WebhookSettings(
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
        client_ca_file=options.client_ca_file,
        record_file=None if str(options.record_file) == "-" else options.record_file,
        record_fsync=options.record_fsync,
        record_limits=QueueLimits(
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
        bounds=flags.bounds(options),
        log_level=options.log_level,
        admission_port=options.admission_port,
        kubernetes_endpoint=options.kubernetes_endpoint,
        grpc_port=options.grpc_port,
        otlp_endpoint=options.otlp_endpoint,
        budget=Budget(
            options.budget_bytes,
            options.namespace_budget_bytes,
            options.policy_budget_bytes,
            options.namespace_policies,
            options.namespace_spec_bytes,
        ),
        pending_grants=options.namespace_pending_grants,
        record_chain=options.record_chain == "on",
        shadow_share=options.shadow_share,
        witness_wait=options.witness_wait_seconds,
        pod=_pod(),
        registrars=_registrars(parser, options) if options.registrar_keys else NO_REGISTRARS,
    )


def _registrars(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Registrars:
    try:
        text = options.registrar_keys.read_text(encoding="utf-8")
        return make_registrars(text, options.registrar_quorum, options.passkey_origin, options.reviewers_installation)
    except (OSError, UnicodeDecodeError, RegistrarsError) as error:
        parser.error(f"--registrar-keys {options.registrar_keys}: {error}")


def _pod() -> PodName | None:
    """Return the pod's name from the environment, where the chart puts it; None outside of a cluster."""
    name, uid = (os.environ.get(f"BAILIWICK_POD_{part}", "") for part in ("NAME", "UID"))
    return PodName(name, uid) if name else None


def _check_budget(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse a part that is larger than the whole: it could never be used up."""
    sizes = ("policy_budget_bytes", "namespace_budget_bytes", "budget_bytes")
    for part, whole in pairwise(sizes):
        # 0 is no limit, which nothing exceeds.
        if getattr(options, whole) and not 0 < getattr(options, part) <= getattr(options, whole):
            parser.error(f"{_flag(part)} must not exceed {_flag(whole)}, and must not be 0 unless {_flag(whole)} is 0")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_ports(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse ports of which two are the same."""
    ports = {"--port": options.port}
    if options.policies is None:
        ports["--admission-port"] = options.admission_port
        if options.port and options.port == options.admission_port:
            parser.error(f"--admission-port {options.port} is also the port for decisions: choose a different port")
    if options.grpc_port:
        for flag, port in ports.items():
            if port == options.grpc_port:
                parser.error(f"--grpc-port {port} is also {flag}: choose a different port")
        ports["--grpc-port"] = options.grpc_port
    for flag, port in ports.items():
        if options.status_port and port == options.status_port:
            parser.error(f"--status-port {port} is also {flag}: choose a different port")


def _check_standalone(
    parser: argparse.ArgumentParser, options: argparse.Namespace, arguments: Sequence[str] | None
) -> None:
    """Refuse flags that cannot be combined with `--policies` and `--development`, or that need them."""
    if options.development and options.policies is None:
        parser.error("--development needs --policies: in a cluster, every caller must prove its identity")
    if options.policies is None:
        return
    absent = object()
    seen = argparse.Namespace(**dict.fromkeys(_CLUSTER_ONLY, absent))
    parser.parse_args(arguments, seen)
    if given := [_flag(name) for name in _CLUSTER_ONLY if getattr(seen, name) is not absent]:
        parser.error(f"{given[0]} needs a cluster, but --policies runs the decision point without one")
    if not options.development:
        return
    for flag, host in (("--host", options.host), ("--status-host", options.status_host)):
        if not is_loopback(host):
            parser.error(
                f"{flag} {host} is not loopback: with --development anyone can request decisions, so listen on loopback"
                " only"
            )


def _check_cluster_issuer(
    parser: argparse.ArgumentParser, options: argparse.Namespace, configured: Iterable[IssuerConfig]
) -> None:
    """In a cluster its API server vouches for service accounts; without one, only the file of issuers can."""
    named = any(issuer.name == CLUSTER for issuer in configured)
    if named and options.policies is None:
        parser.error(f"--issuers: the name {CLUSTER} is reserved: in a cluster, the API server verifies these tokens")
    if options.policies is not None and not options.development and not named:
        parser.error(
            f"--policies needs --issuers with an entry named {CLUSTER}, whose keys verify the tokens of enforcers, or"
            " --development, where anyone can request decisions"
        )


def _key(parser: argparse.ArgumentParser, file: Path) -> bytes:
    try:
        held = file.read_bytes()
    except OSError as error:
        parser.error(f"--record-hmac-key-file: {error}")
    key = key_in(held)
    if key is None:
        parser.error(
            f"--record-hmac-key-file: {file} has {len(held.strip())} bytes, but a key needs {KEY_BYTES} or more"
        )
    return key
