"""`validate`: what is wrong with policies and data, before they are applied.

Holds: a file that cannot be read, and an object of which the API server says nothing, is never a pass.
"""

import sys
import time
from collections.abc import Iterator, Sequence

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.findings import view
from bailiwick_cli.findings.filefindings import KIND, FileFinding, findings
from bailiwick_cli.offline import refuse_cluster, refuse_namespace, refuse_stdin_twice
from bailiwick_cli.verbs.policyverbs import FindingOutput, ValidateFlags
from bailiwick_governance.sources import policies
from bailiwick_governance.sources.policies import PolicySet


def run(options: ValidateFlags) -> int:
    """Read, judge and tell."""
    if not options.server:
        refuse_cluster(options, "without --server, validate")
    refuse_namespace(options, "validate")
    refuse_stdin_twice(options.files)
    found = policies.policy_set(policies.files_named(options.files))
    if not (found.entries or found.data):
        raise CliError(f"{', '.join(options.files)}: no {KIND} found")
    problems = list(findings(found, time.time()))
    if options.server:
        problems += _ask_server(options, found, problems)
    match options.output:
        case FindingOutput.JSON:
            sys.stdout.write(view.document(found, problems))
        case FindingOutput.SARIF:
            sys.stdout.write(view.log(problems))
        case _:
            output.write(view.lines(found, problems))
    if any(contents.unreadable for _, contents in found.files):
        return Exit.FAILURE
    return Exit.NO if problems else Exit.OK


def _ask_server(options: ValidateFlags, found: PolicySet, known: Sequence[FileFinding]) -> Iterator[FileFinding]:
    # Files alone need no client: the Kubernetes client takes longer to import than files to judge.
    from bailiwick_cli.findings.dryrun import server_findings  # noqa: PLC0415
    from bailiwick_cli.kubeconfig import connect  # noqa: PLC0415

    return server_findings(found, known, connect(options))
