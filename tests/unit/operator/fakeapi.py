"""A small stand-in for the API server: guards, grants and one ConfigMap, and a process that dies at a chosen write.

Holds: for what a real server cannot be made to show, a crash at one exact request. Everything else is tested on one.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import orjson

from bailiwick_api.accounts import GUARD_CONFIG_MAP
from bailiwick_api.manifests.canary import canary, probes
from bailiwick_api.voidgrants import PER_NAMESPACE
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.approval.fingerprint import paths, shipped_fingerprint
from bailiwick_kube.paths import histories_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, Method
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient
from support.guards.shippedobjects import as_stored
from support.objects import Object, received
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, NOW

CONFIG_MAPS = f"/api/v1/namespaces/{INSTALLATION.namespace}/configmaps"
_PATHS: Final = paths(INSTALLATION)
_COLLECTIONS: Final = {path.rpartition("/")[0] for path in _PATHS}
# Written once, and read for each server: a law has hundreds of them.
_SHIPPED: Final = orjson.dumps(
    {path: as_stored(document, path) for path, document in zip(_PATHS, shipped_fingerprint(INSTALLATION), strict=True)}
)


class Crash(BaseException):
    """The process is gone."""


def api_services() -> dict[str, Object]:
    """Return the APIServices of the groups that decide, as the API server makes them, and one of somebody else's."""
    metrics = {"name": "v1beta1.metrics.k8s.io", "uid": "metrics", "resourceVersion": "9"}
    theirs = {"metadata": metrics, "spec": {"service": {"namespace": "kube-system", "name": "metrics-server"}}}
    ours = {
        name: {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": {"group": name}}
        for name in apiroutes.REQUIRED
    }
    return {**ours, metrics["name"]: theirs}


class FakeApi:
    """What is stored stays when a process dies; make a new keeper on the same one to go on."""

    def __init__(self) -> None:
        self.leading = True
        self.transport = FakeTransport(self._answer)
        self.client = OperatorClient(self.transport, lambda: self.leading)
        self.revision = 100
        self.guards: dict[str, Object] = orjson.loads(_SHIPPED)
        self.routes = api_services()
        self.routes_answer: ApiResponse | None = None
        self.config_map_answer: ApiResponse | None = None
        self.foreign: list[str] = []
        """Names of definitions that are not ours."""
        self.grants: dict[tuple[str, str], Object] = {}
        self.config_map: Object | None = None
        self.enforced = True
        self.writes: list[str] = []
        self.crash_at: Callable[[int, str], bool] = lambda _number, _what: False
        self.before_write: Callable[[str], None] = lambda _what: None
        self.before_read: Callable[[str], None] = lambda _path: None
        self.refused_by = "the guard"
        self.unwritable: dict[str, ApiResponse | Exception] = {}
        """What is answered to a write of a grant, by its name."""
        self.store(canary(INSTALLATION, NOW))

    def store(self, body: Object) -> Object:
        """Write a grant past every guard; returns it as stored."""
        self.revision += 1
        metadata = {
            "uid": f"uid-{self.revision}",
            "generation": 1,
            **body["metadata"],
            "resourceVersion": str(self.revision),
        }
        stored = {**received(body), "metadata": metadata}
        self.grants[metadata["namespace"], metadata["name"]] = stored
        return stored

    def touch_guard(self, index: int = 1) -> None:
        """Loosen a guard and put it back: its generation has moved on by two."""
        self.revision += 2
        metadata = self.guards[_PATHS[index]]["metadata"]
        metadata["generation"] += 2
        metadata["resourceVersion"] = str(self.revision)

    def _answer(self, request: ApiRequest) -> ApiResponse:
        method, path, body = request.method, request.path, request.body
        dry = "dryRun" in (request.query or {})
        if dry:
            return self._dry_run(method, path, body)
        if method == "GET":
            self.before_read(path)
            return self._get(path)
        number, what = len(self.writes), f"{method} {path}"
        self.before_write(what)
        if self.crash_at(number, "before"):
            raise Crash
        assert isinstance(body, dict)
        answer = self._put(method, path, body)
        self.writes.append(what)
        if self.crash_at(number, "after"):
            raise Crash
        return answer

    def _get(self, path: str) -> ApiResponse:
        if path == GRANTS_PATH:
            listed = {
                "metadata": {"resourceVersion": str(self.revision)},
                "items": [*map(received, self.grants.values())],
            }
            return ApiResponse(HTTPStatus.OK, listed)
        if path.startswith("/apis/bailiwick.dev") and "/namespaces/" in path:
            return self._get_grant(path)
        found = self.guards.get(path)
        if path == apiroutes.PATH:
            found = {"items": [*self.routes.values()]}
            if self.routes_answer is not None:
                return self.routes_answer
        if path in _COLLECTIONS:
            items = [
                {"metadata": body["metadata"]}
                for guard, body in self.guards.items()
                if guard.rpartition("/")[0] == path
            ]
            if path == definitions.PATH:
                theirs = ("widgets.example.com", *self.foreign)
                items += [{"metadata": {"name": name, "uid": name, "resourceVersion": "1"}} for name in theirs]
            found = {"metadata": {"resourceVersion": "1"}, "items": items}
        if path == f"{CONFIG_MAPS}/{GUARD_CONFIG_MAP}":
            if self.config_map_answer is not None:
                return self.config_map_answer
            found = self.config_map
        return ApiResponse(HTTPStatus.NOT_FOUND, {}) if found is None else ApiResponse(HTTPStatus.OK, received(found))

    def _get_grant(self, path: str) -> ApiResponse:
        _, _, rest = path.partition("/namespaces/")
        namespace, _, *name = rest.split("/")
        if name:
            found = self.grants.get((namespace, name[0]))
            return (
                ApiResponse(HTTPStatus.NOT_FOUND, {}) if found is None else ApiResponse(HTTPStatus.OK, received(found))
            )
        items = [received(grant) for (where, _), grant in self.grants.items() if where == namespace]
        more = {"continue": "more"} if len(items) > PER_NAMESPACE else {}
        return ApiResponse(HTTPStatus.OK, {"metadata": more, "items": items[:PER_NAMESPACE]})

    def _dry_run(self, method: Method, path: str, body: object) -> ApiResponse:
        if not self.enforced:
            return ApiResponse(HTTPStatus.OK, {})
        verbs = {"POST": "create", "DELETE": "delete", "PATCH": "patch-status" if path.endswith("/status") else "patch"}
        asked = [probe for probe in probes(INSTALLATION, NOW) if probe.verb == verbs[method]]
        if path == histories_path(INSTALLATION.namespace) or path.startswith(definitions.PATH):
            asked = [probe for probe in probes(INSTALLATION, NOW) if probe.body == body]
        (probe,) = asked
        name = "lookalike" if self.refused_by == "a lookalike" else probe.guard
        words = "no" if self.refused_by == "another rule" else probe.refusal
        message = f"policy '{name}' denied request: {words}" if self.refused_by != "RBAC" else "forbidden"
        return ApiResponse(HTTPStatus.FORBIDDEN, {"message": message})

    def _put(self, method: Method, path: str, body: Object) -> ApiResponse:
        if path.startswith(CONFIG_MAPS):
            present = self.config_map["metadata"]["resourceVersion"] if self.config_map else None
            if (body["metadata"].get("resourceVersion")) != present:
                return ApiResponse(HTTPStatus.CONFLICT, {"message": "the object has been modified"})
            self.revision += 1
            self.config_map = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}
            return ApiResponse(HTTPStatus.OK, received(self.config_map))
        assert (method, path.rpartition("/")[2]) == ("PATCH", "status")
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if (refusal := self.unwritable.get(key[1])) is not None:
            if isinstance(refusal, Exception):
                raise refusal
            return refusal
        found = self.grants.get(key)
        if found is None:
            return ApiResponse(HTTPStatus.NOT_FOUND, {})
        if found["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return ApiResponse(HTTPStatus.CONFLICT, {"message": "the object has been modified"})
        return ApiResponse(HTTPStatus.OK, received(self.store({**found, "status": body["status"]})))
