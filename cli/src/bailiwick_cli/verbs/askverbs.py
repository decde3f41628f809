"""The verbs that ask policies a question: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bailiwick_cli.options import Flags, LogOutput, Output, ReportOutput

_FILES: Final = typer.Option(
    "--filename",
    "-f",
    metavar="FILE",
    help="Read policies from files or folders instead of the cluster. - is stdin.",
)


_ENDPOINT: Final = typer.Option("--endpoint", metavar="NAME", help="Default: the only endpoint in the namespace.")


_AT: Final = typer.Option(
    "--at",
    metavar="TIME",
    help="By the policies of that time, which the decisions in the logs name: a time in RFC 3339, a day, or how long"
    " ago, such as 24h. Needs --log.",
)


_LOG: Final = typer.Option(
    "--log",
    metavar="LOG",
    help="For --at: log files or URLs, as of `audit verify`: of all decision points and of the operator's ledger, from"
    " before the time until after it. Repeatable.",
)


_PROPERTIES: Final = typer.Option("--property", metavar="NAME=VALUE", help="A property of the resource.")


_SUBJECT: Final = typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the call.")


@dataclass(frozen=True, kw_only=True)
class AskFlags(Flags):
    """What every question takes: where the policies are, and of which time."""

    endpoint: Annotated[str | None, _ENDPOINT] = None
    file: Annotated[list[str] | None, _FILES] = None
    at: Annotated[str | None, _AT] = None
    log: Annotated[list[str] | None, _LOG] = None


@dataclass(frozen=True, kw_only=True)
class CallFlags(AskFlags):
    """What every question about one call takes."""

    arguments: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="An argument of the call (context.args).")
    ] = None
    properties: Annotated[list[str] | None, _PROPERTIES] = None
    members: Annotated[
        list[str] | None,
        typer.Option(
            "--call-context", metavar="NAME=VALUE", help="A member of the call's context (CEL: context.NAME)."
        ),
    ] = None
    now: Annotated[
        str | None,
        typer.Option(
            "--now",
            metavar="TIME",
            help="When the call is made: a time in RFC 3339, a day, or how long ago, such as 24h.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CheckFlags(CallFlags):
    r"""Show what the policies decide for a call, and why.

    The command uses the same engine as the cluster. It evaluates the call as if an enforcer of the endpoint had asked
    and the subject were authenticated. The workload and the claims of the subject are unknown here, so a rule that
    needs them does not allow the call.

    Examples:
      kubectl bailiwick check --subject sa:agents/crm-agent customers.export customer/42 -n crm
      kubectl bailiwick check --subject sa:ops/secret-rotator secrets.read secret/db/main -n vault \
          --property env=prod --arg version=3 --call-context intent=rotation
      kubectl bailiwick check --subject sa:agents/crm-agent customers.list customer/7 -n crm -f policies.yaml
    """

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID")]
    subject: Annotated[str, _SUBJECT]
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class WhoCanFlags(AskFlags):
    """Show who can do something, and on which conditions.

    Shows each subject with the rule that lets it, the conditions, and whose approval it needs. A Deny that takes an
    Allow away counts. What depends on a condition says so. In a cluster the command also shows who could change the
    answer, approve, or act as a service account that it names. Exits 0 if a subject can, also with an approval, 1 if
    none can, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick who-can customers.export --on customer/42 -n crm
      kubectl bailiwick who-can secrets.read --on secret/db/main --property env=prod -f examples/secrets/policy.yaml
      kubectl bailiwick who-can customers.export --on customer/42 --at 2026-03-05 --log decisions.log --log ledger.log
    """

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Option("--on", metavar="TYPE/ID", help="The resource.")]
    properties: Annotated[list[str] | None, _PROPERTIES] = None
    intent: Annotated[
        str | None, typer.Option("--intent", metavar="NAME", help="The declared purpose. Default: any.")
    ] = None
    direct: Annotated[
        bool,
        typer.Option(
            "--direct", help="Do not ask the cluster who could change the answer, approve or act as somebody."
        ),
    ] = False
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="Output format.")] = ReportOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class WhatCanFlags(AskFlags):
    """Show what a subject can do, and on which conditions.

    Shows actions and resources, the conditions, and whose approval each needs. Groups count only if you name them.
    Exits 0 if there is something, also with an approval, 1 if there is nothing, and 2 if the command could not
    answer.

    Examples:
      kubectl bailiwick what-can sa:agents/crm-agent -n crm
      kubectl bailiwick what-can sa:agents/crm-agent -f examples/crm/policy.yaml
      kubectl bailiwick what-can user:corp/carol --member-of support -n crm
      kubectl bailiwick what-can sa:agents/crm-agent --at 2026-03-05T09:30:00Z --log s3://bailiwick-records/crm
    """

    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT",
            help="sa:NAMESPACE/NAME, user:ISSUER/NAME, group:ISSUER/NAME, or entity:TYPE/ID of the enforcer's word.",
        ),
    ]
    member_of: Annotated[
        list[str] | None,
        typer.Option("--member-of", metavar="NAME", help="A group of the user, of the same issuer. Repeatable."),
    ] = None
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="Output format.")] = ReportOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ExplainFlags(CallFlags):
    """Explain the decision of a record in the log, or of a call.

    Shows the verdict, the rule that decided, and for each rule that came near the first thing that was missing, with
    the values that its conditions read. What is sealed in the record stays sealed. The command does not explain a
    record that its own policies do not reproduce. For a record it exits 0 if it is explained, 1 if it is not
    reproduced, and 2 if the record or its policies are missing. For a call, which it takes as `check` does, it exits as
    `check` does.

    Examples:
      kubectl bailiwick explain 01JD3Z8Q6W decisions.log ledger.log
      kubectl bailiwick explain 01JD3Z8Q6W decisions.log --policies policies/
      kubectl bailiwick explain customers.delete customer/42 --subject sa:agents/crm-agent -f examples/crm/policy.yaml
    """

    words: Annotated[
        list[str],
        typer.Argument(
            metavar="EVALUATION_ID FILE...",
            help="A decision, and log files or URLs, as of `audit verify`. With --subject, a call: ACTION TYPE/ID.",
        ),
    ]
    subject: Annotated[str | None, _SUBJECT] = None
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies",
            metavar="FILE|ledger",
            help="The policies that decided a record: of a file or folder, or of the operator's ledger in the log files"
            " (the default).",
        ),
    ] = None
    item: Annotated[int | None, typer.Option("--item", metavar="N", help="The item of a batch, from 0.")] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
