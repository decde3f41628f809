"""`audit merge`: what the shards of a divided command come to.

Holds: it prints what one process would have printed, or nothing; what is missing or does not fit is an error.
"""

from collections.abc import Callable
from typing import Final

from bailiwick_cli.commands import replay, unused
from bailiwick_cli.commands.audit import verify
from bailiwick_cli.errors import CliError
from bailiwick_cli.offline import refuse_cluster, refuse_namespace, refuse_stdin_twice
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.shards import logaudits, logreplays, logusages
from bailiwick_cli.shards.shardfile import ShardSet, read_shards
from bailiwick_cli.verbs.auditverbs import MergeFlags, MergeOutput
from bailiwick_cli.verbs.logverbs import ReplayOutput
from bailiwick_governance.display import talk


def run(options: MergeFlags) -> int:
    """Add up and tell."""
    refuse_cluster(options, "audit merge")
    refuse_namespace(options, "audit merge")
    refuse_stdin_twice(options.files)
    shards = read_shards(options.files)
    tell = _VERBS.get(shards.verb)
    if tell is None:
        raise CliError(f"`{shards.verb}` cannot be added up by this version")
    code = tell(shards, options.output)
    talk(f"{len(shards.shares)} shards of `{shards.verb}` were added up")
    return code


def _verify(shards: ShardSet, output: MergeOutput) -> int:
    if output not in {MergeOutput.TABLE, MergeOutput.JSON}:
        raise CliError(f"`audit verify` is not printed as {output.value}: set -o to table or json")
    return verify.show(logaudits.joined(shards), in_json=output is MergeOutput.JSON)


def _replay(shards: ShardSet, output: MergeOutput) -> int:
    return replay.show(*logreplays.joined(shards), ReplayOutput(output.value))


def _unused(shards: ShardSet, output: MergeOutput) -> int:
    if output is MergeOutput.JUNIT:
        raise CliError("`unused` is not printed as junit: set -o to table, json or markdown")
    return unused.show(*logusages.joined(shards), ReportOutput(output.value))


_VERBS: Final[dict[str, Callable[[ShardSet, MergeOutput], int]]] = {
    verify.VERB: _verify,
    replay.VERB: _replay,
    unused.VERB: _unused,
}
