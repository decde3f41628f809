"""The API server, as far as the decision point speaks to it. Everything else asks through `ApiClient`.

Holds: every call has a deadline; what the API server does not answer as it should is a `ClusterUnavailableError`, and
its refusals are values; every answer tells the time (`clock`). Nothing is repeated here, but aiohttp sends a PUT once
more where a kept connection breaks: a write carries a resourceVersion, so the second one conflicts.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from bailiwick_api.access import Access, AccessError
from bailiwick_api.bodies import encoded
from bailiwick_api.meta import API_VERSION, APPROVAL_GRANTS, ENDPOINT_POLICIES
from bailiwick_api.serverclock import ServerClock, read_date

_OK = range(200, 300)
# What one answer holds is parsed in one go, and while it is, nobody is answered: so many objects at most, and so many
# bytes, unless it is one object alone.
_PAGE = 200
# What is no answer to the question: a token that is taken no longer, and too many requests.
_UNANSWERED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
_PAGE_BYTES = 1024 * 1024
_FEWER, _MORE = 8, 2
_JSON = "application/json"


class ClusterUnavailableError(Exception):
    """The API server did not answer, or answered that it cannot at the moment (timeouts, 429, 5xx, our own 401)."""


class SilentWatchError(ClusterUnavailableError):
    """A watch that stood said nothing any more: the API server has nothing to say, or is gone. A list tells which."""


class HistoryGoneError(Exception):
    """A watch cannot be resumed (410): list again; deletions may lie in the gap."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects that are listed and watched. `name` restricts it to one object."""

    path: str
    name: str | None = None

    def query(self, **more: str) -> str:
        """Return the query string of a list or watch."""
        selector = {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}
        return urlencode(selector | more)


POLICIES = Collection(f"/apis/{API_VERSION}/{ENDPOINT_POLICIES}")
GRANTS = Collection(f"/apis/{API_VERSION}/{APPROVAL_GRANTS}")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API server said. `date` is its clock, in seconds since the epoch; None where it sent none."""

    status: int
    body: dict[str, Any]
    date: float | None

    @property
    def ok(self) -> bool:
        """2xx."""
        return self.status in _OK

    @property
    def message(self) -> str:
        """The message of a refusal."""
        return str(self.body.get("message", ""))


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, and the resource version that a watch goes on from: that of the last page."""

    items: list[dict[str, Any]]
    resource_version: str


class _TooLongError(Exception):
    """An answer has more bytes than are read at once."""


