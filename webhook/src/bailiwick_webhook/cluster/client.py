"""The API server, as far as the decision point speaks to it. Everything else asks through `ApiClient`.

Holds: what the API server does not answer as it should is a `ClusterUnavailableError`, and its refusals are values;
nothing is repeated here (see `bailiwick_kube`).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD
from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_kube.lists import ListPage, RefusedListError, pages
from bailiwick_kube.paths import (
    CORE,
    data_path,
    grants_path,
    histories_path,
    object_path,
    policies_path,
    revocations_path,
)
from bailiwick_kube.responses import ApiResponse, is_success
from bailiwick_kube.transport import (
    JSON,
    MERGE_PATCH,
    METADATA,
    METADATA_LIST,
    ApiRequest,
    SilentStreamError,
    Transport,
    UnreachableError,
)

_TOKEN_REVIEWS = object_path("authentication.k8s.io/v1", "tokenreviews")
_ACCESS_REVIEWS = object_path("authorization.k8s.io/v1", "subjectaccessreviews")


class ClusterUnavailableError(Exception):
    """The API server did not answer, or answered that it cannot at the moment (timeouts, 429, 5xx, our own 401)."""


class SilentWatchError(ClusterUnavailableError):
    """A watch that stood said nothing any more: the API server has nothing to say, or is gone. A list tells which."""


class HistoryGoneError(Exception):
    """A watch cannot be resumed (410): list again; deletions may lie in the gap."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects that are listed and watched. `name` restricts it to one object, `metadata` to the metadata of each."""

    path: str
    name: str | None = None
    metadata: bool = False

    def query(self, **more: str) -> dict[str, str]:
        """Return the query of a list or watch."""
        return ({"fieldSelector": f"metadata.name={self.name}"} if self.name else {}) | more


POLICIES = Collection(policies_path())
GRANTS = Collection(grants_path())
DATA = Collection(data_path())
REVOCATIONS = Collection(revocations_path())


