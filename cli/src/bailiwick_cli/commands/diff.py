"""`diff`: what a change of policies lets further, and what less far, over all calls at once.

Holds: nothing is decided here; a state that cannot be read whole is an error, never "same".
"""

import sys
import time
from importlib.metadata import version
from typing import Final

from bailiwick_cli import diffview, output
from bailiwick_cli.diffflags import DiffFlags, DiffOutput, FailOn
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.gitfiles import files_at
from bailiwick_cli.policies import files_of
from bailiwick_cli.policysides import Named, PolicySide, RulePlace, read_sides
from bailiwick_cli.regions.change import Change, ChangeClass
from bailiwick_cli.regions.compare import compare, worst

_WIDE: Final = frozenset({ChangeClass.WIDER, ChangeClass.MAY_WIDEN})
_FAILS: Final = {
    FailOn.WIDER: _WIDE,
    FailOn.CHANGED: _WIDE | {ChangeClass.CHANGED},
    FailOn.ANY: _WIDE | {ChangeClass.CHANGED, ChangeClass.NARROWER},
}


def run(options: DiffFlags) -> int:
    """Compare and tell."""
    named = _named(options)
    base, head = read_sides(*named)
    if not head.entries and not head.left_out:
        raise CliError("the head has no EndpointPolicy: to compare nothing says nothing")
    base.refuse_broken("base")
    head.refuse_broken("head")
    changes = [
        one
        for one in compare(base.snapshot, head.snapshot, time.time(), ceiling=options.against is not None)
        if options.namespace is None or one.endpoint[0] == options.namespace
    ]

    def place(change: Change) -> RulePlace | None:
        side: PolicySide = head if change.of_head else base
        return None if change.rule is None else side.place(change.rule)

    match options.output:
        case DiffOutput.JSON:
            sys.stdout.write(diffview.document(changes, place))
        case DiffOutput.MARKDOWN:
            sys.stdout.write(diffview.markdown(changes, place))
        case DiffOutput.SARIF:
            sys.stdout.write(diffview.sarif(changes, place, version("bailiwick")))
        case _:
            output.write(diffview.lines(changes, place))
    return Exit.NO if worst(changes) in _FAILS[options.fail_on] else Exit.OK


def _named(options: DiffFlags) -> tuple[Named, Named]:
    """Return the files of both sides."""
    for flag, value in (("--context", options.context), ("--as", options.as_user), ("--as-group", options.as_group)):
        if value:
            raise CliError(f"diff does not use a cluster: remove {flag}")
    names = options.files
    if options.base is not None and options.against is not None:
        raise CliError("--base and --against both say what to compare with: set one")
    if options.base is not None:
        if "-" in names:
            raise CliError("standard input has no revision: name the files in the repository")
        base = [one for name in names for one in files_at(options.base, name)]
        return base, _files(names)
    if options.against is not None:
        if options.against == "-" and "-" in names:
            raise CliError("standard input can be read only once")
        return _files([options.against]), _files(names)
    if len(names) != 2:  # noqa: PLR2004 - what to compare with, and what
        raise CliError("name two states, BASE and HEAD; or one, with --base REV or --against FILE")
    if names == ["-", "-"]:
        raise CliError("standard input can be read only once")
    return _files(names[:1]), _files(names[1:])


def _files(names: list[str]) -> Named:
    return [one for name in names for one in files_of(name)]
