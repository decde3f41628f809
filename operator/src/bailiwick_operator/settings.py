"""The operator's settings: from flags first, then environment, then defaults. Read by `main`, passed down.

Holds: an `OperatorSettings` that exists is valid; nothing below `main` reads a flag or the environment.
"""

import argparse
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, cast

from bailiwick_api import issuers
from bailiwick_api.accounts import Installation
from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.usernames import UsernameTemplate, is_reserved
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, RegistrarsError, make_registrars
from bailiwick_operator import coverageflags, notifyflags
from bailiwick_operator.coverageflags import CoverageSettings
from bailiwick_operator.flagvalues import is_name, is_url
from bailiwick_operator.notifyflags import NotifySettings
from bailiwick_operator.reconcile.certificates import Terms
from bailiwick_operator.reconcile.keys import KeyRotation
from bailiwick_operator.reconcile.retention import MOST_DAYS, RetentionPeriods
from bailiwick_operator.reconcile.witness import COSIGN_SECONDS

_ENVIRONMENT: Final = "BAILIWICK_"
_BUDGET: Final = Budget()
_DEFAULTS: Final = Installation()
_LEVELS: Final = ("debug", "info", "warning", "error")
_LAST_PORT: Final = 65535
_SWITCH: Final = ("true", "false")
TlsMode = Literal["self-managed", "external"]
_MODES: Final = ("self-managed", "external")
_DAY: Final = 86400
_LONGEST_ROTATION: Final = 315_360_000  # ten years: a sum of times must stay a time
_LONGEST_AUTHORITY: Final = 3 * _LONGEST_ROTATION
_BUDGETS: Final = (
    *("budget_bytes", "namespace_budget_bytes", "policy_budget_bytes"),
    *("namespace_policies", "namespace_spec_bytes"),
)
_JITTER: Final = 1.2  # of the election library, which wants this many retries within the deadline


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease is valid, within what time a renewal must succeed, and how often it is tried."""

    duration: int = 15
    renew_deadline: int = 10
    retry_period: int = 2


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Times are seconds. `kubeconfig` None means: as a pod, by its projected token. `health_port` 0 means: none.

    `replicas` are the status URLs of the decision point's processes; none: those of `webhook_service`. `issuers`: for
    each configured issuer, how its people are named; None: issuers are not configured. `signals`: the issuers whose
    signals are received. `witness_interval` 0 means: the
    logs of the decision point are not witnessed. `ledger_file` None means: stdout. `coverage` None: it is not counted.
    """

    installation: Installation
    identity: str
    kubeconfig: Path | None = None
    lease: LeaseTimes = LeaseTimes()
    proof_interval: float = 60.0
    guard_settle: float = 2.0
    require_keep: bool = False
    key_rotation: KeyRotation = field(default_factory=KeyRotation)
    key_interval: float = 30.0
    relist_interval: float = 600.0
    request_timeout: float = 10.0
    replicas: tuple[str, ...] = ()
    webhook_service: str = _DEFAULTS.webhook_name
    witness_interval: float = 10.0
    ledger_file: Path | None = None
    health_port: int = 0
    log_level: str = "info"
    keeping: RetentionPeriods = RetentionPeriods()  # noqa: RUF009 - frozen
    issuers: Mapping[str, UsernameTemplate] | None = None
    signals: tuple[IssuerConfig, ...] = ()
    tls_mode: TlsMode = "self-managed"
    certificates: Terms = Terms(frozenset())  # noqa: RUF009 - frozen
    certificate_interval: float = 10.0
    budget: Budget = Budget()  # noqa: RUF009 - frozen
    notify: NotifySettings = NotifySettings()  # noqa: RUF009 - frozen
    registrars: Registrars = NO_REGISTRARS
    coverage: CoverageSettings | None = None


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Return the settings. Every flag `--some-name` has a variable `BAILIWICK_SOME_NAME`; the flag wins.

    Prints what is wrong to stderr and raises `SystemExit(2)`.
    """
    parser = flag_parser(environment)
    options = parser.parse_args(list(arguments))
    if (problem := _problem(options)) is not None:
        parser.error(problem)
    try:
        configured = issuers.load(options.issuers, schemaerrors.problems) if options.issuers else None
    except issuers.IssuersError as error:
        parser.error(f"--issuers: {error}")
    try:
        registrars = _registrars(options)
    except (OSError, UnicodeDecodeError, RegistrarsError) as error:
        parser.error(f"--registrar-keys {options.registrar_keys}: {error}")
    lease = LeaseTimes(options.lease_seconds, options.renew_seconds, options.retry_seconds)
    prefixes = options.human_username_prefix or options.environment_prefixes
    return OperatorSettings(
        installation=Installation(
            namespace=options.namespace,
            webhook_name=options.webhook_account,
            operator_name=options.operator_account,
            human_username_prefixes=tuple(prefixes),
        ),
        identity=options.identity or f"{socket.gethostname()}_{uuid.uuid4()}",
        kubeconfig=options.kubeconfig,
        lease=lease,
        proof_interval=options.proof_interval,
        guard_settle=options.guard_settle,
        require_keep=options.require_keep == "true",
        key_rotation=KeyRotation(
            timedelta(seconds=options.key_rotation_seconds), timedelta(seconds=options.key_publish_seconds)
        ),
        key_interval=options.key_interval,
        relist_interval=options.relist_interval,
        request_timeout=options.request_timeout,
        replicas=tuple(options.replica or options.environment_replicas),
        webhook_service=options.webhook_service,
        witness_interval=options.witness_interval,
        ledger_file=options.ledger_file,
        health_port=options.health_port,
        log_level=options.log_level,
        keeping=RetentionPeriods(timedelta(seconds=options.grant_retention_seconds), options.grants_kept_per_policy),
        issuers=None if configured is None else issuers.namings(configured),
        signals=tuple(config for config in configured or () if config.signals is not None),
        tls_mode=cast("TlsMode", options.tls_mode),
        certificates=Terms(
            _serving_names(options) | frozenset(options.serving_name or options.environment_names),
            timedelta(seconds=options.ca_seconds),
            timedelta(seconds=options.certificate_seconds),
            timedelta(seconds=options.ca_settle_seconds),
        ),
        certificate_interval=options.certificate_interval,
        budget=Budget(
            options.budget_bytes,
            options.namespace_budget_bytes,
            options.policy_budget_bytes,
            options.namespace_policies,
            options.namespace_spec_bytes,
        ),
        notify=notifyflags.read(options),
        registrars=registrars,
        coverage=coverageflags.read(options),
    )


def _registrars(options: argparse.Namespace) -> Registrars:
    """Return the registrars. Raises `OSError`, `UnicodeDecodeError`, `RegistrarsError`."""
    if options.registrar_keys is None:
        return NO_REGISTRARS
    text = options.registrar_keys.read_text(encoding="utf-8")
    origins = options.passkey_origin or options.environment_origins
    return make_registrars(text, options.registrar_quorum, origins, options.reviewers_installation)


def _serving_names(options: argparse.Namespace) -> frozenset[str]:
    """Return the names by which clients in the cluster reach the decision point."""
    name = f"{options.webhook_service}.{options.namespace}"
    return frozenset((options.webhook_service, name, f"{name}.svc", f"{name}.svc.cluster.local"))


def _problem(options: argparse.Namespace) -> str | None:
    """Return what is wrong with flags that argparse itself accepts; None where nothing is."""
    for name in ("namespace", "webhook_account", "operator_account", "webhook_service"):
        if not getattr(options, name):
            return f"{_flag(name)} must not be empty"
    for name in ("proof_interval", "key_interval", "relist_interval", "request_timeout", "certificate_interval"):
        if getattr(options, name) <= 0:
            return f"{_flag(name)} must be more than 0 seconds"
    for url in options.replica or options.environment_replicas:
        if not is_url(url):
            return f"--replica {url}: must be a URL such as http://127.0.0.1:9443"
    for name in options.serving_name or options.environment_names:
        if not is_name(name):
            return f"--serving-name {name}: must be a DNS name or an IP address"
    prefixes = options.human_username_prefix or options.environment_prefixes
    problems = {
        # The checks of the election library, with the names of the flags.
        "--lease-seconds must exceed --renew-seconds, which must exceed 1.2 times --retry-seconds, which must be at"
        " least 1": not (options.lease_seconds > options.renew_seconds > _JITTER * options.retry_seconds >= _JITTER),
        f"--health-port {options.health_port}: must be between 1 and 65535, or 0 to disable the port": not (
            0 <= options.health_port <= _LAST_PORT
        ),
        f"--log-level {options.log_level}: must be one of {', '.join(_LEVELS)}": options.log_level not in _LEVELS,
        f"--grant-retention-seconds must be between 1 second and {MOST_DAYS} days": not (
            0 < options.grant_retention_seconds <= MOST_DAYS * _DAY
        ),
        "--grants-kept-per-policy must not be negative": options.grants_kept_per_policy < 0,
        "--guard-settle must not be negative": options.guard_settle < 0,
        # argparse does not compare a default from a variable with the choices.
        "--require-keep must be true or false": options.require_keep not in _SWITCH,
        "--witness-interval must be between 0 and 60 seconds": not 0 <= options.witness_interval <= COSIGN_SECONDS,
        "a budget must not be negative": any(getattr(options, name) < 0 for name in _BUDGETS),
        "--key-rotation-seconds must exceed --key-publish-seconds, which must be at least 1": not (
            _LONGEST_ROTATION >= options.key_rotation_seconds > options.key_publish_seconds >= 1
        ),
        f"--tls-mode {options.tls_mode}: must be one of {', '.join(_MODES)}": options.tls_mode not in _MODES,
        "--certificate-interval must be at most 60 seconds": options.certificate_interval > 60,  # noqa: PLR2004 - as it says
        "--ca-seconds must be at least 3 times the sum of --certificate-seconds and --ca-settle-seconds, each of which"
        " must be at least 1": not (
            options.certificate_seconds >= 1
            and options.ca_settle_seconds >= 1
            and _LONGEST_AUTHORITY
            >= options.ca_seconds
            >= 3 * (options.certificate_seconds + options.ca_settle_seconds)
        ),
        f"--kubeconfig {options.kubeconfig}: no such file": (
            options.kubeconfig is not None and not options.kubeconfig.is_file()
        ),
        "--human-username-prefix must not be empty and must not begin with system:": any(
            not prefix or is_reserved(prefix) for prefix in prefixes
        ),
    }
    found = next((problem for problem, holds in problems.items() if holds), None)
    return found or notifyflags.problem(options) or coverageflags.problem(options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_registrars(parser: argparse.ArgumentParser, from_environment: Callable[[str, str], str]) -> list[str]:
    """Add the flags of registrars' keys and passkeys; return the origins of consoles from the environment."""
    parser.add_argument(
        "--registrar-quorum",
        type=int,
        default=from_environment("registrar-quorum", "1"),
        help="registrars who must sign the file of reviewers' keys; as on the decision point (default: 1)",
    )
    parser.add_argument(
        "--registrar-keys",
        type=Path,
        default=from_environment("registrar-keys", "") or None,
        metavar="FILE",
        help="public keys of the registrars, one .pub line each; as on the decision point",
    )
    parser.add_argument(
        "--reviewers-installation",
        default=from_environment("reviewers-installation", ""),
        metavar="NAME",
        help="name of this installation, which the file of reviewers' keys must have; as on the decision point",
    )
    parser.add_argument(
        "--passkey-origin",
        action="append",
        metavar="ORIGIN",
        help="origin of a console where passkeys sign; repeatable; as on the decision point",
    )
    return [origin for origin in from_environment("passkey-origin", "").split(",") if origin]


