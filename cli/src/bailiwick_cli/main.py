"""`kubectl bailiwick`: the commands and their help.

Holds: `--help` imports no more than typer; each command imports what it needs when it runs.
"""

import os
import sys
from typing import Final

import typer

from bailiwick_cli import flags
from bailiwick_cli.registry import before_command, command

# ruff: noqa: PLC0415 - what a command needs is imported by it, so that nobody waits for it who only wants help

_PROGRAM: Final = "kubectl-bailiwick"
_COMPLETE: Final = "_KUBECTL_BAILIWICK_COMPLETE"

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
before_command(
    app,
    "Ask for approvals, review them, and see what policies decide.\n\n"
    "Exit codes: 0 allowed or approved, 1 denied or no, 2 used wrongly or failed, 3 approval required or still"
    " pending, 4 wait timed out.",
)


@command(app, "list", flags.List)
def list_(options: flags.List) -> int:
    """List approvals and how they stand.

    Examples:
      kubectl bailiwick list -n crm
      kubectl bailiwick list --to-review -A
      kubectl bailiwick list --active -o wide --watch
    """
    from bailiwick_cli.commands import list as list_command

    return list_command.run(options)


@command(app, "show", flags.ShowFlags)
def show(options: flags.ShowFlags) -> int:
    """Show all of an approval.

    The call, who asked, steps and reviews so far, what it unlocks, and the requester's own words apart.

    Examples:
      kubectl bailiwick show agr-k3v9 -n crm
      kubectl bailiwick show agr-k3v9 -o yaml
    """
    from bailiwick_cli.commands import show

    return show.run(options)


@command(app, "approve", flags.ReviewFlags)
def approve(options: flags.ReviewFlags) -> int:
    """Approve one request, after showing it.

    At a terminal you are asked to confirm. Elsewhere say --yes and, with --binding, how the binding begins that you
    were shown: another request under the same name is not approved by mistake.

    Examples:
      kubectl bailiwick approve agr-k3v9 --reason "seen with the customer"
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --step owner --group crm-owners
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --yes --binding 9f3ab02c
    """
    from bailiwick_cli.commands import review

    return review.run(options, "Approve")


@command(app, "deny", flags.ReviewFlags)
def deny(options: flags.ReviewFlags) -> int:
    """Deny one request, after showing it.

    A denial is final.

    Examples:
      kubectl bailiwick deny agr-k3v9 --reason "not during the audit"
    """
    from bailiwick_cli.commands import review

    return review.run(options, "Deny")


@command(app, "revoke", flags.RevokeFlags)
def revoke(options: flags.RevokeFlags) -> int:
    """Take an approval back for good.

    The next call is denied. A request that waits for its reviews is withdrawn.

    Examples:
      kubectl bailiwick revoke agr-k3v9 --reason "incident closed"
    """
    from bailiwick_cli.commands import revoke

    return revoke.run(options)


@command(app, "request", flags.RequestFlags)
def request(options: flags.RequestFlags) -> int:
    r"""Ask for an approval beforehand.

    It is for a scope: subject, action, resource, and the properties that you name. Only rules with `binding: Scope`
    take one. It needs every review of the rules that it names. You need the verb request on their policies.

    Examples:
      kubectl bailiwick request secrets.read 'secret/db/*' -n vault --endpoint vault-api \
          --subject sa:ops/secret-rotator --reason "INC-7 database down"
      kubectl bailiwick request secrets.read secret/db/main -n vault --endpoint vault-api \
          --subject sa:ops/secret-rotator --reason INC-7 --uses 5 --window 30m --wait 10m
    """
    from bailiwick_cli.commands import request

    return request.run(options)


@command(app, "wait", flags.WaitFlags)
def wait(options: flags.WaitFlags) -> int:
    """Wait for an approval, or for its end.

    Exits with 0 when what is waited for is so, 1 when it cannot be any more, 4 when the time is over.

    Examples:
      kubectl bailiwick wait agr-k3v9 --timeout 30m && ./export.sh
      kubectl bailiwick wait agr-k3v9 --for ended
    """
    from bailiwick_cli.commands import wait

    return wait.run(options)


@command(app, "check", flags.CheckFlags)
def check(options: flags.CheckFlags) -> int:
    r"""Tell what policies decide, and why.

    The engine is the one that decides in the cluster. The call is judged as if an enforcer of the endpoint asked,
    with its subject proven. Workload and claims of the subject are unknown here, so a rule that needs them does not
    allow.

    Examples:
      kubectl bailiwick check --subject sa:agents/crm-agent customers.export customer/42 -n crm
      kubectl bailiwick check --subject sa:ops/secret-rotator secrets.read secret/db/main -n vault \
          --property env=prod --arg version=3 --call-context intent=rotation
      kubectl bailiwick check --subject sa:agents/crm-agent customers.list customer/7 -n crm -f policies.yaml
    """
    from bailiwick_cli.commands import check

    return check.run(options)


def main() -> int:
    """Run. Ends with `SystemExit`, as every typer program does."""
    by_shell = _COMPLETE in os.environ or {"--install-completion", "--show-completion"} & set(sys.argv)
    # The shell completes the program; people call the plugin.
    app(prog_name=_PROGRAM if by_shell else "kubectl bailiwick", complete_var=_COMPLETE)
    return 0
