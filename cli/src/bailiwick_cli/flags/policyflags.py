"""The arguments of the policy tools, one dataclass each. Standing: under `commandflags`, which lists them.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bailiwick_cli.options import FindingOutput, Flags, SuiteOutput


@dataclass(frozen=True, kw_only=True)
class SuiteFlags(Flags):
    """Of `test`."""

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Test files, or folders with files named *_test.yaml.")
    ]
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="FILE",
            help="Test these policies instead of those that the test files name. - is stdin.",
        ),
    ] = None
    live: Annotated[
        bool,
        typer.Option("--live", help="Test the policies of the namespace in the cluster instead, as they are in force."),
    ] = False
    filter: Annotated[
        str | None,
        typer.Option("--filter", metavar="TEXT", help="Run only tests whose name contains this, or matches it with *."),
    ] = None
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Also show the rules, conditions and actions that no test covers.")
    ] = False
    shuffle: Annotated[
        int,
        typer.Option(
            "--shuffle", metavar="N", min=0, help="Run N more times, with policies, rules and tests in another order."
        ),
    ] = 0
    output: Annotated[SuiteOutput, typer.Option("--output", "-o", help="Output format.")] = SuiteOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ValidateFlags(Flags):
    """Of `validate`."""

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files and folders of policies and data. - is stdin.")
    ]
    server: Annotated[
        bool,
        typer.Option(
            "--server", help="Also ask the API server, by a dry run: what admission there refuses is an error too."
        ),
    ] = False
    output: Annotated[FindingOutput, typer.Option("--output", "-o", help="Output format.")] = FindingOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class InitFlags(Flags):
    """Of `init`."""

    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where to write. It is created if it is not there.")]
    endpoint: Annotated[str | None, typer.Option("--endpoint", metavar="NAME", help="The endpoint of the calls.")] = (
        None
    )
    enforcer: Annotated[
        str | None,
        typer.Option("--enforcer", metavar="sa:NAMESPACE/NAME", help="The account that requests decisions."),
    ] = None
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the calls.")
    ] = None
    resource: Annotated[str | None, typer.Option("--resource", metavar="TYPE", help="The type of the resources.")] = (
        None
    )
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="ACTION", help="An action to allow. Repeatable.")
    ] = None
    approve: Annotated[
        list[str] | None,
        typer.Option("--approve", metavar="ACTION", help="An action that needs an approval. Repeatable."),
    ] = None
    reviewers: Annotated[
        str | None, typer.Option("--reviewers", metavar="GROUP", help="The group whose people approve.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class SchemaFlags(Flags):
    """Of `schema`."""

    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="EndpointPolicy, EndpointData, ApprovalGrant or PolicyTest.")
    ]


POLICY_TOOLS: Final[dict[str, type[Flags]]] = {
    "test": SuiteFlags,
    "validate": ValidateFlags,
    "init": InitFlags,
    "schema": SchemaFlags,
}
"""The commands that work on files, and ask a cluster only where a flag says so."""
