"""The arguments of the commands that ask policies a question. Standing: as `commandflags`, which lists them.

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
_PROPERTIES: Final = typer.Option("--property", metavar="NAME=VALUE", help="A property of the resource.")
_SUBJECT: Final = typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the call.")


@dataclass(frozen=True, kw_only=True)
class AskFlags(Flags):
    """Of every question: where the policies are."""

    endpoint: Annotated[str | None, _ENDPOINT] = None
    file: Annotated[list[str] | None, _FILES] = None


@dataclass(frozen=True, kw_only=True)
class CallFlags(AskFlags):
    """Of every question about one call."""

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


@dataclass(frozen=True, kw_only=True)
class CheckFlags(CallFlags):
    """Of `check`."""

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID")]
    subject: Annotated[str, _SUBJECT]
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class ExplainFlags(CallFlags):
    """Of `explain`."""

    words: Annotated[
        list[str],
        typer.Argument(
            metavar="EVALUATION_ID FILE...",
            help="A decision, and log files, plain or compressed with gzip. With --subject, a call: ACTION TYPE/ID.",
        ),
    ]
    subject: Annotated[str | None, _SUBJECT] = None
    policies: Annotated[
        str,
        typer.Option(
            "--policies",
            metavar="FILE|ledger",
            help="The policies of that time: a file or folder, or the ledger of the operator in the log files.",
        ),
    ] = "ledger"
    item: Annotated[int | None, typer.Option("--item", metavar="N", help="The item of a batch, from 0.")] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class WhoCanFlags(AskFlags):
    """Of `who-can`."""

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
    """Of `what-can`."""

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


QUESTIONS: Final[dict[str, type[Flags]]] = {
    "check": CheckFlags,
    "who-can": WhoCanFlags,
    "what-can": WhatCanFlags,
    "explain": ExplainFlags,
}
"""The commands that ask."""
