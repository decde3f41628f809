"""The arguments of every command, one dataclass each, and how they become a command of typer's.

Holds: this is on the way of `--help`, so it imports nothing but typer; kubectl's own flags are on every command, and
before it too (`kubectl bailiwick -n crm list`).
"""

import inspect
import os
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import OptionInfo

from bailiwick_cli.errors import CliError, Exit

GRANT: Final = "NAME"


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class Until(StrEnum):
    """What `wait` waits for."""

    APPROVED = "approved"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Flags:
    """kubectl's own."""

    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Default: the namespace of the context.")
    ]
    context: Annotated[
        str | None, typer.Option("--context", metavar="NAME", help="The context of the kubeconfig to use.")
    ]
    kubeconfig: Annotated[
        str | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, ~/.kube/config.")
    ]
    as_user: Annotated[str | None, typer.Option("--as", help="The username to impersonate.", metavar="USER")]
    as_group: Annotated[
        list[str] | None, typer.Option("--as-group", metavar="GROUP", help="A group to impersonate; repeatable.")
    ]
    request_timeout: Annotated[
        str | None,
        typer.Option(
            "--request-timeout", metavar="TIME", help="How long one request may take, as in 30s; 0: for ever."
        ),
    ]


_OPTIONAL: Final = ("namespace", "context", "kubeconfig", "as_user", "as_group", "request_timeout")