class ApiClient:
    """A client of one API server. Close it with `close`."""

    def __init__(self, access: Access, timeout: float) -> None:
        configuration = Configuration(
            host=access.server,
            ssl_ca_cert=str(access.ca_file) if access.ca_file else None,
            ca_cert_data=access.ca_data,
        )
        # The connections alone: the client's own calls write bodies as ASCII, see `bodies`.
        self._connections = RESTClientObject(configuration)
        self._access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self.clock = ServerClock()
        """Ours beside the API server's."""

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def pages(self, collection: Collection) -> AsyncIterator[ListPage]:
        """Yield every object, page by page. Raises `ClusterUnavailableError`, and `HistoryGoneError` between pages."""
        more, limit = "", _PAGE
        while True:
            query = {"limit": f"{limit}"} | ({"continue": more} if more else {})
            path = f"{collection.path}?{collection.query(**query)}"
            try:
                answer = await self._call("GET", path, most=_PAGE_BYTES if limit > 1 else None)
            except _TooLongError:
                # Whoever stores large objects makes their own pages small, and nobody's loop long.
                limit = max(1, limit // _FEWER)
                continue
            limit = min(_PAGE, limit * _MORE)
            if not answer.ok:
                message = f"list {collection.path}: {answer.status} {answer.message}"
                raise (
                    HistoryGoneError(message) if answer.status == HTTPStatus.GONE else ClusterUnavailableError(message)
                )
            found, metadata = answer.body.get("items"), answer.body.get("metadata") or {}
            if not isinstance(found, list | None) or "resourceVersion" not in metadata:
                message = f"list {collection.path}: the answer is not a list"
                raise ClusterUnavailableError(message)
            yield ListPage(found or [], metadata["resourceVersion"])
            more = metadata.get("continue", "")
            if not more:
                return

    async def watch(
        self, collection: Collection, resource_version: str, *, silence: float, seconds: int
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
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
        # No total deadline: a watch is meant to stay; a silent one is noticed by sock_read.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total, sock_read=silence)
        try:
            response = await self._send("GET", f"{collection.path}?{query}", None, timeout)
            try:
                if response.status == HTTPStatus.GONE:
                    raise HistoryGoneError(collection.path)
                if response.status not in _OK:
                    message = f"watch {collection.path}: {response.status}"
                    raise ClusterUnavailableError(message)
                async for line in _lines(response, collection.path):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise HistoryGoneError(str(event["object"]["message"]))
                    if not isinstance(event["object"]["metadata"]["resourceVersion"], str):
                        raise TypeError(event["type"])
                    yield event["type"], event["object"]
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError, AccessError, LookupError, ValueError, TypeError) as error:
            message = f"watch {collection.path}: {error!r}"
            raise ClusterUnavailableError(message) from error

    async def read_policy(self, namespace: str, name: str) -> ApiResponse:
        """Read one policy as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        path = f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}/{ENDPOINT_POLICIES}/{quote(name, safe='')}"
        return await self._call("GET", path)

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        """Read one grant as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call("GET", _grant(namespace, name))

    async def list_grants(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the grants of a namespace with these labels, as they are now. Raises `ClusterUnavailableError`."""
        path = f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}/{APPROVAL_GRANTS}"
        answer = await self._call("GET", f"{path}?{urlencode({'labelSelector': selector})}")
        found = answer.body.get("items")
        if not answer.ok or not isinstance(found, list):
            message = f"list {path}: {answer.status} {answer.message}"
            raise ClusterUnavailableError(message)
        return found

    async def create_grant(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create a grant; 409 (exists) and refusals are answers. Raises `ClusterUnavailableError`."""
        namespace = manifest["metadata"]["namespace"]
        return await self._call("POST", f"/apis/{API_VERSION}/namespaces/{namespace}/{APPROVAL_GRANTS}", manifest)

    async def revoke_grant(self, namespace: str, name: str, version: str, revocation: Mapping[str, str]) -> ApiResponse:
        """Set a grant's revocation at a resourceVersion; 409 and the guard's refusals are answers.

        Raises `ClusterUnavailableError`.
        """
        body = {"metadata": {"resourceVersion": version}, "spec": {"revocation": dict(revocation)}}
        return await self._call("PATCH", _grant(namespace, name), body, kind="application/merge-patch+json")

    async def write_grant_status(self, grant: Mapping[str, Any]) -> ApiResponse:
        """Replace a grant's status at its resourceVersion; 409 and the guard's refusals are answers.

        Raises `ClusterUnavailableError`, after which the write may or may not have happened.
        """
        metadata = grant["metadata"]
        return await self._call("PUT", f"{_grant(metadata['namespace'], metadata['name'])}/status", grant)

    async def read_pod(self, namespace: str, name: str) -> ApiResponse:
        """Read one pod as it is now. Raises `ClusterUnavailableError`; 404 is an answer."""
        return await self._call("GET", f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}")

    async def read_token_issuer(self) -> tuple[str, dict[str, Any]]:
        """Return the name by which the API server issues tokens (`iss`), and its JWK Set.

        From the API server itself and not from where its discovery document points, which may be a public address.
        Raises `ClusterUnavailableError`.
        """
        discovery = await self._call("GET", "/.well-known/openid-configuration")
        keys = await self._call("GET", "/openid/v1/jwks", accept="application/jwk-set+json")
        issuer = discovery.body.get("issuer")
        if not discovery.ok or not keys.ok or not isinstance(issuer, str) or not issuer:
            message = f"issuer of tokens: {discovery.status} {discovery.message}, keys: {keys.status} {keys.message}"
            raise ClusterUnavailableError(message)
        return issuer, keys.body

    async def review_token(self, token: str, audiences: list[str]) -> dict[str, Any]:
        """Ask whose token this is (TokenReview); return its `status`. Raises `ClusterUnavailableError`."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        }
        answer = await self._call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        if not answer.ok:
            message = f"tokenreviews: {answer.status} {answer.message}"
            raise ClusterUnavailableError(message)
        status: dict[str, Any] = answer.body.get("status") or {}
        return status

    async def review_access(self, spec: Mapping[str, Any]) -> bool:
        """Ask whether somebody may do something (SubjectAccessReview). Raises `ClusterUnavailableError`."""
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": dict(spec)}
        answer = await self._call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        if not answer.ok:
            message = f"SubjectAccessReview: {answer.status} {answer.message}"
            raise ClusterUnavailableError(message)
        status = answer.body.get("status") or {}
        return status.get("allowed") is True and status.get("denied") is not True

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = _JSON,
        kind: str = _JSON,
        most: int | None = None,
    ) -> ApiResponse:
        """Make a call. Raises `ClusterUnavailableError`, and `_TooLongError` for an answer longer than `most` bytes."""
        try:
            response = await self._send(method, path, body, self._timeout, {"Accept": accept, "Content-Type": kind})
            async with response:
                raw = await (response.read() if most is None else _at_most(response, most))
            said = _json(method, path, response.status, raw)
            answer = ApiResponse(
                response.status, said if isinstance(said, dict) else {}, read_date(response.headers.get("Date"))
            )
        except (aiohttp.ClientError, TimeoutError, OSError, AccessError, ValueError) as error:
            message = f"{method} {path}: {error!r}"
            raise ClusterUnavailableError(message) from error
        # 401: our own token is not accepted (any more). 429 and 5xx: the API server cannot at the moment.
        if answer.status in _UNANSWERED or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{method} {path}: {answer.status} {answer.message}"
            raise ClusterUnavailableError(message)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        limits: aiohttp.ClientTimeout,
        media: Mapping[str, str] = MappingProxyType({"Accept": _JSON}),
    ) -> aiohttp.ClientResponse:
        # The token file is read for every call, as client-go does within a minute: a rotated token is never missed.
        headers = {"Accept": media["Accept"], "Authorization": f"Bearer {self._access.token()}"}
        began = self.clock.monotonic()
        if self._connections.pool_manager is None:
            self._connections.pool_manager = self._connections._create_pool_manager()  # noqa: SLF001 - its own way
        response = await self._connections.pool_manager.request(
            method,
            self._access.server + path,
            headers=headers | ({"Content-Type": media["Content-Type"]} if body is not None else {}),
            data=None if body is None else encoded(body),
            timeout=limits,
        )
        self.clock.heard(read_date(response.headers.get("Date")), began)
        return response


async def _lines(response: aiohttp.ClientResponse, path: str) -> AsyncIterator[bytes]:
    try:
        async for line in response.content:
            yield line
    except aiohttp.SocketTimeoutError as error:
        raise SilentWatchError(f"watch {path}: not a byte for a while") from error


async def _at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > most:
            # What is left would have to be read before anything else on this connection.
            response.close()
            raise _TooLongError
    return bytes(raw)


def _grant(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{APPROVAL_GRANTS}/{name}"


def _json(method: str, path: str, status: int, raw: bytes) -> object:
    """Return the body. Raises `ClusterUnavailableError` where it is not JSON, as a group that nobody serves is told."""
    try:
        return orjson.loads(raw) if raw else {}
    except ValueError as error:
        hint = ": are the definitions (crds/) applied?" if status == HTTPStatus.NOT_FOUND else ""
        message = f"{method} {path}: {status}, and no JSON{hint}"
        raise ClusterUnavailableError(message) from error
