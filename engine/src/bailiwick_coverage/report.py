"""The report: all findings about a cluster, what is exempt, and what protects each Service.

Standing: over every module of findings. Holds: pure; each list that could not be read is a finding, whatever else was
found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_coverage import manifests
from bailiwick_coverage.accountrights import overprivileged
from bailiwick_coverage.around import around
from bailiwick_coverage.facts import ApiOperation, ClusterFacts, ObjectRef, ServiceFacts, UnreadList
from bailiwick_coverage.findings import (
    CoverageCode,
    CoverageFinding,
    CoverageFix,
    ExemptFinding,
    separate_exempt,
)
from bailiwick_coverage.freecalls import EndpointRuling
from bailiwick_coverage.networkpolicies import unreadable_policies
from bailiwick_coverage.protection import Protections, ServiceProtection
from bailiwick_coverage.stale import stale
from bailiwick_coverage.ungatedactions import ungated
from bailiwick_coverage.unprotectedservices import API_SERVER, first_policy, unprotected
from bailiwick_coverage.unruledoperations import unruled
from bailiwick_engine.policy.snapshot import EndpointKey

NEAR_SECONDS: Final = 14 * 86_400.0
"""How soon an expiry is a finding, unless the caller says otherwise."""
UNUSED_SECONDS: Final = 30 * 86_400.0
"""How long a policy must be unused to be a finding, unless the caller says otherwise."""
# What is not known without a list.
_UNKNOWN: Final = {
    "services": "what can be called",
    "pods": "which accounts serve, and what reaches them",
    "endpointslices": "what is behind Services without a selector",
    "ingresses": "what leads in from outside",
    "httproutes": "what leads in from outside",
    "grpcroutes": "what leads in from outside",
    "networkpolicies": "what can go around an enforcement point",
    "endpointpolicies": "what is protected, and by which rules",
    "endpointdata": "what conditions read",
    "roles": "what accounts can do at the API server",
    "clusterroles": "what accounts can do at the API server",
    "rolebindings": "what accounts can do at the API server",
    "clusterrolebindings": "what accounts can do at the API server",
    "serviceaccounts": "whether accounts exist",
    "namespaces": "what can come from other namespaces",
}
RULES_ALONE: Final = (CoverageCode.UNRULED, CoverageCode.UNGATED)
"""What can be found by policies alone, without a cluster."""
_GATEWAY: Final = "gateway.networking.k8s.io"
# Of which objects in other namespaces concern a namespace.
_ELSEWHERE: Final = {"rolebindings": manifests.RBAC, "httproutes": _GATEWAY, "grpcroutes": _GATEWAY}


@dataclass(frozen=True, slots=True)
class CoverageQuestion:
    """What is asked besides the cluster. `operations` are of the endpoint `target`; `words` look irreversible.

    `now` is in seconds since the epoch, `near` and `unused` are in seconds (see `stale`).
    """

    now: float
    words: tuple[str, ...]
    near: float
    unused: float
    operations: tuple[ApiOperation, ...] = ()
    target: EndpointKey | None = None


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A Service and what protects it."""

    service: ServiceFacts
    held: ServiceProtection


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """What was found. `services` are those of the namespaces that were asked about, also those without a finding.

    `examined`: the codes that were looked for.
    """

    facts: ClusterFacts
    findings: tuple[CoverageFinding, ...]
    exempt: tuple[ExemptFinding, ...]
    services: tuple[ServiceRow, ...]
    examined: tuple[CoverageCode, ...] = tuple(CoverageCode)

    @property
    def knows_services(self) -> bool:
        """Whether Services were examined."""
        return CoverageCode.UNPROTECTED in self.examined

    def first_policies(self) -> dict[str, manifests.Manifest]:
        """Return a first policy, by `NAMESPACE.NAME`, for each Service that nothing protects and whose pods run."""
        rows = {row.service.ref: row for row in self.services}
        found: dict[str, manifests.Manifest] = {}
        for one in self.findings:
            row = rows.get(one.ref)
            if (
                one.code is CoverageCode.UNPROTECTED
                and row is not None
                and row.held.pods
                and row.held.elsewhere is None
            ):
                found[f"{one.ref.namespace}.{one.ref.name}"] = first_policy(self.facts, row.service, row.held)
        return found


