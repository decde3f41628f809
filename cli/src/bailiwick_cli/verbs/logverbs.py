"""The verbs that look at policies by a log of decisions: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import Flags, LogArgument, ModifiedSinceOption, ReportOutput
from bailiwick_cli.verbs.shardflags import ShardFlags
from bailiwick_governance.suggestion.unusedrules import UnusedRules


class ReplayOutput(StrEnum):
    """How a replay is printed: for people, for a review, and for CI."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"


class SuggestOutput(StrEnum):
    """How suggestions are printed; `patch`: as commands for a shell."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True)
class InForceFlags(Flags):
    """Of the commands that hold a log against the policies in force (`in_force` reads them)."""

    files: LogArgument
    file: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", metavar="FILE", help="The policies in force: a file or folder. Repeatable."),
    ] = None
    live: Annotated[
        bool,
        typer.Option("--live", help="The policies in force are those of the namespace in the cluster."),
    ] = False
    modified_since: ModifiedSinceOption = None


@dataclass(frozen=True, kw_only=True)
class ReplayFlags(ShardFlags):
    """Decide the calls of a log again, under other policies.

    The engine decides each recorded call again: first by the policies that decided it, then by the candidate. A record
    that its own policies do not reproduce is no evidence. The output begins with how much of the log counts. Needs no
    cluster. Exits 0 if no decision is of --fail-on, 1 if one is, and 2 if nothing could be replayed.

    Examples:
      kubectl bailiwick replay decisions.log* ledger.log --candidate policies/crm
      kubectl bailiwick replay decisions.log ledger.log --candidate crm-agent.yaml --overlay --fail-on 'allow->deny'
      kubectl bailiwick replay decisions.log --policies policies-before --candidate policies --since 7d -o markdown
      kubectl bailiwick replay s3://bailiwick-records/2026 --candidate policies/crm
    """

    files: LogArgument
    candidate: Annotated[
        list[str],
        typer.Option(
            "--candidate", metavar="FILE", help="Policies to try: a file or folder, or - for stdin. Repeatable."
        ),
    ]
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies",
            metavar="FILE|ledger",
            help="The policies that decided: of a file or folder, or of the operator's ledger in the log files (the"
            " default).",
        ),
    ] = None
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="REV", help="Also take the candidate's files at this Git revision for what decided."
        ),
    ] = None
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay",
            help="Put the candidate's policies over those of the same names, and keep all others. Without it they are"
            " all policies of their endpoints.",
        ),
    ] = False
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only decisions since: a time in RFC 3339, or such as 24h."),
    ] = None
    modified_since: ModifiedSinceOption = None
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="CLASS",
            help="Exit with 1 on this: a class such as 'deny->allow', wider (the default), any, not-replayable (also a"
            " share: not-replayable:5%), or slower:2x. Repeatable.",
        ),
    ] = None
    output: Annotated[ReplayOutput, typer.Option("--output", "-o", help="Output format.")] = ReplayOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class UnusedFlags(InForceFlags, ShardFlags):
    """Show which rules were used, for whom, and which were not.

    A use is a call that a rule allowed, or that an approval let through. A rule that was not there for all of the
    window, and every rule of a log that is not whole, is not yet known. Only --live asks a cluster. Exits 0 if nothing
    is unused, 1 if something is, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick unused decisions.log* ledger.log -f policies
      kubectl bailiwick unused decisions.log ledger.log -f policies --state uses.json --window 30d -o json
    """

    window: Annotated[
        str,
        typer.Option(
            "--window", metavar="TIME", help="How long no call must have come through by a rule, up to the last line."
        ),
    ] = "90d"
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="FILE", help="Remember the last uses in this file, so that older logs can be left out."
        ),
    ] = None
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="Output format.")] = ReportOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class SuggestFlags(InForceFlags):
    """Suggest narrower policies from the calls in a log.

    Suggests shorter lists of actions, resources and subjects, and bounds on numbers, each with the uses that speak for
    it. Each suggestion was tried: `diff` finds it only narrower, and `replay` of the log changes no decision. The
    command applies nothing. Uses of the last day of the log do not count. What is not yet known (see `unused`) stays as
    it is. Only --live asks a cluster.

    Exits 0 if there is nothing to suggest, 1 if there is, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick suggest decisions.log* ledger.log -f policies
      kubectl bailiwick suggest decisions.log ledger.log -f policies --since 30d --unused remove --write narrower
      kubectl bailiwick suggest decisions.log ledger.log -f policies --approvers crm-owners -o patch
    """

    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Uses since: a time in RFC 3339, or such as 30d. Default: 90 days before the last line.",
        ),
    ] = None
    unused: Annotated[
        UnusedRules | None,
        typer.Option(
            "--unused",
            help="What becomes of rules without a use: remove them, make them ask for an approval, or keep them."
            " Subjects that never used a rule that others use are taken out of it; with approval, a rule of their own"
            " asks; with keep, they stay. Default: approval if you set --approvers, else only rules stay.",
        ),
    ] = None
    approvers: Annotated[
        list[str] | None,
        typer.Option(
            "--approvers",
            metavar="GROUP",
            help="A group of which one person must approve what is unused. Repeatable.",
        ),
    ] = None
    write: Annotated[
        str | None,
        typer.Option(
            "--write", metavar="DIR", help="Also write the changed policies into this folder, for you to apply."
        ),
    ] = None
    output: Annotated[SuggestOutput, typer.Option("--output", "-o", help="Output format.")] = SuggestOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ShipFlags(Flags):
    """Store the lines of a record file in an object store.

    Follows the file that a decision point writes (--record-file), and stores its whole lines byte for byte, compressed,
    below URL. SIGTERM has the rest stored, and ends the command. The chart runs it beside a decision point
    (webhook.record.shipper). The environment gives the credentials, as for URLs of logs. Needs no cluster. Needs the
    extra `objects` of the package.

    Examples:
      kubectl bailiwick ship /var/log/bailiwick/decisions.log s3://bailiwick-records/prod/pdp-1 --state state/
    """

    file: Annotated[str, typer.Argument(metavar="FILE", help="The record file. Nothing else may rotate or cut it.")]
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Where objects are made: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.",
        ),
    ]
    state: Annotated[
        str, typer.Option("--state", metavar="FOLDER", help="A folder to keep in how far the file is stored.")
    ]
    seconds: Annotated[
        int,
        typer.Option(
            "--seconds",
            metavar="N",
            min=1,
            max=3600,
            help="Maximum seconds that a line waits for others to be stored with.",
        ),
    ] = 10
