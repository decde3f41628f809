"""`kubectl bailiwick`, and `bailiwick`, which is the same without kubectl: how verbs become commands, and how they end.

Holds: `--help` imports no more than typer; kubectl's own flags are on every command, and before it too
(`kubectl bailiwick -n crm list`); whatever happens becomes an exit code and at most one line.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import OPTIONAL, Flags
from bailiwick_cli.verbs.table import COMMANDS, GROUPS, VerbTable, parameters, run_of
from bailiwick_governance.errors import UserError

_PROGRAM: Final = "kubectl-bailiwick"
_COMPLETE: Final = "_KUBECTL_BAILIWICK_COMPLETE"
_STANDALONE: Final = "bailiwick"
_COMPLETE_STANDALONE: Final = "_BAILIWICK_COMPLETE"
_HELP: Final = (
    "Request approvals, review them, and see what policies decide.\n\n"
    "Exit codes: 0 allowed, approved or intact, 1 denied, declined, changed or wider, 2 usage error or failure, 3"
    " approval required or pending, 4 wait timed out."
)
_HELP_OF_GROUPS: Final = {
    "audit": "Verify the decision log, and prove what it holds.",
    "fleet": "Show the state of several clusters.",
    "history": "Show what endpoints have counted.",
    "notify": "Try out the targets of notifications.",
    "reviewers": "Enrol the keys that reviewers sign with.",
}


class _PlainUsage(TyperCommand):
    """Writes arguments in the usage as kubectl does, NAME: of several one is taken, see `commands.review.one_name`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - a class that typer keeps to itself
        return [re.sub(r"^\{(.+)\}(\.\.\.)?$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def _run(program: str, called: str, complete: str) -> int:
    by_shell = complete in os.environ or {"--install-completion", "--show-completion"} & set(sys.argv)
    app(prog_name=program if by_shell else called, complete_var=complete)
    return 0


def main() -> int:
    """Run as kubectl's plugin. Ends with `SystemExit`, as every typer program does."""
    # The shell completes the program; people call the plugin.
    return _run(_PROGRAM, "kubectl bailiwick", _COMPLETE)


def standalone() -> int:
    """Run the same as `bailiwick`, for machines without kubectl. Ends with `SystemExit` likewise."""
    return _run(_STANDALONE, _STANDALONE, _COMPLETE_STANDALONE)


def _exit_code(run: Callable[[], int]) -> int:
    """Run a command; whatever happens in it becomes an exit code and at most one line."""
    try:
        code = run()
        # Here, so that a reader who has gone is noticed here.
        sys.stdout.flush()
    except UserError as error:
        _talk(f"error: {error}")
        return error.code if isinstance(error, CliError) else Exit.FAILURE
    except BrokenPipeError:
        # The reader has read enough; what is left in the buffer must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a defect, and still no traceback
        if os.environ.get("BAILIWICK_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        _talk(f"error: this is a bug in kubectl-bailiwick ({said}); set BAILIWICK_DEBUG=1 to see the traceback")
        return Exit.FAILURE
    else:
        return code


def _talk(text: str) -> None:
    from bailiwick_governance.display import talk  # noqa: PLC0415 - not on the way of `--help`

    talk(text)


class _LazyCommands(Mapping[str, Any]):
    """The commands of a group, each made from its verb when it is asked for; behind them, groups of commands.

    The docstring of its flags is the help of a verb; lines of `Examples:` stay lines.
    """

    def __init__(self, verbs: VerbTable, first: str, groups: Mapping[str, Any]) -> None:
        self._verbs = verbs
        self._first = first
        self._groups = groups

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a class that typer keeps to itself
        if name not in self._verbs:
            return self._groups[name]
        options = self._verbs[name]
        text = inspect.cleandoc(options.__doc__ or "").replace("\n\nExamples:\n", "\n\n\b\nExamples:\n")
        alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
        alone.command(name, help=text, cls=_PlainUsage)(_callback(self._first + name, options))
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        yield from self._verbs
        yield from self._groups

    def __len__(self) -> int:
        return len(self._verbs) + len(self._groups)


def _group_of(verbs: VerbTable, first: str = "") -> type[TyperGroup]:
    """Return the class of a group of these verbs. `first`: the word before them, with a space."""

    class _VerbGroup(TyperGroup):
        def __init__(self, **given: Any) -> None:  # noqa: ANN401 - typer's own
            super().__init__(**given)
            self.commands = _LazyCommands(verbs, first, self.commands)  # type: ignore[assignment]  # nothing adds to it

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as typer has it
            return list(self.commands)

    return _VerbGroup


def _callback(verb: str, options: type[Flags]) -> Callable[..., None]:
    """Return the function that typer calls for a verb, with the signature that typer reads."""

    def call(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - as the dataclass says
        before: dict[str, Any] = ctx.obj or {}
        for flag in OPTIONAL:
            # What stands at the command wins over what stands before it.
            given[flag] = given.get(flag) or before.get(flag)
        raise typer.Exit(_exit_code(lambda: run_of(verb)(options(**given))))

    _sign(call, parameters(options))
    return call


def _before_command(ctx: typer.Context, *, version: bool, **given: Any) -> None:  # noqa: ANN401, ARG001 - as `Flags` says
    ctx.obj = given


def _print_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - not on the way of `--help`

        from bailiwick_api.distribution import DISTRIBUTION  # noqa: PLC0415 - likewise

        sys.stdout.write(f"kubectl-bailiwick {version(DISTRIBUTION)}\n")
        raise typer.Exit


def _sign(call: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a function the signature that typer reads."""
    ctx = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    call.__signature__ = inspect.Signature([ctx, *parameters])  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in (ctx, *parameters)}


def _build() -> typer.Typer:
    built = typer.Typer(
        cls=_group_of(COMMANDS),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    # Read before all else, since a command would be missing otherwise.
    option = typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    version = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )
    _sign(_before_command, [*parameters(Flags), version])
    built.callback(help=_HELP)(_before_command)
    for name, verbs in GROUPS.items():
        group = typer.Typer(
            cls=_group_of(verbs, f"{name} "),
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            no_args_is_help=True,
        )
        built.add_typer(group, name=name, help=_HELP_OF_GROUPS[name])
    return built


app: Final = _build()