def examine(facts: ClusterFacts, question: CoverageQuestion) -> CoverageReport:
    """Return everything that coverage finds."""
    protections = Protections(facts)
    found = [
        *(_unread(facts, one) for one in facts.unread),
        *_partial(facts),
        *_unevaluated(facts),
        *_invalid(facts),
        *unprotected(facts, protections),
        *around(facts, protections),
        *_rule_findings(facts, question),
        *overprivileged(facts),
        *stale(facts, question.now, question.near, question.unused),
    ]
    findings, exempt = separate_exempt(sorted(found, key=lambda one: one.order), facts)
    rows = (
        ServiceRow(one, protections.by_service[one.namespace, one.name])
        for one in facts.services
        if one.namespace in facts.asked and (one.namespace, one.name) != API_SERVER
    )
    return CoverageReport(facts, findings, exempt, tuple(sorted(rows, key=lambda row: row.service.ref)))


def examine_rules(facts: ClusterFacts, question: CoverageQuestion) -> CoverageReport:
    """Return what coverage finds by policies alone (`RULES_ALONE`). `facts` need no others."""
    found = sorted(_rule_findings(facts, question), key=lambda one: one.order)
    findings, exempt = separate_exempt(found, facts)
    return CoverageReport(facts, findings, exempt, (), RULES_ALONE)


def _rule_findings(facts: ClusterFacts, question: CoverageQuestion) -> Iterator[CoverageFinding]:
    endpoints = sorted(key for key in facts.endpoints if key[0] in facts.asked)
    rulings = [EndpointRuling(key, facts.endpoints[key], question.now) for key in endpoints]
    yield from unruled(facts, rulings, question.operations, question.target)
    yield from ungated(facts, rulings, question.words)


def count_codes(findings: Sequence[CoverageFinding]) -> dict[CoverageCode, int]:
    """Return how many findings each code has, of all codes."""
    return {code: sum(one.code is code for one in findings) for code in CoverageCode}


def _unread(facts: ClusterFacts, one: UnreadList) -> CoverageFinding:
    where = "all namespaces" if one.namespace is None else one.namespace
    sentence = f"{one.plural} of {where} cannot be read, so it is unknown {_UNKNOWN.get(one.plural, 'what is there')}"
    ref = ObjectRef("list", one.namespace or "", one.plural)
    made = manifests.reading_right(one.group, one.plural, one.namespace, facts.reader)
    fix = CoverageFix(made, f"The API server said: {one.message}") if facts.reader else None
    return CoverageFinding(CoverageCode.UNKNOWN, ref, sentence, fix)


def _partial(facts: ClusterFacts) -> Iterator[CoverageFinding]:
    """Yield a finding for each kind whose objects in other namespaces may concern those that were asked about."""
    for plural, group in _ELSEWHERE.items():
        if plural in facts.partial:
            ref = ObjectRef("list", "", plural)
            sentence = f"{plural} of other namespaces cannot be read, so it is unknown {_UNKNOWN[plural]}"
            made = manifests.reading_right(group, plural, None, facts.reader)
            yield CoverageFinding(CoverageCode.UNKNOWN, ref, sentence, CoverageFix(made) if facts.reader else None)


def _unevaluated(facts: ClusterFacts) -> Iterator[CoverageFinding]:
    for ref in facts.unevaluated:
        sentence = "it can overrule a NetworkPolicy, and coverage does not evaluate it"
        yield CoverageFinding(CoverageCode.UNKNOWN, ref, sentence)
    for ref in unreadable_policies(facts.network_policies):
        if ref.namespace in facts.asked:
            sentence = "it has an address with leading zeros, so it is unknown whom it lets in: write it without them"
            yield CoverageFinding(CoverageCode.UNKNOWN, ref, sentence)


def _invalid(facts: ClusterFacts) -> Iterator[CoverageFinding]:
    for one in facts.policies:
        if one.spec is None and one.namespace in facts.asked:
            sentence = "it is not valid, so it is unknown what it was to protect: `validate` says what is wrong"
            yield CoverageFinding(CoverageCode.UNKNOWN, one.ref, sentence)
