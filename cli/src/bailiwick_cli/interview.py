"""What `init` needs to know, from flags, and at a terminal from answers. Standing: under `commands.init`.

Holds: what a flag gives is not asked for; an answer that cannot be read is asked for again; without a terminal nothing
is asked, and all that is missing is named at once.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli.errors import CliError
from bailiwick_cli.verbs.policyverbs import InitFlags
from bailiwick_governance import arguments
from bailiwick_governance.errors import UserError

Answer = TypeVar("Answer")

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NEITHER: Final = "name an action to allow, or one that needs an approval: a policy needs a rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPolicy:
    """What the first policy says, and whom it is about. One of `allow` and `approve` is not empty."""

    namespace: str
    endpoint: str
    enforcer: ServiceAccountName
    subject: ServiceAccountName
    resource: str
    allow: tuple[str, ...]
    approve: tuple[str, ...]
    reviewers: str | None


def first_policy(options: InitFlags) -> FirstPolicy:
    """Return what the flags say, and what a person at the terminal answers for the others. Raises `CliError`."""
    if missing(options) and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(f"without a terminal, also set {', '.join(missing(options))}")
    # What is given and cannot be read is an error before the first question.
    for flag, given in (("--enforcer", options.enforcer), ("--subject", options.subject)):
        if given:
            arguments.service_account(given, flag)
    namespace = options.namespace or _ask(
        "The namespace of the endpoint", "crm", _word, default=_label(Path(options.folder).absolute().name)
    )
    endpoint = options.endpoint or _ask("The name of the endpoint", "crm-api", _word, default=f"{namespace}-api")
    enforcer = _account(
        options.enforcer, "--enforcer", "The account that requests decisions", default=f"sa:{namespace}/{endpoint}"
    )
    subject = _account(options.subject, "--subject", "The account whose calls are decided", default=None)
    resource = options.resource or _ask("The type of the resources", "customer", _word, default=None)
    allow, approve = tuple(options.allow or ()), tuple(options.approve or ())
    if not (allow or approve):
        allow = _ask("Actions to allow, with spaces between", "customers.list", _words, default="")
        approve = _ask("Actions that need an approval", "customers.export", _some if not allow else _words, default="")
    reviewers = options.reviewers
    if approve and not reviewers:
        reviewers = _ask("The group whose people approve", "crm-owners", _word, default=f"{namespace}-owners")
    return FirstPolicy(
        namespace=namespace,
        endpoint=endpoint,
        enforcer=enforcer,
        subject=subject,
        resource=resource,
        allow=allow,
        approve=approve,
        reviewers=reviewers,
    )


def missing(options: InitFlags) -> list[str]:
    """Return what no flag gives, as it would be typed."""
    wanted = {
        "--namespace": options.namespace,
        "--endpoint": options.endpoint,
        "--enforcer": options.enforcer,
        "--subject": options.subject,
        "--resource": options.resource,
        "--allow or --approve": options.allow or options.approve,
        "--reviewers": options.reviewers if options.approve else True,
    }
    return [flag for flag, value in wanted.items() if not value]


def _account(given: str | None, flag: str, question: str, *, default: str | None) -> ServiceAccountName:
    def read(text: str) -> ServiceAccountName:
        return arguments.service_account(text, flag)

    return read(given) if given else _ask(question, "sa:agents/crm-agent", read, default=default)


def _ask(question: str, example: str, read: Callable[[str], Answer], *, default: str | None) -> Answer:
    """Ask until the answer can be read. `default` is what an empty line means; None: there is no such."""
    hint = f" [{default}]" if default else f" (for example {example})"
    while True:
        sys.stderr.write(f"{question}{hint}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise CliError("the questions were not answered, and nothing is written")
        try:
            return read(line.strip() or default or "")
        except UserError as error:
            sys.stderr.write(f"{error}\n")


def _word(text: str) -> str:
    if not text or len(text.split()) > 1:
        raise CliError("write one word")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _some(text: str) -> tuple[str, ...]:
    if not _words(text):
        raise CliError(_NEITHER)
    return _words(text)


def _label(text: str) -> str | None:
    """Return the name of a folder if a namespace can have it."""
    return text if _LABEL.fullmatch(text) else None
