"""Requests of the API server by which somebody might get at an object, in every way that its HTTP interface has.

Holds: a request is text. Which object it is about is for the API server to say, and for nobody here.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st

from support.objects import Object
from support.precious import BODIES, MARK, OTHER, PRECIOUS, body_of

_TOUCHED = {"labels": {MARK: MARK}}
_SELECTORS = (
    f"fieldSelector=metadata.name={PRECIOUS}",
    f"fieldSelector=metadata.name%3D%3D{PRECIOUS}",
    f"fieldSelector=metadata.name!={OTHER}",
    f"fieldSelector=metadata.name={OTHER}&fieldSelector=metadata.name={PRECIOUS}",
    f"labelSelector=which={PRECIOUS}",
    f"labelSelector=which+in+({PRECIOUS},{OTHER})",
    "labelSelector=which",
    f"labelSelector=which!={OTHER}",
    "limit=1",
    "resourceVersion=0",
)
_DELETIONS = (
    "propagationPolicy=Orphan",
    "propagationPolicy=Foreground",
    "gracePeriodSeconds=0",
    "orphanDependents=true",
)
_SUBRESOURCES = ("", "", "/status", "/scale", "/ephemeralcontainers", "/resize", "/approval")
_PATCHES = ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml")
# Other paths of what another group keeps.
_ALIASES = {"v1/Event": "/apis/events.k8s.io/v1/namespaces/{}/events"}


class KubeRequest(NamedTuple):
    """One request. `path` holds `{}` where the namespace belongs."""

    method: str
    path: str
    body: object = None
    content_type: str = "application/json"


def _plural(kind: str) -> str:
    version, _, short = kind.rpartition("/")
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{{}}/{short.lower()}s"


PATHS = {kind: _plural(kind) for kind in BODIES}
_names = st.sampled_from([PRECIOUS, PRECIOUS, OTHER])
_kinds = st.sampled_from(sorted(BODIES))


def _spelled(text: str, how: Sequence[bool]) -> str:
    """Return a segment of a path with some of its characters as percent and number."""
    marked = [f"%{ord(each):02x}" if coded else quote(each, safe=":.") for each, coded in zip(text, how, strict=False)]
    return "".join(marked) + text[len(marked) :]


@st.composite
def _collections(draw: st.DrawFn) -> str:
    kind = draw(_kinds)
    return draw(st.sampled_from([PATHS[kind], _ALIASES.get(kind, PATHS[kind])]))


@st.composite
def _segments(draw: st.DrawFn, names: st.SearchStrategy[str]) -> str:
    name = draw(names)
    return _spelled(name, draw(st.one_of(st.just([]), st.lists(st.booleans(), max_size=len(name)))))


@st.composite
def deletions(draw: st.DrawFn) -> KubeRequest:
    """Of one object, of a collection by any selector, and by evicting a pod."""
    options = draw(st.lists(st.sampled_from(_DELETIONS), max_size=2, unique=True))
    body = draw(
        st.sampled_from([None, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}])
    )
    match draw(st.sampled_from(["object", "collection", "collection", "eviction"])):
        case "object":
            path = f"{draw(_collections())}/{draw(_segments(_names))}"
        case "collection":
            path = draw(_collections()) + draw(st.sampled_from(["", "/"]))
            options += draw(st.lists(st.sampled_from(_SELECTORS), max_size=2, unique=True))
        case _:
            name = draw(_names)
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            return KubeRequest("POST", f"{PATHS['v1/Pod']}/{draw(_segments(st.just(name)))}/eviction", eviction)
    return KubeRequest("DELETE", f"{path}?{'&'.join(options)}" if options else path, body)


@st.composite
def writes(draw: st.DrawFn) -> KubeRequest:
    """Of an object whole, of a part of it, and of a subresource; by any way to patch; of a pod's node."""
    kind, name = draw(_kinds), draw(_names)
    version, _, short = kind.rpartition("/")
    whole: Object = {
        "apiVersion": version,
        "kind": short,
        "metadata": {"name": name, **_TOUCHED},
        **body_of(kind, name),
    }
    path = f"{PATHS[kind]}/{draw(_segments(st.just(name)))}"
    match draw(st.sampled_from(["put", "patch", "patch", "post", "binding", "scale"])):
        case "put":
            return KubeRequest("PUT", path + draw(st.sampled_from(_SUBRESOURCES)), whole)
        case "post":
            return KubeRequest("POST", PATHS[kind], whole)
        case "binding":
            target = {"apiVersion": "v1", "kind": "Node", "name": MARK}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            where = draw(st.sampled_from([f"{PATHS['v1/Pod']}/{name}/binding", "/api/v1/namespaces/{}/bindings"]))
            return KubeRequest("POST", where, body)
        case "scale":
            scale = {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": name},
                "spec": {"replicas": 1},
            }
            return KubeRequest("PUT", f"{path}/scale", scale)
    how = draw(st.sampled_from(_PATCHES))
    path += draw(st.sampled_from(_SUBRESOURCES))
    if how.startswith("json"):
        return KubeRequest(
            "PATCH", path, [{"op": "add", "path": f"/metadata/labels/{MARK}", "value": MARK}], f"application/{how}"
        )
    if how.startswith("apply"):
        return KubeRequest("PATCH", f"{path}?fieldManager=f&force=true", whole, f"application/{how}")
    return KubeRequest("PATCH", path, {"metadata": _TOUCHED, "spec": {"replicas": 1}}, f"application/{how}")


@st.composite
def connections(draw: st.DrawFn, port: int) -> KubeRequest:
    """Into a pod, a service or a node; `port` is where the pod listens."""
    scheme = draw(st.sampled_from(["", "", "http:", "https:", ":", "HTTP:", "ws:", "http::"]))
    end = draw(st.sampled_from(["", ":", f":{port}", f":0{port}", f":+{port}", ":http", ":web", f":{port}:", ":0"]))
    names = _names.map(lambda name: f"{scheme}{name}{end}")
    plural = draw(st.sampled_from(["pods", "pods", "services"]))
    how = draw(st.sampled_from(["proxy", "proxy", "proxy", "exec?command=ls&stdout=true", "attach?stdout=true"]))
    if how == "proxy":
        how += draw(st.sampled_from(["", "/", "/a", "/a/../b", "//a", "/%2e%2e/a", "/a%2f..", "/a?path=b"]))
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]))
    return KubeRequest(method, f"/api/v1/namespaces/{{}}/{plural}/{draw(_segments(names))}/{how}")


@st.composite
def readings(draw: st.DrawFn) -> KubeRequest:
    """Of one object or a collection, at once or as it changes."""
    path = draw(_collections())
    match draw(st.sampled_from(["object", "collection", "collection", "watch", "everywhere"])):
        case "object":
            return KubeRequest(
                "GET", f"{path}/{draw(_segments(_names))}{draw(st.sampled_from(['', '/status', '/log']))}"
            )
        case "watch":
            path = path.replace("/namespaces/", "/watch/namespaces/") + draw(st.sampled_from(["", f"/{PRECIOUS}"]))
        case "everywhere":
            path = path.replace("/namespaces/{}", "")
    options = draw(st.lists(st.sampled_from(_SELECTORS), max_size=2, unique=True))
    if draw(st.booleans()):
        options.append("watch=true")
    return KubeRequest("GET", f"{path}?{'&'.join([*options, 'timeoutSeconds=1'])}")
