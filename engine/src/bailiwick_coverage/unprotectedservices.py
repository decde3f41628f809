"""`unprotected`: Services, and ways in from outside, that no enforcement point stands before.

Standing: over `protection`. Holds: a Service without pods is unknown, since nothing says who would serve it. The API
server's own Service is left to `overprivileged`.
"""

from collections.abc import Iterator
from typing import Final

from bailiwick_coverage import manifests
from bailiwick_coverage.facts import ClusterFacts, RouteFacts, ServiceFacts
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix, exemption
from bailiwick_coverage.protection import ENDPOINT, ProtectionKind, Protections, ServiceProtection, hosts_of

API_SERVER: Final = ("default", "kubernetes")
_MOST_CALLERS: Final = 8
_AUDIT: Final = (
    "Its pods must ask the decision point before they act. The policy is in mode Audit: it decides nothing until you"
    " replace its rule by rules that name your actions, and set the mode to Enforce."
)


def unprotected(facts: ClusterFacts, protections: Protections) -> Iterator[CoverageFinding]:
    """Yield a finding for each Service, Ingress and HTTPRoute of the namespaces that were asked about."""
    for service in facts.services:
        if service.namespace in facts.asked and (service.namespace, service.name) != API_SERVER:
            yield from _service_findings(facts, service, protections)
    for route in facts.routes:
        if route.ref.namespace in facts.asked:
            yield from _route_findings(facts, route, protections)


def _service_findings(
    facts: ClusterFacts, service: ServiceFacts, protections: Protections
) -> Iterator[CoverageFinding]:
    held = protections.by_service[service.namespace, service.name]
    if facts.is_unread("pods", service.namespace) or facts.is_unread("endpointpolicies", service.namespace):
        # What is missing is a finding of its own, and nothing can be said of any Service there.
        return
    protected = held.kind is not ProtectionKind.NONE
    if service.kind == "ExternalName":
        sentence = "it is another name of something outside of the cluster, which cannot be examined"
        yield CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence)
    elif protected and not held.pods and not service.foreign:
        sentence = "no pod serves it, so nothing says whether anything else than its enforcement point can reach it"
        yield CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence)
    elif not held.pods and not service.foreign and not service.annotations.get(ENDPOINT):
        sentence = "no pod serves it, so nothing says which account would have to enforce"
        yield CoverageFinding(CoverageCode.UNKNOWN, service.ref, sentence)
    elif not protected:
        yield CoverageFinding(CoverageCode.UNPROTECTED, service.ref, held.why, _fix(facts, service, held))


def _fix(facts: ClusterFacts, service: ServiceFacts, held: ServiceProtection) -> CoverageFix | None:
    if held.elsewhere is not None:
        note = "This says that the Service belongs to that endpoint."
        made = manifests.annotated("v1", service.ref, {ENDPOINT: "/".join(held.elsewhere)})
        return CoverageFix((made,), note)
    if held.absent is not None:
        # It has a policy. What is missing is a pod that enforces, and only you know how that is started.
        return None
    if not held.pods or service.foreign or "/" in service.annotations.get(ENDPOINT, ""):
        return None
    return CoverageFix((first_policy(facts, service, held),), _AUDIT)


def first_policy(facts: ClusterFacts, service: ServiceFacts, held: ServiceProtection) -> manifests.Manifest:
    """Return a first policy, in mode Audit, for a Service that nothing protects."""
    accounts = sorted({one.account for one in held.pods})
    callers = sorted({(one.namespace, one.account) for one in facts.pods if one.namespace == service.namespace})
    others = [one for one in callers if one[1] not in accounts] or [(service.namespace, "default")]
    name = service.name
    if (service.namespace, name) in facts.endpoints or service.annotations.get(ENDPOINT):
        # Another endpoint has the Service's name, or the annotation names one that does not exist.
        name = service.annotations.get(ENDPOINT) or manifests.name_from(name, "service")
    return manifests.first_policy(service.namespace, name, accounts, others[:_MOST_CALLERS])


def _route_findings(facts: ClusterFacts, route: RouteFacts, protections: Protections) -> Iterator[CoverageFinding]:
    services = {(one.namespace, one.name): one for one in facts.services}
    for backend in route.backends:
        name = "/".join(backend)
        held = protections.by_service.get(backend)
        if held is None:
            missing = "cannot be read" if facts.is_unread("services", backend[0]) else "does not exist"
            yield CoverageFinding(
                CoverageCode.UNKNOWN, route.ref, f"it leads to the Service {name}, which {missing}", None, name
            )
            continue
        text = exemption(services[backend].annotations)
        if text is not None and CoverageCode.UNPROTECTED in text.codes:
            continue
        if held.kind is ProtectionKind.NONE and backend[0] not in facts.asked:
            sentence = f"it leads to the Service {name}, which no enforcement point stands before"
            yield CoverageFinding(CoverageCode.UNPROTECTED, route.ref, sentence, None, name)
        elif held.kind is ProtectionKind.PROXY and held.endpoint is not None:
            yield from _unmapped_hosts(facts, route, name, held)


def _unmapped_hosts(
    facts: ClusterFacts, route: RouteFacts, name: str, held: ServiceProtection
) -> Iterator[CoverageFinding]:
    """Yield a finding if a proxied Service is reached by a host that its endpoint does not map."""
    if held.endpoint is None:
        return
    endpoint = facts.endpoints[held.endpoint]
    mapped = hosts_of(endpoint)
    missing = [one for one in route.hosts if one not in mapped]
    if route.hosts and not missing:
        return
    where = "/".join(held.endpoint)
    what = f"the host {missing[0]}" if missing else "every host"
    sentence = (
        f"it leads {what} to the Service {name}, and the endpoint {where}, which protects that Service by a proxy,"
        " maps no such calls"
    )
    yield CoverageFinding(CoverageCode.UNPROTECTED, route.ref, sentence, _host_fix(facts, route, missing, held), name)


def _host_fix(
    facts: ClusterFacts, route: RouteFacts, missing: list[str], held: ServiceProtection
) -> CoverageFix | None:
    for one in facts.policies:
        settings = None if one.spec is None else one.spec.endpoint_settings
        if one.spec is None or settings is None or (one.namespace, one.spec.endpoint) != held.endpoint:
            continue
        plain = [host for host in missing if "*" not in host]
        if settings.http is None or not route.hosts or plain != missing:
            return None
        raw = manifests.changed_policy(one, {})
        http = raw["spec"]["endpointSettings"]["http"]
        raw["spec"]["endpointSettings"] = {
            **raw["spec"]["endpointSettings"],
            "http": {**http, "hosts": [*http["hosts"], *missing]},
        }
        note = (
            "Apply this if what serves the route asks the decision point as an enforcer of the endpoint. If it does"
            " not, delete the route, or lead it to the enforcement point."
        )
        return CoverageFix((raw,), note)
    return None
