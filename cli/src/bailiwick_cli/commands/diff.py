"""`diff`: what a change of policies lets further, and what less far, over all calls at once.

Holds: nothing is decided here; a state that cannot be read whole is an error, never "same".
"""

import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from bailiwick_cli import diffview, output
from bailiwick_cli.diffflags import DiffFlags, DiffOutput, FailOn
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.gitfiles import files_at
from bailiwick_cli.policies import files_of
from bailiwick_cli.policysides import Named, PolicySide, RulePlace, read_sides
from bailiwick_cli.regions.change import Change, ChangeClass
from bailiwick_cli.regions.compare import compare, worst

if TYPE_CHECKING:
    from bailiwick_cli.livepolicies import LivePolicies

_WIDE: Final = frozenset({ChangeClass.WIDER, ChangeClass.MAY_WIDEN})
_FAILS: Final = {
    FailOn.WIDER: _WIDE,
    FailOn.CHANGED: _WIDE | {ChangeClass.CHANGED},
    FailOn.ANY: _WIDE | {ChangeClass.CHANGED, ChangeClass.NARROWER},
}


def run(options: DiffFlags) -> int:
    """Compare and tell."""
    _refuse_mistaken(options)
    live = _live(options)
    base, head = read_sides(*_named(options, live))
    if not head.entries and not head.left_out:
        raise CliError("the head has no EndpointPolicy: to compare nothing says nothing")
    base.refuse_broken("base")
    head.refuse_broken("head")
    namespace = options.namespace if live is None else live.namespace
    if live is not None and (others := sorted(head.namespaces - {live.namespace})):
        raise CliError(
            f"--live compares one namespace, {live.namespace}, and the files have policies of {', '.join(others)}:"
            " set -n, and name the files of that namespace"
        )
    changes = [
        one
        for one in compare(base.snapshot, head.snapshot, time.time(), ceiling=options.against is not None)
        if namespace is None or one.endpoint[0] == namespace
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


def _live(options: DiffFlags) -> "LivePolicies | None":
    if not options.live:
        return None
    # Not on the way of whoever compares files: the Kubernetes client takes longer to import than a comparison.
    from bailiwick_cli.livepolicies import live_policies  # noqa: PLC0415

    return live_policies(options)


def _named(options: DiffFlags, live: "LivePolicies | None") -> tuple[Named, Named]:
    """Return the files of both sides."""
    names = options.files
    if options.base is not None:
        if "-" in names:
            raise CliError("standard input has no revision: name the files in the repository")
        base = [one for name in names for one in files_at(options.base, name)]
        return base, _files(names)
    if live is not None:
        return live.files, _files(names)
    if options.against is not None:
        if options.against == "-" and "-" in names:
            raise CliError("standard input can be read only once")
        return _files([options.against]), _files(names)
    if len(names) != 2:  # noqa: PLR2004 - what to compare with, and what
        raise CliError("name two states, BASE and HEAD; or one, with --base REV, --live or --against FILE")
    if names == ["-", "-"]:
        raise CliError("standard input can be read only once")
    return _files(names[:1]), _files(names[1:])


def _refuse_mistaken(options: DiffFlags) -> None:
    for flag, value in (("--context", options.context), ("--as", options.as_user), ("--as-group", options.as_group)):
        if value and not options.live:
            raise CliError(f"diff does not use a cluster without --live: remove {flag}")
    if sum((options.base is not None, options.against is not None, options.live)) > 1:
        raise CliError("--base, --live and --against each say what to compare with: set one")


def _files(names: list[str]) -> Named:
    return [one for name in names for one in files_of(name)]
