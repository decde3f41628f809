"""How a function of one dataclass becomes a command of typer's, and how every command ends.

Holds: this is on the way of `--help`, so it imports nothing but typer; kubectl's own flags are on every command, and
before it too (`kubectl bailiwick -n crm list`); whatever happens becomes an exit code and at most one line.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.flags.commandflags import parameters
from bailiwick_cli.options import OPTIONAL, Flags
from bailiwick_governance.errors import UserError

Options = TypeVar("Options", bound=Flags)


def _ends(run: Callable[[], int]) -> int:
    """Run a command; whatever happens in it becomes an exit code and at most one line."""
    try:
        code = run()
        # Here, so that a reader who has gone is noticed here.
        sys.stdout.flush()
    except UserError as error:
        _talk(f"error: {error}")
        return error.code if isinstance(error, CliError) else Exit.FAILURE
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
        _talk(f"error: this is a bug in kubectl-bailiwick ({said}); set BAILIWICK_DEBUG=1 to see the traceback")
        return Exit.FAILURE
    else:
        return code


def _talk(text: str) -> None:
    from bailiwick_governance.display import talk  # noqa: PLC0415 - not on the way of `--help`

    talk(text)


class _Plain(TyperCommand):
    """Writes arguments in the usage as kubectl does, NAME: of several one is taken, see `commands.review.one_name`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - a class that typer keeps to itself
        return [re.sub(r"^\{(.+)\}(\.\.\.)?$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def command(
    app: typer.Typer, name: str, options: type[Options]
) -> Callable[[Callable[[Options], int]], Callable[[Options], int]]:
    """Make a function of one dataclass a command. Its docstring is the help; lines of `Examples:` stay lines."""

    def register(function: Callable[[Options], int]) -> Callable[[Options], int]:
        def call(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - as the dataclass says
            before: dict[str, Any] = ctx.obj or {}
            for flag in OPTIONAL:
                # What stands at the command wins over what stands before it.
                given[flag] = given.get(flag) or before.get(flag)
            raise typer.Exit(_ends(lambda: function(options(**given))))

        _sign(call, parameters(options), typer.Context)
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
    _sign(call, [*parameters(Flags), version], typer.Context)
    app.callback(help=text)(call)


def _version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - not on the way of `--help`

        sys.stdout.write(f"kubectl-bailiwick {version('bailiwick')}\n")
        raise typer.Exit


def _sign(call: Callable[..., None], parameters: list[inspect.Parameter], context: type) -> None:
    """Give a function the signature that typer reads."""
    ctx = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=context)
    call.__signature__ = inspect.Signature([ctx, *parameters])  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in (ctx, *parameters)}
