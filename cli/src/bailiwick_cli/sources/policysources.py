"""The endpoint that is asked about, and where its rules stand: of files, of the cluster, or of a log at a moment.

Standing: above `policies`, `policysides` and `policytimes`. Holds: of an endpoint that denies every call nothing else
is said; files that cannot be read whole are an error, with file, line and column.
"""

import time
from dataclasses import dataclass, replace

from bailiwick_cli.errors import CliError
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.verbs.askverbs import AskFlags
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.arguments import moment
from bailiwick_governance.display import talk
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.records.policytimes import PastEndpoint, PolicyTimes
from bailiwick_governance.sources import clusterpolicies, policies
from bailiwick_governance.sources.policies import files_named
from bailiwick_governance.sources.policysides import RulePlaces, read_sides


@dataclass(frozen=True, slots=True)
class PolicySource:
    """One endpoint. `place` of the cluster finds nothing; `cluster` None: of files, or of a log.

    `now`: the moment that is asked about, in seconds since the epoch. `doubts`: why the endpoint may have been another
    one then; an answer about it is not complete.
    """

    key: EndpointKey
    endpoint: CompiledEndpoint
    place: RulePlaces
    cluster: ClusterClient | None
    now: float
    doubts: tuple[str, ...] = ()

    @property
    def policies(self) -> list[str]:
        """The names of the policies to which the endpoint comes."""
        refs = (rule.policy for rule in self.endpoint.rules)
        return sorted({ref.name for ref in (*refs, *self.endpoint.carriers, *self.endpoint.broken.values())})


def source_of(options: AskFlags) -> PolicySource:
    """Return the endpoint of the flags. Raises `CliError`."""
    if (past := past_of(options)) is not None:
        snapshot = Snapshot({past.key: past.endpoint})
        source = _source(snapshot, *past.key, lambda _: None, None)
        return replace(source, now=moment(str(options.at), "--at"), doubts=past.doubts)
    if options.file:
        refuse_cluster(options, "-f")
        refuse_stdin_twice(options.file)
        _, side = read_sides([], files_named(options.file))
        if not side.entries:
            raise CliError(f"{', '.join(options.file)}: no EndpointPolicy found")
        side.refuse_broken("files", "asked")
        spaces = sorted({space for space, _ in side.snapshot.endpoints})
        if options.namespace is None and len(spaces) != 1:
            raise CliError(f"the policies belong to several namespaces; choose one with -n: {', '.join(spaces)}")
        return _source(side.snapshot, options.namespace or spaces[0], options.endpoint, side.place, None)
    cluster = connect(options)
    return _source(
        clusterpolicies.read_namespace(cluster), cluster.namespace, options.endpoint, lambda _: None, cluster
    )


def past_of(options: AskFlags) -> PastEndpoint | None:
    """Return the endpoint as it was at the time of `--at`, and say what is not known of it; None without that flag.

    Raises `UserError`.
    """
    if options.at is None:
        if options.log:
            raise CliError("--log says which policies there were at a time: set --at to it")
        return None
    if options.file:
        raise CliError("--at goes by the policies that the log names: remove -f")
    if not options.log:
        raise CliError("--at goes by the decisions of a log: name its files with --log, and those of the ledger")
    refuse_cluster(options, "--at")
    refuse_stdin_twice(options.log)
    past = PolicyTimes(LogFiles(options.log), moment(options.at, "--at")).endpoint(options.namespace, options.endpoint)
    for note in past.notes:
        talk(f"note: {note}")
    return past


def _source(
    snapshot: Snapshot, namespace: str, wanted: str | None, place: RulePlaces, cluster: ClusterClient | None
) -> PolicySource:
    if namespace in snapshot.unreadable:
        raise CliError(f"a policy in {namespace} cannot be read, so that every call there is denied")
    name, endpoint = policies.endpoint(snapshot, namespace, wanted)
    if endpoint.settings is None or endpoint.denied_whole is not None or endpoint.conflicted:
        raise CliError(
            f"the endpoint {namespace}/{name} denies every call, because a policy is invalid, or no policy or several"
            " carry its endpointSettings: `kubectl bailiwick validate` says more"
        )
    return PolicySource((namespace, name), endpoint, place, cluster, time.time())
