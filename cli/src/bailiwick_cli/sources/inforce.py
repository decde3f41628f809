"""The policies in force that a command goes by: files that were named, or a namespace of the cluster.

Standing: under `unused` and `suggest`. Holds: it is one of the two, and what says nothing about it is refused.
"""

from typing import TYPE_CHECKING

from bailiwick_api.documents.policyfiles import File
from bailiwick_cli.errors import CliError
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.options import Flags
from bailiwick_cli.verbs.logverbs import InForceFlags
from bailiwick_governance.sources.policies import files_named

if TYPE_CHECKING:
    from bailiwick_governance.sources.livepolicies import LivePolicies


def read_policies(options: InForceFlags, what: str) -> tuple[list[tuple[str, File]], str | None]:
    """Return the files, each with a label, and the one namespace that counts; None: all of the files.

    `what` asks. Raises `CliError`.
    """
    named = options.file or []
    if options.live == bool(named):
        raise CliError("say which policies are in force: set either -f FILE, or --live for those of the namespace")
    refuse_stdin_twice([*options.files, *named])
    if not options.live:
        refuse_cluster(options, f"without --live, {what}")
        return files_named(named), options.namespace
    live = namespace_policies(options)
    return list(live.files), live.namespace


def namespace_policies(options: Flags) -> "LivePolicies":
    """Return the policies of the namespace in the cluster that the flags mean. Raises `UserError`."""
    # The Kubernetes client takes longer to import than most commands on files run.
    from bailiwick_cli.kubeconfig import connect  # noqa: PLC0415
    from bailiwick_governance.sources.livepolicies import live_policies  # noqa: PLC0415

    return live_policies(connect(options))
