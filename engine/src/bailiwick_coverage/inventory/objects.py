"""Objects of the API server, parsed into facts of coverage.

Standing: under `clusterfacts`. Holds: an object says only what it says; what is missing has the API's own default.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_api.times import parse_time
from bailiwick_coverage.facts import (
    BoundSubject,
    ContainerPort,
    Labels,
    ObjectRef,
    PodFacts,
    PolicyFacts,
    RoleRule,
    RouteFacts,
    ServiceFacts,
    ServicePort,
)

Object = Mapping[str, Any]

_ENDED: Final = frozenset({"Succeeded", "Failed"})
_SERVICE_NAME: Final = "kubernetes.io/service-name"


def labels(raw: Object) -> Labels:
    """Return the labels of an object."""
    return dict(raw["metadata"].get("labels") or {})


def annotations(raw: Object) -> Labels:
    """Return the annotations of an object."""
    return dict(raw["metadata"].get("annotations") or {})


def pod(raw: Object) -> PodFacts | None:
    """Parse a Pod; None if it has ended."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if status.get("phase") in _ENDED:
        return None
    running = [
        *(spec.get("containers") or ()),
        # A sidecar is an init container that runs as long as the pod.
        *(one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"),
    ]
    return PodFacts(
        raw["metadata"]["namespace"],
        raw["metadata"]["name"],
        labels(raw),
        spec.get("serviceAccountName") or "default",
        tuple(one["ip"] for one in status.get("podIPs") or () if one.get("ip")),
        tuple(
            ContainerPort(
                container["name"], port.get("name") or "", port["containerPort"], port.get("protocol") or "TCP"
            )
            for container in running
            for port in container.get("ports") or ()
        ),
        tuple(container["name"] for container in running),
        bool(spec.get("hostNetwork")),
    )


def service(
    raw: Object, slices: Mapping[tuple[str, str], list[Object]], pods: Mapping[tuple[str, str], PodFacts] | None
) -> ServiceFacts:
    """Parse a Service. `slices`: the EndpointSlices by namespace and name of their Service.

    `pods`: those that were read, by namespace and name; None where they could not be.
    """
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    kind = spec.get("type") or "ClusterIP"
    named, foreign = set[str](), set[str]()
    own = slices.get((metadata["namespace"], metadata["name"]), ())
    for each in own:
        for endpoint in each.get("endpoints") or ():
            for address in endpoint.get("addresses") or ():
                name = _pod_at(address, endpoint.get("targetRef") or {}, metadata["namespace"], pods)
                if name is None:
                    foreign.add(address)
                else:
                    named.add(name)
    return ServiceFacts(
        metadata["namespace"],
        metadata["name"],
        kind,
        {} if kind == "ExternalName" else dict(spec.get("selector") or {}),
        tuple(
            ServicePort(one.get("name") or "", one["port"], target, one.get("protocol") or "TCP")
            for one in spec.get("ports") or ()
            for target in _targets(one, () if spec.get("selector") else own)
        ),
        annotations(raw),
        tuple(sorted(named)),
        tuple(sorted(foreign)),
    )


def _pod_at(
    address: str, target: Object, namespace: str, pods: Mapping[tuple[str, str], PodFacts] | None
) -> str | None:
    """Return the name of the pod of this namespace that a slice names and that has the address.

    The API server does not look at what a slice says of its targets. Where pods could not be read, it is believed.
    """
    name = target.get("name")
    if target.get("kind") != "Pod" or not name or target.get("namespace") not in {None, "", namespace}:
        return None
    if pods is None:
        return str(name)
    held = pods.get((namespace, name))
    return str(name) if held is not None and address in held.addresses else None


def _targets(port: Object, slices: Iterable[Object]) -> list[int | str]:
    """Return what a port of a Service leads to. Without a selector, its EndpointSlices say so by the port's name."""
    found = {
        one["port"]
        for each in slices
        for one in each.get("ports") or ()
        if one.get("port") and (one.get("name") or "") == (port.get("name") or "")
    }
    return sorted(found) or [port.get("targetPort") or port["port"]]


def slices_by_service(raws: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    """Return EndpointSlices by namespace and name of their Service."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for raw in raws:
        name = labels(raw).get(_SERVICE_NAME)
        if name is not None:
            by_service.setdefault((raw["metadata"]["namespace"], name), []).append(raw)
    return by_service


def ingress(raw: Object) -> RouteFacts:
    """Parse an Ingress. A rule without a host, and a default backend, take every host."""
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    default = spec.get("defaultBackend")
    rules = spec.get("rules") or ()
    backends = [default] if default else []
    backends += [path["backend"] for rule in rules for path in (rule.get("http") or {}).get("paths") or ()]
    names = dict.fromkeys(one["service"]["name"] for one in backends if one.get("service"))
    hosts = [rule.get("host") for rule in rules]
    everything = default is not None or not all(hosts)
    return RouteFacts(
        ObjectRef("Ingress", metadata["namespace"], metadata["name"]),
        () if everything else tuple(dict.fromkeys(str(one) for one in hosts)),
        tuple((metadata["namespace"], name) for name in names),
        annotations(raw),
    )


def gateway_route(raw: Object, kind: str) -> RouteFacts:
    """Parse an HTTPRoute or GRPCRoute of the Gateway API."""
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    return RouteFacts(
        ObjectRef(kind, metadata["namespace"], metadata["name"]),
        tuple(spec.get("hostnames") or ()),
        tuple(dict.fromkeys(_route_backends(spec, metadata["namespace"]))),
        annotations(raw),
    )


def _route_backends(spec: Object, namespace: str) -> Iterator[tuple[str, str]]:
    for rule in spec.get("rules") or ():
        mirrors = [one["requestMirror"] for one in rule.get("filters") or () if one.get("requestMirror")]
        for one in (*(rule.get("backendRefs") or ()), *(mirror["backendRef"] for mirror in mirrors)):
            if (one.get("kind") or "Service") == "Service" and not one.get("group"):
                yield one.get("namespace") or namespace, one["name"]


def role_rules(raw: Object) -> tuple[RoleRule, ...]:
    """Parse the rules of a Role or ClusterRole; those about URLs are none of ours."""
    return tuple(
        RoleRule(
            tuple(one.get("apiGroups") or ()),
            tuple(one.get("resources") or ()),
            tuple(one.get("verbs") or ()),
            tuple(one.get("resourceNames") or ()),
        )
        for one in raw.get("rules") or ()
        if one.get("resources")
    )


def bound_subjects(raw: Object) -> tuple[BoundSubject, ...]:
    """Return whom a binding names."""
    own = raw["metadata"].get("namespace", "")
    return tuple(_bound_subject(one, own) for one in raw.get("subjects") or ())


def _bound_subject(raw: Object, own: str) -> BoundSubject:
    kind, name = str(raw.get("kind")), str(raw.get("name"))
    # To the API server, an account is a user of this name too.
    account = ServiceAccountName.parse(name) if kind == "User" else None
    if account is not None:
        return BoundSubject("ServiceAccount", account.namespace, account.name)
    return BoundSubject(kind, str(raw.get("namespace") or own), name)


def policy(raw: Object) -> PolicyFacts:
    """Parse an EndpointPolicy; one that is not valid has no spec."""
    metadata = raw["metadata"]
    try:
        spec = EndpointPolicy.from_spec(raw.get("spec")).spec
    except ValidationError:
        spec = None
    unused = parse_time(((raw.get("status") or {}).get("usage") or {}).get("unusedSince"))
    return PolicyFacts(
        metadata["namespace"],
        metadata["name"],
        spec,
        raw,
        annotations(raw),
        None if unused is None else unused.timestamp(),
    )