class ApiClient:
    """A client of one API server. Close it with `close`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def clock(self) -> ServerClock:
        """Ours beside the API server's."""
        return self._transport.clock

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def pages(self, collection: Collection) -> AsyncIterator[ListPage]:
        """Yield every object, page by page. Raises `ClusterUnavailableError`, and `HistoryGoneError` between pages."""
        try:
            async for page in pages(
                self._transport, collection.path, collection.query(), METADATA_LIST if collection.metadata else JSON
            ):
                yield page
        except RefusedListError as error:
            refused = HistoryGoneError if error.response.gone else ClusterUnavailableError
            raise refused(str(error)) from error
        except UnreachableError as error:
            raise ClusterUnavailableError(str(error)) from error

    async def watch(
        self, collection: Collection, resource_version: str, *, silence: float, seconds: int
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """Yield (type, object) from a resource version on, bookmarks too, until the server ends the watch.

        Raises `SilentWatchError` after `silence` seconds without a byte, `ClusterUnavailableError` and
        `HistoryGoneError`.
        """
        query = collection.query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=str(seconds),
        )
        try:
            request = ApiRequest("GET", collection.path, query, accept=METADATA if collection.metadata else JSON)
            async with self._transport.stream(request, silence=silence) as stream:
                if stream.status == HTTPStatus.GONE:
                    raise HistoryGoneError(collection.path)
                if not is_success(stream.status):
                    message = f"watch {collection.path}: {stream.status}"
                    raise ClusterUnavailableError(message)
                async for line in stream.lines:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise HistoryGoneError(str(event["object"]["message"]))
                    if not isinstance(event["object"]["metadata"]["resourceVersion"], str):
                        raise TypeError(event["type"])
                    yield event["type"], event["object"]
        except SilentStreamError as error:
            raise SilentWatchError(f"watch {collection.path}: not a byte for a while") from error
        except (UnreachableError, LookupError, ValueError, TypeError) as error:
            message = f"watch {collection.path}: {error!r}"
            raise ClusterUnavailableError(message) from error

    async def read_policy(self, namespace: str, name: str) -> ApiResponse:
        """Read one policy as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", policies_path(namespace, name)))

    async def read_data(self, namespace: str, name: str) -> ApiResponse:
        """Read one object of data as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", data_path(namespace, name)))

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        """Read one grant as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", grants_path(namespace, name)))

    async def list_grants(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the grants of a namespace with these labels, as they are now. Raises `ClusterUnavailableError`."""
        path = grants_path(namespace)
        answer = await self._call(ApiRequest("GET", path, {"labelSelector": selector}))
        found = answer.body.get("items")
        if not answer.ok or not isinstance(found, list):
            message = f"list {path}: {answer.status}, {answer.message}"
            raise ClusterUnavailableError(message)
        return found

    async def read_grants_route(self) -> ApiResponse:
        """Read the APIService of the grants' group as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", f"{apiroutes.PATH}/{apiroutes.GRANTS_ROUTE}"))

    async def read_grants_definition(self) -> ApiResponse:
        """Read the metadata of the grants' definition as it is now. Raises `ClusterUnavailableError`."""
        return await self._call(ApiRequest("GET", f"{definitions.PATH}/{APPROVAL_GRANTS_CRD}", accept=METADATA))

    async def create_grant(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create a grant; 409 (exists) and refusals are answers. Raises `ClusterUnavailableError`."""
        return await self._call(ApiRequest("POST", grants_path(manifest["metadata"]["namespace"]), body=manifest))

    async def revoke_grant(self, namespace: str, name: str, version: str, revocation: Mapping[str, str]) -> ApiResponse:
        """Set a grant's revocation at a resourceVersion; 409 and the guard's refusals are answers.

        Raises `ClusterUnavailableError`.
        """
        body = {"metadata": {"resourceVersion": version}, "spec": {"revocation": dict(revocation)}}
        return await self._call(ApiRequest("PATCH", grants_path(namespace, name), body=body, media=MERGE_PATCH))

    async def write_grant_status(self, grant: Mapping[str, Any]) -> ApiResponse:
        """Replace a grant's status at its resourceVersion; 409 and the guard's refusals are answers.

        Raises `ClusterUnavailableError`, after which the write may or may not have happened.
        """
        metadata = grant["metadata"]
        path = grants_path(metadata["namespace"], metadata["name"], "status")
        return await self._call(ApiRequest("PUT", path, body=grant))

    async def read_history(self, namespace: str, name: str) -> ApiResponse:
        """Read the state of one key of a history as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", histories_path(namespace, name)))

    async def create_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create the state of a key; 409 (exists) and refusals are answers.

        Raises `ClusterUnavailableError`, after which it may or may not exist.
        """
        return await self._call(ApiRequest("POST", histories_path(manifest["metadata"]["namespace"]), body=manifest))

    async def replace_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Replace the state of a key at its resourceVersion; 404, 409 and the guard's refusals are answers.

        Raises `ClusterUnavailableError`, after which the write may or may not have happened.
        """
        metadata = manifest["metadata"]
        path = histories_path(metadata["namespace"], metadata["name"])
        return await self._call(ApiRequest("PUT", path, body=manifest))

    async def read_pod(self, namespace: str, name: str) -> ApiResponse:
        """Read one pod as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call(ApiRequest("GET", object_path(CORE, "pods", namespace, name)))

    async def read_token_issuer(self) -> tuple[str, dict[str, Any]]:
        """Return the name by which the API server issues tokens (`iss`), and its JWK Set.

        From the API server itself and not from where its discovery document points, which may be a public address.
        Raises `ClusterUnavailableError`.
        """
        discovery = await self._call(ApiRequest("GET", "/.well-known/openid-configuration"))
        keys = await self._call(ApiRequest("GET", "/openid/v1/jwks", accept="application/jwk-set+json"))
        issuer = discovery.body.get("issuer")
        if not discovery.ok or not keys.ok or not isinstance(issuer, str) or not issuer:
            message = f"issuer of tokens: {discovery.status}, {discovery.message}; keys: {keys.status}, {keys.message}"
            raise ClusterUnavailableError(message)
        return issuer, keys.body

    async def review_token(self, token: str, audiences: list[str]) -> dict[str, Any]:
        """Ask whose token this is (TokenReview); return its `status`. Raises `ClusterUnavailableError`."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        }
        answer = await self._call(ApiRequest("POST", _TOKEN_REVIEWS, body=body))
        if not answer.ok:
            message = f"tokenreviews: {answer.status}, {answer.message}"
            raise ClusterUnavailableError(message)
        status: dict[str, Any] = answer.body.get("status") or {}
        return status

    async def review_access(self, spec: Mapping[str, Any]) -> bool:
        """Ask whether somebody may do something (SubjectAccessReview). Raises `ClusterUnavailableError`."""
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": dict(spec)}
        answer = await self._call(ApiRequest("POST", _ACCESS_REVIEWS, body=body))
        if not answer.ok:
            message = f"SubjectAccessReview: {answer.status}, {answer.message}"
            raise ClusterUnavailableError(message)
        status = answer.body.get("status") or {}
        return status.get("allowed") is True and status.get("denied") is not True

    async def _call(self, request: ApiRequest) -> ApiResponse:
        """Make a call. Raises `ClusterUnavailableError`."""
        try:
            answer = await self._transport.call(request)
        except UnreachableError as error:
            raise ClusterUnavailableError(str(error)) from error
        # Not JSON: as for a group that is not served, which must not look as if an object of it were gone.
        if answer.unanswered or not answer.readable:
            message = f"{request.method} {request.path}: {answer.message}"
            raise ClusterUnavailableError(message)
        return answer
