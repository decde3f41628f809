"""Commands on logs, run in this process: by one, and by shards that are added up."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from bailiwick_cli.commands.audit import merge
from bailiwick_cli.errors import CliError
from bailiwick_cli.options import OPTIONAL, Flags
from bailiwick_cli.verbs.auditverbs import MergeFlags, MergeOutput
from bailiwick_governance.errors import UserError

KUBECTLS: Final[dict[str, Any]] = dict.fromkeys(OPTIONAL)


class CommandAnswer(NamedTuple):
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str


Command = Callable[..., CommandAnswer]
"""Runs a command with these options beside its own."""


def command(run: Callable[[Any], int], flags: type[Flags], **fixed: Any) -> Command:  # noqa: ANN401 - of any verb
    """Return what runs a verb."""
    return lambda **more: answered(lambda: run(flags(**(KUBECTLS | fixed | more))))


def answered(run: Callable[[], int]) -> CommandAnswer:
    """Run it. What a command refuses is its exit code, with what it said."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = run()
        except CliError as error:
            return CommandAnswer(error.code, str(error))
        except UserError as error:
            return CommandAnswer(2, str(error))
    return CommandAnswer(code, out.getvalue())


def shards_of(run: Command, count: int, folder: Path) -> list[Path]:
    """Have so many processes do the work of one, and return their files."""
    found = []
    for index in range(count):
        ran = run(shards=count, shard=index)
        assert ran.code == 0, ran
        path = folder / f"shard-{index}"
        path.write_text(ran.out, encoding="utf-8")
        found.append(path)
    return found


def merged(paths: list[Path], output: str = "table") -> CommandAnswer:
    """Add shards up."""
    flags = MergeFlags(files=[str(path) for path in paths], output=MergeOutput(output), **KUBECTLS)
    return answered(lambda: merge.run(flags))
