"""The arguments of every command, one dataclass each.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

import inspect
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, Final, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from bailiwick_cli.flags.askflags import QUESTIONS
from bailiwick_cli.flags.consoleflags import ConsoleFlags, ServeConsoleFlags
from bailiwick_cli.flags.diffflags import DiffFlags
from bailiwick_cli.flags.policyflags import POLICY_TOOLS
from bailiwick_cli.flags.replayflags import ReplayFlags
from bailiwick_cli.flags.suggestflags import SuggestFlags
from bailiwick_cli.flags.usageflags import UnusedFlags
from bailiwick_cli.grantnames import beginning
from bailiwick_cli.options import OPTIONAL, Flags, Output, WaitCondition

GRANT: Final = "NAME"


def _completed(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a grant, for a shell; kubectl asks `complete` itself."""
    given = {**(ctx.obj or {}), **{name: value for name, value in ctx.params.items() if value}}
    return beginning(given, incomplete)


@dataclass(frozen=True, kw_only=True)
class List(Flags):
    """Of `list`."""

    mine: Annotated[bool, typer.Option("--mine", help="Show only grants that you requested or that apply to you.")] = (
        False
    )
    to_review: Annotated[bool, typer.Option("--to-review", help="Show only grants that you can review.")] = False
    active: Annotated[bool, typer.Option("--active", help="Show only grants that can be used now.")] = False
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="List across all namespaces.")] = False
    watch: Annotated[bool, typer.Option("--watch", "-w", help="After listing, print a line for each change.")] = False
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Omit the header line.")] = False


@dataclass(frozen=True, kw_only=True)
class ShowFlags(Flags):
    """Of `show`."""

    name: Annotated[str, typer.Argument(metavar=GRANT, autocompletion=_completed)]
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class ReviewFlags(Flags):
    """Of `approve` and `deny`."""

    names: Annotated[list[str], typer.Argument(metavar=GRANT, autocompletion=_completed)]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, for the record.")]
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="NAME", help="The step to review. Required if you can review several."),
    ] = None
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="The group of the step to review for.")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation. Requires --binding.")] = False
    binding: Annotated[
        str | None,
        typer.Option(
            "--binding", metavar="HEX", help="The first hex digits, at least 8, of the binding that you were shown."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RevokeFlags(Flags):
    """Of `revoke`."""

    names: Annotated[list[str], typer.Argument(metavar=GRANT, autocompletion=_completed)]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, for the record.")]


@dataclass(frozen=True, kw_only=True)
class WaitFlags(Flags):
    """Of `wait`."""

    name: Annotated[str, typer.Argument(metavar=GRANT, autocompletion=_completed)]
    until: Annotated[WaitCondition, typer.Option("--for", help="The condition to wait for.")] = WaitCondition.APPROVED
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait.")] = "10m"


@dataclass(frozen=True, kw_only=True)
class RequestFlags(Flags):
    """Of `request`."""

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID", help="The id may end in * after one of . : /")]
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="NAME", help="The endpoint of the calls.")]
    subject: Annotated[str, typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the calls.")]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason. Reviewers see it.")]
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="POLICY/RULE", help="Default: the rules that apply to these calls."),
    ] = None
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the resource.")
    ] = None
    intent: Annotated[
        str | None, typer.Option("--intent", metavar="NAME", help="The declared intent of the calls.")
    ] = None
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="TIME", help="How long the grant can be used. Default: as the rule says."),
    ] = None
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="N", min=1, help="How many uses. Default: as the rule says.")
    ] = None
    pending: Annotated[
        str, typer.Option("--pending", metavar="TIME", help="How long the request waits for reviews, at most 24h.")
    ] = "1h"
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="TIME", help="Wait for the approval, at most this long.")
    ] = None
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.NAME


COMMANDS: Final[dict[str, type[Flags]]] = {
    "list": List,
    "show": ShowFlags,
    "approve": ReviewFlags,
    "deny": ReviewFlags,
    "revoke": RevokeFlags,
    "request": RequestFlags,
    "wait": WaitFlags,
    "console": ConsoleFlags,
    "serve-console": ServeConsoleFlags,
    **QUESTIONS,
    **POLICY_TOOLS,
    "diff": DiffFlags,
    "replay": ReplayFlags,
    "unused": UnusedFlags,
    "suggest": SuggestFlags,
}


def option_types(options: type[Flags]) -> dict[str, Any]:
    """Return each spelling of each option (not of arguments) with the type of its value; bool: it takes none."""
    found: dict[str, Any] = {}
    for parameter in parameters(options):
        kind, info = get_args(parameter.annotation)
        if isinstance(info, OptionInfo):
            # As typer keeps them: what was given first stands in the place of a default.
            found |= dict.fromkeys((str(info.default), *(info.param_decls or ())), kind)
    return found


def parameters(options: type[Flags]) -> list[inspect.Parameter]:
    """Return a parameter for each field, kubectl's own last."""
    hints = get_type_hints(options, include_extras=True)
    own = [one for one in fields(options) if one.name not in OPTIONAL]
    kubectls = [one for one in fields(options) if one.name in OPTIONAL]
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in (*own, *kubectls)
    ]


def _default(field: Field[Any]) -> Any:  # noqa: ANN401 - of any field
    if field.name in OPTIONAL:
        return None
    return inspect.Parameter.empty if field.default is MISSING else field.default
