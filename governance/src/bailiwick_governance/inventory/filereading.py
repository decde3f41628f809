"""Coverage's facts about policies in files, without a cluster.

Standing: beside `clusterreading`, over `sources`. Holds: only policies are known, so only what goes by them alone is
examined; files with a policy that cannot be read are an error.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_coverage.facts import ClusterFacts
from bailiwick_coverage.inventory.objects import policy
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile import manifests
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policies import files_named
from bailiwick_governance.sources.policysides import PolicySide, read_sides

_KIND: Final = "EndpointPolicy"


def read_files(names: Sequence[str], namespaces: Sequence[str]) -> ClusterFacts:
    """Read the policies of files. `namespaces` empty: those of all of them. Raises `UserError`."""
    _, side = read_sides([], files_named(names))
    if not side.entries:
        raise UserError(f"{', '.join(names)}: no {_KIND} found")
    side.refuse_broken("files", "examined")
    if missing := sorted(set(namespaces) - side.namespaces):
        raise UserError(f"no {_KIND} of the files is in the namespace {visible(missing[0])}: check -n")
    known = sorted(side.namespaces)
    return ClusterFacts(
        asked=tuple(dict.fromkeys(namespaces)) or tuple(known),
        namespaces={one: {} for one in known},
        policies=tuple(map(policy, _policies(side))),
        endpoints=side.snapshot.endpoints,
        whole=False,
    )


def _policies(side: PolicySide) -> Iterator[dict[str, Any]]:
    for document in side.documents:
        for _, found in manifests.objects(document):
            if isinstance(found, dict) and (found.get("apiVersion"), found.get("kind")) == (API_VERSION, _KIND):
                yield found