def flag_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the command line, whose defaults are those of this environment."""

    def from_environment(flag: str, default: str) -> str:
        return environment.get(_ENVIRONMENT + flag.upper().replace("-", "_"), default)

    parser = argparse.ArgumentParser(
        prog="bailiwick-operator",
        usage="%(prog)s [--kubeconfig FILE] [FLAGS]",
        description="Reconcile EndpointPolicies and ApprovalGrants, and prove that the guards are in force.",
        epilog="You can also set a flag --some-name by the variable BAILIWICK_SOME_NAME (several values: with commas).",
        allow_abbrev=False,
    )

    def text(flag: str, default: str, meaning: str) -> None:
        parser.add_argument(
            f"--{flag}", default=from_environment(flag, default), help=f"{meaning} (default: {default})"
        )

    def number(flag: str, kind: type[int | float], default: float, meaning: str) -> None:
        # argparse converts a default that is text, so a bad variable is refused like a bad flag.
        help_text = f"{meaning} (default: {default})"
        parser.add_argument(f"--{flag}", type=kind, default=from_environment(flag, str(default)), help=help_text)

    text("namespace", _DEFAULTS.namespace, "namespace in which Bailiwick is installed")
    text("webhook-account", _DEFAULTS.webhook_name, "service account of the decision point")
    text("operator-account", _DEFAULTS.operator_name, "service account of the operator")
    prefixes = [prefix for prefix in from_environment("human-username-prefix", "").split(",") if prefix]
    parser.add_argument(
        "--human-username-prefix",
        action="append",
        metavar="PREFIX",
        help="prefix of the usernames of people; repeatable (default: any username that does not begin with system:)",
    )
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        default=from_environment("kubeconfig", "") or None,
        help="kubeconfig with the server, CA, and token or tokenFile (default: the projected token of the pod)",
    )
    text("webhook-service", _DEFAULTS.webhook_name, "Service of the decision point, to poll its ready processes")
    parser.add_argument(
        "--replica",
        action="append",
        metavar="URL",
        help="status URL of one process of the decision point to poll, instead of the Service; repeatable",
    )
    parser.add_argument(
        "--identity",
        default=from_environment("identity", ""),
        help="name of this process in the lease (default: the host name with a random suffix)",
    )
    number("lease-seconds", int, 15, "seconds for which the lease is valid without renewal")
    number("renew-seconds", int, 10, "seconds within which a renewal must succeed before leadership is lost")
    number("retry-seconds", int, 2, "seconds between attempts to acquire or renew the lease")
    number("proof-interval", float, 60, "seconds between proofs of the guards; a review triggers more")
    number("guard-settle", float, 2, "seconds for which a changed guard must stay unchanged before it is recorded")
    parser.add_argument(
        "--require-keep",
        choices=_SWITCH,
        default=from_environment("require-keep", "false"),
        help="whether the guards count as unproven while an API server does not keep them from its own disk"
        " (default: false)",
    )
    number("key-rotation-seconds", int, 2_592_000, "seconds that a signing key signs before the next one is published")
    number(
        "key-publish-seconds",
        int,
        600,
        "seconds for which a signing key is published before it signs; more than the 300 that clients can cache it",
    )
    number("key-interval", float, 30, "seconds between checks of the signing keys")
    parser.add_argument(
        "--tls-mode",
        choices=_MODES,
        default=from_environment("tls-mode", "self-managed"),
        help="issuer of the decision point's certificate: the operator (self-managed), or cert-manager or a person"
        " (external). Either way, the operator publishes the CA (default: self-managed)",
    )
    names = [name for name in from_environment("serving-name", "").split(",") if name]
    parser.add_argument(
        "--serving-name",
        action="append",
        metavar="NAME",
        help="additional DNS name or IP address for the certificate, besides the names of the Service; repeatable",
    )
    number("certificate-seconds", int, 90 * _DAY, "lifetime of a serving certificate; replaced after two thirds")
    number("ca-seconds", int, 5 * 365 * _DAY, "lifetime of a certificate authority; superseded after two thirds")
    number(
        "ca-settle-seconds",
        int,
        _DAY,
        "seconds for which an authority is published before it issues, and after its last certificate is out of use;"
        " must exceed the time for which any caller caches the CA bundle",
    )
    number("certificate-interval", float, 10, "seconds between checks of the certificates, at most 60")
    number("relist-interval", float, 600, "seconds between full lists, which repair missed deletions; with jitter")
    number("request-timeout", float, 10, "timeout in seconds of one request to the API server")
    number("grant-retention-seconds", int, _DAY, "seconds for which an ended grant is kept; must exceed any cooldown")
    number("grants-kept-per-policy", int, 500, "ended grants to keep per policy; older ones go after an hour")
    parser.add_argument(
        "--issuers",
        type=Path,
        default=from_environment("issuers", "") or None,
        metavar="FILE",
        help="issuers file of the decision point. It says how the API server names the people of each issuer, which"
        " prevents people from approving their own requests",
    )
    number("budget-bytes", int, _BUDGET.total, "bytes of all compiled policies; as on the decision point")
    number("namespace-budget-bytes", int, _BUDGET.namespace, "the same for one namespace; 0 for no limit")
    number("policy-budget-bytes", int, _BUDGET.policy, "the same for one policy")
    number("namespace-policies", int, _BUDGET.policies, "policies per namespace; as on the decision point")
    number("namespace-spec-bytes", int, _BUDGET.text, "bytes of JSON that the specs of a namespace can have together")
    number("witness-interval", float, 10, "seconds between polls of the decision point's logs; 0 disables the witness")
    parser.add_argument(
        "--ledger-file",
        type=Path,
        default=from_environment("ledger-file", "") or None,
        metavar="FILE",
        help="file that the operator's own log is appended to (default: stdout)",
    )
    notifyflags.add(parser, from_environment)
    coverageflags.add(parser, from_environment)
    number("health-port", int, 0, "port of /healthz and /metrics; 0 disables it")
    parser.add_argument(
        "--log-level",
        choices=_LEVELS,
        default=from_environment("log-level", "info"),
        help="minimum level of the JSON lines that are logged to stderr (default: info)",
    )
    parser.set_defaults(
        environment_prefixes=prefixes,
        environment_replicas=[url for url in from_environment("replica", "").split(",") if url],
        environment_names=names,
        environment_origins=_add_registrars(parser, from_environment),
    )
    return parser