def _completed(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a grant, for a shell; kubectl asks `complete` itself."""
    from bailiwick_cli import complete  # noqa: PLC0415 - it imports us

    given = {**(ctx.obj or {}), **{name: value for name, value in ctx.params.items() if value}}
    flags = Flags(**{name: given.get(name) for name in _OPTIONAL})
    try:
        return [name for name in complete.grants(flags, only_waiting=False) if name.startswith(incomplete)]
    except CliError:
        return []


@dataclass(frozen=True, kw_only=True)
class List(Flags):
    """Of `list`."""

    mine: Annotated[bool, typer.Option("--mine", help="That I asked for, or that are for me.")] = False
    to_review: Annotated[bool, typer.Option("--to-review", help="That I can review.")] = False
    active: Annotated[bool, typer.Option("--active", help="That can be used now.")] = False
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with a line for each change.")] = False
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Leave out the first line.")] = False


@dataclass(frozen=True, kw_only=True)
class Show(Flags):
    """Of `show`."""

    name: Annotated[str, typer.Argument(metavar=GRANT, autocompletion=_completed)]
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class Review(Flags):
    """Of `approve` and `deny`."""

    names: Annotated[list[str], typer.Argument(metavar=GRANT, autocompletion=_completed)]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]
    step: Annotated[
        str | None, typer.Option("--step", metavar="NAME", help="The step to review, where several are yours.")
    ] = None
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="The group of the step that you review for.")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; goes with --binding.")] = False
    binding: Annotated[
        str | None,
        typer.Option(
            "--binding", metavar="HEX", help="How the binding that you were shown begins, at least 8 hex digits of it."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Revoke(Flags):
    """Of `revoke`."""

    names: Annotated[list[str], typer.Argument(metavar=GRANT, autocompletion=_completed)]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


@dataclass(frozen=True, kw_only=True)
class Wait(Flags):
    """Of `wait`."""

    name: Annotated[str, typer.Argument(metavar=GRANT, autocompletion=_completed)]
    until: Annotated[Until, typer.Option("--for", help="What to wait for.")] = Until.APPROVED
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="For how long.")] = "10m"


@dataclass(frozen=True, kw_only=True)
class Request(Flags):
    """Of `request`."""

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID", help="The id may end in * after one of . : /")]
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="NAME", help="The endpoint.")]
    subject: Annotated[str, typer.Option("--for", metavar="sa:NAMESPACE/NAME", help="For whom.")]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; reviewers see it.")]
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="POLICY/RULE", help="Default: those that speak of it.")
    ] = None
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property that the resource has.")
    ] = None
    intent: Annotated[str | None, typer.Option("--intent", metavar="NAME", help="The declared purpose.")] = None
    window: Annotated[
        str | None, typer.Option("--window", metavar="TIME", help="How long it can be used; default the rule's.")
    ] = None
    uses: Annotated[int | None, typer.Option("--uses", metavar="N", min=1, help="How often; default the rule's.")] = (
        None
    )
    pending: Annotated[
        str, typer.Option("--pending", metavar="TIME", help="How long it waits for reviews, at most 24h.")
    ] = "1h"
    wait: Annotated[str | None, typer.Option("--wait", metavar="TIME", help="Wait so long for the approval.")] = None
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.NAME


@dataclass(frozen=True, kw_only=True)
class Check(Flags):
    """Of `check`. `as_user` and `context` are of two kinds here and come as lists, see `checking`."""

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID")]
    as_whom: Annotated[
        list[str],
        typer.Option("--as", metavar="sa:NAMESPACE/NAME", help="Who calls. Without sa: whom to impersonate."),
    ]
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="Default: the one that there is.")
    ] = None
    arguments: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="An argument of the call (context.args).")
    ] = None
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the resource.")
    ] = None
    contexts: Annotated[
        list[str] | None,
        typer.Option(
            "--context", metavar="NAME=VALUE", help="A member of the call's context. Without =, of the kubeconfig."
        ),
    ] = None
    file: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", metavar="FILE", help="Policies from files or folders, not the cluster."),
    ] = None
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE


COMMANDS: Final[dict[str, type[Flags]]] = {
    "list": List,
    "show": Show,
    "approve": Review,
    "deny": Review,
    "revoke": Revoke,
    "request": Request,
    "wait": Wait,
    "check": Check,
}

Options = TypeVar("Options", bound=Flags)


def option_types(options: type[Flags]) -> dict[str, Any]:
    """Return each spelling of each option (not of arguments) with the type of its value; bool: it takes none."""
    found: dict[str, Any] = {}
    for parameter in _parameters(options):
        kind, info = get_args(parameter.annotation)
        if isinstance(info, OptionInfo):
            # As typer keeps them: what was given first stands in the place of a default.
            found |= dict.fromkeys((str(info.default), *(info.param_decls or ())), kind)
    return found


def _ends(run: Callable[[], int]) -> int:
    """Run a command; whatever happens in it becomes an exit code and at most one line."""
    try:
        code = run()
        # Here, so that a reader who has gone is noticed here.
        sys.stdout.flush()
    except CliError as error:
        _talk(f"error: {error}")
        return error.code
    except BrokenPipeError:
        # Whoever read us has read enough; what is left in the buffer must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a defect, and still no traceback
        if os.environ.get("BAILIWICK_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        _talk(f"error: a defect of this program ({said}); set BAILIWICK_DEBUG=1 to see where")
        return Exit.FAILURE
    else:
        return code


def _talk(text: str) -> None:
    from bailiwick_cli.output import talk  # noqa: PLC0415 - not on the way of `--help`

    talk(text)


class _Plain(TyperCommand):
    """Writes arguments in the usage as kubectl does, NAME: of a list of them one is taken, see `reviewing.one_name`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - a class that typer keeps to itself
        return [re.sub(r"^\{(.+)\}(\.\.\.)?$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def command(
    app: typer.Typer, name: str, options: type[Options]
) -> Callable[[Callable[[Options], int]], Callable[[Options], int]]:
    """Make a function of one dataclass a command. Its docstring is the help; lines of `Examples:` stay lines."""

    def register(function: Callable[[Options], int]) -> Callable[[Options], int]:
        def call(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - as the dataclass says
            before: dict[str, Any] = ctx.obj or {}
            for flag in _OPTIONAL:
                # What stands at the command wins over what stands before it.
                given[flag] = given.get(flag) or before.get(flag)
            raise typer.Exit(_ends(lambda: function(options(**given))))

        _sign(call, _parameters(options), typer.Context)
        text = inspect.cleandoc(function.__doc__ or "").replace("\n\nExamples:\n", "\n\n\b\nExamples:\n")
        app.command(name, help=text, cls=_Plain)(call)
        return function

    return register


def before_command(app: typer.Typer, text: str) -> None:
    """Take kubectl's own flags before the command too."""

    def call(ctx: typer.Context, *, version: bool, **given: Any) -> None:  # noqa: ANN401, ARG001 - as `Flags` says
        ctx.obj = given

    # Read before all else, since a command would be missing otherwise.
    option = typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    version = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )
    _sign(call, [*_parameters(Flags), version], typer.Context)
    app.callback(help=text)(call)


def _version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - not on the way of `--help`

        sys.stdout.write(f"kubectl-bailiwick {version('bailiwick')}\n")
        raise typer.Exit


def _parameters(options: type[Flags]) -> list[inspect.Parameter]:
    """Return a parameter for each field, kubectl's own last; a flag that the command has itself is not kubectl's."""
    hints = get_type_hints(options, include_extras=True)
    own = [one for one in fields(options) if one.name not in _OPTIONAL]
    taken = {"context", "as_user"} if options is Check else set()
    kubectls = [one for one in fields(options) if one.name in _OPTIONAL and one.name not in taken]
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in (*own, *kubectls)
    ]


def _default(field: Field[Any]) -> Any:  # noqa: ANN401 - of any field
    if field.name in _OPTIONAL:
        return None
    return inspect.Parameter.empty if field.default is MISSING else field.default


def _sign(call: Callable[..., None], parameters: list[inspect.Parameter], context: type) -> None:
    """Give a function the signature that typer reads."""
    ctx = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=context)
    call.__signature__ = inspect.Signature([ctx, *parameters])  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in (ctx, *parameters)}
