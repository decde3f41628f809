"""The flags of notifications, beside those of `settings`, which reads them with the rest."""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bailiwick_api.accounts import CLUSTER_NAME
from bailiwick_notifications.addresses import AddressRule, networks
from bailiwick_notifications.pace import DeliveryTerms
from bailiwick_operator.flagvalues import is_network, is_url

_TERMS: Final = DeliveryTerms()
_LONGEST_LEAD: Final = 86_400


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """`folder` None: the installation has no targets. `lead` None: a share of the time that a grant waits."""

    folder: Path | None = None
    console: str | None = None
    cluster: str | None = None
    namespaces: bool = False
    rule: AddressRule = AddressRule(public_only=True)  # noqa: RUF009 - frozen
    lead: timedelta | None = None
    terms: DeliveryTerms = DeliveryTerms()  # noqa: RUF009 - frozen

    @property
    def on(self) -> bool:
        """Whether notifications can have a target."""
        return self.folder is not None or self.namespaces


def add(parser: argparse.ArgumentParser, default: Callable[[str, str], str]) -> None:
    """Add the flags. `default` returns the value of a flag's variable, or else the given default."""
    parser.add_argument(
        "--notifications-dir",
        type=Path,
        default=default("notifications-dir", "") or None,
        metavar="DIR",
        help="folder with the targets of the installation's notifications: a mounted Secret (default: none)",
    )
    parser.add_argument(
        "--console-url",
        default=default("console-url", ""),
        metavar="URL",
        help="public URL of the console, for links in notifications (default: they name a kubectl command)",
    )
    parser.add_argument(
        "--cluster-name",
        default=default("cluster-name", ""),
        metavar="NAME",
        help="what this cluster is called, for the titles of notifications (default: they name no cluster)",
    )
    parser.add_argument(
        "--notify-namespaces",
        choices=("true", "false"),
        default=default("notify-namespaces", "false"),
        help="whether to read targets from the Secret bailiwick-notifications of a grant's namespace (default: false)",
    )
    for name, meaning in (
        ("allowed", "in which targets of namespaces can be, although it is not public"),
        ("refused", "in which targets of namespaces are never called"),
    ):
        flag = f"notify-{name}-cidr"
        parser.add_argument(f"--{flag}", action="append", metavar="CIDR", help=f"network {meaning}; repeatable")
        parser.set_defaults(**{f"environment_{name}_cidr": [cidr for cidr in default(flag, "").split(",") if cidr]})
    parser.add_argument(
        "--notify-lead-seconds",
        type=int,
        default=default("notify-lead-seconds", "0"),
        help="seconds before an unanswered request expires at which reviewers are notified; 0: a fifth of the time that"
        " it waits (default: 0)",
    )
    parser.add_argument(
        "--notify-per-minute",
        type=int,
        default=default("notify-per-minute", str(_TERMS.per_minute)),
        help="messages per minute to one target; a digest counts the messages above that"
        f" (default: {_TERMS.per_minute})",
    )


def problem(options: argparse.Namespace) -> str | None:
    """Return what is wrong with the options; None where nothing is."""
    if options.console_url and not is_url(options.console_url):
        return f"--console-url {options.console_url}: must be a URL such as https://approvals.example.com"
    if options.cluster_name and not re.fullmatch(CLUSTER_NAME, options.cluster_name):
        return "--cluster-name must be letters, digits, dots, dashes and underscores, such as production-east"
    for cidr in (*_cidrs(options, "allowed"), *_cidrs(options, "refused")):
        if not is_network(cidr):
            return f"--notify-allowed-cidr and --notify-refused-cidr: {cidr} is not a network such as 10.0.0.0/8"
    if options.notify_namespaces not in {"true", "false"}:
        return "--notify-namespaces must be true or false"
    if not 0 <= options.notify_lead_seconds <= _LONGEST_LEAD:
        return "--notify-lead-seconds must be between 0 seconds and one day"
    if options.notify_per_minute < 1:
        return "--notify-per-minute must be at least 1"
    return None


def read(options: argparse.Namespace) -> NotifySettings:
    """Return the settings of valid options."""
    seconds = options.notify_lead_seconds
    return NotifySettings(
        folder=options.notifications_dir,
        console=options.console_url.rstrip("/") or None,
        cluster=options.cluster_name or None,
        namespaces=options.notify_namespaces == "true",
        rule=AddressRule(
            public_only=True,
            allowed=networks(_cidrs(options, "allowed")),
            refused=networks(_cidrs(options, "refused")),
        ),
        lead=timedelta(seconds=seconds) if seconds else None,
        terms=DeliveryTerms(per_minute=options.notify_per_minute),
    )


def _cidrs(options: argparse.Namespace, name: str) -> list[str]:
    cidrs: list[str] = getattr(options, f"notify_{name}_cidr") or getattr(options, f"environment_{name}_cidr")
    return cidrs
