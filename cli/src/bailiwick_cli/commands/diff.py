"""`diff`: what a change of policies lets further, and what less far, over all calls at once.

Holds: nothing is decided here; a state that cannot be read whole is an error, never "same".
"""

import sys
import time
from typing import TYPE_CHECKING, Final

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.sources.gitfiles import files_at
from bailiwick_cli.sources.inforce import namespace_policies
from bailiwick_cli.verbs.policyverbs import DiffFlags, DiffOutput, FailOn
from bailiwick_cli.views import diffview
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.sources.policies import files_of
from bailiwick_governance.sources.policysides import Named, PolicySide, RulePlace, read_beside_live, read_sides
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import compare, worst

if TYPE_CHECKING:
    from bailiwick_governance.sources.livepolicies import LivePolicies

_WIDE: Final = frozenset({ChangeClass.WIDER, ChangeClass.MAY_WIDEN})
_FAILS: Final = {
    FailOn.WIDER: _WIDE,
    FailOn.CHANGED: _WIDE | {ChangeClass.CHANGED},
    FailOn.ANY: _WIDE | {ChangeClass.CHANGED, ChangeClass.NARROWER},
}


def run(options: DiffFlags) -> int:
    """Compare and tell."""
    _refuse_mistaken(options)
    live = namespace_policies(options) if options.live else None
    before, after = _files_of_sides(options, live)
    if live is None:
        base, head = read_sides(before, after)
    else:
        head, base = read_beside_live(after, before, live.data)
    if not head.entries and not head.left_out:
        raise CliError("the head has no EndpointPolicy, so there is nothing to compare")
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
            sys.stdout.write(diffview.log(changes, place))
        case _:
            output.write(diffview.lines(changes, place))
    return Exit.NO if worst(changes) in _FAILS[options.fail_on] else Exit.OK


def _files_of_sides(options: DiffFlags, live: "LivePolicies | None") -> tuple[Named, Named]:
    """Return the files of both sides."""
    names = options.files
    if options.base is not None:
        if STDIN in names:
            raise CliError("standard input has no revision: name the files in the repository")
        base = [one for name in names for one in files_at(options.base, name)]
        return base, _files(names)
    if live is not None:
        return live.files, _files(names)
    if options.against is not None:
        refuse_stdin_twice([options.against, *names])
        return _files([options.against]), _files(names)
    if len(names) != 2:  # noqa: PLR2004 - what to compare with, and what
        raise CliError("name two states, BASE and HEAD; or one, with --base REV, --live or --against FILE")
    refuse_stdin_twice(names)
    return _files(names[:1]), _files(names[1:])


def _refuse_mistaken(options: DiffFlags) -> None:
    if not options.live:
        refuse_cluster(options, "without --live, diff")
    if sum((options.base is not None, options.against is not None, options.live)) > 1:
        raise CliError("--base, --live and --against each say what to compare with: set one")


def _files(names: list[str]) -> Named:
    return [one for name in names for one in files_of(name)]
