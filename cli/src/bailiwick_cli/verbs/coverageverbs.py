"""The verb that finds calls that nothing asks about: what it takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import INSTALLATION, Flags, InstallationOption


class CoverageOutput(StrEnum):
    """How coverage is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


class CoverageFailOn(StrEnum):
    """Which findings exit with 1."""

    UNPROTECTED = "unprotected"
    AROUND = "around"
    UNRULED = "unruled"
    UNGATED = "ungated"
    OVERPRIVILEGED = "overprivileged"
    STALE = "stale"
    UNKNOWN = "unknown"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class CoverageFlags(Flags):
    """Show what no decision point is asked about.

    Finds Services and routes without an enforcement point, paths around it, operations without a rule, irreversible
    actions without an approval, accounts whose rights no policy decides, and what is stale. Most findings have an
    object that fixes them. The command reads as you. What you may not read is a finding too. It changes nothing in the
    cluster.

    Exits 0 if no finding is one of --fail-on, 1 if one is, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick coverage -n crm
      kubectl bailiwick coverage -A --fixes > fixes.yaml
      kubectl bailiwick coverage -n crm --openapi openapi.yaml --fail-on unruled
      kubectl bailiwick coverage -f policies --openapi openapi.yaml
      kubectl bailiwick coverage -A --context east --context west -o html > coverage.html
      kubectl bailiwick coverage -n crm --write policies
    """

    # Several of each are asked about here.
    namespace: Annotated[  # type: ignore[assignment]
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Repeatable. Default: the namespace of the context."),
    ]
    context: Annotated[  # type: ignore[assignment]
        list[str] | None,
        typer.Option("--context", metavar="NAME", help="The kubeconfig context to use. Repeatable: several clusters."),
    ]
    all_namespaces: Annotated[
        bool,
        typer.Option(
            "--all-namespaces", "-A", help="All namespaces, but those of Kubernetes itself and of the installation."
        ),
    ] = False
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="FILE",
            help="Examine the rules of files or folders (unruled, ungated) instead of a cluster. - is stdin.",
        ),
    ] = None
    installation: InstallationOption = INSTALLATION
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", metavar="NAME", help="The endpoint of --openapi and --mcp. Default: the only one there."
        ),
    ] = None
    openapi: Annotated[
        list[str] | None,
        typer.Option(
            "--openapi", metavar="FILE|URL", help="Compare the rules with this OpenAPI description. Repeatable."
        ),
    ] = None
    mcp: Annotated[
        list[str] | None,
        typer.Option("--mcp", metavar="URL", help="Compare the rules with what this MCP server lists. Repeatable."),
    ] = None
    words: Annotated[
        str | None,
        typer.Option("--words", metavar="FILE", help="Words of actions that look irreversible, one on a line."),
    ] = None
    expires_within: Annotated[
        str, typer.Option("--expires-within", metavar="TIME", help="How soon an expiry is a finding.")
    ] = "14d"
    unused_for: Annotated[
        str, typer.Option("--unused-for", metavar="TIME", help="How long a policy must be unused to be a finding.")
    ] = "30d"
    fail_on: Annotated[
        list[CoverageFailOn] | None,
        typer.Option("--fail-on", help="Exit with 1 on findings of this code. Repeatable. Default: any."),
    ] = None
    fixes: Annotated[
        bool, typer.Option("--fixes", help="Print the fixes in place of the table, for `kubectl apply -f -`.")
    ] = False
    write: Annotated[
        str | None,
        typer.Option(
            "--write",
            metavar="DIR",
            help="Also write a first policy, in mode Audit, for each unprotected Service into this folder.",
        ),
    ] = None
    output: Annotated[CoverageOutput, typer.Option("--output", "-o", help="Output format.")] = CoverageOutput.TABLE
