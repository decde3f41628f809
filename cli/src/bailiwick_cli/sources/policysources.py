"""The endpoint that is asked about, and where its rules stand: of files, or of the cluster.

Standing: above `policies` and `policysides`. Holds: of an endpoint that denies every call nothing else is said; files
that cannot be read whole are an error, with file, line and column.
"""

from dataclasses import dataclass

from bailiwick_cli.errors import CliError
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.verbs.askverbs import AskFlags
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.sources import clusterpolicies, policies
from bailiwick_governance.sources.policies import files_of
from bailiwick_governance.sources.policysides import RulePlaces, read_sides


@dataclass(frozen=True, slots=True)
class PolicySource:
    """One endpoint. `place` of the cluster finds nothing; `cluster` None: of files."""

    key: EndpointKey
    endpoint: CompiledEndpoint
    place: RulePlaces
    cluster: ClusterClient | None

    @property
    def policies(self) -> list[str]:
        """The names of the policies to which the endpoint comes."""
        refs = (rule.policy for rule in self.endpoint.rules)
        return sorted({ref.name for ref in (*refs, *self.endpoint.carriers, *self.endpoint.broken.values())})


def source_of(options: AskFlags) -> PolicySource:
    """Return the endpoint of the flags. Raises `CliError`."""
    if options.file:
        refuse_cluster(options, "-f")
        refuse_stdin_twice(options.file)
        _, side = read_sides([], [file for name in options.file for file in files_of(name)])
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
    return PolicySource((namespace, name), endpoint, place, cluster)
